//! Polls that go on although their processor was retaken, until they have been told to the
//! observer.
//!
//! A stall is told at most once, and only when it has lasted for [`Settings::stall_threshold`]. A
//! crowd of such polls is not looked at in each round: each says when it may be due
//! ([`Poll::report_in`]).
//!
//! [`Settings::stall_threshold`]: crate::scheduler::Settings::stall_threshold

use std::time::Duration;

use super::probe::Probe;
use super::watch::{LONG, Poll};
use crate::clock::Instant;
use crate::scheduler::Shared;
use crate::scheduler::observer::Stall;
use crate::scheduler::processor::Processor;
use crate::stacks::BlockedStacks;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Stalls {
    all: Vec<Retaken>,
    threshold: Duration,
    probe: Probe,
}

#[derive(Debug)]
struct Retaken {
    poll: Poll,
    since: Instant,
    /// When it is to be looked at again. `None`: never.
    due: Option<Instant>,
}

impl Stalls {
    pub(super) fn new(threshold: Duration) -> Stalls {
        Stalls {
            all: Vec::new(),
            threshold,
            probe: Probe::default(),
        }
    }

    pub(super) fn threshold(&self) -> Duration {
        self.threshold
    }

    /// This poll has lost its processor, in the round that began at `round`.
    pub(super) fn push(&mut self, poll: Poll, round: Instant) {
        self.all.push(Retaken {
            poll,
            since: round,
            due: Some(round),
        });
    }

    /// Tells what is due, and calls `check_detached` on each that has not lasted for [`LONG`] yet.
    pub(super) fn look(
        &mut self,
        shared: &'static Shared,
        round: Instant,
        mut check_detached: impl FnMut(&'static Processor),
    ) {
        let Stalls {
            all,
            threshold,
            probe,
        } = self;
        // The list of the modules is read once for all that are told in this round.
        let mut stacks = BlockedStacks::default();
        all.retain_mut(|retaken| {
            let poll = &mut retaken.poll;
            if !poll.processor().ownership.is_detached() {
                return false;
            }
            let is_recent = round.saturating_duration_since(retaken.since) < LONG;
            if is_recent {
                check_detached(poll.processor());
            }
            if retaken.due.is_some_and(|due| due <= round) {
                let left = poll.report_in(*threshold, probe);
                if left == Some(Duration::ZERO) {
                    let stall = poll.stall(shared, *threshold, &mut stacks);
                    // Else it has ended meanwhile, and its name may be gone.
                    if poll.goes_on() {
                        shared.tell_stall(Stall {
                            is_retaken: true,
                            ..stall
                        });
                    }
                }
                let left = left.filter(|left| !left.is_zero());
                retaken.due = left.and_then(|left| round.checked_add(left));
            }
            is_recent || retaken.due.is_some()
        });
    }

    /// Whether any is so recent that each round has to look at it.
    pub(super) fn are_recent(&self, round: Instant) -> bool {
        let mut ages = self
            .all
            .iter()
            .map(|retaken| round.saturating_duration_since(retaken.since));
        ages.any(|age| age < LONG)
    }

    /// When there is something to tell, if it goes on so.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.iter().filter_map(|retaken| retaken.due).min()
    }

    /// The monitor has overslept.
    pub(super) fn reset_marks(&mut self, now: Instant) {
        for Retaken { poll, since, due } in &mut self.all {
            poll.reset_marks(now);
            *since = now;
            *due = due.and_then(|_| now.checked_add(self.threshold));
        }
    }
}
