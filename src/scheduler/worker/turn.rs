//! A worker that lives for a few polls, where no thread can be started: see
//! [`single_thread`](crate::scheduler::single_thread).

use std::time::Duration;

use super::{Step, run_as};
use crate::clock::{self, Instant};
use crate::scheduler::processor::Core;
use crate::scheduler::{Shared, this_thread};

/// Go's time slice: how long a turn may be, and how often its worker is asked to look up.
pub(in crate::scheduler) const SLICE: Duration = Duration::from_millis(10);

/// The clock is read (some 0.1 µs) after as many polls.
const LOOK: usize = 8;

/// Polls in a turn: as many as a worker makes between two looks at the global queue.
pub(in crate::scheduler) const TURN: usize = 61;

/// What a turn is given.
pub(in crate::scheduler) struct Limits {
    /// Its worker looks up first.
    asks: bool,
    begin: Instant,
}

impl Limits {
    /// Of a turn that begins now.
    pub(in crate::scheduler) fn begin(asks: bool) -> Limits {
        let begin = clock::now();
        Limits { asks, begin }
    }

    /// After so many polls.
    fn allow_another(&self, polls: usize) -> bool {
        let is_look = polls % LOOK == LOOK - 1;
        polls < TURN && !(is_look && clock::elapsed(self.begin) >= SLICE)
    }
}

/// Runs a worker on this thread until it finds nothing, or has had its turn. Gives how many polls it
/// made.
pub(in crate::scheduler) fn turn(
    shared: &'static Shared,
    core: Box<Core>,
    limits: &Limits,
) -> usize {
    let mut polls = 0;
    run_as(shared, Some(core), false, |worker| {
        if limits.asks {
            this_thread::with_core(shared, |core| core.processor.ownership.request_yield());
        }
        while limits.allow_another(polls) && worker.step() == Step::Polled {
            polls += 1;
        }
        if let Some(core) = shared.release() {
            shared.end_turn(core);
        }
    });
    polls
}
