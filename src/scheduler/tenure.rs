//! Whose is the processor? The word in which a worker and the monitor settle it.
//!
//! # States
//!
//! | state | the core is | who leaves it, and how |
//! |---|---|---|
//! | `LAID` | in the lists of [`super::idle`], in the stock, or on its way | the worker that takes it in hand: `HELD` |
//! | `HELD` | in a worker's hands | the worker by [`Tenure::end`], the monitor by [`Tenure::ask`] or [`Tenure::retake`] |
//! | `ASKED` | in a worker's hands; the monitor wants it to look beyond its own queue | as `HELD`, and the worker by [`Tenure::answer`] |
//! | `RETAKEN` | in a worker's hands, but the processor's no more | the worker by [`Tenure::end`] |
//!
//! # The race that is settled here
//!
//! The monitor finds a worker stuck and takes its processor at the very moment at which the worker's poll returns and it
//! lays its core down, or gives it away. Both change the word by a read-modify-write, so one of them comes second and sees
//! it: the monitor's comparison fails and it leaves the processor alone, or the worker's swap gives `RETAKEN` and it knows
//! that what it holds is an orphan. Were it two plain accesses, the processor could be in two hands, or in none.
//!
//! A worker that goes on to its next poll does not race: it asks with one load between two polls, and if it misses the
//! retake by a hair, it polls once more out of a queue that is still its own. So more than P polls may run for that
//! long, which a stuck poll means anyway.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const LAID: u32 = 0;
const HELD: u32 = 1;
const ASKED: u32 = 2;
const RETAKEN: u32 = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Tenure {
    state: AtomicU32,
    /// Which thread holds the core ([`super::probe::Thread`]). The holder stores it before `HELD`; the monitor reads it
    /// after it has seen `HELD`.
    holder: AtomicU64,
}

/// What the monitor has left for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing, or a request to look beyond the own queue.
    GoOn,
    /// The processor is in other hands.
    Retaken,
}

impl Tenure {
    pub(super) fn new() -> Tenure {
        Tenure {
            state: AtomicU32::new(LAID),
            holder: AtomicU64::new(0),
        }
    }

    /// The worker on thread `holder` has taken the core in hand.
    pub(super) fn begin(&self, holder: u64) {
        self.holder.store(holder, Ordering::Relaxed);
        // Release pairs with the acquire in `holder`: with `HELD` the monitor sees who holds it. A plain store: nobody
        // else leaves `LAID`.
        self.state.store(HELD, Ordering::Release);
    }

    /// The worker lets go of the core. False: it was an orphan.
    pub(super) fn end(&self) -> bool {
        // Acquire pairs with the release in `retake`: an orphan's worker sees the list of orphans as the monitor left it.
        self.state.swap(LAID, Ordering::AcqRel) != RETAKEN
    }

    /// Worker, before each poll: whether there is anything to [`answer`](Tenure::answer).
    #[inline]
    pub(super) fn is_disturbed(&self) -> bool {
        // Relaxed: this is the hint of the fast path; `answer` and `end` decide.
        self.state.load(Ordering::Relaxed) != HELD
    }

    /// Worker, after each push: whether it went into an orphan's queue.
    #[inline]
    pub(super) fn is_retaken(&self) -> bool {
        // Relaxed: nothing but the flag is read. What a push misses, the monitor finds; see `super::orphan`.
        self.state.load(Ordering::Relaxed) == RETAKEN
    }

    /// Worker: takes note of what [`is_disturbed`](Tenure::is_disturbed) has seen.
    #[cold]
    pub(super) fn answer(&self) -> Word {
        // The monitor alone may come between, from `ASKED` to `RETAKEN`: then the exchange fails.
        match self
            .state
            .compare_exchange(ASKED, HELD, Ordering::Relaxed, Ordering::Relaxed)
        {
            Err(RETAKEN) => Word::Retaken,
            Ok(_) | Err(_) => Word::GoOn,
        }
    }

    /// Monitor: the thread in whose hands the processor is.
    pub(super) fn holder(&self) -> Option<u64> {
        // Acquire pairs with the release in `begin`.
        match self.state.load(Ordering::Acquire) {
            HELD | ASKED => Some(self.holder.load(Ordering::Relaxed)),
            _ => None,
        }
    }

    /// Monitor: the thread in whose hands the core is, and whether the processor is still its own.
    pub(super) fn hands(&self) -> Option<(u64, bool)> {
        // Acquire pairs with the release in `begin`; what a retake has made of the word since carries that on.
        let state = self.state.load(Ordering::Acquire);
        (state != LAID).then(|| (self.holder.load(Ordering::Relaxed), state != RETAKEN))
    }

    /// Monitor: asks the holder to look beyond its own queue before its next poll.
    pub(super) fn ask(&self) {
        // Lost if the worker lets go first: then it looks everywhere anyway.
        let _ = self
            .state
            .compare_exchange(HELD, ASKED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Monitor: takes the processor from its holder. False: the holder has let go of it.
    pub(super) fn retake(&self) -> bool {
        let taken = |state| matches!(state, HELD | ASKED).then_some(RETAKEN);
        // Release pairs with the acquire in `end`.
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, taken)
            .is_ok()
    }

    /// Monitor: whether the holder has not yet let go of what was retaken.
    pub(super) fn is_orphan(&self) -> bool {
        self.state.load(Ordering::Acquire) == RETAKEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retake_comes_before_the_end_or_not_at_all() {
        let tenure = Tenure::new();
        assert!(!tenure.retake(), "nobody holds it");
        tenure.begin(7);
        assert_eq!(
            (tenure.holder(), tenure.hands()),
            (Some(7), Some((7, true)))
        );
        assert!(tenure.end());
        assert_eq!(tenure.hands(), None);
        assert!(!tenure.retake(), "the holder was first");
        tenure.begin(8);
        assert!(tenure.retake());
        assert!(!tenure.retake(), "it is taken once");
        assert!(tenure.is_retaken() && tenure.is_orphan());
        assert_eq!((tenure.holder(), tenure.hands()), (None, Some((8, false))));
        assert!(!tenure.end(), "the monitor was first");
        assert!(!tenure.is_orphan());
    }

    #[test]
    fn a_question_is_answered_once_and_gives_way_to_a_retake() {
        let tenure = Tenure::new();
        tenure.ask();
        assert!(tenure.holder().is_none(), "nobody is there to be asked");
        tenure.begin(7);
        assert!(!tenure.is_disturbed());
        tenure.ask();
        assert!(tenure.is_disturbed());
        assert_eq!(tenure.answer(), Word::GoOn);
        assert!(!tenure.is_disturbed());
        tenure.ask();
        assert!(tenure.retake());
        assert_eq!(tenure.answer(), Word::Retaken);
    }
}
