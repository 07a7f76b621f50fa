//! Handles, and what all handles of a runtime share.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;

use executor::task::TaskSpawner;

use super::{Id, RuntimeFlavor, RuntimeMetrics};
use crate::context::{self, DESTROYED, NO_RUNTIME};
use crate::coop::Budgeted;
use crate::task::JoinHandle;
#[cfg(feature = "test-util")]
use crate::time::Clock;

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

    /// Enters the runtime on this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _ours: context::enter(self.clone()),
            _executor: self.shared.executor().enter(),
            _handle: PhantomData,
        }
    }

    /// The runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> Handle {
        Handle::clone(&context::expect_current())
    }

    /// The runtime that this thread is in.
    ///
    /// # Errors
    ///
    /// Outside a runtime.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        context::current().map(|handle| Handle::clone(&handle))
    }

    /// Spawns a task onto the runtime.
    #[track_caller]
    #[inline]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = Budgeted::new(future);
        JoinHandle::new(match &self.shared.tasks {
            Tasks::Workers => self.shared.executor().spawn(future),
            Tasks::BlockOn(spawner) | Tasks::Local(spawner, _) => spawner.spawn(future),
        })
    }

    /// Runs a closure that may block, on a thread for such closures.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        #[cfg(feature = "test-util")]
        if let Some(clock) = &self.shared.clock {
            let hold = clock.hold();
            return JoinHandle::new(self.shared.executor().spawn_blocking(move || {
                let _hold = hold;
                f()
            }));
        }
        JoinHandle::new(self.shared.executor().spawn_blocking(f))
    }

    /// Runs a future on this thread, in this runtime, until it is complete.
    ///
    /// Unlike in the real tokio, a thread of a runtime may call it too. In a runtime for one thread
    /// it runs no tasks and drives nothing: [`Runtime::block_on`](super::Runtime::block_on) does.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = context::enter(self.clone());
        self.shared.executor().block_on(Budgeted::new(future))
    }

    /// Which kind of runtime it is.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.shared.tasks {
            Tasks::Workers => RuntimeFlavor::MultiThread,
            Tasks::BlockOn(_) | Tasks::Local(..) => RuntimeFlavor::CurrentThread,
        }
    }

    /// The number of the runtime.
    pub fn id(&self) -> Id {
        self.shared.id
    }

    /// The name that the builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// Figures about the runtime.
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(self.clone())
    }
}

// As for `Runtime`.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

/// Keeps a runtime entered while it exists.
#[derive(Debug)]
#[must_use = "Creating and dropping a guard does nothing"]
pub struct EnterGuard<'a> {
    _ours: context::Entered,
    _executor: executor::runtime::EnterGuard<'a>,
    _handle: PhantomData<&'a Handle>,
}

/// There is no runtime that [`Handle::try_current`] could return.
#[derive(Debug)]
pub struct TryCurrentError {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    NoContext,
    ThreadLocalDestroyed,
}

impl TryCurrentError {
    pub(crate) fn no_context() -> TryCurrentError {
        TryCurrentError {
            kind: Kind::NoContext,
        }
    }

    pub(crate) fn destroyed() -> TryCurrentError {
        TryCurrentError {
            kind: Kind::ThreadLocalDestroyed,
        }
    }

    /// Whether the thread is in no runtime.
    pub fn is_missing_context(&self) -> bool {
        matches!(self.kind, Kind::NoContext)
    }

    /// Whether the thread is ending, and has forgotten its runtime.
    pub fn is_thread_local_destroyed(&self) -> bool {
        matches!(self.kind, Kind::ThreadLocalDestroyed)
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::NoContext => NO_RUNTIME,
            Kind::ThreadLocalDestroyed => DESTROYED,
        })
    }
}

impl Error for TryCurrentError {}
