#!/usr/bin/env bash
# Looks at the page that examples/timeline writes as a reader would: in Chromium, with mouse and keys. ci/page.py has the checks.
#
#   ci/page.sh             builds the example, records a timeline, and checks the page
#   ci/page.sh --record    and takes the picture docs/timeline.png
#   ci/page.sh --keep DIR  leaves the pages and pictures there
#
# Needs python3, without packages, and a Chromium (Debian: chromium); says so and succeeds where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
folder=$scratch
options=()
while [ $# -gt 0 ]; do
    case $1 in
    --record) options+=(--record docs/timeline.png) ;;
    --keep)
        folder=${2:?ci/page.sh --keep needs a folder}
        mkdir -p "$folder"
        shift
        ;;
    *)
        echo "usage: ci/page.sh [--record] [--keep DIR]" >&2
        exit 2
        ;;
    esac
    shift
done

browser=
for name in chromium chromium-browser google-chrome; do
    browser=$(command -v "$name") && break
done
if [ -z "$browser" ] || ! command -v python3 >/dev/null; then
    echo "ci/page.sh: skipped: needs python3 and one of chromium, chromium-browser, google-chrome"
    exit 0
fi
cargo build --quiet --release --example timeline
example=${CARGO_TARGET_DIR:-target}/release/examples/timeline
# A browser that hangs must not hold CI up.
timeout 300 python3 ci/page.py "$browser" "$example" "$folder" "${options[@]}"
