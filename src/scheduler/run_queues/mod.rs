//! The run queues beyond a worker's own: where a runnable goes, and where it comes from. A worker's
//! own are [`Core::place`] and [`Core::pop`]. Nothing else decides that, and nobody is woken here.
//!
//! | queue | pushed by | taken by |
//! |---|---|---|
//! | next slot ([`processor::next_slot`](super::processor::next_slot)) of a processor | its holder: a wake, a spawn | its holder, first; a thief, if the poll lasts |
//! | local queue of a processor (`Core::queue`) | its holder: what the slot displaces, what yields, batches | its holder; thieves, half of it ([`steal`]) |
//! | local queue of a detached processor ([`detached`]) | the stuck worker that still holds it | thieves; the monitor moves on what is left |
//! | global queue | threads without a processor | any worker, a batch when it has nothing, one each 61 polls |
//! | what is held back ([`compute_limit`]) | a worker that finds a task of a site whose tasks compute | any worker, while fewer than P compute |
//! | `Interactive`, `Background` ([`by_class`]) | who pushes a task of that class | any worker, in the order that [`worker::by_class`](super::worker::by_class) says |
//!
//! Whoever looks at local queues looks at those of the places that are marked ([`marks`]): what a
//! look costs grows with the processors that are busy, and not with those there are.
//!
//! Order of a worker's look, with the functions: [`Core::pop`], then [`RunQueues::pop_shared`],
//! then [`RunQueues::search`]; each 61st time [`RunQueues::take_turn_of_detached`] and
//! [`RunQueues::pop_fair`] come first.

use std::ptr;

use crossbeam_deque::Injector;
use crossbeam_utils::CachePadded;

use self::by_class::ByClass;
use self::compute_limit::ComputeLimit;
use self::detached::DetachedList;
use self::marks::Mark;
use super::mask::Mask;
use super::processor::slot::ProcessorSlot;
use super::processor::{Core, Processor};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::tasks::Runnable;

pub(crate) mod by_class;
pub(crate) mod compute_limit;
pub(crate) mod detached;
pub(crate) mod marks;
pub(crate) mod steal;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RunQueues {
    /// Places for as many processors as there may be.
    places: Box<[CachePadded<ProcessorSlot>]>,
    /// Those that may have work in them: see [`marks`].
    marked: Arc<Mask>,
    /// So many of them are filled, from the first on. [`RunQueues::fill`] writes it when they are,
    /// with release; who reads it, with acquire, finds them filled.
    filled: AtomicUsize,
    /// So many of those have been wanted since the runtime began. Written by `Shared::resize` and
    /// as the runtime begins, read for figures. `Relaxed`: [`RunQueues::filled`] orders the places.
    used: AtomicUsize,
    /// So many processors are wanted at present: a copy of what `Idle` says, by `Shared::resize`.
    /// `Relaxed`: it decides about shares only.
    wanted: AtomicUsize,
    /// Of detached processors, those with something in their queue.
    pub(super) detached: DetachedList,
    pub(super) global: Injector<Runnable>,
    pub(super) compute_limit: ComputeLimit,
    pub(super) by_class: ByClass,
    /// There is one cluster: see [`steal`].
    is_uniform: bool,
}

impl RunQueues {
    /// The queues of a runtime that may have so many processors, in so many clusters, and has none
    /// yet.
    pub(super) fn new(room: usize, clusters: usize) -> RunQueues {
        let marked = Arc::new(Mask::new(room));
        let places = (0..room).map(|index| ProcessorSlot::new(Mark::new(&marked, index)).into());
        RunQueues {
            places: places.collect(),
            marked,
            filled: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            detached: DetachedList::new(),
            global: Injector::new(),
            compute_limit: ComputeLimit::new(0),
            by_class: ByClass::new(),
            is_uniform: clusters == 1,
        }
    }

    /// Counts begin at zero again, and random numbers with this seed. Nobody may hold a processor,
    /// and nothing may be queued.
    pub(super) fn reset(&self, seed: u64) {
        self.places.iter().for_each(|slot| slot.reset(seed));
        self.detached.clear();
        self.used.store(self.num_processors(), Ordering::Relaxed);
        self.compute_limit.reset();
    }

    /// How many processors there may be.
    pub(super) fn room(&self) -> usize {
        self.places.len()
    }

    /// How many processors are wanted at present, and may run in parallel: a copy of what
    /// [`Idle`](super::worker::idle::Idle) goes by, a moment ahead of it, for shares and limits.
    pub(super) fn num_processors(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    /// So many are wanted from now on. Not beside another call.
    pub(super) fn set_num_processors(&self, wanted: usize) {
        self.wanted.store(wanted, Ordering::Relaxed);
        let used = self.used.load(Ordering::Relaxed);
        self.used.store(used.max(wanted), Ordering::Relaxed);
        self.compute_limit.set_limit(wanted);
    }

    /// Fills the first `count` places; the cores of those that were empty. Not beside another call.
    pub(super) fn fill(&self, count: usize) -> impl Iterator<Item = Box<Core>> {
        let filled = self.slots().len();
        let empty = self.places.iter().take(count).skip(filled);
        empty.map(|slot| {
            let core = slot.replace();
            // Pairs with the acquire in `slots`.
            self.filled.store(core.index + 1, Ordering::Release);
            core
        })
    }

    /// The places that are filled: of the processors that are wanted, and of those that were.
    #[inline]
    pub(super) fn slots(&self) -> &[CachePadded<ProcessorSlot>] {
        &self.places[..self.filled.load(Ordering::Acquire)]
    }

    /// Those of processors that this runtime has wanted. The others are empty, and were filled for
    /// an earlier one.
    pub(super) fn used_slots(&self) -> &[CachePadded<ProcessorSlot>] {
        let slots = self.slots();
        &slots[..self.used.load(Ordering::Relaxed).min(slots.len())]
    }

    /// The processors, as they are at present: also those that retire, or have retired. Those may
    /// have something in their queues still.
    pub(super) fn current(&self) -> impl Iterator<Item = &'static Processor> {
        self.slots().iter().map(|slot| slot.current())
    }

    /// The places that may have work in them. Others have none: see [`marks`].
    pub(super) fn marked(&self) -> impl Iterator<Item = &ProcessorSlot> {
        // It was filled before it was marked.
        self.marked.iter().map(|index| &*self.places[index])
    }

    /// The same, and those that were marked when this was asked with `last` the last time.
    pub(super) fn marked_lately<'a>(
        &'a self,
        last: &'a mut Vec<u64>,
    ) -> impl Iterator<Item = &'a ProcessorSlot> {
        let places = self.marked.iter_with_last(last);
        places.map(|index| &*self.places[index])
    }

    /// The processor that this is an instance of.
    pub(super) fn index_of(&self, instance: &Processor) -> Option<usize> {
        let current = self.current().position(|other| ptr::eq(other, instance));
        current.or_else(|| {
            let mut slots = self.slots().iter();
            slots.position(|slot| slot.number_of(instance).is_some())
        })
    }

    /// For a thread without a processor.
    pub(super) fn push_global(&self, runnable: Runnable) {
        self.global.push(runnable);
    }

    /// Whether any queue has something in it. Next slots do not count: their owners run them next.
    pub(super) fn has_visible_work(&self) -> bool {
        !self.global.is_empty()
            || (self.marked()).any(|slot| !slot.current().stealer.is_empty())
            || self.detached.iter().any(|at| !at.stealer.is_empty())
            || self.compute_limit.is_held_back_due()
            || self.by_class.has_work()
    }

    /// Runnables that wait in queues where thieves see them, roughly.
    pub(super) fn num_visible(&self) -> usize {
        let local = self.marked().map(ProcessorSlot::current);
        let local = local.chain(self.detached.iter());
        let local = local.map(|at| at.stealer.len()).sum::<usize>();
        self.global.len() + local + self.by_class.num_visible()
    }

    /// Runnables in the queues that all share: the global one, those of the classes, and what is
    /// held back.
    pub(super) fn num_global(&self) -> usize {
        let classed = self.by_class.num_interactive() + self.by_class.num_background();
        self.global.len() + self.compute_limit.num_held_back() + classed
    }

    /// One runnable of the global queue, for a worker that has others: each 61st poll, and when the
    /// monitor asks.
    pub(super) fn pop_fair(&self) -> Option<Runnable> {
        match self.compute_limit.is_reached() {
            true => self.compute_limit.take_light(|| self.pop_global()),
            false => (self.compute_limit.take_held_back()).or_else(|| self.pop_global()),
        }
    }

    /// For a worker whose own queue is empty: what is held back, if it is due, or a batch of the
    /// global queue. Its first is returned, the others are in `core`'s queue afterwards.
    pub(super) fn pop_shared(&self, core: &Core) -> Option<Runnable> {
        match self.compute_limit.is_reached() {
            // `search` takes one at a time then.
            true => None,
            false => (self.compute_limit.take_held_back()).or_else(|| self.pop_global_batch(core)),
        }
    }

    /// Global queue and other processors' queues; with the processor, if it was stolen there.
    pub(super) fn search(&self, core: &Core) -> Option<(Runnable, Option<&'static Processor>)> {
        if self.compute_limit.is_reached() {
            return Some((self.find_light(core)?, None));
        }
        match self.pop_global_batch(core) {
            Some(runnable) => Some((runnable, None)),
            None => self
                .steal(core)
                .map(|(runnable, from)| (runnable, Some(from))),
        }
    }

    fn pop_global(&self) -> Option<Runnable> {
        steal::steal_one(|| self.global.steal())
    }

    /// Go's share: as much as this processor's part of the queue, so that one does not take it all.
    fn pop_global_batch(&self, core: &Core) -> Option<Runnable> {
        if self.global.is_empty() {
            return None;
        }
        let share = self.global.len() / self.num_processors() + 1;
        let limit = share.min(steal::BATCH);
        #[cfg(feature = "sim")]
        if crate::simulated::is_here() {
            return self.pop_global_one_by_one(core, limit);
        }
        steal::steal_one(|| (self.global).steal_batch_with_limit_and_pop(&core.queue, limit))
    }

    /// In a simulation: the queue ends a batch where one of its blocks ends, and where that is
    /// depends on the runs before.
    #[cfg(feature = "sim")]
    fn pop_global_one_by_one(&self, core: &Core, limit: usize) -> Option<Runnable> {
        let others = self.global.len().div_ceil(2).min(limit).saturating_sub(1);
        let first = self.pop_global()?;
        let others = (0..others).map_while(|_| self.pop_global());
        others.for_each(|runnable| core.queue.push(runnable));
        Some(first)
    }

    /// For a worker that has work of its own: what stuck workers have queued has its turn too, one
    /// at a time.
    pub(super) fn take_turn_of_detached(&self, core: &Core) {
        if self.detached.is_empty() {
            return;
        }
        let take = || self.steal_detached(core);
        let taken = match self.compute_limit.is_reached() {
            true => self.compute_limit.take_light(take),
            false => take(),
        };
        if let Some(runnable) = taken {
            // To the back: it is one of many that have their turn.
            core.queue.push(runnable);
        }
    }

    /// What a worker finds while the limit is reached: see [`compute_limit`].
    #[cold]
    fn find_light(&self, core: &Core) -> Option<Runnable> {
        let victims = self.victims(core);
        let take = || {
            self.pop_global()
                .or_else(|| self.steal_single(core, &victims))
        };
        let light = self.compute_limit.take_light(take);
        // Fewer may compute by now.
        light.or_else(|| self.compute_limit.take_held_back())
    }

    /// Closing: what waits by its class moves to the global queue.
    pub(super) fn release_by_class(&self) {
        while let Some(runnable) = self.by_class.pop_any() {
            self.push_global(runnable);
        }
    }

    /// What is held back goes back to the global queue.
    pub(super) fn release_held_back(&self) {
        while let Some(runnable) = self.compute_limit.take_any_held_back() {
            self.push_global(runnable);
        }
    }
}
