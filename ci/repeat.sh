#!/usr/bin/env bash
# Runs the whole test suite again and again, to find tests that fail now and then. Each repeat runs each test program with
# 1, 2, 3, 8 and 64 workers, and with 1, 2 and 8 on one CPU (the interleavings of a single core).
#
#   ci/repeat.sh [TIMES] [FILTER]     TIMES: 100 unless given; FILTER: only tests whose name contains it, as `stall::report::`
#
# LIMIT: seconds that one run of one program may take (900); longer counts as a hang. VARIANTS: a pattern, only the variants
# that match it ("^8 workers", "CPU"). Further arguments for the test binaries in TEST_ARGS. Stops at the first failure and
# prints the command that repeats it. The binaries are optimised a little: races need speed.
set -euo pipefail
cd "$(dirname "$0")/.."
times=${1:-100}
filter=${2:-}
limit=${LIMIT:-900}
read -ra test_args <<<"${TEST_ARGS:-}"
export CARGO_MANIFEST_DIR=$PWD RUST_BACKTRACE=1
export CARGO_PROFILE_TEST_OPT_LEVEL=1
# The property tests are the same each time but for their seeds: a few cases per repeat.
export PROPTEST_CASES=${PROPTEST_CASES:-16}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "building"
cargo test --no-run --lib --tests 2>"$log" || {
    cat "$log"
    exit 1
}
mapfile -t binaries < <(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$log")
# It knows no filters.
[ -z "$filter" ] || mapfile -t binaries < <(printf '%s\n' "${binaries[@]}" | grep -v /deadlock-)

variants=("1 workers" "2 workers" "3 workers" "8 workers" "64 workers")
if command -v taskset >/dev/null; then
    variants+=("1 workers on CPU 0" "2 workers on CPU 0" "8 workers on CPU 0")
fi
mapfile -t variants < <(printf '%s\n' "${variants[@]}" | grep -- "${VARIANTS:-.}")
runs=0
tests=0
for ((round = 1; round <= times; round++)); do
    for variant in "${variants[@]}"; do
        for binary in "${binaries[@]}"; do
            command=(env "EXECUTOR_WORKER_THREADS=${variant%% *}")
            case $variant in *CPU*) command+=(taskset -c 0) ;; esac
            command+=("$binary" ${filter:+"$filter"} "${test_args[@]}")
            status=0
            timeout --kill-after=10 "$limit" "${command[@]}" >"$log" 2>&1 </dev/null || status=$?
            if [ "$status" -ne 0 ]; then
                cat "$log"
                [ "$status" -ne 124 ] || echo "no end after $limit s: a hang"
                echo "round $round, $variant, status $status, after $runs good runs. To repeat it:"
                echo "  cd $PWD && CARGO_MANIFEST_DIR=\$PWD ${command[*]}"
                exit 1
            fi
            runs=$((runs + 1))
            passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
            tests=$((tests + passed))
        done
    done
    if [ "$tests" -eq 0 ]; then
        echo "no test matches '$filter'"
        exit 1
    fi
    echo "round $round of $times: $runs runs, $tests tests passed, $SECONDS s"
done
echo "$tests passed, 0 failed"
