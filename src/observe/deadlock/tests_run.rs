//! Threads of a test harness that only wait for tests.
//!
//! Under `cargo test` the condition that there is no other thread never holds: the process's main
//! thread belongs to the harness, and other tests run beside. So while an `#[executor::test]` runs,
//! two more kinds of threads are taken for threads that can wake no task:
//!
//! - The main thread. Such a test exists only in a program that the compiler has built with its own
//!   harness, and there the main thread starts the tests and prints what came of them. (If a test
//!   runs on it, it is counted for that.)
//! - A thread that waits for a test with a time limit, which runs on a thread of
//!   its own.
//!
//! A thread that runs a test of another kind may wake anybody, and so may one that prepares or ends
//! a runtime. Nor is one runtime taken by itself: two tests may share a lock, and then one that
//! sleeps is woken by the other. So a test whose tasks are all asleep fails when no other test does
//! anything any more, and no test fails for another reason.
//!
//! Where another library has a thread in the process, nothing is found.

use crate::scheduler::probe;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Tests that run. `Relaxed`, as [`WAITING`]: a number that is a moment old makes the kernel's
/// number of threads differ, or is the same at both looks.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Threads other than the main one that wait for a test on another thread.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Counts while it lives.
#[derive(Debug)]
pub(crate) struct Counted(&'static AtomicUsize);

impl Counted {
    fn new(count: &'static AtomicUsize) -> Counted {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Zero in a child made by fork.
        let less = |count: usize| count.checked_sub(1);
        let _ = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// The calling thread runs a test.
pub(crate) fn run_one() -> Counted {
    Counted::new(&RUNNING)
}

/// The calling thread does nothing but wait for a test on another thread.
pub(crate) fn wait_for_one() -> Option<Counted> {
    let is_main = is_main(probe::this_thread());
    (!is_main).then(|| Counted::new(&WAITING))
}

/// Whether there are any.
pub(crate) fn are_running() -> bool {
    RUNNING.load(Ordering::Relaxed) != 0
}

/// Threads that only wait for tests. `outsiders`: those in a `block_on` are counted already.
pub(super) fn num_threads(outsiders: &[u64]) -> usize {
    if !are_running() {
        return 0;
    }
    let main = usize::from(!outsiders.iter().copied().any(is_main));
    main + WAITING.load(Ordering::Relaxed)
}

/// Whether this [name](probe::this_thread) is the main thread's. On Linux that has the number of
/// the process; elsewhere threads are not counted, and what this says does not matter.
fn is_main(thread: u64) -> bool {
    cfg!(any(target_os = "linux", target_os = "android"))
        && probe::number(thread) == u64::from(std::process::id())
}

/// In a child: the thread that has forked may have run a test, and no other exists.
pub(super) fn in_child() {
    RUNNING.store(0, Ordering::Relaxed);
    WAITING.store(0, Ordering::Relaxed);
}
