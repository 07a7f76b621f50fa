//! What can be read of [`Idle`]. Without its lock it is a hint, unless a protocol's fences order it.

use super::{Idle, Indexed};
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::Ordering;

impl<C: Indexed> Idle<C> {
    /// How many processors are wanted.
    pub(crate) fn num_wanted(&self) -> usize {
        // Relaxed: the lock orders it, or the fences of `resize`; elsewhere it is a hint.
        self.wanted.load(Ordering::Relaxed)
    }

    /// Idle processors.
    pub(crate) fn num_idle(&self) -> usize {
        self.counts().idle() as usize
    }

    /// Processors that are idle, handed over or held: as many as are wanted, and those that are to
    /// retire.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn num_live(&self) -> usize {
        self.counts().live() as usize
    }

    /// Whether all of them are idle.
    pub(crate) fn all_idle(&self) -> bool {
        let counts = self.counts();
        counts.idle() == counts.live()
    }

    /// Whether all of them are idle but one at most.
    pub(crate) fn all_idle_but_one(&self) -> bool {
        let counts = self.counts();
        counts.idle() + 1 >= counts.live()
    }

    /// Workers that search.
    pub(crate) fn num_searching(&self) -> usize {
        self.counts().searching() as usize
    }

    /// Workers that are parked, without the one that waits with the driver.
    pub(crate) fn num_parked(&self) -> usize {
        self.lists.lock().num_parked()
    }

    /// Whether a worker waits with the driver, or searches and will look at the network without
    /// being told.
    pub(crate) fn has_driver(&self) -> bool {
        self.counts().searching() != 0 || self.lists.lock().has_driver()
    }

    /// Whether a worker waits, parked or with the driver.
    pub(crate) fn has_waiting_worker(&self) -> bool {
        let lists = self.lists.lock();
        lists.num_parked() != 0 || lists.has_driver()
    }

    /// Workers that wait, parked or with the driver.
    pub(crate) fn num_waiting_workers(&self) -> usize {
        let lists = self.lists.lock();
        lists.num_parked() + usize::from(lists.has_driver())
    }

    /// Calls `f` on the core of each processor that no thread holds. It runs under a lock and must
    /// call no foreign code.
    pub(crate) fn each_core(&self, f: impl FnMut(&C)) {
        self.lists.lock().all_cores().for_each(f);
    }

    /// Calls `f` on each worker that is parked. It runs under a lock and must call no foreign code.
    pub(crate) fn each_parked(&self, f: impl FnMut(&ParkedWorker<C>)) {
        let lists = self.lists.lock();
        lists.all_parked().map(|worker| &**worker).for_each(f);
    }
}
