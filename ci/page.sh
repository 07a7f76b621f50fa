#!/usr/bin/env bash
# Draws the timeline of examples/timeline in a headless Chromium, and sees that there is something on the page and no error.
#
#   ci/page.sh              fails if the page does not draw; says so and ends well where there is no Chromium
#   ci/page.sh --record     also writes docs/timeline.png
set -euo pipefail
cd "$(dirname "$0")/.."
browser=
for name in chromium chromium-browser google-chrome; do
    browser=$(command -v "$name" || true)
    [ -z "$browser" ] || break
done
if [ -z "$browser" ]; then
    echo "ci/page.sh: skipped, there is no Chromium; on Debian: apt-get install chromium"
    exit
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cargo run --quiet --release --example timeline -- "$scratch"
# As root it must not sandbox itself.
run() {
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/profile" \
        --virtual-time-budget=3000 --window-size=1600,820 "$@" 2>"$scratch/log"
}
run --dump-dom "file://$scratch/timeline.html" >"$scratch/dom"
drawn=$(grep -o 'data-drawn="[^"]*"' "$scratch/dom" || true)
if [ -z "$drawn" ] || grep -q 'data-error=' "$scratch/dom" || [[ $drawn == *"slices=0;"* ]]; then
    grep -o 'data-error="[^"]*"' "$scratch/dom" || cat "$scratch/log"
    echo "ci/page.sh: the page has drawn nothing: $drawn"
    exit 1
fi
run --screenshot="$scratch/page.png" "file://$scratch/timeline.html#from=0&to=42000"
# A page of one colour takes a few kilobytes.
size=$(stat -c %s "$scratch/page.png")
[ "$size" -gt 20000 ] || { echo "ci/page.sh: the picture is empty ($size bytes)"; exit 1; }
[ "${1-}" != --record ] || cp "$scratch/page.png" docs/timeline.png
echo "the page is drawn: $drawn"
