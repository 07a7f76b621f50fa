//! Idle processors and waiting workers, and which of them belong together.
//!
//! A worker and its processor stay together. A worker that parks leaves its core paired with
//! itself, and whoever wakes somebody takes a pair, so that a worker goes on with the queue, the
//! timers and the counters that are in its CPU's cache, and a pinned one ([`placement`]) need not
//! move.
//!
//! | | who takes it | in which order |
//! |---|---|---|
//! | 1 | a claim | the pair that parked last, of the claimer's cluster if there is one, else of any other |
//! | 2 | a claim | a worker without a core, the one that came last, with a core without a worker, else with that of the worker with the driver |
//! | 3 | a claim | the worker with the driver, with its own core, else with any |
//! | 4 | a claim | a core without a worker, for a thread that is to be started |
//! | 5 | a worker that resumes by itself | its own core, if that is still idle |
//! | 6 | the same, if it is not; a thread that has blocked | a core without a worker, else that of the pair that parked first, else that of the worker with the driver |
//!
//! A pair whose core is taken without its worker (6, or its processor retires) leaves a worker
//! without a core behind; one whose worker leaves, a core without a worker.
//!
//! The worker with the driver is woken last although it may be the only one with its own core (2
//! before 3): whoever replaced it there would cost a second wake-up.
//!
//! All of it is under one lock. Each step takes constant time, or one look at each cluster; only a
//! worker without a core that leaves by itself is searched for, among those like it.
//!
//! [`placement`]: crate::scheduler::placement

use super::Indexed;
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::Arc;

/// No core.
const NONE: u32 = u32::MAX;

/// The chain of cores without a worker. Pairs of cluster `i` are in chain `i + 1`.
const LONE: u32 = 0;
/// In no chain: the core of the worker with the driver.
const WITH_DRIVER: u32 = u32::MAX;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Lists<C> {
    /// Idle cores, each at the index of its processor.
    cores: Vec<Option<IdleCore<C>>>,
    /// See [`LONE`].
    chains: Box<[Chain]>,
    num_pairs: usize,
    /// Workers without a core. The one that came last at the end.
    lone_workers: Vec<Arc<ParkedWorker<C>>>,
    /// The one that waits with the driver, or has done so last.
    with_driver: Option<Arc<ParkedWorker<C>>>,
    /// The index of its core, if that is idle still; else [`NONE`].
    core_of_driver: u32,
    /// Cores that are to be given to nobody, once their workers have let go of them.
    retired: Vec<C>,
}

#[derive(Debug)]
struct IdleCore<C> {
    core: C,
    /// Of a pair.
    worker: Option<Arc<ParkedWorker<C>>>,
    /// The number of its chain.
    chain: u32,
    /// Its neighbours there.
    older: u32,
    newer: u32,
}

/// Cores in the order in which they came, linked by their indices.
#[derive(Clone, Debug)]
struct Chain {
    oldest: u32,
    newest: u32,
}

impl<C: Indexed> Lists<C> {
    pub(super) fn new(clusters: usize) -> Lists<C> {
        let empty = Chain {
            oldest: NONE,
            newest: NONE,
        };
        Lists {
            cores: Vec::new(),
            chains: vec![empty; clusters + 1].into(),
            num_pairs: 0,
            lone_workers: Vec::new(),
            with_driver: None,
            core_of_driver: NONE,
            retired: Vec::new(),
        }
    }

    /// An idle core without a worker.
    pub(super) fn add_core(&mut self, core: C) {
        self.add(core, None, LONE);
    }

    /// An idle core, and the worker that has let go of it and waits.
    pub(super) fn add_pair(&mut self, core: C, worker: Arc<ParkedWorker<C>>, with_driver: bool) {
        if with_driver {
            let index = core.index() as u32;
            self.set_driver(worker, index);
            self.add(core, None, WITH_DRIVER);
        } else {
            let chain = self.chain_of(&core);
            self.add(core, Some(worker), chain);
        }
    }

    /// A worker waits that has no core.
    pub(super) fn add_worker(&mut self, worker: Arc<ParkedWorker<C>>, with_driver: bool) {
        if with_driver {
            self.set_driver(worker, NONE);
        } else {
            self.lone_workers.push(worker);
        }
    }

    fn set_driver(&mut self, worker: Arc<ParkedWorker<C>>, core: u32) {
        let previous = self.with_driver.replace(worker);
        let core_of_previous = std::mem::replace(&mut self.core_of_driver, core);
        // One that has left the driver and not yet the lists: it is up, and looks for its core here.
        if let Some(previous) = previous {
            self.leave_core(previous, core_of_previous);
        }
    }

    /// A worker that had the driver is as any other that is parked.
    #[cold]
    fn leave_core(&mut self, worker: Arc<ParkedWorker<C>>, core: u32) {
        match self.take(core) {
            Some((core, _)) => self.add_pair(core, worker, false),
            None => self.lone_workers.push(worker),
        }
    }

    /// 1 to 4: a core, and the worker that it is for. `near`: the claimer's cluster.
    pub(super) fn claim(&mut self, near: usize) -> Option<(C, Option<Arc<ParkedWorker<C>>>)> {
        let pair = self.pair(near, |chain| chain.newest);
        if pair != NONE {
            return self.take_for_work(pair);
        }
        let lone = self.chains[LONE as usize].newest;
        let (first, second) = match self.lone_workers.is_empty() {
            true => (self.core_of_driver, lone),
            false => (lone, self.core_of_driver),
        };
        let index = if first == NONE { second } else { first };
        let (core, _) = self.take_for_work(index)?;
        let worker = self.lone_workers.pop().or_else(|| self.leave_driver());
        Some((core, worker))
    }

    /// 5 and 6: the worker waits no more. A core, if any is idle. `own`: the one that it had.
    pub(super) fn resume(
        &mut self,
        worker: &Arc<ParkedWorker<C>>,
        own: Option<usize>,
        near: usize,
    ) -> Option<C> {
        match self.leave(worker, own) {
            NONE => self.take_any(near),
            index => Some(self.take_for_work(index)?.0),
        }
    }

    /// The worker waits no more, and its core stays without it: gives its index, if it is idle
    /// still, or [`NONE`].
    pub(super) fn leave(&mut self, worker: &Arc<ParkedWorker<C>>, own: Option<usize>) -> u32 {
        let is_it = |other: &Arc<ParkedWorker<C>>| Arc::ptr_eq(other, worker);
        if self.with_driver.as_ref().is_some_and(is_it) {
            let core = self.core_of_driver;
            self.leave_driver();
            return core;
        }
        let own = own.filter(|&index| match self.cores.get(index) {
            Some(Some(idle)) => idle.worker.as_ref().is_some_and(is_it),
            _ => false,
        });
        match own {
            Some(index) => {
                self.make_lone(index as u32);
                index as u32
            }
            None => {
                self.lone_workers.retain(|other| !is_it(other));
                NONE
            }
        }
    }

    /// 6: any core.
    pub(super) fn take_any(&mut self, near: usize) -> Option<C> {
        let mut index = self.chains[LONE as usize].newest;
        if index == NONE {
            index = self.pair(near, |chain| chain.oldest);
        }
        if index == NONE {
            index = self.core_of_driver;
        }
        let (core, worker) = self.take_for_work(index)?;
        self.lone_workers.extend(worker);
        Some(core)
    }

    /// All idle cores: those without a worker first, in the order in which they came, and then the
    /// others, in the order of their processors.
    pub(super) fn take_cores(&mut self) -> Vec<C> {
        let mut order = Vec::new();
        let mut next = self.chains[LONE as usize].oldest;
        while let Some(Some(idle)) = self.cores.get(next as usize) {
            order.push(next);
            next = idle.newer;
        }
        let others = self
            .cores
            .iter()
            .flatten()
            .filter(|idle| idle.chain != LONE);
        order.extend(others.map(|idle| idle.core.index() as u32));
        let cores = order.into_iter().filter_map(|index| self.take_alone(index));
        cores.collect()
    }

    /// Idle cores come in the order of their processors, whatever there was before. Gives their
    /// number.
    pub(super) fn sort_cores(&mut self) -> usize {
        let mut cores = self.take_cores();
        cores.sort_unstable_by_key(C::index);
        let count = cores.len();
        cores.into_iter().for_each(|core| self.add_core(core));
        count
    }

    /// All workers; their cores stay.
    pub(super) fn take_workers(&mut self) -> Vec<Arc<ParkedWorker<C>>> {
        let mut workers = Vec::new();
        for index in 0..self.cores.len() as u32 {
            if self.cores[index as usize].is_some() {
                workers.extend(self.make_lone(index));
            }
        }
        workers.append(&mut self.lone_workers);
        workers.extend(self.with_driver.take());
        self.core_of_driver = NONE;
        workers
    }

    /// A core that is wanted no more.
    pub(super) fn retire(&mut self, core: C) {
        self.retired.push(core);
    }

    /// Cores with an index below `wanted` come back, and others that are idle retire; how many did.
    pub(super) fn set_wanted(&mut self, wanted: usize) -> (usize, usize) {
        let retired = std::mem::take(&mut self.retired);
        let (mut back, retired): (Vec<C>, Vec<C>) =
            (retired.into_iter()).partition(|core| core.index() < wanted);
        // Whatever order they went in, also in a runtime that was here before.
        back.sort_unstable_by_key(C::index);
        let beyond = wanted..self.cores.len().max(wanted);
        let left: Vec<C> = beyond
            .filter_map(|index| self.take_alone(index as u32))
            .collect();
        let changes = (back.len(), left.len());
        self.retired = retired;
        self.retired.extend(left);
        back.into_iter().for_each(|core| self.add_core(core));
        changes
    }

    /// The cores that no thread holds.
    pub(super) fn all_cores(&self) -> impl Iterator<Item = &C> {
        let idle = self.cores.iter().flatten().map(|idle| &idle.core);
        idle.chain(&self.retired)
    }

    /// The workers that are parked, without the one that waits with the driver.
    pub(super) fn all_parked(&self) -> impl Iterator<Item = &Arc<ParkedWorker<C>>> {
        let idle = self.cores.iter().flatten();
        let pairs = idle.filter_map(|idle| idle.worker.as_ref());
        pairs.chain(&self.lone_workers)
    }

    pub(super) fn num_parked(&self) -> usize {
        self.num_pairs + self.lone_workers.len()
    }

    pub(super) fn has_driver(&self) -> bool {
        self.with_driver.is_some()
    }

    /// Its core stays.
    fn leave_driver(&mut self) -> Option<Arc<ParkedWorker<C>>> {
        let core = std::mem::replace(&mut self.core_of_driver, NONE);
        if core != NONE {
            self.make_lone(core);
        }
        self.with_driver.take()
    }

    /// The chain of a core that comes with a worker. Its cluster is asked for only where there are
    /// several.
    fn chain_of(&self, core: &C) -> u32 {
        match self.chains.len() {
            2 => LONE + 1,
            _ => core.cluster() as u32 + 1,
        }
    }

    /// A pair of this cluster, else one of any.
    fn pair(&self, near: usize, of: impl Fn(&Chain) -> u32) -> u32 {
        let near = of(&self.chains[near + 1]);
        if near != NONE || self.chains.len() == 2 {
            return near;
        }
        let mut all = self.chains.iter().skip(1).map(of);
        all.find(|&index| index != NONE).unwrap_or(NONE)
    }

    /// The core at `index` is in the lists.
    fn at(&mut self, index: u32) -> Option<&mut IdleCore<C>> {
        self.cores.get_mut(index as usize)?.as_mut()
    }

    fn add(&mut self, core: C, worker: Option<Arc<ParkedWorker<C>>>, chain: u32) {
        let index = core.index();
        if self.cores.len() <= index {
            self.cores.resize_with(index + 1, || None);
        }
        debug_assert!(self.cores[index].is_none(), "a core is lost or doubled");
        self.num_pairs += usize::from(worker.is_some());
        self.cores[index] = Some(IdleCore {
            core,
            worker,
            chain,
            older: NONE,
            newer: NONE,
        });
        self.link(index as u32, chain);
    }

    /// The core at `index` leaves the lists, and its worker with it.
    fn take(&mut self, index: u32) -> Option<(C, Option<Arc<ParkedWorker<C>>>)> {
        let idle = self.cores.get_mut(index as usize)?.take()?;
        self.unlink(&idle);
        self.num_pairs -= usize::from(idle.worker.is_some());
        if index == self.core_of_driver {
            self.core_of_driver = NONE;
        }
        Some((idle.core, idle.worker))
    }

    /// The same, for somebody who is about to hold the core.
    fn take_for_work(&mut self, index: u32) -> Option<(C, Option<Arc<ParkedWorker<C>>>)> {
        let taken = self.take(index);
        if let Some((core, _)) = &taken {
            core.begins_work();
        }
        taken
    }

    /// The core alone; its worker stays.
    fn take_alone(&mut self, index: u32) -> Option<C> {
        let (core, worker) = self.take(index)?;
        self.lone_workers.extend(worker);
        Some(core)
    }

    /// The core at `index` stays without its worker, which comes back, if it is paired with one.
    fn make_lone(&mut self, index: u32) -> Option<Arc<ParkedWorker<C>>> {
        let mut idle = self.cores[index as usize].take()?;
        self.unlink(&idle);
        let worker = idle.worker.take();
        self.num_pairs -= usize::from(worker.is_some());
        self.add(idle.core, None, LONE);
        worker
    }

    /// To the newest end.
    fn link(&mut self, index: u32, chain: u32) {
        if chain == WITH_DRIVER {
            return;
        }
        let chain = &mut self.chains[chain as usize];
        let older = std::mem::replace(&mut chain.newest, index);
        if older == NONE {
            chain.oldest = index;
            return;
        }
        if let Some(older) = self.at(older) {
            older.newer = index;
        }
        if let Some(idle) = self.at(index) {
            idle.older = older;
        }
    }

    fn unlink(&mut self, idle: &IdleCore<C>) {
        if idle.chain == WITH_DRIVER {
            return;
        }
        let (older, newer) = (idle.older, idle.newer);
        match self.at(newer) {
            Some(newer) => newer.older = older,
            None => self.chains[idle.chain as usize].newest = older,
        }
        match self.at(older) {
            Some(older) => older.newer = newer,
            None => self.chains[idle.chain as usize].oldest = newer,
        }
    }
}
