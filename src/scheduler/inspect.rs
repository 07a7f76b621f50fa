//! What may be read off a scheduler from outside. Nothing here changes anything.
//!
//! Each figure is right for some moment; together they are not.

use std::ptr;
use std::time::Duration;

use super::off_processor::OffProcessorPoll;
use super::processor::Processor;
use super::processor::Records;
use super::{Shared, this_thread};
use crate::clock::{self, Instant};
use crate::sync::atomic::Ordering;

/// The figures of one processor, of all its instances together.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessorSnapshot {
    pub(crate) polls: u64,
    pub(crate) local_queue_depth: usize,
    pub(crate) steals: u64,
    pub(crate) parks: u64,
    /// Held by a thread.
    pub(crate) busy: Duration,
}

/// The figures of the scheduler as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Those that are wanted at present, and those that were since the runtime began.
    pub(crate) processors: Vec<ProcessorSnapshot>,
    pub(crate) wanted_processors: usize,
    pub(crate) alive_tasks: u64,
    pub(crate) spawned_tasks: u64,
    pub(crate) global_queue_depth: usize,
    pub(crate) pool: PoolSnapshot,
    pub(crate) threads: usize,
    pub(crate) idle_processors: usize,
    pub(crate) searching_workers: usize,
    /// Those that wait for the network are not parked.
    pub(crate) parked_workers: usize,
    pub(crate) handoffs: u64,
    pub(crate) retakes: u64,
    pub(crate) stalls: u64,
    pub(crate) network_ready: u64,
    pub(crate) interactive: ClassSnapshot,
    pub(crate) background: ClassSnapshot,
}

/// One of the classes that have a queue of their own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClassSnapshot {
    pub(crate) queue_depth: usize,
    pub(crate) polls: u64,
}

/// The blocking pool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoolSnapshot {
    pub(crate) threads: usize,
    pub(crate) idle_threads: usize,
    pub(crate) queued_jobs: usize,
}

/// An instance of a processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance {
    /// The processor, and which of its instances it is.
    pub(crate) processor: usize,
    pub(crate) number: usize,
    at: &'static Processor,
}

/// What a thread does with the instance that it holds, entitled to it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AtWork {
    /// A [probe](super::probe)'s name of it.
    pub(crate) thread: u64,
    /// Polls begun.
    pub(crate) tick: u64,
    /// Tag of the task that it polls. Zero: it looks for one.
    pub(crate) task: u64,
}

impl Instance {
    pub(crate) fn records(&self) -> &'static Records {
        &self.at.records
    }

    /// `None`: no thread holds it.
    pub(crate) fn at_work(&self) -> Option<AtWork> {
        let (thread, _) = self.at.ownership.held_by()?;
        Some(AtWork {
            thread,
            tick: self.at.tick.get(),
            task: self.at.task(),
        })
    }

    /// Tag of the task that is polled there.
    pub(crate) fn polled_task(&self) -> Option<u64> {
        let task = self.at.is_held().then(|| self.at.task());
        task.filter(|&task| task != 0)
    }
}

impl Shared {
    /// What its threads are called by default. `None`: the runtime has ended.
    #[cfg(all(unix, feature = "stacks"))]
    pub(crate) fn name(&self) -> Option<String> {
        let settings = self.settings().ok()?;
        Some(settings.thread_name.clone())
    }

    pub(crate) fn num_processors(&self) -> usize {
        self.workers.idle.num_wanted()
    }

    pub(crate) fn num_alive_tasks(&self) -> u64 {
        // Finished first: a task that ends in between is counted as alive, never the other way
        // round below zero.
        let finished = self.num_finished_tasks();
        self.num_spawned_tasks().saturating_sub(finished)
    }

    /// Tasks whose future has been dropped.
    pub(crate) fn num_finished_tasks(&self) -> u64 {
        let finished = self.sum(|processor| processor.counters.finished.get());
        let remote = self.remote_tasks.iter();
        let remote = remote.map(|shard| shard.finished.load(Ordering::Acquire));
        finished + remote.sum::<u64>()
    }

    /// Those of them that were cancelled. A task counts as cancelled before it counts as finished.
    pub(crate) fn num_cancelled_tasks(&self) -> u64 {
        self.counters.cancelled.load(Ordering::Acquire)
    }

    fn num_spawned_tasks(&self) -> u64 {
        let spawned = self.sum(|processor| processor.counters.spawned.get());
        let remote = self.remote_tasks.iter();
        let remote = remote.map(|shard| shard.spawned.load(Ordering::Relaxed));
        spawned + remote.sum::<u64>()
    }

    /// Polls begun.
    pub(crate) fn num_polls(&self) -> u64 {
        self.sum(|processor| processor.tick.get())
    }

    /// A figure of all instances together.
    fn sum(&self, figure: impl Fn(&Processor) -> u64 + Copy) -> u64 {
        let slots = self.queues.slots().iter();
        slots.map(|slot| slot.sum(figure)).sum()
    }

    /// All threads of the runtime.
    pub(crate) fn num_threads(&self) -> usize {
        self.workers.threads.alive()
    }

    /// Workers that wait, parked or for the network.
    pub(crate) fn num_waiting_workers(&self) -> usize {
        self.workers.idle.num_waiting_workers()
    }

    /// Runnables in the queues that all processors share.
    pub(crate) fn num_global(&self) -> usize {
        self.queues.num_global()
    }

    /// Runnables of each processor as it is at present.
    pub(crate) fn num_queued(&self) -> impl Iterator<Item = usize> {
        let slots = self.queues.used_slots().iter();
        slots.map(|slot| slot.current().num_queued())
    }

    /// `None`: the runtime has ended.
    pub(crate) fn pool(&self) -> Option<PoolSnapshot> {
        self.blocking().map(|pool| PoolSnapshot {
            threads: pool.num_threads(),
            idle_threads: pool.num_idle_threads(),
            queued_jobs: pool.queue_depth(),
        })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let pool = self.pool().unwrap_or_default();
        let now = clock::now();
        let slots = self.queues.used_slots().iter();
        let processors = slots.map(|slot| ProcessorSnapshot {
            polls: slot.sum(|processor| processor.tick.get()),
            local_queue_depth: slot.sum(|processor| processor.num_queued() as u64) as usize,
            steals: slot.sum(|processor| processor.counters.steals.get()),
            parks: slot.sum(|processor| processor.counters.parks.get()),
            busy: Duration::from_nanos(slot.sum(|processor| processor.busy.get(now))),
        });
        Snapshot {
            processors: processors.collect(),
            wanted_processors: self.num_processors(),
            alive_tasks: self.num_alive_tasks(),
            spawned_tasks: self.num_spawned_tasks(),
            global_queue_depth: self.num_global(),
            pool,
            threads: self.num_threads(),
            idle_processors: self.workers.idle.num_idle(),
            searching_workers: self.workers.idle.num_searching(),
            parked_workers: self.workers.idle.num_parked(),
            handoffs: self.counters.handoffs.load(Ordering::Relaxed),
            retakes: self.counters.retakes.load(Ordering::Relaxed),
            stalls: self.counters.stalls.load(Ordering::Relaxed),
            network_ready: self.counters.network_ready.load(Ordering::Relaxed),
            interactive: ClassSnapshot {
                queue_depth: self.queues.by_class.num_interactive(),
                polls: self.sum(|processor| processor.counters.interactive.get()),
            },
            background: ClassSnapshot {
                queue_depth: self.queues.by_class.num_background(),
                polls: self.sum(|processor| processor.counters.background.get()),
            },
        }
    }

    /// Calls `f` with each instance there is at the moment, those of one processor after each
    /// other.
    pub(crate) fn each_instance(&self, mut f: impl FnMut(Instance)) {
        for (processor, slot) in self.queues.slots().iter().enumerate() {
            let mut number = 0;
            slot.each(|at| {
                f(Instance {
                    processor,
                    number,
                    at,
                });
                number += 1;
            });
        }
    }

    /// When the poll that this instance is at began, to about a millisecond. Known of polls that
    /// have lost their processor.
    pub(crate) fn poll_begin(&self, instance: &Instance, at_work: &AtWork) -> Option<Instant> {
        let off_processor = &self.workers.off_processor;
        off_processor.begin_of(instance.at, at_work.tick)
    }

    /// Polls on threads without a processor, and jobs that run.
    pub(crate) fn off_processor(&self) -> Vec<OffProcessorPoll> {
        self.workers.off_processor.all()
    }

    /// Whether nothing is queued, running or waited for: no timer is armed, no task waits for a
    /// socket, no processor is held, and the monitor sleeps. Blocking jobs, and polls on threads
    /// without a processor, do not count.
    pub(crate) fn is_at_rest(&self) -> bool {
        let queues = &self.queues;
        !self.is_closed()
            && self.workers.idle.all_idle()
            && self.workers.monitor.is_sleeping()
            && !queues.has_visible_work()
            && queues.compute_limit.num_held_back() == 0
            && queues.by_class.num_background() == 0
            && queues.current().all(|processor| processor.next.is_empty())
            && queues.detached.is_empty()
            && !self.services.timers.is_any_armed()
            && self.netpoll().is_some_and(|netpoll| !netpoll.has_waiters())
    }

    /// Whether the calling thread is a worker of this scheduler.
    pub(crate) fn is_worker_here(&'static self) -> bool {
        this_thread::worker_of().is_some_and(|other| ptr::eq(other, self))
    }
}
