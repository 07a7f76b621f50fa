//! What a poll costs.

use std::time::Duration;

use super::super::choices::{Kind, streams};
use super::{Over, World, later};
use crate::rng::Rng;

/// What a poll costs, in ns, and what its thread does meanwhile. The first is the ordinary one.
const COSTS: [(u64, Cost); 10] = [
    (1_000, Cost::Passes),
    (300, Cost::Passes),
    (5_000, Cost::Passes),
    (60_000, Cost::Passes),
    (300_000, Cost::Computes),
    (2_000_000, Cost::Computes),
    (25_000_000, Cost::Computes),
    (200_000, Cost::Blocks),
    (3_000_000, Cost::Blocks),
    (40_000_000, Cost::Blocks),
];
/// This many of them are over at once.
const SHORT_COSTS: u32 = 4;
/// One poll of this many has another cost than usual.
const COST_RARITY: u32 = 8;

/// One in this many calls of `interleave` keeps the thread from running for a while.
const PREEMPTION_RARITY: u32 = 16;

/// How many polls keep their thread for a while, as the seed says: one of this many. Zero: none.
const SLOW_POLLS: [u32; 4] = [0, 512, 64, 8];

/// See [`SLOW_POLLS`]. Drawn for each seed by itself: a test runs under a few seeds in a row.
pub(super) fn slow_polls(seed: u64) -> u32 {
    let random = Rng::new(seed, streams::SLOW_POLLS);
    SLOW_POLLS[random.below(SLOW_POLLS.len() as u32) as usize]
}

/// One that keeps its thread.
fn long(random: &Rng) -> u32 {
    SHORT_COSTS + random.below(COSTS.len() as u32 - SHORT_COSTS)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// No other thread runs meanwhile.
    Passes,
    Computes,
    Blocks,
}

impl World {
    /// A worker is about to poll the task with this tag, or a `block_on` its future.
    pub(crate) fn poll_begins(&self, tag: Option<u64>) {
        if self.over.get().is_none() {
            let (now, running) = (self.now.get(), self.running.get());
            if let Some(at) = self.events.poll(now, running, tag) {
                self.stop(Over::Differs(at));
            }
        }
        self.pass_cost();
    }

    /// What the thread is about to do takes its time.
    fn pass_cost(&self) {
        let draw = |random: &Rng| {
            let slow_polls = self.slow_polls.get();
            if slow_polls != 0 && random.below(slow_polls) == 0 {
                long(random)
            } else if random.below(COST_RARITY) == 0 {
                random.below(SHORT_COSTS)
            } else {
                0
            }
        };
        let answer = self.ask(Kind::Cost, COSTS.len() as u32, draw);
        self.pass(COSTS[answer as usize]);
    }

    /// The thread is in the middle of something, and others may run; at times for so long that
    /// timers fire meanwhile.
    pub(crate) fn interleave(&self) {
        self.point();
        if self.unwinds() {
            return;
        }
        let draw = |random: &Rng| match random.below(PREEMPTION_RARITY) {
            0 => long(random),
            _ => 0,
        };
        let answer = self.ask(Kind::Cost, COSTS.len() as u32, draw);
        if answer != 0 {
            self.pass(COSTS[answer as usize]);
        }
    }

    fn pass(&self, (time, cost): (u64, Cost)) {
        match cost {
            Cost::Passes => {
                self.now.set(later(self.now.get(), time));
                let slot = self.slot(self.running.get());
                slot.computed.set(slot.computed.get() + time);
            }
            Cost::Computes | Cost::Blocks => {
                self.sleep(Duration::from_nanos(time), cost == Cost::Computes);
            }
        }
    }
}
