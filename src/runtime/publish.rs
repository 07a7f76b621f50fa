//! A runtime's figures, for the recorder of the `metrics` crate (feature `metrics`).

use metrics::{counter, gauge};

use super::RuntimeMetrics;

impl RuntimeMetrics {
    /// Gives the figures to the recorder that the program has installed for the `metrics` crate. Without one it does nothing.
    ///
    /// All of them begin with `executor_` and carry the label `runtime`, with the name given here; those of one processor
    /// also the label `worker`. Counts since the runtime began are counters, the others gauges. Call it now and then: what
    /// the recorder has is as old as the last call.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # executor::block_on(async {
    /// let publisher = executor::spawn(async {
    ///     let mut tick = executor::time::interval(Duration::from_secs(5));
    ///     loop {
    ///         tick.tick().await;
    ///         executor::Handle::current().metrics().publish("main");
    ///     }
    /// });
    /// # publisher.abort();
    /// # });
    /// ```
    pub fn publish(&self, runtime: &str) {
        let label = || [("runtime", runtime.to_owned())];
        let set = |name: &'static str, value: usize| gauge!(name, &label()).set(value as f64);
        let count = |name: &'static str, value: u64| counter!(name, &label()).absolute(value);
        set("executor_workers", self.num_workers());
        set("executor_threads", self.num_threads());
        set("executor_alive_tasks", self.num_alive_tasks());
        set("executor_global_queue_depth", self.global_queue_depth());
        set("executor_blocking_threads", self.num_blocking_threads());
        set(
            "executor_idle_blocking_threads",
            self.num_idle_blocking_threads(),
        );
        set("executor_blocking_queue_depth", self.blocking_queue_depth());
        count("executor_spawned_tasks_total", self.spawned_tasks_count());
        count("executor_handoffs_total", self.handoff_count());
        count("executor_retakes_total", self.retake_count());
        count("executor_netpoll_ready_total", self.netpoll_ready_count());
        for worker in 0..self.num_workers() {
            self.publish_worker(runtime, worker);
        }
    }

    fn publish_worker(&self, runtime: &str, worker: usize) {
        let labels = [
            ("runtime", runtime.to_owned()),
            ("worker", worker.to_string()),
        ];
        gauge!("executor_worker_queue_depth", &labels)
            .set(self.worker_local_queue_depth(worker) as f64);
        counter!("executor_worker_polls_total", &labels).absolute(self.worker_poll_count(worker));
        counter!("executor_worker_steals_total", &labels).absolute(self.worker_steal_count(worker));
        counter!("executor_worker_parks_total", &labels).absolute(self.worker_park_count(worker));
    }
}
