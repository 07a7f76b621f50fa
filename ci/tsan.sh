#!/usr/bin/env bash
# Runs the unit and integration tests under the thread sanitizer, which finds two accesses to one place, one of them a write,
# that nothing orders.
#
#   ci/tsan.sh [--quick] [FILTER]     only groups of tests whose name contains FILTER, as `stall` or `net::tcp`
#
# The standard library comes without the sanitizer; ci/controls/tsan_std.rs, linked into each program, says what it orders. First
# ci/controls/faults.rs must be reported with its seeded race, and must not be with everything that the standard library offers
# to prevent one. What is left stands in ci/tsan.supp, with its reason. Stops at the first report and prints the command that
# repeats it.
#
# What it cannot see: it knows no fences, so a value that only a fence protects would be reported (there is none), and an order
# that only a fence gives to atomic values is left to the loom models.
#
# --quick builds and runs the unit tests and tests/ends.
#
# LIMIT: seconds that one group may take (300). TEST_ARGS: arguments for the test binaries. CARGO_ARGS: for cargo, as
# `--all-features`. Needs a C compiler, nm and llvm-symbolizer, by which the suppressions know the functions; no nightly
# compiler.
source "$(dirname "$0")/controls/suite.sh"
tool=tsan

# The standard library's names, in what the linker shall wrap. A library that has renamed one of them needs a look.
declare -A wrapped=(
    [lock_contended]='3sys4sync5mutex.*14lock_contended'
    [read_contended]='3sys4sync6rwlock.*14read_contended'
    [write_contended]='3sys4sync6rwlock.*15write_contended'
    [condvar_wait]='3sys4sync7condvar.*7Condvar4wait'
    [condvar_wait_timeout]='3sys4sync7condvar.*7Condvar12wait_timeout'
    [barrier_wait]='4sync7barrier.*7Barrier4wait'
    [once_call]='3sys4sync4once.*4Once4call'
    [scoped_thread_ends]='6thread6scoped.*9ScopeData29decrement_num_running_threads'
    [park]='6thread9functions4park'
    [park_timeout]='6thread9functions12park_timeout'
)
wrap_std() {
    local folder=target/tsan/std word name
    mkdir -p "$folder"
    nm -D --defined-only "$(rustc --print sysroot)/lib/rustlib/$target/lib"/libstd-*.so | awk '{ print $3 }' >"$scratch/names"
    cp ci/controls/tsan_std.rs "$scratch/tsan_std.rs"
    echo "-Wl,--wrap=__tsan_atomic64_fetch_sub $folder/std.o" >"$folder/args"
    for word in "${!wrapped[@]}"; do
        name=$(grep -E "^_RNv.*${wrapped[$word]}\$" "$scratch/names" || true)
        if [ "$(wc -w <<<"$name")" -ne 1 ]; then
            echo "the standard library's $word is not found, or not once: '$name'"
            exit 1
        fi
        sed -i "s/{$word}/$name/" "$scratch/tsan_std.rs"
        echo "-Wl,--wrap=$name" >>"$folder/args"
    done
    rustc --edition 2024 -Copt-level=2 --target "$target" --crate-type lib "--emit=obj=$folder/std.o" "$scratch/tsan_std.rs"
}
wrap_std

export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg crossbeam_sanitize --cfg executor_tsan \
-Clink-arg=@target/tsan/std/args"
# Threads that are still to be joined when the process ends are those of runtimes that end in the background; tests/ends/shutdown/drops.rs
# counts what stays.
export TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp:log_path=$reports:report_thread_leaks=0:die_after_fork=0"
# Captured output and the symbols for backtraces are kept in buffers of all threads, under locks inside the standard library.
export RUST_TEST_NOCAPTURE=1 RUST_BACKTRACE=0

# The sanitizer has a thread of its own in each process, which might wake somebody: so nothing is ever said there.
suite_omit deadlock
suite_omit macros::deadlocks
# A child that starts threads is beyond what the sanitizer promises. Beside threads that do much it hangs in there.
suite_skip fork forks_amid_traffic_hang_neither_process
# The sanitizer has a thread of its own that wakes ten times a second, and this test counts the moves of all threads.
suite_skip hazards::wakes an_idle_runtime_does_nothing_at_all
# A thread may wait in the kernel for one of the sanitizer's locks, in the middle of a poll that computes. Then it is blocked, and is
# saved before it has computed for long enough to be named.
suite_skip stall::report a_computing_task_that_ends_as_soon_as_it_is_saved_is_named_once
# It holds locks of the whole process for as long as another runtime works. Here that takes long enough for other unit tests to
# wait for those locks with a lock that this runtime needs to end.
suite_skip executor neither_a_spawn_nor_a_join_nor_an_abort_waits_for_a_lock_of_the_whole_process

suite_build tsan
suite_clean
suite_control data_race "data race"
suite_run "${1:-}"
