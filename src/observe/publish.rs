//! A runtime's figures, for the recorder of the `metrics` crate (feature `metrics`).
//!
//! 1. [`FIGURES`] and [`TIMES`] list what is published: each line has the name, the unit, the
//!    description and how to read it off a snapshot. A figure that is published is thereby
//!    described.
//! 2. `describe` gives the descriptions to the recorder, `publish` the values. `publish` does not
//!    describe: an exporter may keep each description it is given until somebody reads, so one that
//!    nobody asks would grow.
//!
//! Durations are seconds, the base unit of Prometheus, in which the dashboards' idioms hold:
//! `rate()` of the busy time is a share of a CPU, `rate(sum) / rate(count)` a mean. A counter of
//! the `metrics` crate is a whole number, so what counts seconds is a gauge that only grows, named
//! as the counter that it is. `rate()` goes by the values and the name, not by the type.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use std::time::Duration;

use super::{Histogram, RuntimeMetrics};
use crate::tasks::Priority;

/// One published figure.
struct Figure {
    name: &'static str,
    unit: Unit,
    text: &'static str,
    read: Read,
}

/// How to read a figure off a snapshot. What a gauge may be told is an `f64`; an integer of up to
/// 53 bits is exact in one.
enum Read {
    Gauge(fn(&RuntimeMetrics) -> f64),
    Counter(fn(&RuntimeMetrics) -> u64),
    /// `None` is not published.
    GaugeIfThere(fn(&RuntimeMetrics) -> Option<f64>),
    CounterIfThere(fn(&RuntimeMetrics) -> Option<u64>),
    OfWorker(fn(&RuntimeMetrics, usize) -> f64),
    CounterOfWorker(fn(&RuntimeMetrics, usize) -> u64),
    OfClass(fn(&RuntimeMetrics, Priority) -> f64),
    CounterOfClass(fn(&RuntimeMetrics, Priority) -> u64),
}

use Read::{
    Counter, CounterIfThere, CounterOfClass, CounterOfWorker, Gauge, GaugeIfThere, OfClass,
    OfWorker,
};

/// The values of the label `priority`.
const CLASSES: [(&str, Priority); 3] = [
    ("background", Priority::Background),
    ("normal", Priority::Normal),
    ("interactive", Priority::Interactive),
];

const fn figure(name: &'static str, unit: Unit, text: &'static str, read: Read) -> Figure {
    Figure {
        name,
        unit,
        text,
        read,
    }
}

const FIGURES: [Figure; 21] = [
    figure(
        "executor_workers",
        Unit::Count,
        "Processors: how many tasks are polled at once at most.",
        Gauge(|of| of.worker_threads() as f64),
    ),
    figure(
        "executor_threads",
        Unit::Count,
        "Threads of the runtime, of all kinds.",
        Gauge(|of| of.num_threads() as f64),
    ),
    figure(
        "executor_alive_tasks",
        Unit::Count,
        "Tasks and blocking jobs that have been spawned and not ended.",
        Gauge(|of| of.num_alive_tasks() as f64),
    ),
    figure(
        "executor_global_queue_depth",
        Unit::Count,
        "Runnable tasks in the queues that all workers share.",
        Gauge(|of| of.global_queue_depth() as f64),
    ),
    figure(
        "executor_blocking_threads",
        Unit::Count,
        "Threads of the blocking pool, idle ones included.",
        Gauge(|of| of.num_blocking_threads() as f64),
    ),
    figure(
        "executor_idle_blocking_threads",
        Unit::Count,
        "Idle threads of the blocking pool.",
        Gauge(|of| of.num_idle_blocking_threads() as f64),
    ),
    figure(
        "executor_blocking_queue_depth",
        Unit::Count,
        "Blocking jobs that wait for a thread.",
        Gauge(|of| of.blocking_queue_depth() as f64),
    ),
    figure(
        "executor_spawned_tasks_total",
        Unit::Count,
        "Tasks and blocking jobs spawned.",
        Counter(|of| of.spawned_tasks_count()),
    ),
    figure(
        "executor_handoffs_total",
        Unit::Count,
        "Times a thread gave its processor away before it blocked.",
        Counter(|of| of.handoff_count()),
    ),
    figure(
        "executor_retakes_total",
        Unit::Count,
        "Times the monitor took a processor from a worker that was stuck in a poll.",
        Counter(|of| of.retake_count()),
    ),
    figure(
        "executor_stalls_total",
        Unit::Count,
        "Polls that kept their thread for so long that they are reported.",
        Counter(|of| of.stall_count()),
    ),
    figure(
        "executor_netpoll_ready_total",
        Unit::Count,
        "Tasks woken by the netpoller.",
        Counter(|of| of.netpoll_ready_count()),
    ),
    figure(
        "executor_cpu_throttled_periods_total",
        Unit::Count,
        "Periods in which the kernel has stopped the process because its CPU quota was used up.",
        CounterIfThere(|of| of.cpu_throttled_count()),
    ),
    figure(
        "executor_cpu_throttled_seconds_total",
        Unit::Seconds,
        "How long the kernel has stopped the process because of its CPU quota, summed over CPUs.",
        GaugeIfThere(|of| Some(of.cpu_throttled_duration()?.as_secs_f64())),
    ),
    figure(
        "executor_priority_queue_depth",
        Unit::Count,
        "Runnable tasks of the class, in all queues.",
        OfClass(|of, priority| of.priority_queue_depth(priority) as f64),
    ),
    figure(
        "executor_priority_polls_total",
        Unit::Count,
        "Polls begun of tasks of the class.",
        CounterOfClass(|of, priority| of.priority_poll_count(priority)),
    ),
    figure(
        "executor_worker_queue_depth",
        Unit::Count,
        "Runnable tasks in the queue and the next slot of the processor.",
        OfWorker(|of, worker| of.worker_local_queue_depth(worker) as f64),
    ),
    figure(
        "executor_worker_busy_seconds_total",
        Unit::Seconds,
        "How long the processor was held by a thread that polled tasks or looked for some.",
        OfWorker(|of, worker| of.worker_total_busy_duration(worker).as_secs_f64()),
    ),
    figure(
        "executor_worker_polls_total",
        Unit::Count,
        "Polls begun by the processor.",
        CounterOfWorker(|of, worker| of.worker_poll_count(worker)),
    ),
    figure(
        "executor_worker_steals_total",
        Unit::Count,
        "Successful steals by the processor.",
        CounterOfWorker(|of, worker| of.worker_steal_count(worker)),
    ),
    figure(
        "executor_worker_parks_total",
        Unit::Count,
        "Times a worker released the processor because there was nothing to do.",
        CounterOfWorker(|of, worker| of.worker_park_count(worker)),
    ),
];

/// One published histogram: three names, as a Prometheus histogram has them.
struct Times {
    bucket: &'static str,
    sum: &'static str,
    count: &'static str,
    text: &'static str,
    read: fn(&RuntimeMetrics) -> &Histogram,
}

const TIMES: [Times; 2] = [
    Times {
        bucket: "executor_poll_seconds_bucket",
        sum: "executor_poll_seconds_sum",
        count: "executor_poll_seconds_count",
        text: "How long polls took",
        read: RuntimeMetrics::poll_time_histogram,
    },
    Times {
        bucket: "executor_schedule_latency_seconds_bucket",
        sum: "executor_schedule_latency_seconds_sum",
        count: "executor_schedule_latency_seconds_count",
        text: "How long woken and spawned tasks waited for a processor; one in eight is measured",
        read: RuntimeMetrics::schedule_latency_histogram,
    },
];

/// The bounds of the published buckets, as powers of two of a nanosecond: from 1.024 µs, below
/// which no poll is worth a look, to 8.6 s. That the histogram's own buckets end there too makes
/// the counts exact. Its eight per power would be 192 series.
const BOUNDS: std::ops::RangeInclusive<u32> = 10..=33;

impl RuntimeMetrics {
    /// Gives the figures to the recorder that the program has installed for the `metrics` crate.
    /// Without one it does nothing.
    ///
    /// All of them begin with `executor_` and carry the label `runtime`, with the name given here;
    /// those of one processor also the label `worker`, those of one class of tasks the label
    /// `priority` (`background`, `normal` or `interactive`). Counts since the runtime began are counters,
    /// the others gauges. Call it now and then: what the recorder has is as old as the last call.
    /// What each of them means is told by [`describe`](RuntimeMetrics::describe).
    ///
    /// Times are in seconds, and therefore gauges, since counters are whole numbers.
    /// `executor_worker_busy_seconds_total` only grows: in Prometheus its `rate()` is how busy a
    /// processor is, 1 at most as a rule. `executor_cpu_throttled_periods_total` and
    /// `executor_cpu_throttled_seconds_total` are there only where the process has a cgroup.
    ///
    /// With [`Builder::histograms`](crate::Builder::histograms), once something was measured, also
    /// `executor_poll_seconds` and `executor_schedule_latency_seconds`, each as a Prometheus
    /// histogram is laid out: `_count`, `_sum`, and `_bucket` with how many times were shorter than
    /// the label `le`, which is each power of two nanoseconds from 1.024 µs to 8.6 s, and `+Inf`.
    /// That is 27 series for each of the two, and no more with more workers. The 99th percentile of
    /// the last minute:
    ///
    /// ```text
    /// histogram_quantile(0.99, sum by (le) (rate(executor_poll_seconds_bucket[1m])))
    /// ```
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use executor::runtime::RuntimeMetrics;
    ///
    /// # executor::block_on(async {
    /// // Here the program has installed its recorder.
    /// RuntimeMetrics::describe();
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
        let of_runtime = [("runtime", runtime.to_owned())];
        for Figure { name, read, .. } in &FIGURES {
            match read {
                Gauge(read) => gauge!(*name, &of_runtime).set(read(self)),
                Counter(read) => counter!(*name, &of_runtime).absolute(read(self)),
                GaugeIfThere(read) => {
                    if let Some(value) = read(self) {
                        gauge!(*name, &of_runtime).set(value);
                    }
                }
                CounterIfThere(read) => {
                    if let Some(value) = read(self) {
                        counter!(*name, &of_runtime).absolute(value);
                    }
                }
                OfWorker(_) | CounterOfWorker(_) | OfClass(_) | CounterOfClass(_) => {}
            }
        }
        for (class, priority) in CLASSES {
            let labels = labels(runtime, "priority", class);
            for Figure { name, read, .. } in &FIGURES {
                match read {
                    OfClass(read) => gauge!(*name, &labels).set(read(self, priority)),
                    CounterOfClass(read) => {
                        counter!(*name, &labels).absolute(read(self, priority));
                    }
                    _ => {}
                }
            }
        }
        for worker in 0..self.num_workers() {
            let labels = labels(runtime, "worker", worker);
            for Figure { name, read, .. } in &FIGURES {
                match read {
                    OfWorker(read) => gauge!(*name, &labels).set(read(self, worker)),
                    CounterOfWorker(read) => {
                        counter!(*name, &labels).absolute(read(self, worker));
                    }
                    Gauge(_) | Counter(_) | GaugeIfThere(_) | CounterIfThere(_) | OfClass(_)
                    | CounterOfClass(_) => {}
                }
            }
        }
        for times in &TIMES {
            let histogram = (times.read)(self);
            // Without measurements there is nothing to see in 54 series.
            if histogram.count() != 0 {
                times.publish(runtime, histogram);
            }
        }
    }

    /// Describes all figures that [`publish`](RuntimeMetrics::publish) gives, with their units, to
    /// the recorder that the program has installed. Call it once, after that.
    ///
    /// # Examples
    ///
    /// ```
    /// executor::runtime::RuntimeMetrics::describe();
    /// ```
    pub fn describe() {
        for Figure {
            name,
            unit,
            text,
            read,
        } in &FIGURES
        {
            match read {
                Gauge(_) | GaugeIfThere(_) | OfWorker(_) | OfClass(_) => {
                    describe_gauge!(*name, *unit, *text)
                }
                Counter(_) | CounterIfThere(_) | CounterOfWorker(_) | CounterOfClass(_) => {
                    describe_counter!(*name, *unit, *text);
                }
            }
        }
        for Times {
            bucket,
            sum,
            count,
            text,
            ..
        } in &TIMES
        {
            let shorter = format!("{text}: those shorter than le, in seconds.");
            describe_counter!(*bucket, Unit::Count, shorter);
            describe_counter!(*count, Unit::Count, format!("{text}: those measured."));
            describe_gauge!(*sum, Unit::Seconds, format!("{text}: their sum."));
        }
    }
}

impl Times {
    fn publish(&self, runtime: &str, histogram: &Histogram) {
        let bucket = |le: String, count| {
            counter!(self.bucket, &labels(runtime, "le", le)).absolute(count);
        };
        let (mut buckets, mut shorter) = (histogram.buckets().peekable(), 0);
        for power in BOUNDS {
            let bound = Duration::from_nanos(1 << power);
            while let Some((_, count)) = buckets.next_if(|(times, _)| times.end <= bound) {
                shorter += count;
            }
            bucket(bound.as_secs_f64().to_string(), shorter);
        }
        bucket("+Inf".to_owned(), histogram.count());
        let of_runtime = [("runtime", runtime.to_owned())];
        counter!(self.count, &of_runtime).absolute(histogram.count());
        gauge!(self.sum, &of_runtime).set(histogram.sum().as_secs_f64());
    }
}

fn labels(runtime: &str, name: &'static str, value: impl ToString) -> [(&'static str, String); 2] {
    [("runtime", runtime.to_owned()), (name, value.to_string())]
}
