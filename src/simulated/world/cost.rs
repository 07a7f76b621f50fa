//! What a poll costs.

use std::time::Duration;

use super::super::choices::Kind;
use super::{Over, World};
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
/// So many of them are over at once.
const SHORT_COSTS: u32 = 4;
/// One poll of so many has another cost than usual.
const COST_RARITY: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// No other thread runs meanwhile.
    Passes,
    Computes,
    Blocks,
}

impl World {
    /// A worker is about to poll the task with this tag.
    pub(crate) fn poll_begins(&self, tag: u64) {
        if self.over.get().is_none() {
            let (now, running) = (self.now.get(), self.running.get());
            if let Some(at) = self.events.poll(now, running, tag) {
                self.stop(Over::Differs(at));
            }
        }
        let draw = |random: &Rng| {
            let (short, long) = (SHORT_COSTS, COSTS.len() as u32 - SHORT_COSTS);
            if self.slow_polls != 0 && random.below(self.slow_polls) == 0 {
                short + random.below(long)
            } else if random.below(COST_RARITY) == 0 {
                random.below(short)
            } else {
                0
            }
        };
        let answer = (self.choices.borrow_mut()).choose(Kind::Cost, COSTS.len() as u32, draw);
        let (time, cost) = COSTS[answer as usize];
        match cost {
            Cost::Passes => {
                self.now.set(self.now.get() + time);
                let slot = self.slot(self.running.get());
                slot.computed.set(slot.computed.get() + time);
            }
            Cost::Computes | Cost::Blocks => {
                self.sleep(Duration::from_nanos(time), cost == Cost::Computes);
            }
        }
    }
}
