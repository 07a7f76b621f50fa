//! How stuck tasks end, and what they leave: nothing is lost, nothing runs twice, and their threads go away.

use std::future::pending;
use std::panic::panic_any;
use std::sync::mpsc;
use std::time::Duration;

use executor::Runtime;
use executor::runtime::{Builder, RuntimeMetrics};
use executor::spawn;
use executor::task::yield_now;

use crate::common::stuck::{Count, Stuck, each_way, join};
use crate::common::{assert_all_usable, processors, wait_until, within_patience};

fn polls(metrics: &RuntimeMetrics) -> u64 {
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_poll_count(worker))
        .sum()
}

/// All tasks have ended, no queue has anything in it, and so many tasks there were.
fn assert_empty(runtime: &Runtime, spawned: usize) {
    wait_until("all have ended", || {
        runtime.metrics().num_alive_tasks() == 0
    });
    let metrics = runtime.metrics();
    assert_eq!(metrics.spawned_tasks_count(), spawned as u64, "{metrics}");
    assert_eq!(metrics.global_queue_depth(), 0, "{metrics}");
    for worker in 0..metrics.num_workers() {
        assert_eq!(metrics.worker_local_queue_depth(worker), 0, "{metrics}");
    }
}

#[test]
fn leftovers_of_a_stuck_task_run_exactly_once() {
    const CHILDREN: usize = 1000;
    each_way(|way, runtime| {
        let (ran, dropped) = (Count::default(), Count::default());
        let parent = runtime.spawn({
            let (ran, dropped) = (ran.clone(), dropped.clone());
            async move {
                way.until_another_ran();
                for _ in 0..CHILDREN {
                    let (ran, counted) = (ran.clone(), dropped.drops());
                    drop(spawn(async move {
                        let _counted = counted;
                        ran.add();
                        yield_now().await;
                    }));
                }
            }
        });
        runtime.block_on(parent).unwrap();
        assert_empty(&runtime, CHILDREN + 2);
        assert_eq!((ran.get(), dropped.get()), (CHILDREN, CHILDREN));
        assert_eq!(polls(&runtime.metrics()), 2 * CHILDREN as u64 + 2);
    });
}

/// The other threads compute meanwhile, so that no thief comes to help: what does not fit in the first move to the global
/// queue has to get out by itself.
#[test]
fn leftovers_that_nobody_steals_run_exactly_once() {
    const CHILDREN: usize = 1000;
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        let (hogs, release, ran) = (Count::default(), Count::default(), Count::default());
        let parent = runtime.spawn({
            let (hogs, release, ran) = (hogs.clone(), release.clone(), ran.clone());
            async move {
                for _ in 0..count {
                    let (hogs, release) = (hogs.clone(), release.clone());
                    drop(spawn(async move {
                        hogs.add();
                        Stuck::Spinning.until_count(&release, 1);
                    }));
                }
                // They have all processors then, this one too.
                way.until_count(&hogs, count);
                ran.spawn(CHILDREN);
            }
        });
        runtime.block_on(parent).unwrap();
        ran.reaches(CHILDREN).recv().unwrap();
        release.add();
        assert_empty(&runtime, 1 + count + CHILDREN);
        assert_eq!(ran.get(), CHILDREN);
        assert_eq!(polls(&runtime.metrics()), (1 + count + CHILDREN) as u64);
    });
}

/// More than 64 at a time have something in their queue, which is as many as thieves look at. To let that happen, the tasks
/// that have the processors compute.
#[test]
fn two_hundred_stuck_tasks_spawn_at_once_and_their_threads_end() {
    const STUCK: usize = 200;
    const CHILDREN: usize = 10;
    within_patience(|| {
        for count in [1, 2] {
            let runtime = Builder::new()
                .worker_threads(count)
                .thread_keep_alive(Duration::from_millis(10))
                .build()
                .unwrap();
            let threads = runtime.metrics().num_threads();
            let (begun, go) = (Count::default(), Count::default());
            let (spawned, ran) = (Count::default(), Count::default());
            let stuck = (0..STUCK).map(|_| {
                let (begun, go) = (begun.clone(), go.clone());
                let (spawned, ran) = (spawned.clone(), ran.clone());
                runtime.spawn(async move {
                    begun.add();
                    Stuck::Blocked.until_count(&go, 1);
                    ran.spawn(CHILDREN);
                    spawned.add();
                    Stuck::Blocked.until_count(&ran, STUCK * CHILDREN);
                })
            });
            let stuck: Vec<_> = stuck.collect();
            begun.reaches(STUCK).recv().unwrap();
            assert!(runtime.metrics().num_threads() > STUCK);
            assert!(runtime.metrics().retake_count() >= (STUCK - count) as u64);
            let hogs = (0..count).map(|_| {
                let (go, spawned) = (go.clone(), spawned.clone());
                runtime.spawn(async move {
                    go.add();
                    Stuck::Spinning.until_count(&spawned, STUCK);
                })
            });
            join(&runtime, hogs.collect());
            join(&runtime, stuck);
            assert_eq!(ran.get(), STUCK * CHILDREN);
            wait_until("spare threads have ended", || {
                runtime.metrics().num_threads() <= threads
            });
            assert_empty(&runtime, STUCK * (1 + CHILDREN) + count);
            assert_all_usable(&runtime);
        }
    });
}

fn rounds_of_stuck_tasks(runtime: Runtime, rounds: usize) -> RuntimeMetrics {
    for round in 1..=rounds as u64 {
        let (begun, go) = (Count::default(), Count::default());
        let tasks = (0..2).map(|_| {
            let (begun, go) = (begun.clone(), go.clone());
            runtime.spawn(async move {
                begun.add();
                Stuck::Blocked.until_count(&go, 1);
            })
        });
        let mut tasks: Vec<_> = tasks.collect();
        begun.reaches(2).recv().unwrap();
        tasks.push(runtime.spawn(async move { go.add() }));
        join(&runtime, tasks);
        assert!(runtime.metrics().retake_count() >= round);
    }
    assert_empty(&runtime, 3 * rounds);
    let metrics = runtime.metrics();
    assert_eq!(polls(&metrics), 3 * rounds as u64, "{metrics}");
    metrics
}

#[test]
fn a_thousand_rounds_of_stuck_tasks_use_few_threads_and_lose_no_count() {
    within_patience(|| {
        for count in [1, 2] {
            let metrics = rounds_of_stuck_tasks(processors(count), 1000);
            assert!(metrics.num_threads() <= 16, "{metrics}");
        }
    });
}

/// Each of them needs a new thread.
#[test]
fn rounds_of_stuck_tasks_without_a_keep_alive_lose_no_count() {
    within_patience(|| {
        for count in [1, 2] {
            let builder = Builder::new()
                .worker_threads(count)
                .thread_keep_alive(Duration::ZERO);
            rounds_of_stuck_tasks(builder.build().unwrap(), 200);
        }
    });
}

#[test]
fn a_panic_of_a_stuck_task_reaches_its_handle() {
    each_way(|way, runtime| {
        for number in 0..5 {
            let panics = runtime.spawn(async move {
                way.until_another_ran();
                panic_any(number);
            });
            let error = runtime
                .block_on::<executor::JoinHandle<()>>(panics)
                .unwrap_err();
            assert_eq!(*error.into_panic().downcast::<i32>().unwrap(), number);
        }
        assert_all_usable(&runtime);
    });
}

#[test]
fn an_aborted_stuck_task_ends_with_its_poll() {
    each_way(|way, runtime| {
        let dropped = Count::default();
        for number in 1..=5 {
            let (begun, has_begun) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let counted = dropped.drops();
            let aborted = runtime.spawn(async move {
                let _counted = counted;
                way.until_another_ran();
                begun.send(()).unwrap();
                way.until(&released);
                pending::<()>().await;
            });
            has_begun.recv().unwrap();
            aborted.abort();
            // Others are not held up by the request.
            runtime.block_on(runtime.spawn(async {})).unwrap();
            assert_eq!(dropped.get(), number - 1);
            drop(release);
            assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
            assert_eq!(dropped.get(), number);
        }
    });
}

#[test]
fn a_detached_stuck_task_runs_to_its_end() {
    each_way(|way, runtime| {
        let ended = Count::default();
        for _ in 0..5 {
            let ended = ended.clone();
            drop(runtime.spawn(async move {
                way.until_another_ran();
                yield_now().await;
                ended.add();
            }));
        }
        ended.reaches(5).recv().unwrap();
        assert_empty(&runtime, 10);
    });
}

/// What they have pushed before anybody found them stuck is more than thieves look at.
#[test]
fn a_crowd_that_waits_for_its_children_gets_them() {
    const CHILDREN: usize = 3;
    within_patience(|| {
        for stuck in [20, 60, 100, 300] {
            let runtime = processors(2);
            let tasks = (0..stuck).map(|_| {
                runtime.spawn(async {
                    let (bringer, wait) = mpsc::channel();
                    for _ in 0..CHILDREN {
                        let bringer = bringer.clone();
                        drop(spawn(async move { bringer.send(()).unwrap() }));
                    }
                    for _ in 0..CHILDREN {
                        assert!(Stuck::Blocked.until(&wait));
                    }
                })
            });
            join(&runtime, tasks.collect());
        }
    });
}
