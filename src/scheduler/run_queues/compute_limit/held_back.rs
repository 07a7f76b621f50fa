//! How many detached polls compute, and the runnables that are held back meanwhile: steps 2 to 4 of
//! [`super`]'s protocol.

use crossbeam_deque::Injector;

use crate::scheduler::run_queues::steal;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// `T` is a runnable; the models use a number.
#[derive(Debug)]
pub(crate) struct HeldBack<T> {
    /// From so many on that compute, the limit is reached. `Relaxed`: who changes it looks
    /// afterwards whether what is held back is due.
    limit: AtomicUsize,
    /// At least as many as there are processors with `counted` set: raised before that is set,
    /// lowered after it is reset, by who swaps it. Read as a hint, or after a fence: see step 4.
    computing: AtomicUsize,
    queue: Injector<T>,
    /// At least as many as there are in `queue`, for a look that is cheaper than that at the queue.
    /// Raised before a push, lowered after a steal: `Relaxed`, ordered by the fences of step 4.
    count: AtomicUsize,
}

impl<T> HeldBack<T> {
    pub(crate) fn new(limit: usize) -> HeldBack<T> {
        HeldBack {
            limit: AtomicUsize::new(limit),
            computing: AtomicUsize::new(0),
            queue: Injector::new(),
            count: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn computing(&self) -> usize {
        self.computing.load(Ordering::Relaxed)
    }

    /// Step 2. One load where nothing computes.
    #[inline]
    pub(crate) fn is_limit_reached(&self) -> bool {
        self.computing() >= self.limit.load(Ordering::Relaxed)
    }

    /// How many runnables are held back.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Nothing computes, and nothing is held back.
    pub(crate) fn is_idle(&self) -> bool {
        self.computing() == 0 && self.len() == 0
    }

    /// Whether an idle processor has anything to do with what is held back.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.len() != 0 && !self.is_limit_reached()
    }

    pub(crate) fn push(&self, runnable: T) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.queue.push(runnable);
    }

    /// Step 3 is to ask first whether it [is due](Self::is_due).
    pub(crate) fn take(&self) -> Option<T> {
        let taken = steal::steal_one(|| self.queue.steal())?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(taken)
    }

    /// Monitor: the poll whose processor has this mark computes. The monitor looks afterwards
    /// whether the poll is there still.
    pub(crate) fn begin(&self, counted: &AtomicBool) {
        // Before the swap: `end`, which lowers `computing` when it finds `counted` set, would
        // otherwise lower it below zero, read it as a reached limit, and tell nobody of what is
        // held back. `Relaxed`: the swap releases it to the swap in `end`.
        self.computing.fetch_add(1, Ordering::Relaxed);
        // Acquire and release: if the swap in `end` comes first, the monitor sees afterwards that
        // the poll is over; if it comes second, it finds `counted` set.
        if counted.swap(true, Ordering::AcqRel) {
            self.computing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Step 4, monitor or worker: it does not compute, or not any more. True: what is held back is
    /// due.
    pub(crate) fn end(&self, counted: &AtomicBool) -> bool {
        // Pairs with the swap in `begin`.
        if !counted.swap(false, Ordering::AcqRel) {
            return false;
        }
        // Relaxed: the fence orders it before the read of `count`.
        self.computing.fetch_sub(1, Ordering::Relaxed);
        // Pairs with the fence in `Idle::park_worker`, between `push` and the worker's last
        // question whether it is due.
        fence(Ordering::SeqCst);
        self.is_due()
    }
}
