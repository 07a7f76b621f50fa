#!/usr/bin/env bash
# Builds the fuzz targets in tests/fuzz/ with coverage counters and the address sanitizer, and runs them one after the other.
# Ends at the first finding: keeps its input and prints the command that replays it.
#
#   ci/fuzz.sh [SECONDS|RUNSx] [TARGET...]     60 seconds each of operations, local, wheel and registry, unless given
#   ci/fuzz.sh 1000000x wheel                  a million executions
#
# HANG: seconds after which one input counts as hung (30). SANITIZER: "address" unless given; "none" is two to three times as
# fast, for long runs that leave the memory to other checks. Inputs that reached something new are kept in
# target/fuzz/corpus/ and are where the next run begins; findings lie in target/fuzz/findings/.
set -euo pipefail
cd "$(dirname "$0")/.."
amount=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(operations local wheel registry)

case $amount in
    *x) limit=(-runs="${amount%x}") ;;
    *) limit=(-max_total_time="$amount") ;;
esac

# What cargo-fuzz sets. Counters need a compiler flag of nightly.
triple=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1"
build=target/fuzz
case ${SANITIZER:=address} in
    none) build=target/fuzz/none ;;
    *) flags="-Zsanitizer=$SANITIZER $flags" ;;
esac
# What chooses a tested program's settings is not for here.
unset EXECUTOR_DEBUG EXECUTOR_WORKER_THREADS
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" cargo build --quiet --release --locked --target "$triple" \
    --manifest-path tests/fuzz/Cargo.toml --target-dir "$build" "${targets[@]/#/--bin=}"
echo "built in $SECONDS s"

# Faster: a quarantine that fits the caches, short stacks of allocations, and no fake stacks, which each unwinding clears.
export ASAN_OPTIONS="quarantine_size_mb=16:malloc_context_size=4:detect_stack_use_after_return=0:${ASAN_OPTIONS:-}"
findings=target/fuzz/findings
mkdir -p "$findings"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
total=0
for target in "${targets[@]}"; do
    program=$build/$triple/release/$target
    corpus=target/fuzz/corpus/$target
    mkdir -p "$corpus"
    # All lengths from the beginning.
    options=(-max_len=64 -len_control=0 -timeout="${HANG:-30}" -rss_limit_mb=4096 -artifact_prefix="$findings/$target-")
    status=0
    begin=$SECONDS
    "$program" "${options[@]}" "${limit[@]}" -detect_leaks=0 -print_final_stats=1 "$corpus" >"$log" 2>&1 || status=$?
    # Leaks are looked for afterwards, or libFuzzer would do so after each input; and not beside threads that come and go: one
    # that begins or ends at that moment is unknown to the sanitizer, which takes what only that thread holds for leaked. There
    # the books count each future and output, and ci/asan.sh looks for the rest.
    if [ "$status" -eq 0 ] && [ "$target" != operations ]; then
        "$program" "${options[@]}" -runs=0 "$corpus" >>"$log" 2>&1 || status=$?
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | head -1)
    features=$(sed -n 's/.*cov: \([0-9]*\) ft: \([0-9]*\).*/\1 edges, \2 features/p' "$log" | tail -1)
    echo "$target: ${runs:-?} executions in $((SECONDS - begin)) s, ${features:-nothing} covered"
    if [ "$status" -ne 0 ]; then
        grep -v -E '^#|NEW_FUNC|^INFO' "$log" | tail -n 400
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
        echo "FINDING in $target (status $status). To replay it: $program ${input:-$corpus}"
        exit 1
    fi
    total=$((total + ${runs:-0}))
done
echo "$total executions, 0 findings, $SECONDS s"
