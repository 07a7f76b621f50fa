//! Figures about a runtime.

use std::time::Duration;

use super::shared::{Handle, Tasks};

/// Figures about a runtime, each read when it is asked for.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    handle: Handle,
}

impl RuntimeMetrics {
    pub(super) fn new(handle: Handle) -> RuntimeMetrics {
        RuntimeMetrics { handle }
    }

    fn read(&self) -> executor::runtime::RuntimeMetrics {
        self.handle.shared().executor().metrics()
    }

    /// The number of processors.
    pub fn num_workers(&self) -> usize {
        self.read().num_workers()
    }

    /// The number of tasks that have not ended.
    pub fn num_alive_tasks(&self) -> usize {
        match &self.handle.shared().tasks {
            Tasks::Workers => self.read().num_alive_tasks(),
            Tasks::BlockOn(spawner) | Tasks::Local(spawner, _) => spawner.num_alive_tasks(),
        }
    }

    /// The number of tasks in the global queue.
    pub fn global_queue_depth(&self) -> usize {
        match &self.handle.shared().tasks {
            Tasks::Workers => self.read().global_queue_depth(),
            Tasks::BlockOn(spawner) | Tasks::Local(spawner, _) => spawner.num_runnable_tasks(),
        }
    }

    /// For how long a processor has polled tasks.
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        self.read().worker_total_busy_duration(worker)
    }

    /// How often a processor's thread has parked.
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.read().worker_park_count(worker)
    }

    /// How often a processor's thread has parked or was unparked: twice the number of parks, less
    /// one while it is parked, which the executor does not tell.
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        2 * self.read().worker_park_count(worker)
    }
}
