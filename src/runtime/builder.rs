//! The settings of a runtime, checked before anything is started.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::foreign::Foreign;
use super::{Handle, OnDeadlock, Runtime, StallReport, TaskMeta, fork};
use crate::observe::journal::EVENTS;
use crate::observe::recording::{self, FlightRecorder, Recording};
use crate::observe::{self, CpusSource, Hooks};
use crate::scheduler::{Hook, NameThread, ParkHooks};
use crate::sync::Arc;

mod check;
mod follow;
mod limits;
mod wrap_thread;

use wrap_thread::wrap_thread;

/// Default threshold of a stall: people do not notice a shorter one, so it is not reported.
const STALL_THRESHOLD: Duration = Duration::from_millis(100);

type StallHook = Arc<dyn Fn(&StallReport) + Send + Sync>;

/// Builds a [`Runtime`] with custom settings.
///
/// # Examples
///
/// ```
/// let runtime = executor::runtime::Builder::new()
///     .worker_threads(2)
///     .thread_name("mine")
///     .build()?;
/// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    worker_threads: Option<usize>,
    max_worker_threads: Option<usize>,
    follow_cpu_quota: Option<bool>,
    cpus_source: CpusSource,
    max_threads: Option<usize>,
    max_blocking_threads: usize,
    background_limit: Option<usize>,
    thread_keep_alive: Duration,
    thread_name: String,
    name_thread: Option<NameThread>,
    thread_stack_size: Option<usize>,
    pin_workers: bool,
    on_thread_start: Option<Hook>,
    on_thread_stop: Option<Hook>,
    park_hooks: ParkHooks,
    on_stall: Option<StallHook>,
    stall_threshold: Duration,
    hooks: Hooks,
    on_deadlock: Option<OnDeadlock>,
    histograms: Option<bool>,
    task_details: Option<bool>,
    record_stacks: Option<u32>,
    trace_to: Option<PathBuf>,
    flight_recorder: Option<PathBuf>,
    trace_events: usize,
    foreign: Foreign,
}

impl Builder {
    /// The default settings.
    pub fn new() -> Builder {
        Builder {
            worker_threads: None,
            max_worker_threads: None,
            follow_cpu_quota: None,
            cpus_source: CpusSource::default(),
            max_threads: None,
            max_blocking_threads: 512,
            background_limit: None,
            thread_keep_alive: Duration::from_secs(10),
            thread_name: "executor".to_owned(),
            name_thread: None,
            thread_stack_size: None,
            pin_workers: false,
            on_thread_start: None,
            on_thread_stop: None,
            park_hooks: ParkHooks::default(),
            on_stall: None,
            stall_threshold: STALL_THRESHOLD,
            hooks: Hooks::default(),
            on_deadlock: None,
            histograms: None,
            task_details: None,
            record_stacks: None,
            trace_to: None,
            flight_recorder: None,
            trace_events: EVENTS,
            foreign: Foreign::default(),
        }
    }

    /// The number of processors: how many tasks run in parallel.
    ///
    /// Default: the environment variable `EXECUTOR_WORKER_THREADS`, or else the number of CPUs that
    /// the process may use, which the runtime [follows](Builder::follow_cpu_quota).
    /// [`build`](Builder::build) fails if it is zero. Where the target has no threads, as on
    /// WebAssembly, it is 1, and more are refused.
    pub fn worker_threads(mut self, count: usize) -> Builder {
        self.worker_threads = Some(count);
        self
    }

    /// How long a thread beyond the processors stays idle. Default 10 s; zero ends it at once.
    pub fn thread_keep_alive(mut self, duration: Duration) -> Builder {
        self.thread_keep_alive = duration;
        self
    }

    /// The name of all threads of the runtime. Default `executor`. A NUL byte in it is an error.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.thread_name = name.into();
        self
    }

    /// Called for the name of each thread of the runtime. [`thread_name`](Self::thread_name) stays
    /// the name of the runtime in what it writes, and is taken for a thread if `f` panics. NUL bytes
    /// are left out.
    pub fn thread_name_fn<F: Fn() -> String + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.name_thread = Some(Arc::new(f));
        self
    }

    /// The stack size of all threads of the runtime, in bytes. Default: `std`'s. Zero is an error.
    pub fn thread_stack_size(mut self, bytes: usize) -> Builder {
        self.thread_stack_size = Some(bytes);
        self
    }

    /// Whether each worker stays on one CPU while it holds a processor. Default: no; the system moves
    /// threads as it sees fit.
    ///
    /// Processor `i` is pinned to the `i`-th of the CPUs that the calling thread may use, counted
    /// cache by cache: CPUs that share their last-level cache come one after the other. If there are
    /// more processors than CPUs, several share one. A thread has all CPUs again from when it gives
    /// its processor away ([`block_in_place`](crate::block_in_place), `block_on` inside a task) or
    /// loses it to another thread, because its task blocks or computes for long. Threads of
    /// `spawn_blocking` and the monitor's are never pinned.
    ///
    /// It pays where threads of other programs, and of this one, leave these CPUs alone. Where they
    /// do not, a worker waits for its CPU while another one may be idle.
    ///
    /// A thread or process that a task starts begins with the mask of the worker's thread, hence
    /// with one CPU, as everything does that is started from a pinned thread. Start such from
    /// `spawn_blocking` or `block_in_place`, or give it another mask. Threads of this runtime, and of
    /// others that are built in a task, begin with all CPUs.
    ///
    /// On systems other than Linux and Android, and where `/proc` is not mounted, it does nothing;
    /// nor where the system refuses it.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().worker_threads(2).pin_workers(true).build()?;
    /// let task = runtime.spawn(async { executor::runtime::worker_index() });
    /// assert!(runtime.block_on(task)?.is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pin_workers(mut self, pin: bool) -> Builder {
        self.pin_workers = pin;
        self
    }

    /// Called on each thread of the runtime (workers, the monitor, blocking threads) before the
    /// thread does anything else. A panic in `f` is caught and ignored.
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.on_thread_start = Some(Arc::new(f));
        self
    }

    /// Called on each thread of the runtime at its end. A panic in `f` is caught and ignored.
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.on_thread_stop = Some(Arc::new(f));
        self
    }

    /// Called on a worker that has found nothing to do, before it parks. It may spawn and wake: the
    /// worker looks again before it parks. It must not block, since the worker still holds its
    /// processor. A panic in `f` is caught and ignored.
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.park_hooks.park = Some(Arc::new(f));
        self
    }

    /// Called on a worker after each call of [`on_thread_park`](Self::on_thread_park)'s hook, when
    /// the worker goes on. A panic in `f` is caught and ignored.
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.park_hooks.unpark = Some(Arc::new(f));
        self
    }

    /// Called once for each poll that blocks for [`stall_threshold`](Self::stall_threshold), or
    /// runs for that much CPU time.
    ///
    /// The report names the task. The hook runs on a thread of the blocking pool; a panic in it is
    /// caught and ignored. Without a hook, a line goes to standard error, unless the environment
    /// variable `EXECUTOR_DEBUG` contains `stall=0`. It names each spawn location once, and again
    /// only when its count has doubled; [`stall_count`](super::RuntimeMetrics::stall_count) counts
    /// all stalls. If standard error accepts nothing, lines are dropped, and counted.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = std::sync::mpsc::channel();
    /// let runtime = executor::runtime::Builder::new()
    ///     .on_stall(move |report| tx.send(report.clone()).unwrap())
    ///     .build()?;
    /// let stuck = executor::task::Builder::new().name("stuck");
    /// let entered = runtime.handle().enter();
    /// stuck.spawn(async { std::thread::sleep(std::time::Duration::from_millis(300)) });
    /// let report = rx.recv().unwrap();
    /// assert_eq!(report.name(), Some("stuck"));
    /// # drop(entered);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_stall<F: Fn(&StallReport) + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.on_stall = Some(Arc::new(f));
        self
    }

    /// How long a poll occupies its thread until [`on_stall`](Self::on_stall), or else a line on
    /// standard error, and [`flight_recorder`](Self::flight_recorder) report it. Default 100 ms.
    ///
    /// Time in which the thread waits for a CPU does not count. The monitor looks once a
    /// millisecond and does not find a shorter poll, whatever the threshold. [`Duration::MAX`]
    /// reports nothing. Zero, which every poll would exceed, is an error of [`build`](Self::build).
    ///
    /// The threshold changes nothing for the tasks: if others wait, the monitor retakes the
    /// processor of a poll that blocks for 0.1 ms or runs for 10 ms, reported or not. While a task of
    /// class [`Interactive`](crate::task::Priority::Interactive) waits and no processor is idle, a
    /// poll of class `Normal` loses it after 1 ms, and one of class `Background` after 0.2 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = executor::runtime::Builder::new()
    ///     .stall_threshold(Duration::from_millis(20))
    ///     .on_stall(|report| log(report.to_string()))
    ///     .build()?;
    /// # fn log(_: String) {}
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stall_threshold(mut self, threshold: Duration) -> Builder {
        self.stall_threshold = threshold;
        self
    }

    /// Called when a task or a blocking job is spawned, on the spawning thread, before it can run.
    ///
    /// This hook and the next three cost nothing unless set. A panic in one is caught and ignored.
    /// No hook is called for local tasks and futures of `block_on`: they are not the runtime's.
    pub fn on_task_spawn<F: Fn(&TaskMeta) + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.hooks.spawned = Some(Arc::new(f));
        self
    }

    /// Called before each poll of a task, on the polling thread. It is not the current task yet.
    pub fn on_before_task_poll<F: Fn(&TaskMeta) + Send + Sync + 'static>(
        mut self,
        f: F,
    ) -> Builder {
        self.hooks.before_poll = Some(Arc::new(f));
        self
    }

    /// Called after each poll of a task, including the last one, on the thread that has polled it.
    pub fn on_after_task_poll<F: Fn(&TaskMeta) + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.hooks.after_poll = Some(Arc::new(f));
        self
    }

    /// Called when a task has ended: finished, panicked or cancelled. Called once for each call of
    /// [`on_task_spawn`](Self::on_task_spawn)'s hook. The future has been dropped by then. A thread
    /// that joins the task may learn of the end earlier.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
    ///
    /// static ALIVE: AtomicI64 = AtomicI64::new(0);
    /// let runtime = executor::runtime::Builder::new()
    ///     .on_task_spawn(|_| _ = ALIVE.fetch_add(1, Relaxed))
    ///     .on_task_terminate(|_| _ = ALIVE.fetch_sub(1, Relaxed))
    ///     .build()?;
    /// runtime.spawn(async {});
    /// drop(runtime);
    /// assert_eq!(ALIVE.load(Relaxed), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_task_terminate<F: Fn(&TaskMeta) + Send + Sync + 'static>(mut self, f: F) -> Builder {
        self.hooks.terminated = Some(Arc::new(f));
        self
    }

    /// What to do when a `block_on` waits and nothing in the process could ever wake it: no task is
    /// runnable, no timer is armed, no socket is waited for, no blocking job is queued or running,
    /// and there is no other thread.
    ///
    /// [`OnDeadlock::Report`] prints that with a list of the tasks on standard error, as Go does
    /// ("all goroutines are asleep - deadlock!"), one and a half seconds after the standstill. It
    /// is the default with debug assertions; without them [`OnDeadlock::Ignore`] is, so that a
    /// `block_on` that waits costs no more. The environment variable `EXECUTOR_DEBUG` changes the
    /// default: `deadlock=1`, `deadlock=0` or `deadlock=panic`. There are no false alarms, and so
    /// none while a thread exists that could wake a task: another runtime's, a library's, or the
    /// program's own. It needs `/proc`: Linux only.
    pub fn on_deadlock(mut self, what: OnDeadlock) -> Builder {
        self.on_deadlock = Some(what);
        self
    }

    /// Whether to measure how long each poll takes, and how long tasks wait for a processor: see
    /// [`RuntimeMetrics::poll_time_histogram`](super::RuntimeMetrics::poll_time_histogram) and
    /// [`schedule_latency_histogram`](super::RuntimeMetrics::schedule_latency_histogram).
    ///
    /// Default: no, unless the environment variable `EXECUTOR_DEBUG` contains `histograms=1`. It
    /// costs some 40 ns per poll.
    pub fn histograms(mut self, measure: bool) -> Builder {
        self.histograms = Some(measure);
        self
    }

    /// Whether to record details of each task: how old it is, how often it was polled and for how
    /// long. See [`Handle::dump_tasks`](super::Handle::dump_tasks).
    ///
    /// Default: no, unless the environment variable `EXECUTOR_DEBUG` contains `tasks=1`. It costs
    /// about 100 bytes per task, and some 200 ns per spawn and per poll.
    pub fn task_details(mut self, keep: bool) -> Builder {
        self.task_details = Some(keep);
        self
    }

    /// Keeps the call stack of each `every`-th clone of a task's waker; 0: of none. So
    /// [`Handle::dump_tasks`](super::Handle::dump_tasks) shows where tasks wait, and waited last; with
    /// 1, [`TaskInfo::futurelocks`](super::TaskInfo::futurelocks), for which tasks that wait for a
    /// new set of futures are polled once more.
    ///
    /// Default: 0, or as the environment variable `EXECUTOR_DEBUG` says (`stacks=1`). A kept clone
    /// costs 1.5 µs, with `-C force-frame-pointers=yes` 0.3 µs; each poll 0.1 µs. Needs the feature
    /// `stacks`.
    pub fn record_stacks(mut self, every: u32) -> Builder {
        self.record_stacks = Some(every);
        self
    }

    /// Records a timeline from the beginning, and writes it to this file when the runtime shuts
    /// down: see [`trace::stop`](crate::trace::stop).
    ///
    /// Default: the file that the environment variable `EXECUTOR_TRACE` names; a second runtime's
    /// has `-2` in its name. The default runtime is never shut down; on Linux its timeline is
    /// written when the process exits. [`build`](Self::build) fails if the file cannot be created.
    pub fn trace_to(mut self, path: impl Into<PathBuf>) -> Builder {
        self.trace_to = Some(path.into());
        self
    }

    /// Records a timeline all the time. Writes its last part to this file when a poll occupies its
    /// thread for [`stall_threshold`](Self::stall_threshold) or a task panics, to show what led to
    /// it and what else ran. See [`trace::stop`](crate::trace::stop) for the contents. Beside it, with
    /// `.tasks.txt` in place of its extension, it writes what each task was doing at that moment, as
    /// [`Handle::dump_tasks`] tells it.
    ///
    /// Writes at most one pair of files per 10 s, and 16 in all, the second with `-2` in its name and
    /// so on. A line on standard error names each. [`trace::snapshot`](crate::trace::snapshot) writes one
    /// on demand. Default: the file that the environment variable `EXECUTOR_FLIGHT_RECORDER` names.
    pub fn flight_recorder(mut self, path: impl Into<PathBuf>) -> Builder {
        self.flight_recorder = Some(path.into());
        self
    }

    /// How many events of 16 bytes each processor's timeline keeps. Default 262,144: 4 MiB, taken
    /// as they fill. Rounded up to a power of two; zero and more than 16,777,216 are errors.
    pub fn trace_events(mut self, count: usize) -> Builder {
        self.trace_events = count;
        self
    }

    /// The tokio runtime whose context the runtime's threads and callers of `block_on` enter.
    ///
    /// Default: one for the whole process, with one thread, started with the first runtime and
    /// never dropped. The handle's runtime must outlive this one, or code that needs it panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// let runtime = executor::runtime::Builder::new().tokio_handle(tokio.handle().clone()).build()?;
    /// let task = runtime.spawn(async { tokio::runtime::Handle::current().id() });
    /// assert_eq!(runtime.block_on(task)?, tokio.handle().id());
    /// drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "tokio-compat")]
    pub fn tokio_handle(mut self, handle: tokio::runtime::Handle) -> Builder {
        self.foreign = Foreign::with_tokio(handle);
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), naming the setting, if one is unusable;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for more than one worker where the target has no
    /// threads; else the system's, if it refuses threads or the reactor. Threads started by then have ended.
    pub fn build(mut self) -> io::Result<Runtime> {
        fork::watch()?;
        let trace_to = self.trace_to.take();
        let flight_recorder = self.flight_recorder.take();
        let (settings, mut wanted, foreign) = self.check()?;
        let flight = flight_recorder.or_else(FlightRecorder::from_environment);
        wanted.instruments.records_flight = flight.is_some();
        wanted.on_incident = flight.map(|path| FlightRecorder::new(path).into_hook());
        let trace = match trace_to {
            Some(path) => {
                let file = File::create(&path).map_err(|error| {
                    let reason = format!("trace_to: {} cannot be made: {error}", path.display());
                    io::Error::new(error.kind(), reason)
                })?;
                Some((path, file))
            }
            None => recording::from_environment(),
        };
        let handle = Handle::new(observe::open(settings, wanted)?, foreign);
        let recording = trace.map(|(path, file)| Recording::begin(handle.shared(), path, file));
        Ok(Runtime::new(handle, recording))
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("worker_threads", &self.worker_threads)
            .field("max_worker_threads", &self.max_worker_threads)
            .field("follow_cpu_quota", &self.follow_cpu_quota)
            .field("max_threads", &self.max_threads)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("background_limit", &self.background_limit)
            .field("thread_keep_alive", &self.thread_keep_alive)
            .field("thread_name", &self.thread_name)
            .field("thread_stack_size", &self.thread_stack_size)
            .field("pin_workers", &self.pin_workers)
            .finish_non_exhaustive()
    }
}
