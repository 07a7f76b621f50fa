#!/usr/bin/env bash
# Does docs/debugging.md still lead to the faults of examples/hidden_faults? Runs them with the settings that it names, and looks
# for the signs that it shows; ci/debugging.py has them.
#
#   ci/debugging.sh             checks the signs
#   ci/debugging.sh --record    and takes the guide's pictures, which needs a Chromium (Debian: chromium)
#
# CARGO_ARGS: arguments for cargo. Needs python3, without packages; says so and succeeds where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
browser=
case ${1-} in
'') ;;
--record)
    for name in chromium chromium-browser google-chrome; do
        browser=$(command -v "$name") && break
    done
    ;;
*)
    echo "usage: ci/debugging.sh [--record]" >&2
    exit 2
    ;;
esac
if ! command -v python3 >/dev/null; then
    echo "ci/debugging.sh: skipped: needs python3"
    exit 0
fi
# shellcheck disable=SC2086
cargo build --quiet --release --example hidden_faults --example timeline ${CARGO_ARGS:-}
timeout 300 python3 ci/debugging.py "${CARGO_TARGET_DIR:-target}/release/examples" "$scratch" ${browser:+"$browser"}
