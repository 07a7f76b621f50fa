#!/usr/bin/env bash
# Checks the models in tests/model/ with loom (every interleaving, weak memory) and with shuttle (many schedules, larger
# models). Prints how much was explored, and that each seeded bug was found.
#
#   ci/models.sh [FILTER]     only models whose name contains FILTER
#
# CHECKERS: "loom shuttle" unless given. LOOM_MAX_PREEMPTIONS: instead of the bound that each model names. MODEL_SCHEDULES: shuttle's, for each of its two
# schedulers. To see one failure in full: the program that this builds, with `--only NAME`.
set -euo pipefail
cd "$(dirname "$0")/.."

for checker in ${CHECKERS:-loom shuttle}; do
    echo "== $checker"
    RUSTFLAGS="--cfg executor_$checker" \
        cargo build --quiet --release --manifest-path tests/model/Cargo.toml --target-dir "target/model/$checker"
    SECONDS=0
    "target/model/$checker/release/models" "$@"
    echo "in $SECONDS s"
done
