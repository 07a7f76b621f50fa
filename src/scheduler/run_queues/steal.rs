//! Taking work from other processors.
//!
//! A search begins with a list of its **victims**, the places that may have work
//! ([`super::marks`]), without the thief's own; so it costs nothing for processors that are idle.
//! What is marked later is for the next search, or for the look that ends this one
//! ([`crate::scheduler::worker::idle`]).
//!
//! Four passes, each in a random order without repeats (Go's `stealWork`): start anywhere, step by a
//! number that has no common divisor with that of the victims. A pass takes half of the first queue
//! that has something, at most [`BATCH`]. The next slots are looked at on the last pass only, and a
//! slot is taken only when its processor has not begun a poll since this search began:
//! a pair of tasks that wake each other is not torn apart, while a task that waits behind a long
//! poll is found.
//!
//! The first two passes are over the victims of the thief's own **cluster**
//! ([`placement`](crate::scheduler::placement)), the last two over all. What was pushed in the
//! cluster is in a cache that the thief has, too. Two passes and not one: a queue whose owner is
//! just pushing may be empty at the first look. Where there is one cluster, all four passes are over
//! all victims. So the order among clusters costs a search at most two passes over a few victims,
//! and nobody goes without: the other clusters' queues are found by the same search.
//!
//! Each pass ends with the detached processors that hold work ([`super::detached`]). Processors are
//! scanned and not threads: however many threads exist, blocked ones among them, a search costs
//! four looks at each busy processor, 4·P at most.

use std::cell::RefMut;

use crossbeam_deque::Steal;

use super::RunQueues;
use crate::rng::Rng;
use crate::scheduler::processor::victim::Victim;
use crate::scheduler::processor::{Core, Processor};
use crate::tasks::Runnable;

/// Go's figure, half of its ring. A larger batch only moves more that others then steal back.
pub(crate) const BATCH: usize = 128;

const PASSES: usize = 4;
/// So many of them, the last ones, are over all victims: more than one, since the last takes from
/// next slots, and a queue anywhere comes before those.
const FAR_PASSES: usize = 2;

impl RunQueues {
    /// One search: a runnable, and from whom. What it finds beyond that one is in the thief's queue
    /// afterwards.
    pub(crate) fn steal(&self, thief: &Core) -> Option<(Runnable, &'static Processor)> {
        let mut victims = self.victims(thief);
        if victims.is_empty() && self.detached.is_empty() {
            return None;
        }
        let near = self.near_first(thief, &mut victims);
        for pass in 0..PASSES {
            let is_far = pass + FAR_PASSES >= PASSES;
            let among = if is_far { victims.len() } else { near };
            for at in random_order(&thief.rng, among) {
                let Victim { index, tick } = victims[at];
                let victim = self.places[index].current();
                if let Some(runnable) = steal_batch(victim, thief) {
                    return Some((runnable, victim));
                }
                let last = pass == PASSES - 1;
                if last && !victim.next.is_empty() && victim.tick.get() == tick {
                    if let Some(runnable) = victim.next.steal() {
                        return Some((runnable, victim));
                    }
                }
            }
            let mut detached = self.detached.iter();
            let stolen = detached.find_map(|victim| Some((steal_batch(victim, thief)?, victim)));
            if stolen.is_some() {
                return stolen;
            }
        }
        None
    }

    /// Whom a search looks at. The list is the thief's own, kept for its memory.
    pub(super) fn victims<'a>(&self, thief: &'a Core) -> RefMut<'a, Vec<Victim>> {
        let mut victims = thief.victims.borrow_mut();
        victims.clear();
        let places = self.marked().filter(|slot| slot.index() != thief.index);
        victims.extend(places.map(|slot| Victim {
            index: slot.index(),
            tick: slot.current().tick.get(),
        }));
        victims
    }

    /// Those of the thief's own cluster come first; how many they are.
    fn near_first(&self, thief: &Core, victims: &mut [Victim]) -> usize {
        if self.is_uniform {
            return victims.len();
        }
        let own = thief.processor.cluster.get();
        let mut near = 0;
        for at in 0..victims.len() {
            let victim = self.places[victims[at].index].current();
            if victim.cluster.get() == own {
                victims.swap(near, at);
                near += 1;
            }
        }
        near
    }

    /// Takes one runnable of a stuck worker's queue, any of theirs: for a worker that has work of
    /// its own and would not come to steal for long. One and not a batch, as what stuck workers
    /// have queued is likely to get stuck too (half a queue, or one of each: the ticks beside 200
    /// blocking tasks were three to six times as late).
    pub(crate) fn steal_detached(&self, core: &Core) -> Option<Runnable> {
        let detached = || self.detached.iter();
        let count = detached().count();
        if count == 0 {
            return None;
        }
        let first = core.rng.below(count as u32) as usize;
        let mut from_first = detached().skip(first).chain(detached().take(first));
        from_first.find_map(|victim| steal_one(|| victim.stealer.steal()))
    }

    /// One runnable of anybody's, a processor's, a stuck worker's, or one in the next slot of a
    /// processor whose poll has gone on since the search began: for a thief that wants to look at
    /// each. See [`super::compute_limit`].
    pub(super) fn steal_single(&self, thief: &Core, victims: &[Victim]) -> Option<Runnable> {
        let victims = || {
            random_order(&thief.rng, victims.len())
                .map(|at| (self.places[victims[at].index].current(), victims[at].tick))
        };
        let queues = victims().map(|(victim, _)| victim);
        let mut queues = (queues.chain(self.detached.iter())).filter(|at| !at.stealer.is_empty());
        queues
            .find_map(|victim| steal_one(|| victim.stealer.steal()))
            .or_else(|| {
                let mut stuck = victims().filter(|(victim, tick)| victim.tick.get() == *tick);
                stuck.find_map(|(victim, _)| victim.next.steal())
            })
    }
}

fn steal_batch(victim: &Processor, thief: &Core) -> Option<Runnable> {
    // A tenth of what an attempt costs that finds nothing: most do, at a processor that is in a
    // long poll.
    if victim.stealer.is_empty() {
        return None;
    }
    steal_one(|| (victim.stealer).steal_batch_with_limit_and_pop(&thief.queue, BATCH))
}

/// Tries until it has got one or there is none: a retry means that somebody else got something.
pub(crate) fn steal_one<T>(mut attempt: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match attempt() {
            Steal::Success(runnable) => return Some(runnable),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}

/// All of `0..count`, each once, in a random order: start `s`, step `k` coprime to `count`.
fn random_order(rng: &Rng, count: usize) -> impl Iterator<Item = usize> + use<> {
    let start = rng.below(count as u32) as usize;
    let mut step = 1 + rng.below(count as u32) as usize;
    while gcd(step, count) != 1 {
        step = step % count + 1;
    }
    (0..count).scan(start, move |processor, _| {
        let index = *processor;
        *processor = (*processor + step) % count;
        Some(index)
    })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_exactly_once_per_pass() {
        for count in 0..100 {
            let rng = Rng::new(count as u64, 0);
            for _ in 0..10 {
                let mut order: Vec<usize> = random_order(&rng, count).collect();
                order.sort_unstable();
                assert!(order.into_iter().eq(0..count));
            }
        }
    }

    /// Thieves that begin at one place go apart, and each order is one of some thief's.
    #[test]
    fn every_start_and_every_step_is_taken() {
        use std::collections::BTreeSet;
        for (count, orders) in [(1, 1), (2, 2), (5, 20), (8, 32), (12, 48)] {
            let rng = Rng::new(7, 0);
            let seen: BTreeSet<Vec<usize>> = (0..5000)
                .map(|_| random_order(&rng, count).collect())
                .collect();
            assert_eq!(seen.len(), orders, "{count}");
        }
    }
}
