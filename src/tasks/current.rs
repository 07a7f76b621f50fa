//! The task a thread is polling right now, and the two ways to poll one: [`run`] and [`cancel`].

use std::cell::Cell;
use std::io;
use std::ptr;

use super::{Id, Meta, Runnable, budget};
use crate::sync::atomic::{AtomicU64, Ordering};

/// What a thread knows about the task it polls. Plain cells without a destructor: one fixed offset from the thread
/// pointer, usable even while thread-locals are being destroyed.
struct Current {
    /// The task being polled or dropped; null outside. Points into the task's allocation.
    meta: Cell<*const Meta>,
    /// What the poll in progress is for.
    purpose: Cell<Purpose>,
    /// Ids this thread may hand out: the next and the end of the block.
    ids: Cell<(u64, u64)>,
}

/// What a poll is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Progress,
    /// The wrapper drops its future instead of polling it.
    Cancel,
    /// The same, and the handle is told why.
    Refuse(io::ErrorKind),
}

std::thread_local! {
    static CURRENT: Current = const {
        Current { meta: Cell::new(ptr::null()), purpose: Cell::new(Purpose::Progress), ids: Cell::new((0, 0)) }
    };
}

/// Polls the task once, with a fresh budget.
///
/// Never unwinds: the wrapper in [`super::contain`] catches what the future throws.
#[inline]
pub(crate) fn run(runnable: Runnable) -> Polled {
    poll(runnable, Purpose::Progress)
}

/// Ends the task: its future is dropped on this thread and its handle resolves to "cancelled".
///
/// The task is *polled* to that end and not dropped: so it completes like any other, and a `JoinHandle` sees one
/// kind of ending only.
pub(crate) fn cancel(runnable: Runnable) -> Polled {
    poll(runnable, Purpose::Cancel)
}

/// [`cancel`] for a task that never began because the system refused something; the handle's error names it.
pub(crate) fn refuse(runnable: Runnable, reason: io::ErrorKind) {
    poll(runnable, Purpose::Refuse(reason));
}

/// What became of a task in a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Polled {
    /// Its future has been dropped.
    pub(crate) has_ended: bool,
    /// It was woken meanwhile, and is in a queue.
    pub(crate) is_queued: bool,
}

#[inline]
fn poll(runnable: Runnable, purpose: Purpose) -> Polled {
    let meta: *const Meta = runnable.metadata();
    CURRENT.with(|current| {
        let outer = current.meta.replace(meta);
        let outer_purpose = current.purpose.replace(purpose);
        let outer_budget = budget::refill();
        let is_queued = runnable.run();
        budget::restore(outer_budget);
        current.purpose.set(outer_purpose);
        // See `task_is_gone`.
        let has_ended = current.meta.replace(outer).is_null();
        Polled {
            has_ended,
            is_queued,
        }
    })
}

/// Whether the poll in progress is a cancellation.
#[inline]
pub(super) fn is_cancelling() -> bool {
    CURRENT.with(|current| current.purpose.get() != Purpose::Progress)
}

/// Why the system refused the task that is being cancelled, if it did.
pub(super) fn refusal() -> Option<io::ErrorKind> {
    CURRENT.with(|current| match current.purpose.get() {
        Purpose::Refuse(kind) => Some(kind),
        Purpose::Progress | Purpose::Cancel => None,
    })
}

/// Runs `f` on the metadata of the task being polled or dropped on this thread.
#[inline]
pub(super) fn with_meta<R>(f: impl FnOnce(&Meta) -> R) -> Option<R> {
    CURRENT.with(|current| {
        let meta = current.meta.get();
        // SAFETY: non-null only from the beginning of `poll` until the task's future has been dropped (`task_is_gone`) or
        // `Runnable::run` has returned, on this very thread, further up this stack. `run` holds a reference to the
        // task until the future is dropped or has returned `Pending`; after that it frees the task at the earliest,
        // and calls no foreign code while `meta` is set except the scheduler's own `schedule`, which does not ask.
        unsafe { meta.as_ref() }.map(f)
    })
}

/// The current task's future has been dropped: its allocation may go, and wakers of whoever awaits it run next.
pub(super) fn task_is_gone() {
    CURRENT.with(|current| current.meta.set(ptr::null()));
}

/// See [`Meta::tag`].
pub(crate) fn current_tag() -> Option<u64> {
    with_meta(Meta::tag)
}

pub(crate) fn current_id() -> Option<Id> {
    with_meta(Meta::id)
}

/// Ids are drawn in blocks, so that spawning shares no cache line (Go draws 16 at a time; a larger block makes the
/// shared counter invisible even in a spawn storm).
const ID_BLOCK: u64 = 256;

pub(super) fn next_id() -> Id {
    /// Start of the next block. Only uniqueness matters, so `Relaxed`. Ids start at 1.
    static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

    CURRENT.with(|current| {
        let (mut next, mut end) = current.ids.get();
        if next == end {
            next = NEXT_BLOCK.fetch_add(ID_BLOCK, Ordering::Relaxed);
            end = next + ID_BLOCK;
        }
        current.ids.set((next + 1, end));
        Id::from_number(next & ((1 << super::ID_BITS) - 1))
    })
}
