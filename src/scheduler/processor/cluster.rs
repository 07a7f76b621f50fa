//! Which cluster a processor is in: see [`placement`](crate::scheduler::placement).

use crate::sync::atomic::{AtomicUsize, Ordering};

/// The cluster of the CPU that the holder ran on when it acquired the processor. The holder stores
/// it; thieves, wakers and the lists of idle processors read it. `Relaxed`: a hint, by which nothing
/// but an order of looking is decided. Where there is one cluster it is neither stored nor read.
#[derive(Debug, Default)]
pub(crate) struct Cluster(AtomicUsize);

impl Cluster {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, cluster: usize) {
        self.0.store(cluster, Ordering::Relaxed);
    }
}
