#!/usr/bin/env bash
# What does no test notice? cargo-mutants changes the scheduler's core, the tasks and the reactor in one small way after the other
# (an operator, a condition, a whole function), in a copy of the tree. Each change must make tests fail: first the unit tests
# (two seconds to build and one to run), then, for those that survive these, some of the tests of whole runtimes. What survives both
# stands in ci/mutants.txt with the reason why it cannot matter; anything else fails this script.
#
#   ci/mutants.sh                  all: about 1,550 changes, two to three hours on two cores
#   ci/mutants.sh idle tasks/      only files whose path contains one of these
#
# Needs cargo-mutants: cargo install --locked cargo-mutants@27.1.0. A hang counts as seen, after 20 s of unit tests or 60 s of the others,
# so let nothing else keep the machine busy. What was found lies in target/mutants/.
# Memory orderings and fences are not changed: for those there are the twins of the models (ci/models.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
cargo mutants --version || {
    echo "ci/mutants.sh: needs cargo-mutants; to get it: cargo install --locked cargo-mutants@27.1.0" >&2
    exit 1
}
tree=$PWD/target/mutants/tree
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_TERM_COLOR=never PROPTEST_CASES=${PROPTEST_CASES:-64}
mkdir -p "$tree"
# What is tracked, as it is now. A tree of its own, changed in place: nothing but the changed file is compiled anew.
find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git ls-files -z | xargs -0 tar -cf - --ignore-failed-read 2>/dev/null | tar -xmf - -C "$tree"
python3 ci/mutants.py "$tree" target/mutants/out ci/mutants.txt "$@"
