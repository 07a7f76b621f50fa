//! How long this worker's polls take: tells whether a helper would come in time.
//!
//! The call costs the caller `c` = 12 µs and the helper begins `a` = 25 to 34 µs after it (measured on virtual CPUs that
//! halt when idle). Alone, the caller runs a batch of `T` in `T`; with help it is done after `(T + a + c) / 2`. So help is
//! worth its CPU time only if `T` is more than `a + c`, and a shorter batch of wake-ups from timers or the network is best
//! run by the worker that found it.
//!
//! The estimate is cautious. It is the mean of the polls since the last look, but it falls by an eighth per look only, so
//! a long poll now and then keeps helpers coming. If a long poll comes after many short ones all the same, what waits
//! behind it is found by the monitor: within 1.1 ms, once.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::clock;

/// What a batch must take for a helper to be of use.
const WORTH: Duration = Duration::from_micros(50);

/// Before anything is known: any two tasks are worth a helper.
const UNKNOWN: Duration = WORTH;

#[derive(Debug)]
pub(super) struct Pace {
    /// When the polls that will be counted next began, and the processor's tick then. `None` while the worker waits.
    since: Cell<Option<(Instant, u64)>>,
    poll: Cell<Duration>,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace {
            since: Cell::new(None),
            poll: Cell::new(UNKNOWN),
        }
    }

    /// The worker begins to poll.
    pub(super) fn begin(&self, tick: u64) {
        self.since.set(Some((clock::now(), tick)));
    }

    /// The worker stops polling.
    pub(super) fn end(&self, tick: u64) {
        self.look(tick, clock::now());
        self.since.set(None);
    }

    /// Learns from the polls since the last look. A tick that has gone back is another processor's.
    fn look(&self, tick: u64, now: Instant) {
        if let Some((begin, first)) = self.since.replace(Some((now, tick))) {
            self.learn(
                now.saturating_duration_since(begin),
                tick.saturating_sub(first),
            );
        }
    }

    fn learn(&self, time: Duration, polls: u64) {
        let polls = u32::try_from(polls).unwrap_or(u32::MAX);
        if let Some(mean) = time.checked_div(polls) {
            let fallen = self.poll.get() / 8 * 7;
            self.poll.set(mean.max(fallen));
        }
    }

    /// Whether a helper is of use to a worker that has so many runnables in a batch.
    pub(super) fn is_worth_help(&self, runnables: u32, tick: u64) -> bool {
        self.look(tick, clock::now());
        runnables > 1 && self.poll.get().saturating_mul(runnables) >= WORTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    #[test]
    fn two_unknown_tasks_are_worth_help_and_one_is_not() {
        let pace = Pace::new();
        assert!(pace.is_worth_help(2, 0));
        assert!(!pace.is_worth_help(1, 0));
    }

    #[test]
    fn short_polls_are_believed_after_a_while_and_long_ones_at_once() {
        let pace = Pace::new();
        (0..40).for_each(|_| pace.learn(10 * MICRO, 10));
        assert_eq!(pace.poll.get(), MICRO);
        pace.learn(100 * MICRO, 1);
        assert_eq!(pace.poll.get(), 100 * MICRO);
        pace.learn(8 * MICRO, 8);
        assert!(pace.poll.get() > 80 * MICRO);
    }

    #[test]
    fn a_wait_without_a_poll_teaches_nothing() {
        let pace = Pace::new();
        pace.learn(MICRO, 0);
        assert_eq!(pace.poll.get(), UNKNOWN);
    }
}
