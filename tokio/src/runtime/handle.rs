//! What handles do.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::current_thread::outside_turn;
use super::id::Id;
use super::metrics::RuntimeMetrics;
use super::shared::{Handle, ParkHooks, Settings, Shared, Tasks};
use crate::context::{self, TryCurrentError};
use crate::coop::Budgeted;
use crate::task::join::JoinHandle;

impl Handle {
    /// Of a runtime that was not built here.
    pub(crate) fn adopt(executor: executor::Handle) -> Handle {
        let shared = Shared::new(Settings {
            tasks: Tasks::Workers,
            name: None,
            io: true,
            time: true,
            park_hooks: ParkHooks::default(),
            #[cfg(feature = "test-util")]
            clock: None,
        });
        shared.executor.get_or_init(|| executor);
        Handle::new(shared)
    }

    /// Enters the runtime on this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _ours: context::enter(self.clone()),
            _executor: self.shared().executor().enter(),
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
        JoinHandle::new(match &self.shared().tasks {
            Tasks::Workers => self.shared().executor().spawn(future),
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
        if let Some(clock) = &self.shared().clock {
            let hold = clock.hold();
            return JoinHandle::new(self.shared().executor().spawn_blocking(move || {
                let _hold = hold;
                f()
            }));
        }
        JoinHandle::new(self.shared().executor().spawn_blocking(f))
    }

    /// Runs a future on this thread, in this runtime, until it is complete.
    ///
    /// Unlike in the real tokio, a thread of a runtime may call it too. In a runtime for one thread
    /// it runs no tasks and drives nothing: [`Runtime::block_on`](super::Runtime::block_on) does.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = context::enter(self.clone());
        let _outside = outside_turn();
        self.shared().executor().block_on(Budgeted::new(future))
    }

    /// Which kind of runtime it is.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.shared().tasks {
            Tasks::Workers => RuntimeFlavor::MultiThread,
            Tasks::BlockOn(_) | Tasks::Local(..) => RuntimeFlavor::CurrentThread,
        }
    }

    /// The number of the runtime.
    pub fn id(&self) -> Id {
        self.shared().id
    }

    /// The name that the builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.shared().name.as_deref()
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

/// The kinds of runtimes.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// Tasks run in `block_on`.
    CurrentThread,
    /// Tasks run on processors.
    MultiThread,
}
