//! Runtimes that stay on their thread, so that their tasks need not be `Send`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use executor::task::{LocalTaskQueue, TaskSpawner};

use super::drivers::Drivers;
use super::handle::EnterGuard;
use super::id::Id;
use super::metrics::RuntimeMetrics;
use super::shared::Handle;
use crate::context;
use crate::coop::Budgeted;
use crate::simulated::{self, Place};
use crate::task::join::JoinHandle;

std::thread_local! {
    /// The queues of this thread's local runtimes, by the runtimes' numbers.
    static QUEUES: RefCell<HashMap<Id, Weak<LocalTaskQueue>>> = RefCell::new(HashMap::new());
}

/// The queues of a simulated thread.
#[derive(Default)]
pub(super) struct Kept(HashMap<Id, Weak<LocalTaskQueue>>);

impl simulated::Kept for Kept {
    const PLACE: Place = Place::LocalRuntimes;

    fn exchange(&mut self) {
        let _ = QUEUES.try_with(|queues| mem::swap(&mut *queues.borrow_mut(), &mut self.0));
    }
}

/// The queue of the local runtime with this number, on its own thread.
pub(crate) fn local_queue(id: Id) -> Option<Rc<LocalTaskQueue>> {
    QUEUES
        .try_with(|queues| queues.borrow().get(&id).and_then(Weak::upgrade))
        .ok()
        .flatten()
}

/// A runtime that stays on its thread: [`spawn_local`](crate::task::spawn_local) works in it.
pub struct LocalRuntime {
    queue: Rc<LocalTaskQueue>,
    drivers: Arc<Drivers>,
    /// `None` only while it is shut down.
    executor: Option<executor::Runtime>,
    handle: Handle,
}

impl LocalRuntime {
    pub(super) fn build(
        build: impl FnOnce(TaskSpawner, &Arc<Drivers>) -> io::Result<(executor::Runtime, Handle)>,
    ) -> io::Result<LocalRuntime> {
        let drivers = Arc::new(Drivers::default());
        let notified = drivers.clone();
        let queue = Rc::new(LocalTaskQueue::new(move || notified.notify()));
        let (executor, handle) = build(queue.spawner(), &drivers)?;
        QUEUES.with(|queues| {
            queues
                .borrow_mut()
                .insert(handle.id(), Rc::downgrade(&queue))
        });
        Ok(LocalRuntime {
            queue,
            drivers,
            executor: Some(executor),
            handle,
        })
    }

    /// The runtime's handle. What it spawns runs here, too.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task that need not be `Send` onto the runtime.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        JoinHandle::new(self.queue.spawn_local(Budgeted::new(future)))
    }

    /// Runs a closure that may block, on a thread for such closures.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, func: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(func)
    }

    /// Runs a future on this thread until it is complete, and the tasks meanwhile.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = context::enter(self.handle.clone());
        let shared = self.handle.shared();
        let drive = self.drivers.drive(&*self.queue, shared, future);
        shared.executor().block_on(drive)
    }

    /// Enters the runtime on this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Cancels every task, and waits for at most `duration` until all have ended.
    pub fn shutdown_timeout(mut self, duration: Duration) {
        self.close();
        if let Some(executor) = self.executor.take() {
            drop(executor.shutdown_timeout(duration));
        }
    }

    /// Cancels every task, and does not wait.
    pub fn shutdown_background(mut self) {
        self.close();
        if let Some(executor) = self.executor.take() {
            executor.shutdown_background();
        }
    }

    /// Figures about the runtime.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    fn close(&self) {
        let shared = self.handle.shared();
        shared.close();
        let _entered = context::enter(self.handle.clone());
        self.queue.close();
        #[cfg(feature = "test-util")]
        if let Some(clock) = &shared.clock {
            clock.close();
        }
        let _ = QUEUES.try_with(|queues| queues.borrow_mut().remove(&self.handle.id()));
    }
}

impl Drop for LocalRuntime {
    fn drop(&mut self) {
        self.close();
    }
}

// As for `Runtime`.
impl UnwindSafe for LocalRuntime {}
impl RefUnwindSafe for LocalRuntime {}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
