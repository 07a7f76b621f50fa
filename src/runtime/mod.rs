//! The runtime, as a user holds it.
//!
//! A [`Runtime`] owns its threads and ends them when it is dropped; a [`Handle`] spawns onto it
//! from any thread. Most programs need neither: the functions at the crate root use a process-wide
//! default runtime.
//! Where the target has no threads, as on WebAssembly, tasks run while a `block_on` waits, on its
//! thread: `docs/wasm.md` says what works.
//!
//! # What it tells
//!
//! You need no special build, and a report that is off costs nothing that can be measured.
//!
//! | question | answer |
//! |---|---|
//! | Which poll occupies a thread? | a line on standard error after 100 ms ([`Builder::stall_threshold`]), or [`Builder::on_stall`] |
//! | Is it a deadlock? | in debug builds a line on standard error; [`Builder::on_deadlock`] |
//! | Does the kernel throttle it? | [`RuntimeMetrics::cpu_throttled_count`]; a line on standard error if that costs a tenth of the time |
//! | How busy is it? | [`Handle::metrics`]; with [`Builder::histograms`] how long polls take and tasks wait for a processor |
//! | What are the tasks doing? | [`Handle::dump_tasks`]; with [`Builder::task_details`] for how long, and how often they were polled |
//! | Where does each task wait? | [`Handle::dump_stacks`], and SIGQUIT with `EXECUTOR_DEBUG=sigquit=1`: the chain of `.await`s; with [`Builder::record_stacks`] at all times, also by `dump_tasks` |
//! | What happened when? | [`trace`](crate::trace): a timeline from now on, of a whole run, or of the seconds before a failure |
//! | What was left at the end? | [`Runtime::shutdown_timeout`] |
//!
//! Messages on standard error delay no thread, even if it is closed, or full and never read. The
//! runtime then drops messages, and writes their number once standard error accepts some again.
//!
//! # Environment
//!
//! | variable | what it does |
//! |---|---|
//! | `EXECUTOR_WORKER_THREADS` | the number of processors, where [`Builder::worker_threads`] does not set it; without both it [follows the CPUs](Builder::follow_cpu_quota) |
//! | `EXECUTOR_TRACE=file.json` | writes a timeline |
//! | `EXECUTOR_FLIGHT_RECORDER=file.json` | writes one when something goes wrong, and `file.tasks.txt` |
//! | `EXECUTOR_DEBUG` | a list of switches, as in `histograms=1,tasks=1` |
//!
//! | switch | what it does |
//! |---|---|
//! | `stall=0` | no line for a poll that occupies its thread, and none for a process that the kernel throttles |
//! | `deadlock=1`, `deadlock=0`, `deadlock=panic` | whether the runtime looks for deadlocks, and makes `block_on` panic |
//! | `histograms=1` | measures how long polls take and tasks wait |
//! | `tasks=1` | records since when each task does what it does |
//! | `stacks=1` | records where tasks wait, at all times |
//! | `schedtrace=1000`, `scheddetail=1` | prints the scheduler's state each 1000 ms, in the format of Go's `GODEBUG` |
//! | `sigquit=1` | SIGQUIT prints the tasks of all runtimes of the process, which goes on; on unix, with the feature `stacks` |
//! | `retake=0` | leaves stuck tasks their processors, to see what that costs |
//! | `topology=0` | does not mind which CPUs share a cache, to see what that gives |
//!
//! # Processes
//!
//! Every descriptor is opened with close-on-exec: a program that the process starts inherits none.
//!
//! A child made by `fork` without `exec` has one thread, so nothing of the runtimes that it
//! inherits runs in it. The crate notices this:
//!
//! * Spawning on an inherited runtime, `block_on` on it, and its metrics panic with a message that
//!   says so; so does a `block_on` inside which the process forked, if it has to wait. Registering
//!   a socket with an inherited runtime, or waiting on one, is an error.
//! * Dropping an inherited runtime, or its sockets, timers and handles, neither waits nor disturbs
//!   the parent; the memory is leaked.
//! * Outside any runtime all functions work: the child gets a default runtime of its own, and
//!   [`Builder`] makes others.
//! * A child forked in a task or a blocking job must call `exec` or `_exit` there. If it returns
//!   into the runtime it is aborted, since the tasks that it would continue belong to its parent.
//!
//! Two cases remain, which the crate cannot mend. A Rust thread that starts or ends holds a lock of
//! the standard library for a moment; if another thread forks at that moment, the child can start
//! no thread. And the crate does not notice the child of a bare `clone` system call.
//! `std::process::Command` is safe anywhere.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::observe::recording::Recording;
use crate::observe::{dump, shutdown_report, stack_dump};
use crate::scheduler::{Lease, Shared, enter_blocking};
use crate::sync::{Arc, Mutex};
use crate::tasks::large::boxing;
use crate::tasks::{JoinHandle, Priority, SpawnsAs};

pub(crate) mod block_on;
mod builder;
pub(crate) mod context;
mod debug;
mod foreign;
mod fork;
pub(crate) mod local_set;
mod resize;
mod signal;
mod single_thread;
pub(crate) mod spawn;
pub(crate) mod task_queue;
#[cfg(test)]
mod tests;
mod usable;

pub use builder::Builder;
pub use context::{EnterGuard, NoRuntime, worker_index};
pub use local_set::spawn_local;
#[cfg(feature = "futures-task")]
pub(crate) use local_set::{in_block_on, try_spawn_local};

#[cfg(feature = "tokio-compat")]
pub(crate) use foreign::Foreign;

pub use crate::observe::{
    BlockOnInfo, Frame, Futurelock, Histogram, OnDeadlock, RuntimeMetrics, ShutdownReport,
    StallReport, TaskDump, TaskGroup, TaskInfo, TaskMeta, TaskStack, TaskState,
};

/// A runtime that the program owns.
///
/// Dropping it cancels every task, drops each future exactly once, and waits for the workers and
/// for blocking jobs that have begun.
///
/// If the drop would wait for itself, the runtime shuts down in the background instead: when it is
/// dropped inside one of its own tasks or jobs, or inside a task of another runtime that is itself
/// being dropped by a task of this one, and so on round a circle of any length. The last drop of
/// the circle is the one that does not wait. Dropped inside a task of another runtime in any other
/// case, it waits, and another thread takes over that task's processor meanwhile.
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
    /// Whether the drop does not wait.
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

    /// Like [`executor::block_on`](crate::block_on), on this runtime.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let handle = self.handle.clone();
        boxing!(on_stack F, future => block_on::block_on_in(handle, future, size_of::<F>()))
    }

    /// Like [`executor::spawn`](crate::spawn), on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = self.handle.shared();
        boxing!(F, future => spawn::spawn_on(shared, future, size_of::<F>()))
    }

    /// Like [`executor::spawn_blocking`](crate::spawn_blocking), on this runtime.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = self.handle.shared();
        boxing!(closure F, f => spawn::spawn_blocking_on(shared, f, size_of::<F>()))
    }

    /// Like [`Handle::metrics`].
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts down as a drop does, but waits at most for `timeout`, and reports how the tasks ended.
    ///
    /// A poll or a blocking job that still runs then goes on until it returns, and its thread ends
    /// after it. The report names it. If a drop would not wait, since it would wait for itself,
    /// this does not wait either.
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
        if shared.has_lost_its_threads() {
            return ShutdownReport::default();
        }
        let before = shutdown_report::count_endings(shared);
        single_thread::close(&self.handle);
        shared.wait_ended(Some(timeout));
        self.end_recording();
        shutdown_report::shutdown_report(shared, before)
    }

    /// Shuts down without waiting.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let shared = self.handle.shared();
        if shared.has_lost_its_threads() {
            // There are none to wait for. Locks that they held are never released.
            return;
        }
        single_thread::close(&self.handle);
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
/// A handle does not keep its runtime running. After the runtime has shut down, a spawned task
/// resolves to a cancelled [`JoinError`](crate::JoinError).
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
    /// The class of what it spawns. `None`: inherited.
    class: Option<Priority>,
}

impl Handle {
    fn new(lease: Arc<Lease>, foreign: foreign::Foreign) -> Handle {
        let class = None;
        Handle {
            lease,
            foreign,
            class,
        }
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

    /// The handle of the runtime that this thread is in: through a task, a blocking job, a
    /// `block_on` or an entered handle.
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

    /// The handle of the runtime that this thread is in.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`] outside any.
    pub fn try_current() -> Result<Handle, NoRuntime> {
        context::current_handle().ok_or(NoRuntime(()))
    }

    /// Like [`executor::block_on`](crate::block_on), on this runtime.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let handle = self.clone();
        boxing!(on_stack F, future => block_on::block_on_in(handle, future, size_of::<F>()))
    }

    /// Like [`executor::spawn`](crate::spawn), on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = self.shared();
        let _class = self.class.map(SpawnsAs::class);
        boxing!(F, future => spawn::spawn_on(shared, future, size_of::<F>()))
    }

    /// Like [`executor::spawn_blocking`](crate::spawn_blocking), on this runtime.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = self.shared();
        let _class = self.class.map(SpawnsAs::class);
        boxing!(closure F, f => spawn::spawn_blocking_on(shared, f, size_of::<F>()))
    }

    /// A handle to the same runtime, whose tasks have this class: for libraries that take a handle, or
    /// spawn while it is [entered](Handle::enter). Other handles, as those of [`Handle::current`],
    /// have no class: their tasks inherit that of the task that spawns them.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::task::{self, Priority};
    ///
    /// let runtime = executor::Builder::new().build()?;
    /// let background = runtime.handle().with_priority(Priority::Background);
    /// let seen = background.spawn(async { task::priority() });
    /// assert_eq!(runtime.block_on(seen).unwrap(), Priority::Background);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_priority(&self, priority: Priority) -> Handle {
        let class = Some(priority);
        Handle {
            class,
            ..self.clone()
        }
    }

    /// Enters the runtime on this thread. Until the guard is dropped, free functions such as
    /// [`executor::spawn`](crate::spawn) act on it, and give a [class](Handle::with_priority) that it
    /// has, in a task until that poll ends.
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

    /// What the live tasks of this runtime are doing at this moment.
    ///
    /// Lists the tasks that have waited or are being polled, and the blocking jobs that run, with
    /// id, name, spawn location and state. To list all tasks, with age, polls and time, set
    /// [`Builder::task_details`]. It takes about 50 ns per task, 20 µs for each one
    /// whose thread is blocked, and a tenth of a millisecond. While [`Builder::record_stacks`] is 1,
    /// it also looks up the symbols of futures that were woken and are not polled, once for each
    /// place: see [`TaskStack::frames`] for what that takes.
    ///
    /// # Panics
    ///
    /// In a child made by `fork`, where the runtime has no threads.
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

    /// What the live tasks of this runtime are doing, and where those wait that do: as
    /// [`dump_tasks`](Handle::dump_tasks), with [`TaskInfo::stacks`].
    ///
    /// Each task that waits is polled once more, by the workers, to learn where it waits. So this
    /// takes some 10 µs of a CPU per task, and ends after `within` even if not all tasks were
    /// reached: [`TaskDump::num_unreached`]. A task that finishes, panics or blocks in that poll
    /// does what it would have done anyway; no wake-up is lost.
    ///
    /// [Task details](Builder::task_details) do not count these polls, and go on to say since when
    /// a task waits that still waits afterwards. [`metrics`](Handle::metrics), the timeline and the
    /// hooks for polls count them as any others.
    ///
    /// A task that waits for several futures at once has a stack for each. What cannot be seen are
    /// futures that another one polls for itself: the children of a `FuturesUnordered`. Tasks and
    /// jobs that have their threads blocked show the calls that led there, on Linux on x86-64; their
    /// threads are not disturbed. Tasks that are running have no stack.
    ///
    /// `Display` of the dump shows tasks that wait at the same place as one [`TaskGroup`].
    ///
    /// Without the feature `stacks`, which is on by default, no task is polled and no stack
    /// captured.
    ///
    /// Blocks the thread. On a worker it gives the processor away first, as [`block_on`](Self::block_on)
    /// does.
    ///
    /// # Panics
    ///
    /// In a child made by `fork`, where the runtime has no threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// async fn forever() {
    ///     std::future::pending().await
    /// }
    ///
    /// let runtime = executor::Builder::new().build()?;
    /// runtime.spawn(async { forever().await });
    /// let dump = runtime.handle().dump_stacks(Duration::from_secs(1));
    /// println!("{dump}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn dump_stacks(&self, within: Duration) -> TaskDump {
        self.shared().assert_not_forked();
        let _blocking = enter_blocking();
        stack_dump::dump_stacks(self.shared(), within)
    }

    /// Figures about this runtime at this moment.
    ///
    /// On Linux, at most once a second, the calling thread reads some small files for it: how often
    /// the kernel has throttled the process.
    ///
    /// # Panics
    ///
    /// In a child made by `fork`, where the runtime has no threads.
    ///
    /// # Examples
    ///
    /// ```
    /// let handle = executor::block_on(async { executor::Handle::current() });
    /// assert!(handle.metrics().worker_threads() >= 1);
    /// ```
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
