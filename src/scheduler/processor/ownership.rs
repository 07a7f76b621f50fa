//! Who owns a processor: the word in which its worker and the monitor settle that.
//!
//! # States
//!
//! | state | the core is | who leaves it, and how |
//! |---|---|---|
//! | `IDLE` | in the lists of [`Idle`](crate::scheduler::worker::idle::Idle), in the free list of its slot, or on its way | the worker that acquires it: `HELD` |
//! | `HELD` | held by a worker | the worker by [`Ownership::release`], the monitor by [`Ownership::request_yield`] or [`Ownership::retake`] |
//! | `YIELD_REQUESTED` | held by a worker; the monitor wants it to look beyond its own queue | as `HELD`, and the worker by [`Ownership::acknowledge`] |
//! | `RETAKEN` | held by a worker, but the processor's no more | the worker by [`Ownership::release`] |
//!
//! # The race that is settled here
//!
//! The monitor finds a worker stuck and takes its processor at the very moment at which the
//! worker's poll returns and it releases its processor, or gives it away. Both change the word by a
//! read-modify-write, so one of them comes second and sees it: the monitor's comparison fails and
//! it leaves the processor alone, or the worker's swap gives `RETAKEN` and it knows that what it
//! holds is a detached processor. Were it two plain accesses, the processor could be held by two
//! threads, or by none.
//!
//! A worker that goes on to its next poll does not race: it asks with one load between two polls,
//! and if it just misses the retake, it polls once more out of a queue that is still its own.
//! So more than P polls may run for that long, which a stuck poll means anyway.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const IDLE: u32 = 0;
const HELD: u32 = 1;
const YIELD_REQUESTED: u32 = 2;
const RETAKEN: u32 = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Ownership {
    state: AtomicU32,
    /// Which thread holds the core
    /// ([`probe::this_thread`](crate::scheduler::monitor::probe::this_thread)). The holder stores
    /// it before `HELD`; the monitor reads it after it has seen `HELD`.
    holder: AtomicU64,
}

/// What the monitor has left for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing, or a request to look beyond the own queue.
    Continue,
    /// The processor is held by another thread.
    Retaken,
}

impl Ownership {
    pub(crate) fn new() -> Ownership {
        Ownership {
            state: AtomicU32::new(IDLE),
            holder: AtomicU64::new(0),
        }
    }

    /// The worker on thread `holder` has acquired the core.
    pub(crate) fn acquire(&self, holder: u64) {
        self.holder.store(holder, Ordering::Relaxed);
        // Release pairs with the acquire in `holder`: with `HELD` the monitor sees who holds it. A
        // plain store: nobody else leaves `IDLE`.
        self.state.store(HELD, Ordering::Release);
    }

    /// The worker lets go of the core. False: it was a detached processor.
    pub(crate) fn release(&self) -> bool {
        // Acquire pairs with the release in `retake`: a detached processor's worker sees the list
        // of detached processors as the monitor left it.
        self.state.swap(IDLE, Ordering::AcqRel) != RETAKEN
    }

    /// Worker, before each poll: whether there is anything to
    /// [`acknowledge`](Ownership::acknowledge).
    #[inline]
    pub(crate) fn has_request(&self) -> bool {
        // Relaxed: this is the hint of the fast path; `acknowledge` and `release` decide.
        self.state.load(Ordering::Relaxed) != HELD
    }

    /// Worker, after each push: whether it went into a detached processor's queue.
    #[inline]
    pub(crate) fn is_retaken(&self) -> bool {
        // Relaxed: nothing but the flag is read. What a push misses, the monitor finds; see
        // `crate::scheduler::run_queues::detached`.
        self.state.load(Ordering::Relaxed) == RETAKEN
    }

    /// Worker: takes note of what [`has_request`](Ownership::has_request) has seen.
    #[cold]
    pub(crate) fn acknowledge(&self) -> Answer {
        // The monitor alone may come between, from `YIELD_REQUESTED` to `RETAKEN`: then the
        // exchange fails. Acquire pairs with the fence in `Idle::set_wanted`, after which a resize
        // asks: the worker sees the number that it is asked for.
        match self.state.compare_exchange(
            YIELD_REQUESTED,
            HELD,
            Ordering::Acquire,
            Ordering::Relaxed,
        ) {
            Err(RETAKEN) => Answer::Retaken,
            Ok(_) | Err(_) => Answer::Continue,
        }
    }

    /// Monitor: the thread that holds the processor.
    pub(crate) fn holder(&self) -> Option<u64> {
        // Acquire pairs with the release in `acquire`.
        match self.state.load(Ordering::Acquire) {
            HELD | YIELD_REQUESTED => Some(self.holder.load(Ordering::Relaxed)),
            _ => None,
        }
    }

    /// Monitor: the thread that holds the core, and whether the processor is still its own.
    pub(crate) fn held_by(&self) -> Option<(u64, bool)> {
        // Acquire pairs with the release in `acquire`; what a retake has made of the word since
        // carries that on.
        let state = self.state.load(Ordering::Acquire);
        (state != IDLE).then(|| (self.holder.load(Ordering::Relaxed), state != RETAKEN))
    }

    /// Monitor: asks the holder to look beyond its own queue before its next poll. So does who
    /// resizes, of a processor that is to retire.
    pub(crate) fn request_yield(&self) {
        // Lost if the worker lets go first: then it looks everywhere anyway. Relaxed: see
        // `acknowledge`; the monitor has nothing to tell.
        let _ = self.state.compare_exchange(
            HELD,
            YIELD_REQUESTED,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Monitor: takes the processor from its holder. False: the holder has let go of it.
    pub(crate) fn retake(&self) -> bool {
        let taken = |state| matches!(state, HELD | YIELD_REQUESTED).then_some(RETAKEN);
        // Release pairs with the acquire in `release`.
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, taken)
            .is_ok()
    }

    /// Monitor: whether the holder has not yet let go of what was retaken.
    pub(crate) fn is_detached(&self) -> bool {
        self.state.load(Ordering::Acquire) == RETAKEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retake_comes_before_the_end_or_not_at_all() {
        let ownership = Ownership::new();
        assert!(!ownership.retake(), "nobody holds it");
        ownership.acquire(7);
        assert_eq!(
            (ownership.holder(), ownership.held_by()),
            (Some(7), Some((7, true)))
        );
        assert!(ownership.release());
        assert_eq!(ownership.held_by(), None);
        assert!(!ownership.retake(), "the holder was first");
        ownership.acquire(8);
        assert!(ownership.retake());
        assert!(!ownership.retake(), "it is taken once");
        assert!(ownership.is_retaken() && ownership.is_detached());
        assert_eq!(
            (ownership.holder(), ownership.held_by()),
            (None, Some((8, false)))
        );
        assert!(!ownership.release(), "the monitor was first");
        assert!(!ownership.is_detached());
    }

    #[test]
    fn a_question_is_answered_once_and_gives_way_to_a_retake() {
        let ownership = Ownership::new();
        ownership.request_yield();
        assert!(ownership.holder().is_none(), "nobody is there to be asked");
        ownership.acquire(7);
        assert!(!ownership.has_request());
        ownership.request_yield();
        assert!(ownership.has_request());
        assert_eq!(ownership.acknowledge(), Answer::Continue);
        assert!(!ownership.has_request());
        ownership.request_yield();
        assert!(ownership.retake());
        assert_eq!(ownership.acknowledge(), Answer::Retaken);
    }
}
