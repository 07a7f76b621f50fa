#!/usr/bin/env bash
# Checks the models in tests/model/ with loom (every interleaving, weak memory) and with shuttle (many schedules, larger
# models). Prints how much was explored, and that each seeded bug was found; the totals stand at the end.
#
#   ci/models.sh [FILTER...]     only models whose name contains one of these
#
# CHECKERS: "loom shuttle" unless given.
# FEATURES: for cargo. `FEATURES=--no-default-features ci/models.sh driver timer house` takes the driver of a build without `net`.
# LOOM_MAX_PREEMPTIONS: instead of the bound that each model names.
# MODEL_SCHEDULES: shuttle's, for each of its two schedulers (5,000 unless given; ten times that for the largest models).
# To see one failure in full: the program that this builds, with `--only NAME`.
set -euo pipefail
cd "$(dirname "$0")/.."

totals=()
failed=0
for checker in ${CHECKERS:-loom shuttle}; do
    echo "== $checker"
    # shellcheck disable=SC2086 -- FEATURES may be several arguments, or none
    RUSTFLAGS="--cfg executor_$checker" cargo build --quiet --release --locked ${FEATURES:-} \
        --manifest-path tests/model/Cargo.toml --target-dir "target/model/$checker"
    SECONDS=0
    "target/model/$checker/release/models" "$@" | tee "target/model/$checker/log" || failed=1
    totals+=("$checker: $(tail -n 1 "target/model/$checker/log"), in $SECONDS s")
done
echo "== totals"
printf '%s\n' "${totals[@]}"
exit "$failed"
