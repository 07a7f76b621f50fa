//! Figures about a runtime.

use std::fmt;
use std::time::Duration;

use super::Histogram;
use super::collect::histograms;
use crate::machine::Throttling;
use crate::scheduler::Shared;
use crate::scheduler::inspect::{ClassSnapshot, ProcessorSnapshot, Snapshot};
use crate::tasks::Priority;

/// A snapshot of a runtime's figures, taken by [`Handle::metrics`](crate::Handle::metrics).
///
/// Each figure was right at some moment while the snapshot was taken. Counters begin at zero with
/// the runtime.
///
/// # Examples
///
/// ```
/// let runtime = executor::runtime::Builder::new().worker_threads(2).build()?;
/// runtime.block_on(runtime.spawn(async {})).unwrap();
/// assert_eq!(runtime.metrics().num_workers(), 2);
/// assert_eq!(runtime.metrics().spawned_tasks_count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    snapshot: Snapshot,
    poll_times: Histogram,
    latencies: Histogram,
    throttling: Option<Throttling>,
}

impl RuntimeMetrics {
    pub(crate) fn of(shared: &'static Shared) -> RuntimeMetrics {
        let (poll_times, latencies) = histograms(shared);
        RuntimeMetrics {
            snapshot: shared.snapshot(),
            poll_times,
            latencies,
            throttling: super::of(shared).cpus.throttling(),
        }
    }

    fn processor(&self, index: usize) -> &ProcessorSnapshot {
        match self.snapshot.processors.get(index) {
            Some(processor) => processor,
            None => panic!(
                "there is no worker {index}: the runtime has {} of them",
                self.num_workers()
            ),
        }
    }

    /// The number of processors of which there are figures here: those that the runtime has, and
    /// those that it has had, whose figures stay. Their indices are below this number. Only
    /// [`Handle::set_worker_threads`](crate::Handle::set_worker_threads) and
    /// [`Builder::follow_cpu_quota`](crate::Builder::follow_cpu_quota) make it more than
    /// [`worker_threads`](RuntimeMetrics::worker_threads).
    pub fn num_workers(&self) -> usize {
        self.snapshot.processors.len()
    }

    /// The number of processors that the runtime has: how many tasks run in parallel.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().worker_threads(3).build()?;
    /// runtime.handle().set_worker_threads(1)?;
    /// let metrics = runtime.metrics();
    /// assert_eq!((metrics.worker_threads(), metrics.num_workers()), (1, 3));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn worker_threads(&self) -> usize {
        self.snapshot.wanted_processors
    }

    /// Tasks and blocking jobs that have been spawned and whose future has not been dropped.
    pub fn num_alive_tasks(&self) -> usize {
        self.snapshot.alive_tasks as usize
    }

    /// Tasks and blocking jobs spawned since the runtime began.
    pub fn spawned_tasks_count(&self) -> u64 {
        self.snapshot.spawned_tasks
    }

    /// Runnables in the queues that all processors share, of all classes.
    pub fn global_queue_depth(&self) -> usize {
        self.snapshot.global_queue_depth
    }

    /// Threads of the blocking pool, idle ones included.
    pub fn num_blocking_threads(&self) -> usize {
        self.snapshot.pool.threads
    }

    /// Idle threads of the blocking pool.
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.snapshot.pool.idle_threads
    }

    /// Blocking jobs that wait for a thread.
    pub fn blocking_queue_depth(&self) -> usize {
        self.snapshot.pool.queued_jobs
    }

    /// All threads of the runtime: workers, spares, blocking ones and the reactor's.
    pub fn num_threads(&self) -> usize {
        self.snapshot.threads
    }

    /// Times a thread gave its processor away before it blocked.
    pub fn handoff_count(&self) -> u64 {
        self.snapshot.handoffs
    }

    /// Times the monitor took a processor from a worker that was stuck in a poll: blocked, or
    /// running on.
    pub fn retake_count(&self) -> u64 {
        self.snapshot.retakes
    }

    /// Polls that kept their thread for
    /// [`Builder::stall_threshold`](crate::Builder::stall_threshold), whether or not anybody was
    /// told of them.
    pub fn stall_count(&self) -> u64 {
        self.snapshot.stalls
    }

    /// Tasks woken by the netpoller.
    pub fn netpoll_ready_count(&self) -> u64 {
        self.snapshot.network_ready
    }

    /// In how many periods, mostly of 100 ms, the kernel has stopped the process because its CPU
    /// quota was used up, since the runtime began. `None`: there is no cgroup that counts, as on
    /// systems other than Linux.
    ///
    /// They are those of the cgroup with the lowest quota, of the process's own and its ancestors.
    /// Other processes of that group count, too. At most a second old.
    ///
    /// # Examples
    ///
    /// ```
    /// # executor::block_on(async {
    /// let metrics = executor::Handle::current().metrics();
    /// if let (Some(count), Some(time)) = (metrics.cpu_throttled_count(), metrics.cpu_throttled_duration()) {
    ///     println!("throttled {count} times, for {time:?} of CPU time");
    /// }
    /// # });
    /// ```
    pub fn cpu_throttled_count(&self) -> Option<u64> {
        Some(self.throttling?.throttled)
    }

    /// For how long the kernel has stopped the process because its CPU quota was used up, as
    /// [`cpu_throttled_count`](RuntimeMetrics::cpu_throttled_count) counts it. It is a sum over
    /// CPUs: if two threads that could run are stopped for 10 ms, that is 20 ms.
    pub fn cpu_throttled_duration(&self) -> Option<Duration> {
        Some(self.throttling?.duration)
    }

    /// Runnables of this class in all queues together. A task counts as what it was when it was
    /// queued.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::task::Priority;
    ///
    /// let runtime = executor::runtime::Builder::new().build()?;
    /// assert_eq!(runtime.metrics().priority_queue_depth(Priority::Background), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority_queue_depth(&self, priority: Priority) -> usize {
        match self.classed(priority) {
            Some(class) => class.queue_depth,
            None => {
                let processors = self.snapshot.processors.iter();
                let local = processors.map(|at| at.local_queue_depth).sum::<usize>();
                let Snapshot {
                    interactive,
                    background,
                    ..
                } = &self.snapshot;
                let classed = interactive.queue_depth + background.queue_depth;
                (self.global_queue_depth() + local).saturating_sub(classed)
            }
        }
    }

    /// Polls begun of tasks of this class, as it was then.
    pub fn priority_poll_count(&self, priority: Priority) -> u64 {
        match self.classed(priority) {
            Some(class) => class.polls,
            None => {
                let processors = self.snapshot.processors.iter();
                let all = processors.map(|at| at.polls).sum::<u64>();
                all.saturating_sub(self.snapshot.interactive.polls + self.snapshot.background.polls)
            }
        }
    }

    /// `None`: it is what the others leave.
    fn classed(&self, priority: Priority) -> Option<&ClassSnapshot> {
        match priority {
            Priority::Interactive => Some(&self.snapshot.interactive),
            Priority::Background => Some(&self.snapshot.background),
            Priority::Normal => None,
        }
    }

    /// Polls begun by processor `worker`.
    ///
    /// # Panics
    ///
    /// When there is no such processor; likewise the following ones.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.processor(worker).polls
    }

    /// Runnables in the queue and the next slot of processor `worker`.
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.processor(worker).local_queue_depth
    }

    /// Successful steals by processor `worker`.
    #[track_caller]
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.processor(worker).steals
    }

    /// Times a worker released processor `worker` because there was nothing to do.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.processor(worker).parks
    }

    /// How long processor `worker` was in the hands of a thread: polling tasks, or looking for
    /// some. A poll that goes on although its processor was retaken counts with it, so this may
    /// grow faster than time passes.
    #[track_caller]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        self.processor(worker).busy
    }

    /// How long polls took, each of them. Empty unless
    /// [`Builder::histograms`](crate::Builder::histograms) is on.
    pub fn poll_time_histogram(&self) -> &Histogram {
        &self.poll_times
    }

    /// How long tasks that had been woken or spawned waited for a processor; one in eight is
    /// measured. Empty unless [`Builder::histograms`](crate::Builder::histograms) is on.
    pub fn schedule_latency_histogram(&self) -> &Histogram {
        &self.latencies
    }
}

/// A table.
impl fmt::Display for RuntimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} processors, {} threads ({} blocking, {} of them idle)",
            self.worker_threads(),
            self.num_threads(),
            self.num_blocking_threads(),
            self.num_idle_blocking_threads()
        )?;
        writeln!(
            f,
            "{} tasks alive of {} spawned; global queue {}, blocking queue {}",
            self.num_alive_tasks(),
            self.spawned_tasks_count(),
            self.global_queue_depth(),
            self.blocking_queue_depth()
        )?;
        writeln!(
            f,
            "{} hand-overs, {} retakes, {} stalls, {} woken by the network",
            self.handoff_count(),
            self.retake_count(),
            self.stall_count(),
            self.netpoll_ready_count()
        )?;
        if let Some(throttling) = self.throttling.filter(|sum| sum.throttled != 0) {
            let (times, duration) = (throttling.throttled, throttling.duration.as_secs_f64());
            writeln!(
                f,
                "throttled by the CPU quota {times} times, for {duration:.3} s"
            )?;
        }
        let Snapshot {
            interactive,
            background,
            ..
        } = &self.snapshot;
        // Who uses no classes need not read of them.
        if interactive.polls + background.polls != 0 {
            writeln!(
                f,
                "interactive: {} polls, queue {}; background: {} polls, queue {}",
                interactive.polls,
                interactive.queue_depth,
                background.polls,
                background.queue_depth
            )?;
        }
        writeln!(
            f,
            "processor       polls   queue     steals      parks         busy"
        )?;
        for (index, at) in self.snapshot.processors.iter().enumerate() {
            let ProcessorSnapshot {
                polls,
                local_queue_depth,
                steals,
                parks,
                busy,
            } = at;
            let busy = busy.as_secs_f64();
            writeln!(
                f,
                "{index:9} {polls:11} {local_queue_depth:7} {steals:10} {parks:10} {busy:10.3} s"
            )?;
        }
        for (what, histogram) in [
            ("poll times", self.poll_time_histogram()),
            ("schedule latencies", self.schedule_latency_histogram()),
        ] {
            if histogram.count() != 0 {
                writeln!(f, "{what}: {histogram}")?;
            }
        }
        Ok(())
    }
}
