//! Where the threads of a runtime run: which processors are near each other, and which CPU each
//! processor is pinned to.
//!
//! # Clusters
//!
//! A *cluster* is a set of CPUs with one last-level cache ([`Topology`]). A processor is in the
//! cluster of the CPU that its holder ran on when it acquired it ([`Placement::acquire`]). What a
//! worker has just written, another one reads faster within the cluster, so
//!
//! * whoever wakes a worker takes one that was last in its own cluster, if one is parked
//!   ([`worker::idle`](super::worker::idle));
//! * a thief looks at all queues of its own cluster, twice, before it looks at any other
//!   ([`run_queues::steal`](super::run_queues::steal)).
//!
//! It is a hint: the system may move a thread whenever it likes, and nothing is decided by it but
//! the order in which others are looked at. Where there is one cluster, nothing is asked, stored or
//! compared.
//!
//! # Pinning
//!
//! With [`Builder::pin_workers`](crate::runtime::Builder::pin_workers) each worker runs on one CPU
//! while it holds a processor: on that of the processor, the `i`-th (modulo their number) of those
//! that the thread may use which builds the runtime, or might before it was pinned itself, cluster
//! by cluster. Who computes or blocks without a processor may run anywhere. Otherwise it would
//! compete for its CPU with the worker that has the processor now, while another CPU may be idle.
//!
//! | moment | who changes the mask | to |
//! |---|---|---|
//! | a worker acquires a processor | the worker, before others can see that it holds it | the processor's CPU; no system call if it is pinned there already |
//! | it parks | nobody: it will probably have the same processor next ([`worker::idle`](super::worker::idle)) | |
//! | it resumes without a processor, gives it away before it blocks, or ends | the worker ([`Placement::unpin`]) | all CPUs |
//! | the monitor takes the processor from it | the monitor, by the thread's number ([`Placement::retake`]) | all CPUs |
//! | a thread is started for the runtime | that thread ([`pinned::unpinned`]) | all CPUs |
//!
//! *The monitor and a worker that returns.* A worker whose processor was retaken may return from
//! its poll at once, park, be woken with another processor and pin itself, all before the monitor
//! has come to change its mask. The monitor would then take its CPU from a worker that believes
//! itself pinned, and for long, as a worker and its processor stay together. So
//!
//! 1. The monitor holds [`Pins::retaking`] from before it changes the ownership until it has
//!    changed the mask.
//! 2. The worker finds `RETAKEN` when it releases what it holds. Before it does anything else with
//!    its mask it takes that lock ([`Placement::reclaim`]), hence after the monitor has changed it,
//!    and takes its mask for unknown.
//!
//! So too the thread has not ended when the monitor names it by its number.

use std::fmt;

use super::monitor::probe;
use super::processor::Processor;
use crate::machine::affinity::{self, Thread};
use crate::machine::{CpuSet, Topology, pinned};
use crate::sync::{Arc, Mutex};

/// See the module's documentation. It never changes: a scheduler serves only runtimes whose
/// placement is equal.
pub(crate) struct Placement {
    topology: Arc<Topology>,
    /// There is one cluster. Beside it, and not behind a pointer, for who asks at each wake-up.
    is_uniform: bool,
    pins: Option<Pins>,
}

struct Pins {
    /// All CPUs that the runtime may use.
    all: CpuSet,
    /// The same in the order in which processors get them.
    order: Box<[usize]>,
    /// See the module's documentation.
    retaking: Mutex<()>,
}

impl Placement {
    /// `pinned`: workers are pinned to CPUs of this set.
    pub(crate) fn new(topology: Arc<Topology>, pinned: Option<CpuSet>) -> Placement {
        let pins = pinned.filter(|cpus| cpus.len() != 0).map(|all| {
            let mut order: Box<[usize]> = all.iter().collect();
            // Stable: within a cluster by number.
            order.sort_by_key(|&cpu| topology.cluster_of(cpu));
            Pins {
                all,
                order,
                retaking: Mutex::default(),
            }
        });
        match topology.clusters() {
            // Which CPUs it is made of makes no difference.
            1 => Placement {
                pins,
                ..Placement::flat()
            },
            _ => Placement {
                topology,
                is_uniform: false,
                pins,
            },
        }
    }

    /// One cluster, and nobody is pinned.
    pub(crate) fn flat() -> Placement {
        Placement {
            topology: Arc::new(Topology::new(&[])),
            is_uniform: true,
            pins: None,
        }
    }

    /// The CPU that this processor's holder is pinned to.
    #[cfg(test)]
    pub(super) fn cpu_of(&self, index: usize) -> Option<usize> {
        Some(self.pins.as_ref()?.cpu_of(index))
    }

    /// How many clusters there are.
    pub(super) fn clusters(&self) -> usize {
        self.topology.clusters()
    }

    /// Whether all are equally near.
    #[inline]
    pub(super) fn is_uniform(&self) -> bool {
        self.is_uniform
    }

    /// The cluster of the CPU that the calling thread runs on.
    pub(super) fn cluster_here(&self) -> usize {
        let cpu = affinity::current_cpu();
        let cluster = cpu.and_then(|cpu| self.topology.cluster_of(cpu));
        // A CPU that has come since the runtime has started, or a system that does not say.
        cluster.unwrap_or(0)
    }

    /// The calling thread is about to hold this processor.
    #[inline]
    pub(super) fn acquire(&'static self, index: usize, processor: &Processor) {
        if !self.is_uniform() || self.pins.is_some() {
            self.place(index, processor);
        }
    }

    #[cold]
    fn place(&'static self, index: usize, processor: &Processor) {
        if let Some(pins) = &self.pins {
            // Otherwise the monitor could not give it all CPUs again.
            if probe::number(probe::this_thread()) != 0 {
                pinned::pin(pins.cpu_of(index), &pins.all);
            }
        }
        if !self.is_uniform() {
            processor.cluster.set(self.cluster_here());
        }
    }

    /// The calling thread holds no processor, and goes on.
    pub(super) fn unpin(&self) {
        if self.pins.is_some() {
            pinned::unpin();
        }
    }

    /// Monitor: takes a processor from its worker, which may run anywhere from then on. False: the
    /// worker has let go of it.
    pub(super) fn retake(&self, stuck: &Processor) -> bool {
        let Some(pins) = &self.pins else {
            return stuck.ownership.retake();
        };
        let _retaking = pins.retaking.lock();
        if !stuck.ownership.retake() {
            return false;
        }
        // `None`: it has let go of it since, and waits for the lock in `reclaim`.
        if let Some((thread, _)) = stuck.ownership.held_by() {
            if let Ok(number) = u32::try_from(probe::number(thread)) {
                let _ = affinity::pin(Thread::Number(number), &pins.all);
            }
        }
        true
    }

    /// The calling worker has let go of a processor that was retaken.
    pub(super) fn reclaim(&self) {
        if let Some(pins) = &self.pins {
            drop(pins.retaking.lock());
            pinned::doubt();
        }
    }
}

impl Pins {
    /// The CPU of this processor.
    fn cpu_of(&self, index: usize) -> usize {
        self.order[index % self.order.len()]
    }
}

impl PartialEq for Placement {
    fn eq(&self, other: &Placement) -> bool {
        let all = |placement: &Placement| placement.pins.as_ref().map(|pins| pins.all.clone());
        self.topology == other.topology && all(self) == all(other)
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement")
            .field("clusters", &self.clusters())
            .field("pins", &self.pins.as_ref().map(|pins| &pins.order))
            .finish()
    }
}
