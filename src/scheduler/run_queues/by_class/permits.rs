//! How many polls of class `Background` go on at once: steps 1 to 4 of "Permits" in [`super`].

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// See [`super`].
#[derive(Debug)]
pub(crate) struct Permits {
    /// Written when the runtime begins, and by [`Permits::set_limit`]: `Relaxed`, who reads an old
    /// one goes by that once more.
    limit: AtomicUsize,
    /// How many have a permit. Changed by read-modify-writes alone, so it is exact. Read as a hint,
    /// or after a fence: see step 4.
    running: AtomicUsize,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Permits {
        Permits {
            limit: AtomicUsize::new(limit),
            running: AtomicUsize::new(0),
        }
    }

    /// From now on. Who has one keeps it. Who raises the limit looks afterwards whether anybody
    /// waits.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        // As in `give_back`.
        fence(Ordering::SeqCst);
    }

    /// How many more there are.
    #[inline]
    pub(crate) fn num_free(&self) -> usize {
        let running = self.running.load(Ordering::Relaxed);
        self.limit.load(Ordering::Relaxed).saturating_sub(running)
    }

    /// How many have one.
    pub(crate) fn num_running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Step 1. False: there is none.
    pub(crate) fn reserve(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let one_more = |running| (running < limit).then_some(running + 1);
        // Relaxed: nothing but the number is handed on.
        self.running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// Step 2: the poll with this tick has what was reserved.
    pub(crate) fn mark(&self, permit: &AtomicU64, tick: u64) {
        // Release pairs with the acquire of who ends it, so `running` was raised before it is
        // lowered.
        permit.store(tick, Ordering::Release);
    }

    /// Step 3, by the thread of the poll. False: it has ended before.
    pub(crate) fn end(&self, permit: &AtomicU64) -> bool {
        // Only this worker sets `permit` (`mark`), and the monitor only clears it (`end_of`). So a zero
        // stays, and most polls pay for no locked operation. Relaxed: no permit, so nothing is handed
        // on.
        if permit.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let had_one = permit.swap(0, Ordering::AcqRel) != 0;
        if had_one {
            self.give_back();
        }
        had_one
    }

    /// Step 3, by the monitor: that of the poll with this tick. False: it has ended before, and the
    /// mark may be another poll's.
    pub(crate) fn end_of(&self, permit: &AtomicU64, tick: u64) -> bool {
        if tick == 0 {
            // A worker that has begun no poll yet. Zero would be what it finds there.
            return false;
        }
        let had_one = permit
            .compare_exchange(tick, 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if had_one {
            self.give_back();
        }
        had_one
    }

    /// Step 3 for what was reserved and not marked. The caller looks afterwards whether anybody
    /// waits; but for a worker that ends by a panic of its own code, whose part the monitor takes.
    pub(crate) fn give_back(&self) {
        // Relaxed: the fence orders it before the caller's look.
        let before = self.running.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before != 0, "more permits end than there are");
        // Pairs with the fence in `Idle::park_worker`, and with the one in `Idle::after_submit`.
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_ends_once_and_the_monitor_ends_no_other_poll_s() {
        let (permits, mark) = (Permits::new(1), AtomicU64::new(0));
        assert!(permits.reserve() && !permits.reserve());
        permits.mark(&mark, 5);
        assert!(!permits.end_of(&mark, 4), "that poll is over");
        assert_eq!(permits.num_free(), 0);
        assert!(permits.end_of(&mark, 5) && !permits.end_of(&mark, 5));
        assert!(!permits.end(&mark), "the monitor was first");
        assert!(!permits.end_of(&mark, 0), "no poll has begun");
        assert_eq!((permits.num_free(), permits.num_running()), (1, 0));
    }

    #[test]
    fn a_lower_limit_takes_no_permit_away() {
        let permits = Permits::new(2);
        assert!(permits.reserve() && permits.reserve());
        permits.set_limit(1);
        permits.give_back();
        assert!(!permits.reserve());
        assert_eq!((permits.num_free(), permits.num_running()), (0, 1));
        permits.give_back();
        assert!(permits.reserve());
    }
}
