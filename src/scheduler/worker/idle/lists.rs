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

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Lists<C> {
    /// Idle cores, each at the index of its processor.
    cores: Vec<Option<IdleCore<C>>>,
    /// Pairs, by the cluster in which the processor was held last.
    pairs: Box<[Chain]>,
    num_pairs: usize,
    /// Cores without a worker.
    lone_cores: Chain,
    /// Workers without a core. The one that came last at the end.
    lone_workers: Vec<Arc<ParkedWorker<C>>>,
    /// The one that waits with the driver, or has done so last.
    with_driver: Option<Arc<ParkedWorker<C>>>,
    /// The index of its core, if that is idle still.
    core_of_driver: Option<usize>,
    /// Cores that are to be given to nobody, once their workers have let go of them.
    retired: Vec<C>,
}

#[derive(Debug)]
struct IdleCore<C> {
    core: C,
    partner: Partner<C>,
    /// Its neighbours in the chain of its kind.
    older: Option<usize>,
    newer: Option<usize>,
}

#[derive(Debug)]
enum Partner<C> {
    /// In [`Lists::lone_cores`].
    Nobody,
    /// In [`Lists::pairs`].
    Parked {
        worker: Arc<ParkedWorker<C>>,
        cluster: usize,
    },
    /// In no chain: [`Lists::core_of_driver`].
    WithDriver,
}

/// Cores in the order in which they came, linked by their indices.
#[derive(Clone, Debug, Default)]
struct Chain {
    oldest: Option<usize>,
    newest: Option<usize>,
}

impl<C: Indexed> Lists<C> {
    pub(super) fn new(clusters: usize) -> Lists<C> {
        Lists {
            cores: Vec::new(),
            pairs: vec![Chain::default(); clusters].into(),
            num_pairs: 0,
            lone_cores: Chain::default(),
            lone_workers: Vec::new(),
            with_driver: None,
            core_of_driver: None,
            retired: Vec::new(),
        }
    }

    /// An idle core, yet without a worker.
    pub(super) fn add_core(&mut self, core: C) {
        let index = core.index();
        if self.cores.len() <= index {
            self.cores.resize_with(index + 1, || None);
        }
        debug_assert!(self.cores[index].is_none(), "a core is lost or doubled");
        self.cores[index] = Some(IdleCore {
            core,
            partner: Partner::Nobody,
            older: None,
            newer: None,
        });
        self.link(index);
    }

    /// A worker waits. `own`: the processor whose core it has just let go of.
    pub(super) fn add_worker(
        &mut self,
        worker: Arc<ParkedWorker<C>>,
        own: Option<usize>,
        with_driver: bool,
    ) {
        let own = own.filter(|&index| self.is_idle(index));
        if !with_driver {
            return self.add_parked(worker, own);
        }
        // One that has left the driver and not yet the lists: it is up, and looks for its core here.
        if let Some(previous) = self.with_driver.take() {
            let core = self.core_of_driver.take();
            self.add_parked(previous, core);
        }
        self.with_driver = Some(worker);
        self.core_of_driver = own;
        if let Some(index) = own {
            self.change_partner(index, Partner::WithDriver);
        }
    }

    fn add_parked(&mut self, worker: Arc<ParkedWorker<C>>, own: Option<usize>) {
        match own {
            Some(index) => {
                let cluster = self.cluster_of(index);
                self.change_partner(index, Partner::Parked { worker, cluster });
            }
            None => self.lone_workers.push(worker),
        }
    }

    /// 1 to 4: a core, and the worker that it is for. `near`: the claimer's cluster.
    pub(super) fn claim(&mut self, near: usize) -> Option<(C, Option<Arc<ParkedWorker<C>>>)> {
        if let Some(index) = self.pair(near, |chain| chain.newest) {
            return self.take_for_work(index);
        }
        let lone = self.lone_cores.newest;
        let index = if self.lone_workers.is_empty() {
            self.core_of_driver.or(lone)?
        } else {
            lone.or(self.core_of_driver)?
        };
        let (core, _) = self.take_for_work(index)?;
        let worker = self.lone_workers.pop().or_else(|| self.leave_driver());
        Some((core, worker))
    }

    /// 5 and 6: the worker waits no more. A core, if any is idle. `own`: as it was added.
    pub(super) fn resume(
        &mut self,
        worker: &Arc<ParkedWorker<C>>,
        own: Option<usize>,
        near: usize,
    ) -> Option<C> {
        match self.leave(worker, own) {
            Some(index) => Some(self.take_for_work(index)?.0),
            None => self.take_any(near),
        }
    }

    /// The worker waits no more, and its core stays without it: gives its index, if it is idle
    /// still.
    pub(super) fn leave(
        &mut self,
        worker: &Arc<ParkedWorker<C>>,
        own: Option<usize>,
    ) -> Option<usize> {
        let is_it = |other: &Arc<ParkedWorker<C>>| Arc::ptr_eq(other, worker);
        if self.with_driver.as_ref().is_some_and(is_it) {
            let core = self.core_of_driver;
            self.leave_driver();
            return core;
        }
        let own = own.filter(|&index| match self.cores.get(index) {
            Some(Some(IdleCore {
                partner: Partner::Parked { worker, .. },
                ..
            })) => is_it(worker),
            _ => false,
        });
        match own {
            Some(index) => self.change_partner(index, Partner::Nobody),
            None => self.lone_workers.retain(|other| !is_it(other)),
        }
        own
    }

    /// 6: any core.
    pub(super) fn take_any(&mut self, near: usize) -> Option<C> {
        let lone = self.lone_cores.newest;
        let any = lone.or_else(|| self.pair(near, |chain| chain.oldest));
        let (core, worker) = self.take_for_work(any.or(self.core_of_driver)?)?;
        self.lone_workers.extend(worker);
        Some(core)
    }

    /// All idle cores, those without a worker first, the one that came last at the end.
    pub(super) fn take_cores(&mut self) -> Vec<C> {
        let mut order = Vec::new();
        let mut next = self.lone_cores.oldest;
        while let Some(index) = next {
            order.push(index);
            next = self.cores[index].as_ref().and_then(|idle| idle.newer);
        }
        let has_worker = |index: &usize| match &self.cores[*index] {
            Some(idle) => !matches!(idle.partner, Partner::Nobody),
            None => false,
        };
        order.extend((0..self.cores.len()).filter(has_worker));
        let cores = order.into_iter().filter_map(|index| self.take_alone(index));
        cores.collect()
    }

    /// All workers; their cores stay.
    pub(super) fn take_workers(&mut self) -> Vec<Arc<ParkedWorker<C>>> {
        for index in 0..self.cores.len() {
            let idle = self.cores[index].as_ref();
            if let Some(Partner::Parked { worker, .. }) = idle.map(|idle| &idle.partner) {
                self.lone_workers.push(worker.clone());
                self.change_partner(index, Partner::Nobody);
            }
        }
        let with_driver = self.leave_driver();
        let mut workers = std::mem::take(&mut self.lone_workers);
        workers.extend(with_driver);
        workers
    }

    /// A core that is wanted no more.
    pub(super) fn retire(&mut self, core: C) {
        self.retired.push(core);
    }

    /// Cores with an index below `wanted` come back, and others that are idle retire; how many did.
    pub(super) fn set_wanted(&mut self, wanted: usize) -> (usize, usize) {
        let retired = std::mem::take(&mut self.retired);
        let (back, retired) = retired.into_iter().partition(|core| core.index() < wanted);
        self.retired = retired;
        let before = self.retired.len();
        let beyond = wanted..self.cores.len().max(wanted);
        let left = beyond.filter_map(|index| self.take_alone(index));
        let left: Vec<C> = left.collect();
        self.retired.extend(left);
        let back: Vec<C> = back;
        let num_back = back.len();
        back.into_iter().for_each(|core| self.add_core(core));
        (num_back, self.retired.len() - before)
    }

    /// The cores that no thread holds.
    pub(super) fn all_cores(&self) -> impl Iterator<Item = &C> {
        let idle = self.cores.iter().flatten().map(|idle| &idle.core);
        idle.chain(&self.retired)
    }

    pub(super) fn num_cores(&self) -> usize {
        self.cores.iter().flatten().count()
    }

    /// The workers that are parked, without the one that waits with the driver.
    pub(super) fn all_parked(&self) -> impl Iterator<Item = &Arc<ParkedWorker<C>>> {
        let partners = self.cores.iter().flatten().map(|idle| &idle.partner);
        let pairs = partners.filter_map(|partner| match partner {
            Partner::Parked { worker, .. } => Some(worker),
            Partner::Nobody | Partner::WithDriver => None,
        });
        pairs.chain(&self.lone_workers)
    }

    pub(super) fn num_parked(&self) -> usize {
        self.num_pairs + self.lone_workers.len()
    }

    pub(super) fn has_driver(&self) -> bool {
        self.with_driver.is_some()
    }

    fn leave_driver(&mut self) -> Option<Arc<ParkedWorker<C>>> {
        if let Some(index) = self.core_of_driver.take() {
            self.change_partner(index, Partner::Nobody);
        }
        self.with_driver.take()
    }

    fn is_idle(&self, index: usize) -> bool {
        self.cores.get(index).is_some_and(Option::is_some)
    }

    /// The cluster of an idle core. Asked for only where there are several.
    fn cluster_of(&self, index: usize) -> usize {
        match &self.cores[index] {
            Some(idle) if self.pairs.len() > 1 => idle.core.cluster(),
            _ => 0,
        }
    }

    /// A pair of this cluster, else one of any.
    fn pair(&self, near: usize, of: impl Fn(&Chain) -> Option<usize>) -> Option<usize> {
        of(&self.pairs[near]).or_else(|| self.pairs.iter().find_map(of))
    }

    /// The core of this place leaves the lists, and its worker with it.
    fn take(&mut self, index: usize) -> Option<(C, Option<Arc<ParkedWorker<C>>>)> {
        self.unlink(index);
        let idle = self.cores.get_mut(index)?.take()?;
        let worker = match idle.partner {
            Partner::Nobody => None,
            Partner::Parked { worker, .. } => Some(worker),
            Partner::WithDriver => {
                self.core_of_driver = None;
                None
            }
        };
        Some((idle.core, worker))
    }

    /// The same, for somebody who is about to hold the core.
    fn take_for_work(&mut self, index: usize) -> Option<(C, Option<Arc<ParkedWorker<C>>>)> {
        let taken = self.take(index);
        if let Some((core, _)) = &taken {
            core.begins_work();
        }
        taken
    }

    /// The core alone; its worker stays.
    fn take_alone(&mut self, index: usize) -> Option<C> {
        let (core, worker) = self.take(index)?;
        self.lone_workers.extend(worker);
        Some(core)
    }

    fn change_partner(&mut self, index: usize, partner: Partner<C>) {
        self.unlink(index);
        if let Some(idle) = &mut self.cores[index] {
            idle.partner = partner;
        }
        self.link(index);
    }

    /// The chain of the core at `index`.
    fn chain(&mut self, index: usize) -> Option<&mut Chain> {
        match self.cores.get(index)?.as_ref()?.partner {
            Partner::Nobody => Some(&mut self.lone_cores),
            Partner::Parked { cluster, .. } => Some(&mut self.pairs[cluster]),
            Partner::WithDriver => None,
        }
    }

    fn link(&mut self, index: usize) {
        let Some(chain) = self.chain(index) else {
            return;
        };
        let older = chain.newest.replace(index);
        if older.is_none() {
            chain.oldest = Some(index);
        }
        self.set_newer(older, Some(index));
        self.set_older(Some(index), older);
        self.num_pairs += usize::from(self.is_paired(index));
    }

    fn unlink(&mut self, index: usize) {
        let Some(Some(idle)) = self.cores.get_mut(index) else {
            return;
        };
        let (older, newer) = (idle.older.take(), idle.newer.take());
        let Some(chain) = self.chain(index) else {
            return;
        };
        if newer.is_none() {
            chain.newest = older;
        }
        if older.is_none() {
            chain.oldest = newer;
        }
        self.set_newer(older, newer);
        self.set_older(newer, older);
        self.num_pairs -= usize::from(self.is_paired(index));
    }

    fn is_paired(&self, index: usize) -> bool {
        let idle = self.cores[index].as_ref();
        idle.is_some_and(|idle| matches!(idle.partner, Partner::Parked { .. }))
    }

    fn set_newer(&mut self, of: Option<usize>, newer: Option<usize>) {
        if let Some(Some(idle)) = of.map(|index| &mut self.cores[index]) {
            idle.newer = newer;
        }
    }

    fn set_older(&mut self, of: Option<usize>, older: Option<usize>) {
        if let Some(Some(idle)) = of.map(|index| &mut self.cores[index]) {
            idle.older = older;
        }
    }
}
