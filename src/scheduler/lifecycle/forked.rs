//! A scheduler in a child of its process: it has no threads there, and its locks may be taken for
//! ever.
//!
//! # What it guarantees
//!
//! In the child, a scheduler that was made before the fork
//!
//! 1. polls nothing, starts no thread, and takes none of its own locks on the ways named below;
//! 2. panics when it is asked for something that would never come ([`Shared::assert_not_forked`]):
//!    spawning, waiting, figures;
//! 3. is silent where a panic would harm: wakes, timers that are dropped, the end of a runtime.
//!    What it holds is leaked.
//!
//! So dropping what was inherited neither waits nor disturbs the parent.
//!
//! # Protocol
//!
//! 1. A new child marks every scheduler closed ([`close_in_child`]), so that the hot paths need no
//!    look of their own: who finds a scheduler closed asks whether it is lost
//!    ([`Shared::is_closed_by_fork`]).
//! 2. A thread of the runtime that forks is the only one of the child. When the poll or job that
//!    forked returns, the thread would go on with tasks that the parent has too. It ends the
//!    process instead ([`abort_child`]), before the observer is told of the poll. What a poll
//!    itself does to the scheduler, before it returns, asks first: a wake, a panic's report, the
//!    end of a `block_on`.
//!
//! # What it does not do
//!
//! The registry of waiting tasks is not asked: a task of the parent's that first waits, or ends, in
//! the child takes the lock of a shard, which another thread may have held at the fork, for some 20
//! ns.

use std::process;

use crate::scheduler::submit::each_scheduler;
use crate::scheduler::{Shared, this_thread};
use crate::stderr;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

/// Schedulers that no runtime uses, taken for a fork.
pub(crate) type Free = MutexGuard<'static, Vec<&'static Shared>>;

/// In a child: all schedulers there are belong to another process.
pub(crate) fn close_in_child(free: &mut Free) {
    free.clear();
    each_scheduler(|shared| shared.closed.store(true, Ordering::SeqCst));
}

/// On a thread of a runtime, after foreign code: if that has forked, this is a child with nothing
/// to do here.
#[inline]
pub(crate) fn abort_if_child() {
    if this_thread::member_of().is_some_and(Shared::in_forked_child) {
        abort_child();
    }
}

#[cold]
fn abort_child() -> ! {
    stderr::say_last(format_args!(
        "a task or job forked, and its child returned into the runtime, whose threads are its parent's. \
         A child made there must call `exec` or `_exit`; this one is aborted"
    ));
    process::abort()
}

impl Shared {
    /// Whether this process is a child of the one that the scheduler was made in.
    #[inline]
    pub(crate) fn in_forked_child(&self) -> bool {
        self.birth.in_forked_child()
    }

    /// [`Shared::in_forked_child`], for ways on which nearly everything is open.
    #[inline]
    pub(crate) fn is_closed_by_fork(&self) -> bool {
        self.is_closed() && self.in_forked_child()
    }

    /// Panics if nothing can come of whatever is asked for.
    #[inline]
    #[track_caller]
    pub(crate) fn assert_not_forked(&self) {
        if self.is_closed_by_fork() {
            panic!("{FORKED}");
        }
    }

    /// After a poll that is observed, before anybody is told of it: if it has forked, this is the
    /// end of the child. What it was observed with are locks, and hooks of the user, who does not
    /// expect them to be called in two processes.
    #[inline]
    pub(crate) fn abort_if_forked(&self) {
        if self.is_closed_by_fork() {
            abort_child();
        }
    }

    /// After a poll, in a closed scheduler: tasks that went to sleep in it are woken once more. In
    /// a child the poll has forked, and this is its end.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_the_waiting(&self) {
        if self.in_forked_child() {
            abort_child();
        }
        self.registry.close();
    }
}

/// What is said of an inherited runtime.
pub(crate) const FORKED: &str = "the runtime belongs to the process that this one was forked from, and has no threads here; \
     build one after the fork, or leave the runtime first if it is entered";
