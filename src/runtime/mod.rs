//! The runtime: what a user holds.
//!
//! A [`Runtime`] owns its threads and ends them when it is dropped; a [`Handle`] spawns onto it from anywhere. Most
//! programs need neither: the functions at the crate root use a process-wide default runtime.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::clock;
use crate::observe::dump;
use crate::observe::recording::Recording;
use crate::scheduler::{Lease, Shared};
use crate::sync::{Arc, Mutex};
use crate::tasks::JoinHandle;
use crate::tasks::large::boxing;

pub(crate) mod block_on;
mod builder;
pub(crate) mod context;
mod debug;
mod foreign;
mod fork;
mod local_set;
mod signal;
pub(crate) mod spawn;
#[cfg(test)]
mod tests;

pub use builder::Builder;
pub use context::EnterGuard;
pub use local_set::spawn_local;
#[cfg(feature = "futures-task")]
pub(crate) use local_set::{in_block_on, try_spawn_local};

#[cfg(feature = "tokio-compat")]
pub(crate) use foreign::Foreign;

pub use crate::observe::{
    Histogram, OnDeadlock, RuntimeMetrics, ShutdownReport, StallReport, TaskDump, TaskInfo,
    TaskMeta, TaskState,
};

/// A runtime of one's own.
///
/// Dropping it cancels every task, each future being dropped exactly once, and waits for the workers and for blocking
/// jobs that have begun. Where that would be waiting for itself it shuts down in the background instead: dropped inside one of
/// its own tasks or jobs, or inside one of another runtime that is being dropped by one of this runtime's, round a circle of
/// any length. The last drop of the circle is the one that does not wait. Dropped inside a task of another runtime otherwise,
/// it waits, and that task's processor goes to another thread meanwhile.
///
/// # Examples
///
/// ```
/// let runtime = executor::runtime::Builder::new().worker_threads(1).build()?;
/// let handle = runtime.spawn(async { "done" });
/// assert_eq!(runtime.block_on(handle).unwrap(), "done");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping a runtime cancels its tasks"]
pub struct Runtime {
    handle: Handle,
    /// The drop does not wait.
    background: bool,
    /// The timeline, if one is to be written at the end.
    recording: Mutex<Option<Recording>>,
}

impl Runtime {
    fn new(handle: Handle, recording: Option<Recording>) -> Runtime {
        Runtime {
            handle,
            background: false,
            recording: Mutex::new(recording),
        }
    }

    /// Writes the timeline, if one is to be written.
    fn end_recording(&self) {
        let recording = self.recording.lock().take();
        if let Some(recording) = recording {
            recording.end(self.handle.shared());
        }
    }

    /// Whether a timeline is to be written.
    fn has_recording(&self) -> bool {
        self.recording.lock().is_some()
    }

    /// A handle to this runtime; clone it to keep it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As [`executor::block_on`](crate::block_on), on this runtime.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let handle = self.handle.clone();
        boxing!(on_stack F, future => block_on::block_on_in(handle, future, size_of::<F>()))
    }

    /// As [`executor::spawn`](crate::spawn), on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = self.handle.shared();
        boxing!(F, future => spawn::spawn_on(shared, future, size_of::<F>()))
    }

    /// As [`executor::spawn_blocking`](crate::spawn_blocking), on this runtime.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = self.handle.shared();
        boxing!(closure F, f => spawn::spawn_blocking_on(shared, f, size_of::<F>()))
    }

    /// Figures about this runtime, as of now.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts down as dropping does, but waits no longer than `timeout`, and says what became of the tasks.
    ///
    /// A poll or a blocking job that is still running then goes on until it returns; its thread ends after it. The report names
    /// it. Where dropping would not wait, since it would be waiting for itself, this does not either.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = executor::runtime::Builder::new().build()?;
    /// runtime.spawn(std::future::pending::<()>());
    /// let report = runtime.shutdown_timeout(Duration::from_secs(10));
    /// assert!(report.is_complete());
    /// assert_eq!(report.cancelled(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> ShutdownReport {
        self.background = true;
        let shared = self.handle.shared();
        if shared.in_forked_child() {
            return ShutdownReport::default();
        }
        let before = dump::count_endings(shared);
        shared.close();
        // `None`: beyond what the clock can express.
        shared.wait_ended(clock::now().checked_add(timeout));
        self.end_recording();
        dump::shutdown_report(shared, before)
    }

    /// Shuts down without waiting.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let shared = self.handle.shared();
        if shared.in_forked_child() {
            // There are no threads to wait for, and what they held is theirs for ever.
            return;
        }
        shared.close();
        if !self.background {
            shared.wait_ended(None);
        }
        self.end_recording();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("handle", &self.handle)
            .finish()
    }
}

/// Spawns onto a runtime, from any thread. Cheap to clone.
///
/// A handle does not keep its runtime running: once that has shut down, what is spawned resolves to a cancelled
/// [`JoinError`](crate::JoinError).
///
/// # Examples
///
/// ```
/// let handle = executor::block_on(async { executor::Handle::current() });
/// let joined = std::thread::spawn(move || handle.block_on(handle.spawn(async { 5 })));
/// assert_eq!(joined.join().unwrap().unwrap(), 5);
/// ```
#[derive(Clone)]
pub struct Handle {
    lease: Arc<Lease>,
    foreign: foreign::Foreign,
}

impl Handle {
    fn new(lease: Arc<Lease>, foreign: foreign::Foreign) -> Handle {
        Handle { lease, foreign }
    }

    /// Whether the runtime has shut down, or is about to.
    #[cfg(feature = "futures-task")]
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shared().is_closed()
    }

    #[inline]
    pub(crate) fn shared(&self) -> &'static Shared {
        self.lease.shared()
    }

    /// The handle of the runtime this thread is in: a task, a blocking job, a `block_on`, an entered handle.
    ///
    /// # Panics
    ///
    /// Outside any. [`Handle::try_current`] does not panic.
    #[track_caller]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("Handle::current: {error}"),
        }
    }

    /// The handle of the runtime this thread is in.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`] outside any.
    pub fn try_current() -> Result<Handle, NoRuntime> {
        context::current_handle().ok_or(NoRuntime(()))
    }

    /// As [`executor::block_on`](crate::block_on), on this runtime.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let handle = self.clone();
        boxing!(on_stack F, future => block_on::block_on_in(handle, future, size_of::<F>()))
    }

    /// As [`executor::spawn`](crate::spawn), on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = self.shared();
        boxing!(F, future => spawn::spawn_on(shared, future, size_of::<F>()))
    }

    /// As [`executor::spawn_blocking`](crate::spawn_blocking), on this runtime.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = self.shared();
        boxing!(closure F, f => spawn::spawn_blocking_on(shared, f, size_of::<F>()))
    }

    /// Enters the runtime on this thread: until the guard is dropped, free functions such as
    /// [`executor::spawn`](crate::spawn) act on it.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().worker_threads(1).build()?;
    /// let _guard = runtime.handle().enter();
    /// let _ = executor::spawn(async {});
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(self)
    }

    /// What the live tasks of this runtime are doing, as of now.
    ///
    /// Tasks that have waited, or are being polled, are listed with their id, name, spawn location and state; blocking jobs that
    /// run, too. For all of them, and with their age, polls and time: [`Builder::task_details`]. It takes about 50 ns per
    /// task, and a tenth of a millisecond.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().task_details(true).build()?;
    /// runtime.spawn(std::future::pending::<()>());
    /// let dump = runtime.handle().dump_tasks();
    /// assert_eq!(dump.tasks().len(), 1);
    /// println!("{dump}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn dump_tasks(&self) -> TaskDump {
        self.shared().assert_not_forked();
        dump::dump_tasks(self.shared())
    }

    /// Figures about this runtime, as of now.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.shared().assert_not_forked();
        RuntimeMetrics::of(self.shared())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("num_workers", &self.shared().num_processors())
            .field("shut_down", &self.shared().is_closed())
            .finish_non_exhaustive()
    }
}

/// The calling thread is in no runtime.
#[derive(Debug)]
pub struct NoRuntime(());

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the calling thread is in no runtime: no task, no block_on, no entered handle")
    }
}

impl std::error::Error for NoRuntime {}
