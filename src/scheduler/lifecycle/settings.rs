//! What a runtime's builder has set, and what a runtime and its scheduler hold of each other.

use std::fmt;
use std::time::Duration;

use super::blocking_job::BlockingJob;
use crate::blocking::Pool;
use crate::scheduler::Shared;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::placement::Placement;
use crate::sync::{Arc, Weak};
use crate::tasks::catch_panic;

/// Calls what it is given inside the context of the runtime (a [`Lease`]), with the user's hooks
/// around it.
pub(crate) type ThreadWrapper = Box<dyn Fn(&Arc<Lease>, &mut dyn FnMut()) + Send + Sync>;

/// A closure of the user's that names threads.
pub(crate) type NameThread = Arc<dyn Fn() -> String + Send + Sync>;

/// A closure of the user's.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What is called around the waits of workers.
#[derive(Clone, Default)]
pub(crate) struct ParkHooks {
    pub(crate) park: Option<Hook>,
    pub(crate) unpark: Option<Hook>,
}

impl fmt::Debug for ParkHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkHooks")
            .field("park", &self.park.is_some())
            .field("unpark", &self.unpark.is_some())
            .finish()
    }
}

impl ParkHooks {
    /// `None` if there is none.
    pub(crate) fn given(self) -> Option<Arc<ParkHooks>> {
        (self.park.is_some() || self.unpark.is_some()).then(|| Arc::new(self))
    }
}

/// What a runtime's builder has set.
pub(crate) struct Settings {
    pub(crate) worker_threads: usize,
    /// How many processors there may be: see [`super::resize`].
    pub(crate) max_worker_threads: usize,
    pub(crate) max_threads: usize,
    pub(crate) max_blocking_threads: usize,
    pub(crate) thread_keep_alive: Duration,
    pub(crate) thread_name: String,
    pub(crate) name_thread: Option<NameThread>,
    pub(crate) thread_stack_size: Option<usize>,
    pub(crate) wrap_thread: ThreadWrapper,
    /// A hook of the user's is among what `wrap_thread` calls first.
    pub(crate) has_start_hook: bool,
    /// Nothing if the user has set none.
    pub(crate) park_hooks: Option<Arc<ParkHooks>>,
    /// What keeps its thread for so long is reported.
    pub(crate) stall_threshold: Duration,
    /// Where random choices begin. `None`: anywhere.
    pub(crate) seed: Option<u64>,
    /// Whether the monitor takes processors from stuck workers.
    pub(crate) retakes: bool,
    /// Polls of class `Background` that go on at once. `None`: as many as leave one processor to
    /// the others.
    pub(crate) background_limit: Option<usize>,
    /// Where threads run; flat if it is `None`. The scheduler that is opened takes it.
    pub(crate) placement: Option<Placement>,
}

impl Settings {
    /// How many processors may be wanted: each needs a thread.
    pub(crate) fn most_processors(&self) -> usize {
        self.max_worker_threads.min(self.max_threads)
    }

    /// Whether the user's code runs before a thread that is started begins with its work.
    pub(crate) fn calls_user_at_start(&self) -> bool {
        self.has_start_hook || self.name_thread.is_some()
    }

    /// The name of a thread that is about to start.
    pub(crate) fn next_thread_name(&self) -> String {
        let mut name = None;
        if let Some(hook) = &self.name_thread {
            catch_panic(|| name = Some(hook().replace('\0', "")));
        }
        name.unwrap_or_else(|| self.thread_name.clone())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("worker_threads", &self.worker_threads)
            .field("max_worker_threads", &self.max_worker_threads)
            .field("max_threads", &self.max_threads)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("thread_keep_alive", &self.thread_keep_alive)
            .field("thread_name", &self.thread_name)
            .field("thread_stack_size", &self.thread_stack_size)
            .field("stall_threshold", &self.stall_threshold)
            .field("seed", &self.seed)
            .field("retakes", &self.retakes)
            .field("background_limit", &self.background_limit)
            .finish_non_exhaustive()
    }
}

/// Keeps a scheduler from being given to another runtime: see [`crate::scheduler::lifecycle`].
pub(crate) struct Lease {
    pub(crate) shared: &'static Shared,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// What a scheduler holds of the runtime that uses it; nothing when that has ended.
#[derive(Default)]
pub(in crate::scheduler) struct Leased {
    pub(in crate::scheduler) lease: Weak<Lease>,
    pub(in crate::scheduler) settings: Option<Arc<Settings>>,
    pub(in crate::scheduler) netpoll: Option<Netpoll>,
    pub(in crate::scheduler) blocking: Option<Arc<Pool<BlockingJob>>>,
}

impl fmt::Debug for Leased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leased").finish_non_exhaustive()
    }
}
