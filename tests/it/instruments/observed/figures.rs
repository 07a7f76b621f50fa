//! What a recorder of `metrics` is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use executor::runtime::{Builder, Histogram, RuntimeMetrics};
use executor::task::Priority;
use metrics::{Counter, Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Keeps the last value of everything by its name and labels, and the kind and the unit of what is described.
#[derive(Default)]
struct Last {
    values: Mutex<HashMap<String, (&'static str, Arc<AtomicU64>)>>,
    described: Mutex<HashMap<String, (&'static str, Unit)>>,
}

impl Last {
    fn cell(&self, kind: &'static str, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut values = self.values.lock().unwrap();
        let (as_before, cell) = values.entry(name).or_insert((kind, Arc::default()));
        assert_eq!(*as_before, kind, "{key}");
        cell.clone()
    }

    fn describe(&self, kind: &'static str, name: KeyName, unit: Unit, text: SharedString) {
        assert!(text.len() > 10 && text.ends_with('.'), "{text}");
        let name = name.as_str().to_owned();
        let before = self.described.lock().unwrap().insert(name, (kind, unit));
        assert_eq!(before, None, "described twice");
    }

    #[track_caller]
    fn bits(&self, name: &str) -> u64 {
        match self.values.lock().unwrap().get(name) {
            Some((_, cell)) => cell.load(Ordering::SeqCst),
            None => panic!("{name} was not published"),
        }
    }

    /// The kinds of everything published, by their names.
    fn published(&self) -> HashMap<String, &'static str> {
        let values = self.values.lock().unwrap();
        let names = values.iter().map(|(name, (kind, _))| {
            let (name, _labels) = name.split_once('{').unwrap();
            (name.to_owned(), *kind)
        });
        names.collect()
    }
}

impl Recorder for Last {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("counter", name, unit.unwrap(), text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("gauge", name, unit.unwrap(), text);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("{} is no histogram of this crate", name.as_str())
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell("counter", key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell("gauge", key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        panic!("{key} is no histogram of this crate")
    }
}

/// What a runtime has to tell that has run so many tasks, one of which took 3 ms.
fn after(workers: usize, tasks: usize, histograms: bool) -> RuntimeMetrics {
    let runtime = Builder::new()
        .worker_threads(workers)
        .histograms(histograms)
        .build()
        .unwrap();
    for task in 0..tasks {
        let pause = Duration::from_millis(if task == 0 { 3 } else { 0 });
        let task = runtime.spawn(async move { std::thread::sleep(pause) });
        runtime.block_on(task).unwrap();
    }
    runtime.metrics()
}

#[test]
fn figures_of_two_runtimes_are_told_apart() {
    let last = Last::default();
    for (name, workers, tasks) in [("one", 1, 3), ("two", 2, 5)] {
        let metrics = after(workers, tasks, false);
        metrics::with_local_recorder(&last, || metrics.publish(name));
    }
    let gauge = |name: &str| f64::from_bits(last.bits(name));
    assert_eq!(gauge("executor_workers{runtime=one}"), 1.0);
    assert_eq!(gauge("executor_workers{runtime=two}"), 2.0);
    assert_eq!(last.bits("executor_spawned_tasks_total{runtime=one}"), 3);
    assert_eq!(last.bits("executor_spawned_tasks_total{runtime=two}"), 5);
}

#[test]
fn whatever_is_published_is_described_once_and_as_what_it_is() {
    let last = Last::default();
    let metrics = after(2, 20, true);
    metrics::with_local_recorder(&last, || {
        metrics.publish("main");
        metrics.publish("main");
        assert!(last.described.lock().unwrap().is_empty());
        RuntimeMetrics::describe();
    });
    let described = last.described.lock().unwrap();
    let kinds = described.iter().map(|(name, (kind, _))| (name, *kind));
    let mut published = last.published();
    // Where there is no cgroup there are two less.
    let throttled =
        ["periods", "seconds"].map(|unit| format!("executor_cpu_throttled_{unit}_total"));
    if metrics.cpu_throttled_count().is_none() {
        for (name, kind) in throttled.into_iter().zip(["counter", "gauge"]) {
            assert_eq!(published.insert(name, kind), None);
        }
    }
    assert_eq!(published.len(), 27);
    assert_eq!(published, kinds.map(|(n, k)| (n.clone(), k)).collect());
    for (name, (kind, unit)) in described.iter() {
        // A name says its unit; Prometheus' conventions know no other for a time than the second.
        let seconds = name.contains("_seconds_") && !name.ends_with("_bucket");
        let seconds = seconds && !name.ends_with("_count");
        assert_eq!(*unit == Unit::Seconds, seconds, "{name}");
        if name.ends_with("_total") {
            assert_eq!(*kind, if seconds { "gauge" } else { "counter" }, "{name}");
        }
    }
}

#[test]
fn what_is_published_is_what_the_snapshot_says() {
    let last = Last::default();
    let metrics = after(2, 20, false);
    metrics::with_local_recorder(&last, || metrics.publish("main"));
    let counter = |name: &str| last.bits(&format!("executor_{name}"));
    let gauge = |name: &str| f64::from_bits(counter(name));
    for (name, value) in [
        ("workers", metrics.worker_threads()),
        ("threads", metrics.num_threads()),
        ("alive_tasks", metrics.num_alive_tasks()),
        ("global_queue_depth", metrics.global_queue_depth()),
        ("blocking_threads", metrics.num_blocking_threads()),
        ("idle_blocking_threads", metrics.num_idle_blocking_threads()),
        ("blocking_queue_depth", metrics.blocking_queue_depth()),
    ] {
        assert_eq!(gauge(&format!("{name}{{runtime=main}}")), value as f64);
    }
    for (name, value) in [
        ("spawned_tasks", metrics.spawned_tasks_count()),
        ("handoffs", metrics.handoff_count()),
        ("retakes", metrics.retake_count()),
        ("stalls", metrics.stall_count()),
        ("netpoll_ready", metrics.netpoll_ready_count()),
    ] {
        assert_eq!(counter(&format!("{name}_total{{runtime=main}}")), value);
    }
    let mut busy = 0.0;
    for worker in 0..2 {
        let of_worker = |name| format!("worker_{name}{{runtime=main,worker={worker}}}");
        let depth = metrics.worker_local_queue_depth(worker);
        assert_eq!(gauge(&of_worker("queue_depth")), depth as f64);
        let seconds = gauge(&of_worker("busy_seconds_total"));
        let duration = metrics.worker_total_busy_duration(worker);
        assert_eq!(seconds, duration.as_secs_f64());
        busy += seconds;
        for (name, value) in [
            ("polls_total", metrics.worker_poll_count(worker)),
            ("steals_total", metrics.worker_steal_count(worker)),
            ("parks_total", metrics.worker_park_count(worker)),
        ] {
            assert_eq!(counter(&of_worker(name)), value);
        }
    }
    assert!(busy >= 0.003, "{busy} s, of which one task took 3 ms");
    let throttled = metrics.cpu_throttled_count().map(|count| {
        assert_eq!(counter("cpu_throttled_periods_total{runtime=main}"), count);
        let seconds = gauge("cpu_throttled_seconds_total{runtime=main}");
        let duration = metrics.cpu_throttled_duration().unwrap();
        assert_eq!(seconds, duration.as_secs_f64());
        2
    });
    for class in [
        Priority::Interactive,
        Priority::Normal,
        Priority::Background,
    ] {
        let of_class = format!(
            "{{runtime=main,priority={}}}",
            format!("{class:?}").to_lowercase()
        );
        let (depth, polls) = (
            metrics.priority_queue_depth(class),
            metrics.priority_poll_count(class),
        );
        assert_eq!(
            gauge(&format!("priority_queue_depth{of_class}")),
            depth as f64
        );
        assert_eq!(counter(&format!("priority_polls_total{of_class}")), polls);
    }
    // Twelve of the runtime, two of each class and five of each worker; the histograms, which are off, are not there.
    let all = 12 + throttled.unwrap_or(0) + 3 * 2 + 2 * 5;
    assert_eq!(last.values.lock().unwrap().len(), all);
}

#[test]
fn buckets_are_those_of_the_histogram_added_up() {
    let last = Last::default();
    let metrics = after(1, 20, true);
    metrics::with_local_recorder(&last, || metrics.publish("main"));
    let all: [(&str, &Histogram); 2] = [
        ("poll", metrics.poll_time_histogram()),
        ("schedule_latency", metrics.schedule_latency_histogram()),
    ];
    for (name, histogram) in all {
        assert_ne!(histogram.count(), 0, "{name}");
        let name = format!("executor_{name}_seconds_");
        let count = last.bits(&format!("{name}count{{runtime=main}}"));
        assert_eq!(count, histogram.count());
        let sum = last.bits(&format!("{name}sum{{runtime=main}}"));
        assert_eq!(f64::from_bits(sum), histogram.sum().as_secs_f64());
        let prefix = format!("{name}bucket{{runtime=main,le=");
        let values = last.values.lock().unwrap();
        let mut buckets: Vec<(f64, u64)> = values
            .iter()
            .filter_map(|(name, (_, count))| {
                let bound = name.strip_prefix(&prefix)?.strip_suffix('}')?;
                Some((bound.parse().unwrap(), count.load(Ordering::SeqCst)))
            })
            .collect();
        buckets.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(buckets.len(), 25);
        assert_eq!((buckets[0].0, buckets[23].0), (1.024e-6, 8.589934592));
        assert_eq!(buckets[24], (f64::INFINITY, count));
        for (bound, count) in buckets {
            let shorter = histogram
                .buckets()
                .filter(|(times, _)| times.end.as_secs_f64() <= bound)
                .map(|(_, count)| count);
            // Time is never so long that the last bucket of all, without an end, would make a difference here.
            assert_eq!(count, shorter.sum::<u64>(), "{name} below {bound} s");
        }
    }
}
