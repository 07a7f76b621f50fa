//! What a worker learns of its own polls and sleeps: whether a helper would come in time, and
//! whether to sleep at all.
//!
//! # Helpers
//!
//! The call costs the caller `c` = 12 µs and the helper begins `a` = 25 to 34 µs after it (measured
//! on virtual CPUs that halt when idle). Alone, the caller runs a batch of `T` in `T`; with help it
//! is done after `(T + a + c) / 2`. So help is worth its CPU time only if `T` is more than `a + c`,
//! and a shorter batch of wake-ups from timers or the network is best run by the worker that found
//! it.
//!
//! The estimate is cautious. It is the mean of the polls since the last look, but it falls by an
//! eighth per look only, so a long poll now and then keeps helpers coming. If a long poll comes
//! after many short ones all the same, what waits behind it is found by the monitor: within 1.1 ms,
//! once.
//!
//! # Sleeps
//!
//! A worker that is woken before it has slept for as long as sleeping and waking cost was wrong to
//! sleep: after that it searches for longer, with pauses in which something worth stealing comes
//! together. A task that spawns short ones while a thief empties its queue is the case: there the
//! spawner paid for a wake-up every few tasks.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{self, Instant};

/// What a batch must take for a helper to be of use.
const WORTH: Duration = Duration::from_micros(50);

/// Before anything is known: any two tasks are worth a helper.
const UNKNOWN: Duration = WORTH;

#[derive(Debug)]
pub(crate) struct WakeHeuristics {
    /// When the polls that will be counted next began, and the processor's tick then. `None` while
    /// the worker waits.
    since: Cell<Option<(Instant, u64)>>,
    poll: Cell<Duration>,
    /// When it went to sleep last.
    slept: Cell<Option<Instant>>,
    woken_too_soon: Cell<bool>,
}

impl WakeHeuristics {
    pub(crate) fn new() -> WakeHeuristics {
        WakeHeuristics {
            since: Cell::new(None),
            poll: Cell::new(UNKNOWN),
            slept: Cell::new(None),
            woken_too_soon: Cell::new(false),
        }
    }

    /// The worker begins to poll. `called`: somebody has woken it for work.
    pub(crate) fn begin(&self, tick: u64, called: bool) {
        let now = clock::now();
        self.since.set(Some((now, tick)));
        self.resume(now, called);
    }

    fn resume(&self, now: Instant, called: bool) {
        let slept = self.slept.take();
        let slept = slept.map(|slept| now.saturating_duration_since(slept));
        self.woken_too_soon
            .set(called && slept.is_some_and(|slept| slept < WORTH));
    }

    /// The worker stops polling and parks.
    pub(crate) fn end(&self, tick: u64) {
        // Read when the core was given up, a moment ago.
        let now = clock::recent();
        self.look(tick, now);
        self.since.set(None);
        self.slept.set(Some(now));
    }

    /// Its last sleep was over before it had paid: the sleep itself, and being woken.
    pub(crate) fn was_woken_too_soon(&self) -> bool {
        self.woken_too_soon.get()
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
    pub(crate) fn is_worth_help(&self, runnables: u32, tick: u64) -> bool {
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
        let heuristics = WakeHeuristics::new();
        assert!(heuristics.is_worth_help(2, 0));
        assert!(!heuristics.is_worth_help(1, 0));
    }

    #[test]
    fn only_a_short_sleep_that_somebody_ended_was_too_short() {
        let heuristics = WakeHeuristics::new();
        let slept_at = clock::now();
        for (slept, called, woken_too_soon) in [
            (WORTH / 2, true, true),
            (WORTH / 2, false, false),
            (WORTH, true, false),
        ] {
            heuristics.slept.set(Some(slept_at));
            heuristics.resume(slept_at + slept, called);
            assert_eq!(heuristics.was_woken_too_soon(), woken_too_soon);
        }
    }

    #[test]
    fn short_polls_are_believed_after_a_while_and_long_ones_at_once() {
        let heuristics = WakeHeuristics::new();
        (0..40).for_each(|_| heuristics.learn(10 * MICRO, 10));
        assert_eq!(heuristics.poll.get(), MICRO);
        heuristics.learn(100 * MICRO, 1);
        assert_eq!(heuristics.poll.get(), 100 * MICRO);
        heuristics.learn(8 * MICRO, 8);
        assert!(heuristics.poll.get() > 80 * MICRO);
    }

    #[test]
    fn a_wait_without_a_poll_teaches_nothing() {
        let heuristics = WakeHeuristics::new();
        heuristics.learn(MICRO, 0);
        assert_eq!(heuristics.poll.get(), UNKNOWN);
    }
}
