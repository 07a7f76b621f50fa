//! The runtime, as its owner holds it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::current_thread::{CurrentThread, outside_turn};
use super::handle::EnterGuard;
use super::metrics::RuntimeMetrics;
use super::shared::Handle;
use crate::context;
use crate::coop::Budgeted;
use crate::task::join::JoinHandle;

/// A runtime that the program owns.
///
/// Dropping it cancels every task, and waits for blocking closures that have begun. Unlike the real
/// tokio's, it may be dropped anywhere, also in a task.
pub struct Runtime {
    /// `None` only while it is shut down.
    executor: Option<executor::Runtime>,
    handle: Handle,
    /// For a runtime for one thread.
    current_thread: Option<CurrentThread>,
}

// What a panic may have left behind in a runtime are tasks that have ended by it: each panic is
// caught where a task is polled, and no lock is held meanwhile.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Runtime {
    pub(super) fn new_from(
        executor: executor::Runtime,
        handle: Handle,
        current_thread: Option<CurrentThread>,
    ) -> Runtime {
        Runtime {
            executor: Some(executor),
            handle,
            current_thread,
        }
    }

    /// The runtime's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task onto the runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
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

    /// Runs a future on this thread until it is complete. A runtime for one thread runs its tasks
    /// meanwhile.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = context::enter(self.handle.clone());
        let _outside = outside_turn();
        let executor = self.handle.shared().executor();
        match &self.current_thread {
            Some(driver) => executor.block_on(driver.drive(self.handle.shared(), future)),
            None => executor.block_on(Budgeted::new(future)),
        }
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

    /// Ends the tasks that the executor does not know.
    fn close(&self) {
        let shared = self.handle.shared();
        shared.close();
        if let Some(driver) = &self.current_thread {
            let _entered = context::enter(self.handle.clone());
            driver.close();
            #[cfg(feature = "test-util")]
            if let Some(clock) = &shared.clock {
                clock.close();
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// Whether `err` says that the runtime of a socket or file has shut down.
pub fn is_rt_shutdown_err(err: &io::Error) -> bool {
    err.get_ref()
        .is_some_and(|inner| inner.is::<ShutDown>() || inner.is::<NotBegun>())
}

/// The error of what a runtime that has shut down would have to do.
#[derive(Debug)]
pub(crate) struct ShutDown;

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A Tokio 1.x context was found, but it is being shutdown.")
    }
}

impl Error for ShutDown {}

/// Likewise, of an operation on a file. Its text is that of the real tokio, which does not tell why
/// the operation has not begun.
#[derive(Debug)]
pub(crate) struct NotBegun;

impl fmt::Display for NotBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("background task failed")
    }
}

impl Error for NotBegun {}
