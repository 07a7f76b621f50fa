//! What all handles of a runtime share.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;

use executor::task::TaskSpawner;

use super::id::Id;
#[cfg(feature = "test-util")]
use crate::time::clock::Clock;

/// A closure of the user's.
pub(super) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What is called around the waits of threads that run tasks.
#[derive(Clone, Default)]
pub(super) struct ParkHooks {
    pub(super) park: Option<Hook>,
    pub(super) unpark: Option<Hook>,
}

/// What the builder gives a runtime.
pub(super) struct Settings {
    pub(super) tasks: Tasks,
    pub(super) name: Option<String>,
    pub(super) io: bool,
    pub(super) time: bool,
    pub(super) park_hooks: ParkHooks,
    #[cfg(feature = "test-util")]
    pub(super) clock: Option<Arc<Clock>>,
}

/// All runtimes, by their numbers. Changed when one is made or has gone.
static RUNTIMES: Mutex<BTreeMap<NonZeroU64, Weak<Shared>>> = Mutex::new(BTreeMap::new());

fn runtimes() -> MutexGuard<'static, BTreeMap<NonZeroU64, Weak<Shared>>> {
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle to a runtime.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What all handles of a runtime share.
pub(crate) struct Shared {
    pub(crate) tasks: Tasks,
    pub(crate) id: Id,
    pub(crate) name: Option<String>,
    pub(crate) io: bool,
    pub(crate) time: bool,
    /// For a runtime for one thread; the workers of others have theirs.
    pub(super) park_hooks: ParkHooks,
    /// For a runtime for one thread.
    #[cfg(feature = "test-util")]
    pub(crate) clock: Option<Arc<Clock>>,
    /// Whether its owner has begun to shut it down.
    is_closed: AtomicBool,
    /// Set by whoever needs it first: the builder, or a thread of the executor that has started
    /// before the builder has got the executor.
    pub(crate) executor: OnceLock<executor::Handle>,
}

/// Where the tasks run.
pub(crate) enum Tasks {
    /// On the processors of the executor.
    Workers,
    /// In the `block_on` of a runtime for one thread.
    BlockOn(TaskSpawner),
    /// Likewise, and always on the thread with this number.
    Local(TaskSpawner, ThreadId),
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Arc<Shared> {
        let shared = Arc::new(Shared {
            tasks: settings.tasks,
            id: Id::next(),
            name: settings.name,
            io: settings.io,
            time: settings.time,
            park_hooks: settings.park_hooks,
            #[cfg(feature = "test-util")]
            clock: settings.clock,
            is_closed: AtomicBool::new(false),
            executor: OnceLock::new(),
        });
        runtimes().insert(shared.id.number(), Arc::downgrade(&shared));
        shared
    }

    /// Whether the runtime shuts down, or has shut down.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: what its owner has written before is seen. Whoever waits for something of the
        // runtime is woken after the store, and sees it by that.
        self.is_closed.load(Ordering::Acquire)
    }

    /// Before the runtime's tasks are ended.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    pub(crate) fn executor(&self) -> &executor::Handle {
        self.executor.get_or_init(executor::Handle::current)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        runtimes().remove(&self.id.number());
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// The runtime with this number, if anybody has a handle to it.
    pub(crate) fn find(id: Id) -> Option<Handle> {
        // Not upgraded under the lock: the handle may turn out to be the last.
        let weak = runtimes().get(&id.number()).cloned();
        Some(Handle::new(weak?.upgrade()?))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
