#!/usr/bin/env bash
# Runs the unit and integration tests under the address sanitizer, which finds uses of freed memory, accesses beyond an object
# and uses of a stack frame that has returned, and the leak sanitizer, which finds memory that nothing points to at exit.
#
#   ci/asan.sh [--quick | --simulated] [FILTER]     only groups of tests whose name contains FILTER, as `stall` or `net::tcp`
#
# First the seeded faults of ci/controls/faults.rs must be reported. What is not counted as a leak stands in ci/lsan.supp, with
# its reason. Stops at the first report and prints the command that repeats it.
#
# --quick builds and runs the unit tests and tests/ends.
#
# --simulated runs the simulations alone: the sanitizer has to know when a simulated thread gets its turn, for which there is a
# feature. Those that leave a thread behind by their nature are left out. Uses of a stack frame that has returned are not looked
# for: the frames kept for that are not given back when a simulated thread ends.
#
# LIMIT: seconds that one group may take (300). TEST_ARGS: arguments for the test binaries. CARGO_ARGS: for cargo, as
# `--all-features`. Needs a C compiler and llvm-symbolizer, by which the suppressions know the functions; no nightly compiler.
returned=1
if [ "${1-}" = --simulated ]; then
    returned=0
    export CARGO_ARGS="--features sim,corosensei/sanitizer ${CARGO_ARGS-}"
    for test in a_drop_waits_for_ever_while_a_panic_unwinds drops_wait_in_a_loop_when_the_run_fails \
        a_runtime_that_is_kept_fails_the_run handles_outlive_their_simulation \
        a_host_and_links_that_outlive_their_simulation; do
        TEST_ARGS="${TEST_ARGS-} --skip $test"
    done
    export TEST_ARGS
    set -- sim::
fi
source "$(dirname "$0")/controls/suite.sh"
tool=asan

export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=$returned:log_path=$reports"
export LSAN_OPTIONS="suppressions=$PWD/ci/lsan.supp:print_suppressions=0"

suite_build asan
suite_clean
suite_control use_after_free heap-use-after-free
suite_control invalid_read heap-buffer-overflow
suite_control leak LeakSanitizer
suite_run "${1:-}"
