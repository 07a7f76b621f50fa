#!/usr/bin/env bash
# Checks the models in tests/model/ with loom (every interleaving, weak memory) and with shuttle (many schedules, larger
# models). Prints how much was explored, and that each seeded bug was found; the totals stand at the end.
#
#   ci/models.sh [--quick] [FILTER...] [-NAME...]    only models whose name contains a FILTER, without those of a NAME
#
# --quick: under loom without nine models and four seeded bugs that take nine tenths of the time; under shuttle, which has all,
# with 250 schedules of each model, unless MODEL_SCHEDULES says otherwise.
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
if [ "${1-}" = --quick ]; then
    shift
    quick=1
    export MODEL_SCHEDULES=${MODEL_SCHEDULES:-250}
fi
# More than 40,000 executions each; of the seeded bugs, ten seconds and more.
long=(-retake-sweep/pusher-relaxed -retake-sweep/monitor-relaxed -retake-sweep/monitor-looks-no-more -vain-claim/uncounted-late
    -two-submitters-woken-too-soon -vain-claim -handover-closing -retake-pushing -retake-blocking -retake-sweep -retake-closing
    -closing -closing-claim)

totals=()
failed=0
for checker in ${CHECKERS:-loom shuttle}; do
    left_out=()
    [ -z "$quick" ] || [ "$checker" = shuttle ] || left_out=("${long[@]}")
    echo "== $checker"
    # shellcheck disable=SC2086 -- FEATURES may be several arguments, or none
    RUSTFLAGS="--cfg executor_$checker" cargo build --quiet --release --locked ${FEATURES:-} \
        --manifest-path tests/model/Cargo.toml --target-dir "target/model/$checker"
    SECONDS=0
    "target/model/$checker/release/models" "$@" "${left_out[@]}" | tee "target/model/$checker/log" || failed=1
    totals+=("$checker: $(tail -n 1 "target/model/$checker/log"), in $SECONDS s")
done
echo "== totals"
printf '%s\n' "${totals[@]}"
exit "$failed"
