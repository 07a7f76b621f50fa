#!/usr/bin/env bash
# Checks the models in tests/model/ with loom (every interleaving, weak memory) and with shuttle (many schedules, larger
# models). Prints how much was explored, and that each seeded bug was found; the totals stand at the end.
#
#   ci/models.sh [--quick] [FILTER...] [-NAME...]    only models whose name contains a FILTER, without those of a NAME
#
# --quick: under loom seven models with at most one preemption, and without one other and four seeded bugs, that take nine tenths of the time;
# under shuttle, which has all, with 250 schedules of each model, unless MODEL_SCHEDULES says otherwise.
# --models-only: no seeded bugs.
#
# CHECKERS: "loom shuttle" unless given.
# FEATURES: for cargo. `FEATURES=--no-default-features ci/models.sh driver timer house` takes the driver of a build without `net`.
# LOOM_MAX_PREEMPTIONS: instead of the bound that each model names.
# MODEL_SCHEDULES: shuttle's, for each of its two schedulers (5,000 unless given; ten times that for the largest models). A seeded
# bug is looked for in 5,000 in any case; most show in the first hundred.
# To see one failure in full: the program that this builds, with `--only NAME`.
set -euo pipefail
cd "$(dirname "$0")/.."

quick=
arguments=()
for argument in "$@"; do
    case $argument in
        --quick)
            quick=1
            export MODEL_SCHEDULES=${MODEL_SCHEDULES:-250}
            ;;
        *) arguments+=("$argument") ;;
    esac
done
# More than 60,000 executions each; of the seeded bugs, five seconds and more.
long=(retake-blocking closing-claim two-submitters-woken-too-soon vain-claim spare-ends wake-budget woken-too-soon)
left_out=(retake-thief retake-blocking/ends-quietly closing-claim/claimer-ends-quietly vain-claim/uncounted-late spare-ends/just-ends)

totals=()
failed=0
for checker in ${CHECKERS:-loom shuttle}; do
    echo "== $checker"
    # shellcheck disable=SC2086 -- FEATURES may be several arguments, or none
    RUSTFLAGS="--cfg executor_$checker" cargo build --quiet --release --locked ${FEATURES:-} \
        --manifest-path tests/model/Cargo.toml --target-dir "target/model/$checker"
    models=target/model/$checker/release/models
    log=target/model/$checker/log
    SECONDS=0
    if [ -n "$quick" ] && [ "$checker" = loom ]; then
        "$models" "${arguments[@]}" "${long[@]/#/-}" "${left_out[@]/#/-}" | tee "$log" || failed=1
        totals+=("$checker: $(tail -n 1 "$log")")
        LOOM_MAX_PREEMPTIONS=1 "$models" --models-only "${long[@]/#/=}" | tee "$log" || failed=1
    else
        "$models" "${arguments[@]}" | tee "$log" || failed=1
    fi
    totals+=("$checker: $(tail -n 1 "$log"), in $SECONDS s")
done
echo "== totals"
printf '%s\n' "${totals[@]}"
exit "$failed"
