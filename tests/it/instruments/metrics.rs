//! Figures that are measured on request: each poll counts once, one push in eight is followed, nothing unless asked for.

use std::time::Duration;

use crate::common::{run_ignored, wait_until, within_patience};
use executor::Runtime;
use executor::runtime::Builder;
use executor::task::yield_now;

fn measuring(workers: usize) -> Runtime {
    Builder::new()
        .worker_threads(workers)
        .histograms(true)
        .build()
        .unwrap()
}

#[test]
fn every_poll_is_measured_once() {
    within_patience(|| {
        for workers in [1, 2, 4] {
            let runtime = measuring(workers);
            let tasks: Vec<_> = (0..10)
                .map(|_| {
                    runtime.spawn(async {
                        for _ in 0..99 {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                runtime.block_on(task).unwrap();
            }
            // The end of a poll is noted after its task has ended.
            wait_until("all polls are noted", || {
                runtime.metrics().poll_time_histogram().count() == 1000
            });
            let polls: u64 = (0..workers)
                .map(|worker| runtime.metrics().worker_poll_count(worker))
                .sum();
            assert_eq!(polls, 1000);
        }
    });
}

#[test]
fn one_push_in_eight_is_followed_to_its_poll() {
    within_patience(|| {
        let runtime = measuring(1);
        let task = runtime.spawn(async {
            // This worker's own pushes from here on: the first of each eight is measured.
            for _ in 0..800 {
                yield_now().await;
            }
        });
        runtime.block_on(task).unwrap();
        wait_until("all are noted", || {
            let metrics = runtime.metrics();
            // The one from outside, its first, may be on its way still; and who takes a processor over counts anew.
            let most = 101 + metrics.retake_count();
            (100..=most).contains(&metrics.schedule_latency_histogram().count())
        });
    });
}

#[test]
fn a_long_poll_and_a_long_wait_are_told_from_short_ones() {
    within_patience(|| {
        const LONG: Duration = Duration::from_millis(30);
        let runtime = measuring(1);
        runtime.block_on(runtime.spawn(async {})).unwrap();
        runtime
            .block_on(runtime.spawn(async { std::thread::sleep(LONG) }))
            .unwrap();
        wait_until("both are noted", || {
            runtime.metrics().poll_time_histogram().count() == 2
        });
        let metrics = runtime.metrics();
        let polls = metrics.poll_time_histogram();
        assert!(polls.quantile(1.0) >= LONG);
        assert!(polls.sum() >= LONG && polls.mean() >= LONG / 2);
        let long = polls.buckets().filter(|(times, _)| times.end >= LONG);
        assert_eq!(long.map(|(_, count)| count).sum::<u64>(), 1);
        let text = metrics.to_string();
        assert!(text.contains("poll times: 2 measured"), "{text}");
    });
}

#[test]
fn nothing_is_measured_unless_asked_for() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        runtime.block_on(runtime.spawn(yield_now())).unwrap();
        let metrics = runtime.metrics();
        assert_eq!(metrics.poll_time_histogram().count(), 0);
        assert_eq!(metrics.schedule_latency_histogram().count(), 0);
        assert!(!metrics.to_string().contains("poll times"));
    });
}

#[test]
fn a_runtime_that_follows_another_begins_at_zero() {
    within_patience(|| {
        for _ in 0..3 {
            let runtime = measuring(3);
            runtime.block_on(runtime.spawn(async {})).unwrap();
            wait_until("it is noted", || {
                runtime.metrics().poll_time_histogram().count() == 1
            });
        }
        let runtime = Builder::new().worker_threads(3).build().unwrap();
        runtime.block_on(runtime.spawn(async {})).unwrap();
        assert_eq!(runtime.metrics().poll_time_histogram().count(), 0);
    });
}

#[test]
fn a_processor_is_busy_while_it_is_in_somebody_s_hands() {
    within_patience(|| {
        const WORK: Duration = Duration::from_millis(50);
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let busy = || runtime.metrics().worker_total_busy_duration(0);
        runtime.block_on(runtime.spawn(async {})).unwrap();
        let before = busy();
        let spin = runtime.spawn(async {
            let begin = std::time::Instant::now();
            while begin.elapsed() < WORK {}
        });
        runtime.block_on(spin).unwrap();
        let after = busy();
        assert!(after - before >= WORK, "{before:?} {after:?}");
        // It grows while a poll goes on, too.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let stuck = runtime.spawn(async move { _ = held.recv() });
        wait_until("it grows", || busy() > after + WORK);
        drop(release);
        runtime.block_on(stuck).unwrap();
        wait_until("it lies down", || {
            let once = busy();
            std::thread::sleep(Duration::from_millis(5));
            busy() == once
        });
    });
}

const VARIABLE: &str = "EXECUTOR_DEBUG";

#[test]
#[ignore = "the_environment_asks_for_measuring starts it in a process of its own"]
fn child_measures() {
    assert!(std::env::var_os(VARIABLE).is_some());
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    wait_until("it is noted", || {
        runtime.metrics().poll_time_histogram().count() == 1
    });
    let silent = Builder::new()
        .worker_threads(1)
        .histograms(false)
        .build()
        .unwrap();
    silent.block_on(silent.spawn(async {})).unwrap();
    let polls = silent.metrics().poll_time_histogram().count();
    assert_eq!(polls, 0, "the builder decides");
}

#[test]
fn the_environment_asks_for_measuring() {
    run_ignored(module_path!(), "child_measures", VARIABLE, "histograms=1");
}
