#!/usr/bin/env bash
# Runs the unit and integration tests under the thread sanitizer, which finds two accesses to one place, one of them a write,
# that nothing orders.
#
#   ci/tsan.sh [FILTER]     only test binaries whose name contains FILTER
#
# First the seeded race of ci/controls/faults.rs must be reported.
#
# LIMIT: seconds that one binary may take (300). TEST_ARGS: arguments for the test binaries. CARGO_ARGS: for cargo, as
# `--all-features`. Needs a C compiler and llvm-symbolizer, by which the suppressions know the functions; no nightly compiler.
source "$(dirname "$0")/controls/suite.sh"
tool=tsan

export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg crossbeam_sanitize --cfg executor_tsan"
export TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp:log_path=$reports"

suite_build tsan
suite_clean
suite_control data_race "data race"
suite_run "${1:-}"
