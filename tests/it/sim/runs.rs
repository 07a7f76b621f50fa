//! What a run does, and how it ends.

use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::time::{now, sleep};

fn sim(seed: u64) -> sim::Builder {
    sim::Builder::new().seed(seed)
}

#[test]
fn an_hour_passes_at_once() {
    let elapsed = sim(1).build().run(async {
        let start = now();
        sleep(Duration::from_secs(3600)).await;
        now() - start
    });
    assert!(elapsed.unwrap() >= Duration::from_secs(3600));
}

#[test]
fn tasks_run_and_are_joined() {
    for seed in 0..50 {
        let sum = sim(seed).processors(3).build().run(async {
            let tasks: Vec<_> = (0..20_u64)
                .map(|index| {
                    executor::spawn(async move {
                        sleep(Duration::from_millis(index % 3)).await;
                        index
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum.unwrap(), 190);
    }
}

#[test]
fn all_asleep_is_a_failure_with_stacks() {
    let failure = sim(1)
        .build()
        .run(async {
            let task = executor::task::Builder::new()
                .name("waits for nothing")
                .spawn(std::future::pending::<()>());
            task.await.unwrap();
        })
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    assert!(failure.tasks().contains("waits for nothing"), "{failure}");
}

#[test]
fn a_panic_is_a_failure_with_its_message() {
    let failure = sim(1).build().run(async { assert_eq!(1, 2) }).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Panic);
    assert!(failure.message().contains("left: 1"), "{failure}");
    let run = async {
        executor::spawn(async { panic!("in a task") })
            .await
            .is_err()
    };
    let failure = sim(1).build().run(run).unwrap_err();
    assert!(failure.message().contains("in a task"), "{failure}");
    let run = async {
        executor::spawn(async { panic!("in a task") })
            .await
            .is_err()
    };
    assert!(sim(1).allow_task_panics(true).build().run(run).unwrap());
}

#[test]
fn what_blocks_loses_its_processor() {
    for seed in 0..20 {
        sim(seed)
            .processors(1)
            .build()
            .run(async {
                let start = now();
                let stuck = executor::spawn(async { sim::block(Duration::from_secs(5)) });
                let other = executor::spawn(async { sleep(Duration::from_millis(10)).await });
                other.await.unwrap();
                assert!(now() - start < Duration::from_secs(1));
                stuck.await.unwrap();
                assert!(now() - start >= Duration::from_secs(5));
            })
            .unwrap();
    }
}

#[test]
fn blocking_jobs_and_nested_waits_run_too() {
    for seed in 0..20 {
        sim(seed)
            .processors(2)
            .build()
            .run(async {
                let jobs: Vec<_> = (0..10)
                    .map(|n| {
                        executor::spawn_blocking(move || {
                            sim::block(Duration::from_millis(n));
                            executor::block_on(async move {
                                sleep(Duration::from_millis(n)).await;
                                n
                            })
                        })
                    })
                    .collect();
                for (n, job) in jobs.into_iter().enumerate() {
                    assert_eq!(job.await.unwrap(), n as u64);
                }
                let nested = executor::spawn(async {
                    executor::block_on(async {
                        sleep(Duration::from_millis(3)).await;
                        executor::spawn(async { 5 }).await.unwrap()
                    })
                });
                assert_eq!(nested.await.unwrap(), 5);
            })
            .unwrap();
    }
}

#[test]
fn limits_end_a_run() {
    let failure = sim(1)
        .time_limit(Duration::from_secs(10))
        .build()
        .run(sleep(Duration::from_secs(3600)))
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::TimeLimit);
    let spin = async {
        let task = executor::spawn(async {
            loop {
                executor::task::yield_now().await;
            }
        });
        task.await.unwrap()
    };
    let failure = sim(1).step_limit(10_000).build().run(spin).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::StepLimit);
    let left = async { drop(executor::spawn(sleep(Duration::from_secs(1)))) };
    let failure = sim(1).build().run(left).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::LeftoverTasks);
    let left = async { drop(executor::spawn(sleep(Duration::from_secs(1)))) };
    sim(1).allow_leftover_tasks(true).build().run(left).unwrap();
}

/// What is run is polled by `block_on`, and not by a worker.
#[test]
fn what_is_run_is_slow_at_times_too() {
    let failure = sim(0).explore(500, || async {
        let start = now();
        executor::task::yield_now().await;
        assert!(now() - start < Duration::from_millis(20), "it was slow");
    });
    assert!(failure.unwrap_err().message().contains("it was slow"));
}
