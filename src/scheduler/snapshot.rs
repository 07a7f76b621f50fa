//! What can be read off a scheduler from outside. Each figure is right for some moment; together they are not.

use std::time::Duration;

use super::Shared;
use crate::clock;
use crate::scheduler::instruments::histogram::Histogram;
use crate::sync::atomic::Ordering;

/// One processor.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessorSnapshot {
    pub(crate) polls: u64,
    pub(crate) local_queue_depth: usize,
    pub(crate) steals: u64,
    pub(crate) parks: u64,
    /// In a thread's hands.
    pub(crate) busy: Duration,
}

/// The scheduler as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) processors: Vec<ProcessorSnapshot>,
    pub(crate) alive_tasks: u64,
    pub(crate) spawned_tasks: u64,
    pub(crate) global_queue_depth: usize,
    pub(crate) blocking_threads: usize,
    pub(crate) idle_blocking_threads: usize,
    pub(crate) blocking_queue_depth: usize,
    pub(crate) threads: usize,
    pub(crate) idle_processors: usize,
    pub(crate) searching_workers: usize,
    pub(crate) parked_workers: usize,
    pub(crate) handoffs: u64,
    pub(crate) retakes: u64,
    pub(crate) stalls: u64,
    pub(crate) network_ready: u64,
    pub(crate) poll_times: Histogram,
    pub(crate) latencies: Histogram,
}

impl Shared {
    pub(crate) fn num_processors(&self) -> usize {
        self.queues.processors.len()
    }

    pub(crate) fn num_alive_tasks(&self) -> u64 {
        // Finished first: a task that ends in between is counted as alive, never the other way round below zero.
        let finished = self.num_finished_tasks();
        self.num_spawned_tasks().saturating_sub(finished)
    }

    /// Tasks whose future has been dropped.
    pub(super) fn num_finished_tasks(&self) -> u64 {
        let finished: u64 = self
            .queues
            .processors
            .iter()
            .map(|slot| slot.sum(|processor| processor.counters.finished.get()))
            .sum();
        let remote = self
            .remote_tasks
            .iter()
            .map(|processor| processor.finished.load(Ordering::Acquire));
        finished + remote.sum::<u64>()
    }

    fn num_spawned_tasks(&self) -> u64 {
        let spawned: u64 = self
            .queues
            .processors
            .iter()
            .map(|slot| slot.sum(|processor| processor.counters.spawned.get()))
            .sum();
        let remote = self
            .remote_tasks
            .iter()
            .map(|processor| processor.spawned.load(Ordering::Relaxed));
        spawned + remote.sum::<u64>()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let pool = self.blocking();
        let pool = pool.as_ref();
        let now = clock::now();
        let (poll_times, latencies) = self.histograms();
        Snapshot {
            processors: self
                .queues
                .processors
                .iter()
                .map(|slot| ProcessorSnapshot {
                    polls: slot.sum(|processor| processor.tick.get()),
                    local_queue_depth: slot.sum(|processor| processor.num_queued() as u64) as usize,
                    steals: slot.sum(|processor| processor.counters.steals.get()),
                    parks: slot.sum(|processor| processor.counters.parks.get()),
                    busy: Duration::from_nanos(slot.sum(|processor| processor.busy.get(now))),
                })
                .collect(),
            alive_tasks: self.num_alive_tasks(),
            spawned_tasks: self.num_spawned_tasks(),
            global_queue_depth: self.queues.num_global(),
            blocking_threads: pool.map_or(0, |pool| pool.num_threads()),
            idle_blocking_threads: pool.map_or(0, |pool| pool.num_idle_threads()),
            blocking_queue_depth: pool.map_or(0, |pool| pool.queue_depth()),
            threads: self.workers.threads.alive(),
            idle_processors: self.workers.idle.num_idle(),
            searching_workers: self.workers.idle.num_searching(),
            parked_workers: self.workers.idle.num_parked(),
            handoffs: self.counters.handoffs.load(Ordering::Relaxed),
            retakes: self.counters.retakes.load(Ordering::Relaxed),
            stalls: self.counters.stalls.load(Ordering::Relaxed),
            network_ready: self.counters.network_ready.load(Ordering::Relaxed),
            poll_times,
            latencies,
        }
    }
}

/// How long to wait, as a deadline; `None` when that is beyond what the clock can express.
pub(crate) fn deadline_after(timeout: Duration) -> Option<std::time::Instant> {
    clock::now().checked_add(timeout)
}
