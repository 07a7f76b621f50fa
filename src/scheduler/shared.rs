//! What the threads of one runtime share, in parts that each know what they are about.

use std::fmt;
use std::io;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::foreign_wakers::ForeignWakers;
use super::lifecycle::blocking_job::BlockingJob;
use super::lifecycle::hold::Hold;
use super::lifecycle::settings::{Leased, Settings};
use super::lifecycle::threads::Threads;
use super::monitor::Monitor;
use super::netpoll::Netpoll;
use super::observer::Observer;
use super::off_processor::OffProcessor;
use super::placement::Placement;
use super::processor::Core;
use super::run_queues::RunQueues;
use super::submit::{OnWorkers, add_scheduler};
use super::timers::Timers;
use super::worker::idle::Idle;
use crate::blocking::Pool;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::sync::fork::Birth;
use crate::sync::{Arc, Mutex};
use crate::tasks::registry::{Registry, SHARDS};

/// A scheduler. Leaked and used again; see [`super::lifecycle`].
pub(crate) struct Shared {
    /// The process that it was made in, and belongs to.
    pub(super) birth: Birth,
    /// The tasks that wait. Its index is the runtime's id: each task has it, by way of its spawn
    /// site, and so finds this scheduler ([`super::submit`]).
    pub(crate) registry: &'static Registry,
    /// Read by each worker between two polls, written at opening and closing: on a line that nobody
    /// else writes.
    pub(super) closed: CachePadded<AtomicBool>,
    /// Where its threads run.
    pub(super) placement: Placement,
    /// Where runnables are.
    pub(super) queues: RunQueues,
    /// Who polls them.
    pub(super) workers: Workers,
    /// What wakes them.
    pub(super) services: Services,
    /// Who is told what happens: see [`super::observer`].
    pub(super) observer: Box<dyn Observer>,
    /// Which of it is told, and whether tasks have classes ([`super::classes`]). A thread that pushes
    /// reads it; it is written when a switch is turned.
    pub(super) switches: CachePadded<AtomicU8>,
    pub(super) counters: CachePadded<Counters>,
    pub(super) remote_tasks: [CachePadded<RemoteTasks>; SHARDS],
}

/// The threads: which of them work, wait, block, and who looks after them.
#[derive(Debug)]
pub(super) struct Workers {
    pub(super) idle: Idle<Box<Core>>,
    /// Held by who changes the number of processors: see [`super::lifecycle::resize`].
    pub(super) resizing: Mutex<()>,
    pub(super) threads: Threads,
    /// Threads that run [`worker::run`](super::worker::run), or are about to: they have a limit, and
    /// the shutdown thread waits for them.
    pub(super) count: AtomicUsize,
    /// Those of them that have begun and have not decided to end: see [`super::worker`], `wait`.
    pub(super) staying: AtomicUsize,
    pub(super) monitor: Monitor,
    pub(super) off_processor: OffProcessor,
    pub(super) hold: Hold,
}

/// What tasks wait for, and what belongs to the runtime that uses the scheduler at present.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) timers: Timers,
    pub(super) foreign_wakers: ForeignWakers,
    pub(super) leased: Mutex<Leased>,
}

/// Tasks that threads without a processor have spawned and finished. Sharded by thread, since a
/// spawn storm from outside would meet here (36 ns per contended addition). Only sums matter:
/// relaxed.
#[derive(Debug, Default)]
pub(super) struct RemoteTasks {
    pub(super) spawned: AtomicU64,
    pub(super) finished: AtomicU64,
}

/// Other counters without an owner. Only sums matter: relaxed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) handoffs: AtomicU64,
    pub(super) retakes: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) network_polls: AtomicU64,
    pub(super) network_ready: AtomicU64,
}

impl Counters {
    pub(super) fn reset(&self) {
        let Counters {
            handoffs,
            retakes,
            stalls,
            cancelled,
            network_polls,
            network_ready,
        } = self;
        for counter in [
            handoffs,
            retakes,
            stalls,
            cancelled,
            network_polls,
            network_ready,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// A scheduler that may have so many processors, placed so, and has none yet.
    pub(crate) fn leak(
        room: usize,
        placement: Placement,
        observer: Box<dyn Observer>,
    ) -> Option<&'static Shared> {
        let registry = Registry::lease_of::<OnWorkers>()?;
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            birth: Birth::here(),
            registry,
            closed: CachePadded::new(AtomicBool::new(true)),
            queues: RunQueues::new(room, placement.clusters()),
            workers: Workers {
                idle: Idle::new(0, placement.clusters()),
                resizing: Mutex::default(),
                threads: Threads::default(),
                count: AtomicUsize::new(0),
                staying: AtomicUsize::new(0),
                monitor: Monitor::default(),
                off_processor: OffProcessor::default(),
                hold: Hold::default(),
            },
            services: Services {
                timers: Timers::new(room),
                foreign_wakers: ForeignWakers::default(),
                leased: Mutex::new(Leased::default()),
            },
            observer,
            placement,
            switches: CachePadded::new(AtomicU8::new(0)),
            counters: CachePadded::default(),
            remote_tasks: Default::default(),
        }));
        add_scheduler(registry.index(), shared);
        Some(shared)
    }

    /// A scheduler with so many processors, for tests.
    #[cfg(test)]
    pub(crate) fn with_processors(
        processors: usize,
        observer: Box<dyn Observer>,
    ) -> Option<&'static Shared> {
        Shared::placed(processors, Placement::flat(), observer)
    }

    /// The same, in clusters.
    #[cfg(test)]
    pub(crate) fn placed(
        processors: usize,
        placement: Placement,
        observer: Box<dyn Observer>,
    ) -> Option<&'static Shared> {
        let shared = Shared::leak(processors, placement, observer)?;
        shared.resize(processors);
        Some(shared)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: a hint between polls. Where it decides, the closing protocol's fences order it.
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether a worker waits that could take a processor over, or one more may be started.
    pub(super) fn can_replace_worker(&self) -> bool {
        self.workers.idle.has_waiting_worker() || self.can_start_worker()
    }

    /// Whoever waits with the driver looks at the timers again: there is a deadline before the one
    /// that it waits for.
    pub(super) fn wake_driver(&self) {
        if let Some(netpoll) = self.netpoll() {
            netpoll.notify();
        }
    }

    pub(super) fn count_network_poll(&self, ready: usize) {
        self.counters.network_polls.fetch_add(1, Ordering::Relaxed);
        if ready != 0 {
            self.counters
                .network_ready
                .fetch_add(ready as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn network_polls(&self) -> u64 {
        self.counters.network_polls.load(Ordering::Relaxed)
    }
}

/// What the runtime has brought.
impl Shared {
    pub(super) fn keep_alive(&self) -> Duration {
        let leased = self.services.leased.lock();
        let settings = leased.settings.as_ref();
        settings.map_or(Duration::ZERO, |settings| settings.thread_keep_alive)
    }

    pub(super) fn settings(&self) -> io::Result<Arc<Settings>> {
        let settings = self.services.leased.lock().settings.clone();
        settings.ok_or_else(|| io::Error::other("the runtime has ended"))
    }

    pub(super) fn netpoll(&self) -> Option<Netpoll> {
        self.services.leased.lock().netpoll.clone()
    }

    pub(super) fn blocking(&self) -> Option<Arc<Pool<BlockingJob>>> {
        self.services.leased.lock().blocking.clone()
    }

    /// The reactor that I/O registers with. `None` once the runtime has ended.
    #[cfg(feature = "net")]
    pub(crate) fn reactor(&self) -> Option<Arc<crate::reactor::Reactor>> {
        self.netpoll().map(|netpoll| netpoll.reactor().clone())
    }

    /// Lets go of what the ended runtime has used; the network's descriptors close with their last
    /// socket.
    pub(super) fn forget_leased(&'static self) {
        let leased = std::mem::take(&mut *self.services.leased.lock());
        drop(leased);
        self.observer.forget(self);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}
