#!/usr/bin/env bash
# Runs the unit and integration tests under valgrind's memcheck. Beside what ci/asan.sh finds it finds decisions by values that
# nobody has written, and it sees into the standard library and the C library, which the sanitizers do not.
#
#   ci/valgrind.sh [--quick] [FILTER]     only groups of tests whose name contains FILTER, as `stall` or `net::tcp`
#
# First the seeded faults of ci/controls/faults.rs must be reported.
#
# --quick builds and runs the unit tests and tests/ends.
#
# LIMIT: seconds that one group may take (600). TEST_ARGS: arguments for the test binaries. CARGO_ARGS: for cargo, as
# `--all-features`. Needs valgrind.
export LIMIT=${LIMIT:-600}
source "$(dirname "$0")/controls/suite.sh"
tool=valgrind

# What lives on the stacks of its parent's threads is lost to a forked child.
suite_omit fork
# It has descriptors of its own, and a limit of its own for those of the program.
suite_omit net::limits
# It starts compilers, which would be looked into as well.
suite_omit macros::errors
# One thread runs at a time, up to a hundred times slower, and the others wait for it in the kernel: these tell stuck from busy and
# early from late by times and by what the kernel says of threads.
suite_omit macros::limits
suite_omit stall::report
suite_omit stall::busy
suite_skip scheduling::go a_ping_pong_pair_does_not_hog_the_processor
suite_skip shutdown::drops a_task_that_meets_the_end_with_a_sleep_does_not_start_the_default_runtime

suite_build valgrind
# What is lost indirectly is lost by something that is definitely lost.
runner=(valgrind -q --fair-sched=yes --trace-children=yes --error-exitcode=1 --leak-check=full
    --show-leak-kinds=definite --errors-for-leak-kinds=definite
    --suppressions=ci/valgrind.supp --log-file="$reports.%p")
suite_clean
suite_control use_after_free "Invalid read"
suite_control invalid_read "Invalid read"
suite_control uninitialised "uninitialised value"
suite_control leak "definitely lost"
suite_run "${1:-}"
