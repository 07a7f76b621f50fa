//! Builds runtimes with tokio's settings.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::current_thread::{self, CurrentThread};
use super::drivers::Drivers;
use super::local::{self, LocalRuntime};
use super::runtime::Runtime;
use super::shared::{Handle, Hook, ParkHooks, Settings, Shared, Tasks};
use crate::context;
use crate::simulated;
#[cfg(feature = "test-util")]
use crate::time::clock::{Clock, NOT_PAUSABLE};

/// Builds a runtime with settings.
///
/// Settings that tune the real tokio's loops and queues are accepted, and change nothing:
/// `event_interval`, `global_queue_interval`, `max_io_events_per_tick`.
pub struct Builder {
    kind: Kind,
    io: bool,
    time: bool,
    start_paused: bool,
    worker_threads: Option<usize>,
    max_blocking_threads: usize,
    name: Option<String>,
    thread_name: String,
    name_thread: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    thread_stack_size: Option<usize>,
    keep_alive: Option<Duration>,
    after_start: Option<Hook>,
    before_stop: Option<Hook>,
    park_hooks: ParkHooks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    CurrentThread,
    #[cfg(feature = "rt-multi-thread")]
    MultiThread,
}

/// Settings of a [`LocalRuntime`] beyond those of the builder. There are none yet.
#[derive(Default, Debug)]
#[non_exhaustive]
pub struct LocalOptions {
    /// What may come later may be for one thread.
    not_send: PhantomData<*mut ()>,
}

impl Builder {
    /// A runtime whose tasks run only while somebody is in `block_on`, on that thread.
    pub fn new_current_thread() -> Builder {
        Builder::new(Kind::CurrentThread)
    }

    /// A runtime whose tasks run on processors.
    #[cfg(feature = "rt-multi-thread")]
    pub fn new_multi_thread() -> Builder {
        Builder::new(Kind::MultiThread)
    }

    fn new(kind: Kind) -> Builder {
        Builder {
            kind,
            io: false,
            time: false,
            start_paused: false,
            worker_threads: None,
            max_blocking_threads: 512,
            name: None,
            thread_name: "tokio-rt-worker".into(),
            name_thread: None,
            thread_stack_size: None,
            keep_alive: None,
            after_start: None,
            before_stop: None,
            park_hooks: ParkHooks::default(),
        }
    }

    /// Makes both sockets and timers work.
    pub fn enable_all(&mut self) -> &mut Self {
        self.io = true;
        self.time = true;
        self
    }

    /// Makes sockets, signals and processes work.
    #[cfg(any(feature = "net", feature = "process", feature = "signal"))]
    pub fn enable_io(&mut self) -> &mut Self {
        self.io = true;
        self
    }

    /// Makes timers work.
    #[cfg(feature = "time")]
    pub fn enable_time(&mut self) -> &mut Self {
        self.time = true;
        self
    }

    /// The number of processors.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn worker_threads(&mut self, val: usize) -> &mut Self {
        assert!(val > 0, "Worker threads cannot be set to 0");
        self.worker_threads = Some(val);
        self
    }

    /// How many threads run blocking closures at most.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    #[doc(alias = "max_threads")]
    pub fn max_blocking_threads(&mut self, val: usize) -> &mut Self {
        assert!(val > 0, "Max blocking threads cannot be set to 0");
        self.max_blocking_threads = val;
        self
    }

    /// The name of the runtime's threads.
    pub fn thread_name(&mut self, val: impl Into<String>) -> &mut Self {
        self.thread_name = val.into();
        self.name_thread = None;
        self
    }

    /// The name of the runtime.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[track_caller]
    pub fn name(&mut self, val: impl Into<String>) -> &mut Self {
        let val = val.into();
        assert!(!val.trim().is_empty(), "runtime name shouldn't be empty");
        self.name = Some(val);
        self
    }

    /// A function that names the runtime's threads.
    pub fn thread_name_fn<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.name_thread = Some(Arc::new(f));
        self
    }

    /// The size of the stacks of the runtime's threads, in bytes.
    pub fn thread_stack_size(&mut self, val: usize) -> &mut Self {
        self.thread_stack_size = Some(val);
        self
    }

    /// Runs on each thread of the runtime before anything else.
    pub fn on_thread_start<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.after_start = Some(Arc::new(f));
        self
    }

    /// Runs on each thread of the runtime after everything else.
    pub fn on_thread_stop<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.before_stop = Some(Arc::new(f));
        self
    }

    /// Runs before a thread that runs tasks parks.
    pub fn on_thread_park<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.park_hooks.park = Some(Arc::new(f));
        self
    }

    /// Runs after a thread that runs tasks was unparked.
    pub fn on_thread_unpark<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.park_hooks.unpark = Some(Arc::new(f));
        self
    }

    /// For how long an idle thread for blocking closures stays.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.keep_alive = Some(duration);
        self
    }

    /// Accepted; see [`Builder`].
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, val: u32) -> &mut Self {
        assert!(val > 0, "global_queue_interval must be greater than 0");
        self
    }

    /// Accepted; see [`Builder`].
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn event_interval(&mut self, val: u32) -> &mut Self {
        assert!(val > 0, "event_interval must be greater than 0");
        self
    }

    /// Accepted; see [`Builder`].
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[cfg(any(feature = "net", feature = "process", feature = "signal"))]
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "max_io_events_per_tick must be non-zero");
        self
    }

    /// Accepted; see [`Builder`].
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[cfg(any(feature = "net", feature = "process", feature = "signal"))]
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "max_io_events_per_busy_tick must be non-zero");
        self
    }

    /// Begins with a paused clock: see [`time::pause`](crate::time::pause).
    #[cfg(feature = "test-util")]
    pub fn start_paused(&mut self, start_paused: bool) -> &mut Self {
        self.start_paused = start_paused;
        self
    }

    /// Builds the runtime.
    ///
    /// # Errors
    ///
    /// When threads or descriptors cannot be created.
    ///
    /// # Panics
    ///
    /// If it would begin with a paused clock, and is not for one thread.
    pub fn build(&mut self) -> io::Result<Runtime> {
        match self.kind {
            Kind::CurrentThread => {
                let driver = CurrentThread::new();
                let tasks = Tasks::BlockOn(driver.spawner());
                let (executor, handle) = self.executor(tasks, Some(driver.drivers()))?;
                Ok(Runtime::new_from(executor, handle, Some(driver)))
            }
            #[cfg(feature = "rt-multi-thread")]
            Kind::MultiThread => {
                let (executor, handle) = self.executor(Tasks::Workers, None)?;
                Ok(Runtime::new_from(executor, handle, None))
            }
        }
    }

    /// Builds a runtime that stays on this thread.
    ///
    /// # Errors
    ///
    /// When threads or descriptors cannot be created.
    ///
    /// # Panics
    ///
    /// If this is a builder of runtimes for many threads.
    #[track_caller]
    pub fn build_local(&mut self, _options: LocalOptions) -> io::Result<LocalRuntime> {
        match self.kind {
            Kind::CurrentThread => LocalRuntime::build(|spawner, drivers| {
                let tasks = Tasks::Local(spawner, thread::current().id());
                self.executor(tasks, Some(drivers))
            }),
            #[cfg(feature = "rt-multi-thread")]
            Kind::MultiThread => panic!("multi_thread is not supported for LocalRuntime"),
        }
    }

    /// The executor under a runtime, and the runtime's handle. `drivers`: for a runtime for one
    /// thread.
    fn executor(
        &self,
        tasks: Tasks,
        drivers: Option<&Arc<Drivers>>,
    ) -> io::Result<(executor::Runtime, Handle)> {
        #[cfg(not(feature = "test-util"))]
        let _ = (drivers, self.start_paused);
        #[cfg(feature = "test-util")]
        let clock = drivers.map(|drivers| {
            let drivers = drivers.clone();
            Arc::new(Clock::new(self.start_paused, move || {
                drivers.look_at_clock()
            }))
        });
        #[cfg(feature = "test-util")]
        if clock.is_none() && self.start_paused {
            panic!("{NOT_PAUSABLE}");
        }
        context::keep();
        simulated::keep::<current_thread::Kept>();
        simulated::keep::<local::Kept>();
        let mut builder = executor::Builder::new()
            .max_blocking_threads(self.max_blocking_threads)
            .thread_name(self.thread_name.clone());
        if let Some(name) = self.name_thread.clone() {
            builder = builder.thread_name_fn(move || name());
        }
        if let Tasks::Workers = tasks {
            if let Some(hook) = self.park_hooks.park.clone() {
                builder = builder.on_thread_park(move || hook());
            }
            if let Some(hook) = self.park_hooks.unpark.clone() {
                builder = builder.on_thread_unpark(move || hook());
            }
        }
        // A runtime for one thread needs somebody to wait for its timers and sockets.
        let workers = match tasks {
            Tasks::Workers => self.worker_threads.or_else(simulated::num_workers),
            Tasks::BlockOn(_) | Tasks::Local(..) => Some(1),
        };
        if let Some(workers) = workers {
            builder = builder.worker_threads(workers);
        }
        if simulated::is_here() {
            builder = builder.stall_threshold(Duration::MAX);
        }
        if let Some(bytes) = self.thread_stack_size {
            builder = builder.thread_stack_size(bytes);
        }
        if let Some(duration) = self.keep_alive {
            builder = builder.thread_keep_alive(duration);
        }
        let shared = Shared::new(Settings {
            tasks,
            name: self.name.clone(),
            io: self.io,
            time: self.time,
            park_hooks: self.park_hooks.clone(),
            #[cfg(feature = "test-util")]
            clock,
        });
        // Not a strong reference: the executor keeps the hook, and `Shared` the executor.
        let weak = Arc::downgrade(&shared);
        let after_start = self.after_start.clone();
        builder = builder.on_thread_start(move || {
            if let Some(shared) = Weak::upgrade(&weak) {
                context::enter_for_good(Handle::new(shared));
            }
            if let Some(hook) = &after_start {
                hook();
            }
        });
        if let Some(hook) = self.before_stop.clone() {
            builder = builder.on_thread_stop(move || hook());
        }
        let executor = builder.build()?;
        shared.executor.get_or_init(|| executor.handle().clone());
        Ok((executor, Handle::new(shared)))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("worker_threads", &self.worker_threads)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field(
                "thread_name",
                &"<dyn Fn() -> String + Send + Sync + 'static>",
            )
            .field("thread_stack_size", &self.thread_stack_size)
            .field("after_start", &self.after_start.as_ref().map(|_| "..."))
            .field("before_stop", &self.before_stop.as_ref().map(|_| "..."))
            .field("before_park", &self.park_hooks.park.as_ref().map(|_| "..."))
            .field(
                "after_unpark",
                &self.park_hooks.unpark.as_ref().map(|_| "..."),
            )
            .finish()
    }
}

impl Runtime {
    /// A runtime with as many processors as there are CPUs, with sockets and timers.
    ///
    /// # Errors
    ///
    /// When threads or descriptors cannot be created.
    #[cfg(feature = "rt-multi-thread")]
    pub fn new() -> io::Result<Runtime> {
        Builder::new_multi_thread().enable_all().build()
    }
}

impl LocalRuntime {
    /// A local runtime with sockets and timers.
    ///
    /// # Errors
    ///
    /// When threads or descriptors cannot be created.
    pub fn new() -> io::Result<LocalRuntime> {
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
    }
}
