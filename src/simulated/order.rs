//! Who runs next: how the random schedules of a seed differ.

use super::choices::streams;
use crate::rng::Rng;

/// A thread that is ready runs after this many steps of each other thread at the latest. So threads
/// that wait for it in a loop do not wait for ever, however unlikely it is to be chosen.
const FAIR: u32 = 64;

/// The number of steps after which one of this many threads that are ready runs, if it was not chosen
/// before.
pub(crate) fn longest_wait(num_ready: usize) -> u32 {
    FAIR * (num_ready as u32 - 1).max(1)
}

/// How threads are chosen among those that are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// One of those below, as the seed says.
    Any,
    /// The running thread goes on, but for one step in `n`: then each is as likely.
    OneIn(u32),
    /// Each thread has a priority, and the first one runs. So often at points of the run that are
    /// drawn beforehand, the one that runs becomes the last ("A randomized scheduler with
    /// probabilistic guarantees of finding bugs", Burckhardt, Kothari, Musuvathi and Nagarakatte,
    /// 2010: PCT of this depth, plus one).
    Priorities(u32),
}

/// The lengths of runs for which change points are drawn: none is known beforehand.
const LENGTHS: [u32; 4] = [30, 300, 3_000, 30_000];

/// How one run chooses.
#[derive(Debug)]
pub(crate) struct Chooser {
    order: Order,
    /// For what is drawn beforehand. Choices of threads have numbers of their own.
    random: Rng,
    /// By thread; the greatest is first.
    priorities: Vec<u64>,
    /// In descending order.
    changes: Vec<u64>,
    steps: u64,
    /// Lower than any priority before.
    last: u64,
}

impl Chooser {
    pub(crate) fn new(order: Order, seed: u64) -> Chooser {
        let random = Rng::new(seed, streams::ORDER);
        let order = match order {
            Order::Any => match random.below(8) {
                0 | 1 => Order::OneIn(1),
                2 => Order::OneIn(2),
                3 => Order::OneIn(8),
                4 => Order::OneIn(64),
                5 => Order::Priorities(1),
                6 => Order::Priorities(2),
                _ => Order::Priorities(4),
            },
            order => order,
        };
        let mut changes = Vec::new();
        if let Order::Priorities(depth) = order {
            let length = LENGTHS[random.below(LENGTHS.len() as u32) as usize];
            let length = length.max(2 * depth);
            while changes.len() < depth as usize {
                let change = u64::from(random.below(length));
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            changes.sort_unstable_by(|a, b| b.cmp(a));
        }
        Chooser {
            order,
            random,
            priorities: Vec::new(),
            changes,
            steps: 0,
            last: u64::from(u32::MAX),
        }
    }

    /// The index among `ready` of the thread that runs next. If `goes_on`, the first of them is the
    /// thread that has run.
    pub(crate) fn choose(&mut self, ready: &[usize], goes_on: bool, draw: &Rng) -> u32 {
        self.steps += 1;
        let count = ready.len() as u32;
        match self.order {
            Order::Any | Order::OneIn(0) => 0,
            Order::OneIn(n) if goes_on && draw.below(n) != 0 => 0,
            Order::OneIn(_) => draw.below(count),
            Order::Priorities(_) => {
                while self.changes.last().is_some_and(|at| *at < self.steps) {
                    self.changes.pop();
                    let first = self.first(ready);
                    self.put_last(ready[first]);
                }
                self.first(ready) as u32
            }
        }
    }

    fn first(&mut self, ready: &[usize]) -> usize {
        let first = (0..ready.len()).max_by_key(|&index| self.priority(ready[index]));
        first.unwrap_or(0)
    }

    /// Another thread has its turn, which was not chosen for long.
    pub(crate) fn has_run_long(&mut self, thread: usize) {
        if matches!(self.order, Order::Priorities(_)) {
            self.put_last(thread);
        }
    }

    fn put_last(&mut self, thread: usize) {
        self.priority(thread);
        self.last -= 1;
        self.priorities[thread] = self.last;
    }

    fn priority(&mut self, thread: usize) -> u64 {
        while self.priorities.len() <= thread {
            let drawn = u64::from(self.random.below(u32::MAX));
            self.priorities.push(u64::from(u32::MAX) + 1 + drawn);
        }
        self.priorities[thread]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_on_until_a_change_makes_it_the_last() {
        let draw = Rng::new(1, 0);
        for seed in 0..50 {
            let mut chooser = Chooser::new(Order::Priorities(1), seed);
            let mut ready = [0, 1, 2];
            let mut switches = 0;
            for _ in 0..40_000 {
                let chosen = chooser.choose(&ready, true, &draw) as usize;
                switches += u32::from(chosen != 0);
                ready.swap(0, chosen);
            }
            // The first may be chosen at once, and another one after the change.
            assert!((1..=2).contains(&switches), "{switches}");
        }
    }

    #[test]
    fn one_step_in_n_is_another_one_s() {
        let draw = Rng::new(1, 0);
        for (n, expected) in [(1, 5_000), (8, 625), (64, 78)] {
            let mut chooser = Chooser::new(Order::OneIn(n), 0);
            let others = (0..10_000).filter(|_| chooser.choose(&[3, 4], true, &draw) != 0);
            let others = others.count();
            assert!(others.abs_diff(expected) < expected / 3, "{n}: {others}");
        }
    }
}
