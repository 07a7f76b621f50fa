//! Taking work from other processors.
//!
//! Four passes over all processors, each in a random order without repeats (Go's `stealWork`): start anywhere, step by
//! a number that has no common divisor with P. A pass takes half of the first queue that has something, at most
//! [`BATCH`]. The next slots are looked at on the last pass only, and a slot is taken only when its processor has not
//! begun a poll since this search began: a pair of tasks that wake each other is not torn apart, while a task that
//! sits behind a long poll is found.
//!
//! Each pass ends with the detached processors that hold work ([`super::detached`]). Processors are scanned and not threads: however
//! many threads exist, blocked ones among them, a search costs 4·P looks.

use std::cell::RefCell;

use crossbeam_deque::Steal;

use super::Shared;
use super::processor::{Core, Processor};
use super::rng::Rng;
use crate::tasks::Runnable;

/// Go's figure, half of its ring. A larger batch only moves more that others then steal back.
pub(super) const BATCH: usize = 128;

const PASSES: usize = 4;

std::thread_local! {
    /// Ticks of all processors at the start of this thread's search.
    static TICKS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// One search: a runnable, and from whom. What it finds beyond that one is in the thief's queue afterwards.
pub(super) fn steal(shared: &Shared, thief: &Core) -> Option<(Runnable, &'static Processor)> {
    let count = shared.processors.len();
    if count == 1 && shared.detached.is_empty() {
        return None;
    }
    TICKS.with_borrow_mut(|ticks| {
        ticks.clear();
        ticks.extend(
            shared
                .processors
                .iter()
                .map(|slot| slot.current().tick.get()),
        );
        for pass in 0..PASSES {
            for index in random_order(&thief.rng, count) {
                if index == thief.index {
                    continue;
                }
                let victim = shared.processors[index].current();
                if let Some(runnable) = steal_batch(victim, thief) {
                    return Some((runnable, victim));
                }
                let last = pass == PASSES - 1;
                if last && !victim.next.is_empty() && victim.tick.get() == ticks[index] {
                    if let Some(runnable) = victim.next.steal() {
                        return Some((runnable, victim));
                    }
                }
            }
            let mut detached = shared.detached.iter();
            let stolen =
                detached.find_map(|detached| Some((steal_batch(detached, thief)?, detached)));
            if stolen.is_some() {
                return stolen;
            }
        }
        None
    })
}

fn steal_batch(victim: &Processor, thief: &Core) -> Option<Runnable> {
    steal_one(|| (victim.stealer).steal_batch_with_limit_and_pop(&thief.queue, BATCH))
}

/// Takes one runnable of a stuck worker's queue, any of theirs: for a worker that has work of its own and would not come to
/// steal for long. One and not a batch, as what stuck workers have queued is likely to get stuck
/// too (half a queue, or one of each: the ticks beside 200 blocking tasks were three to six times as late).
pub(super) fn steal_detached(shared: &Shared, core: &Core) -> Option<Runnable> {
    let detached = || shared.detached.iter();
    let count = detached().count();
    if count == 0 {
        return None;
    }
    let first = core.rng.below(count as u32) as usize;
    let mut from_first = detached().skip(first).chain(detached().take(first));
    from_first.find_map(|processor| steal_one(|| processor.stealer.steal()))
}

/// One runnable of anybody's, a processor's, a stuck worker's, or one in the next slot of a processor whose poll has gone on since
/// `ticks` were read: for a thief that wants to look at each. See [`super::compute_limit`].
pub(super) fn steal_single(shared: &Shared, thief: &Core, ticks: &[u64]) -> Option<Runnable> {
    let victims = || {
        random_order(&thief.rng, shared.processors.len())
            .filter(|&index| index != thief.index)
            .map(|index| (shared.processors[index].current(), ticks[index]))
    };
    let queues = victims()
        .map(|(processor, _)| processor)
        .chain(shared.detached.iter());
    let mut queues = queues.filter(|processor| !processor.stealer.is_empty());
    queues
        .find_map(|processor| steal_one(|| processor.stealer.steal()))
        .or_else(|| {
            let mut stuck = victims().filter(|(processor, tick)| processor.tick.get() == *tick);
            stuck.find_map(|(processor, _)| processor.next.steal())
        })
}

/// Tries until it has got one or there is none: a retry means that somebody else got something.
pub(super) fn steal_one<T>(mut attempt: impl FnMut() -> Steal<T>) -> Option<T> {
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
        for count in 1..100 {
            let rng = Rng::new(count as u64);
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
            let rng = Rng::new(7);
            let seen: BTreeSet<Vec<usize>> = (0..5000)
                .map(|_| random_order(&rng, count).collect())
                .collect();
            assert_eq!(seen.len(), orders, "{count}");
        }
    }
}
