//! The place of a processor, and the incarnations that take it.
//!
//! The number of processors is fixed, and so are their places. What stands in a place is an **incarnation**: a pair of
//! [`Processor`] and [`Core`]. Usually it is one for ever. When the monitor retakes a processor from a stuck worker, the
//! worker keeps its pair, which it may be using at this very moment, and the place gets another pair, with an empty queue
//! and a core for somebody else. So nobody ever has to take a queue away from a thread that is pushing into it.
//!
//! Incarnations are never freed, since thieves look at them without asking; they wait in the **stock** of their place for
//! the next retake. There are as many as threads were ever stuck at once in this place. Each stays with its place,
//! so the counts of a processor are the sums over its incarnations.

use std::ptr;

use crossbeam_deque::Worker as LocalQueue;
use crossbeam_utils::CachePadded;

use super::at::At;
use super::processor::{Core, Processor};
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Slot {
    index: usize,
    /// The incarnation in the place. The monitor writes it when it retakes; thieves and the monitor read it.
    current: At,
    incarnations: Mutex<Incarnations>,
}

#[derive(Debug, Default)]
struct Incarnations {
    all: Vec<&'static Processor>,
    /// Cores of incarnations that nobody holds.
    #[expect(clippy::vec_box, reason = "a core moves from hand to hand as a box")]
    stock: Vec<Box<Core>>,
}

impl Slot {
    /// An empty place gets its first incarnation.
    pub(super) fn new(index: usize) -> (Slot, Box<Core>) {
        let slot = Slot {
            index,
            current: At::nowhere(),
            incarnations: Mutex::default(),
        };
        let core = slot.fresh();
        slot.current.set(Some(core.at));
        (slot, core)
    }

    /// The incarnation in this place.
    #[inline]
    pub(super) fn at(&self) -> &'static Processor {
        self.current
            .get()
            .expect("a place is filled when it is made")
    }

    /// Puts another incarnation in this place; gives its core.
    pub(super) fn replace(&self) -> Box<Core> {
        let stocked = self.incarnations.lock().stock.pop();
        let core = stocked.unwrap_or_else(|| self.fresh());
        self.current.set(Some(core.at));
        core
    }

    fn fresh(&self) -> Box<Core> {
        let queue = LocalQueue::new_fifo();
        let at: &'static CachePadded<Processor> =
            Box::leak(Box::new(Processor::new(&queue).into()));
        self.incarnations.lock().all.push(at);
        Core::new(self.index, at, queue)
    }

    /// The core of an incarnation that is not in the place any more.
    pub(super) fn stock(&self, core: Box<Core>) {
        self.incarnations.lock().stock.push(core);
    }

    /// Calls `f` on each core in the stock. It runs under a lock and must call no foreign code.
    pub(super) fn each_stocked(&self, f: impl FnMut(&Core)) {
        self.incarnations
            .lock()
            .stock
            .iter()
            .map(|core| &**core)
            .for_each(f);
    }

    /// Calls `f` on each incarnation there is at the moment. Not under the lock: `f` may copy megabytes, and the monitor
    /// needs the lock to retake.
    pub(super) fn each(&self, f: impl FnMut(&'static Processor)) {
        let all = self.incarnations.lock().all.clone();
        all.into_iter().for_each(f);
    }

    /// Which of the incarnations it is, if it is one of this place.
    pub(super) fn number_of(&self, at: &Processor) -> Option<usize> {
        let incarnations = self.incarnations.lock();
        incarnations
            .all
            .iter()
            .position(|other| ptr::eq(*other, at))
    }

    /// The sum of a figure over all incarnations.
    pub(super) fn sum(&self, figure: impl Fn(&Processor) -> u64) -> u64 {
        self.incarnations
            .lock()
            .all
            .iter()
            .map(|at| figure(at))
            .sum()
    }

    /// All counts begin at zero again. Nobody may hold the processor.
    pub(super) fn reset(&self) {
        self.incarnations
            .lock()
            .all
            .iter()
            .for_each(|at| at.reset());
    }
}
