//! What a task will do, drawn from its own seed.
//!
//! Every task has a seed, made of the soak's seed and its number, or of its parent's seed and which child it is. Whatever a task
//! decides, it draws from a generator that begins with its own seed. So a soak's seed fixes what its tasks do, task by task;
//! it does not fix which thread does it when, and how many of them there are in a minute.

use std::time::Duration;

use fastrand::Rng;

use super::ledger::Kind;
use super::watched::Entry;

/// Splits a seed; SplitMix64's finalizer, so that neighbours have nothing in common.
pub(crate) fn split(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where a task panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panics {
    Never,
    AtOnce,
    AfterAll,
    /// When its future is dropped.
    InDrop,
}

/// What becomes of its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Joined,
    JoinedByOther,
    Detached,
    /// Right after it was spawned.
    CancelledAtOnce,
    Cancelled(Duration),
    /// And nobody waits for it to end.
    CancelledUnheard(Duration),
}

pub(crate) struct Plan {
    pub(crate) entry: Entry,
    pub(crate) panics: Panics,
    pub(crate) fate: Fate,
    pub(crate) rng: Rng,
}

/// Per 10,000 tasks that are not children; the rest are quick. Stalls: 0.1 %.
const MIX: [(Kind, u32); 9] = [
    (Kind::Yield, 2500),
    (Kind::Wait, 1500),
    (Kind::Sleep, 700),
    (Kind::Timeout, 500),
    (Kind::Channel, 600),
    (Kind::Parent, 600),
    (Kind::Blocking, 150),
    (Kind::Socket, 60),
    (Kind::Stall, 10),
];

impl Plan {
    /// `depth`: how many generations may follow.
    pub(crate) fn draw(seed: u64, depth: u32, drop_may_panic: bool) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let kind = match kind(&mut rng) {
            Kind::Parent | Kind::Socket | Kind::Stall if depth == 0 => Kind::Yield,
            kind => kind,
        };
        let panics = match rng.u32(..100) {
            0 => match rng.u32(..3) {
                0 => Panics::AtOnce,
                1 if drop_may_panic => Panics::InDrop,
                _ => Panics::AfterAll,
            },
            _ => Panics::Never,
        };
        let moment = Duration::from_micros(rng.u64(..3000));
        let fate = match rng.u32(..100) {
            0 => Fate::CancelledAtOnce,
            1..4 => Fate::Cancelled(moment),
            4 => Fate::CancelledUnheard(moment),
            5..15 => Fate::JoinedByOther,
            15..45 => Fate::Detached,
            _ => Fate::Joined,
        };
        Plan {
            entry: Entry {
                kind,
                seed,
                marked: rng.bool(),
            },
            panics,
            fate,
            rng,
        }
    }
}

fn kind(rng: &mut Rng) -> Kind {
    let mut drawn = rng.u32(..10_000);
    for (kind, share) in MIX {
        match drawn.checked_sub(share) {
            Some(left) => drawn = left,
            None => return kind,
        }
    }
    Kind::Quick
}

/// What a task in a runtime that ends before it does: something that needs that runtime alone.
pub(crate) fn small(rng: &mut Rng) -> Kind {
    match rng.u32(..4) {
        0 => Kind::Forever,
        _ => Kind::Small,
    }
}
