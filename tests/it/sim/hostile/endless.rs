//! What goes on when the run is over, and what has no end.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::task::{self, TaskQueue};
use executor::time::sleep;

use super::{OnDrop, builder, fails, millis, repeats};

fn wait_until(stop: &AtomicBool, nap: Duration) {
    while !stop.load(Ordering::Relaxed) {
        sim::block(nap);
    }
}

/// The flag is never raised.
#[test]
fn jobs_wait_in_a_loop_when_the_run_fails() {
    for nap in [millis(1), Duration::ZERO] {
        fails(FailureKind::Panic, || async move {
            let stop = Arc::new(AtomicBool::new(false));
            let other = stop.clone();
            let job = executor::spawn_blocking(move || wait_until(&stop, nap));
            let task = executor::spawn(async move { wait_until(&other, nap) });
            sleep(millis(3)).await;
            assert!(job.is_finished() && task.is_finished(), "it fails");
        });
    }
}

/// Each on a thread of the system of its own: to `std`, the thread unwinds ever after.
#[test]
fn drops_wait_in_a_loop_when_the_run_fails() {
    for seed in 0..10 {
        let run = move || {
            let run = builder().seed(seed).build().run(async {
                let _task = executor::spawn(async {
                    let stop = AtomicBool::new(false);
                    let _guard = OnDrop(|| wait_until(&stop, millis(1)));
                    executor::block_on(pending::<()>())
                });
                pending::<()>().await
            });
            let failure = run.unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Deadlock, "{failure}");
            assert!(failure.message().contains("was abandoned"), "{failure}");
        };
        std::thread::spawn(run).join().unwrap();
    }
}

/// Two threads unwind at a time, and wait meanwhile.
#[test]
fn drops_of_several_threads_wait_at_the_end() {
    fails(FailureKind::Deadlock, || async {
        for _ in 0..3 {
            drop(executor::spawn_blocking(|| {
                let _guard = OnDrop(|| executor::block_on(sleep(millis(1))));
                executor::block_on(pending::<()>())
            }));
        }
        pending::<()>().await
    });
}

#[test]
fn a_task_that_never_rests_is_left() {
    for seed in 0..10 {
        let sim = builder().seed(seed).step_limit(10_000);
        let failure = sim.allow_leftover_tasks(false).build().run(async {
            drop(executor::spawn(async {
                loop {
                    task::yield_now().await;
                }
            }));
        });
        let kind = failure.unwrap_err().kind();
        assert!(matches!(
            kind,
            FailureKind::StepLimit | FailureKind::LeftoverTasks
        ));
    }
}

#[test]
fn a_call_that_never_returns_ends_at_the_limit() {
    let waits = |stuck: fn(Duration)| async move {
        let _rest = executor::spawn(pending::<()>());
        let task = executor::spawn(async move { stuck(Duration::MAX) });
        let _ = task.await;
        pending::<()>().await
    };
    for limit in [Duration::from_secs(1), Duration::MAX] {
        for seed in 0..20 {
            let sim = builder().seed(seed).time_limit(limit).step_limit(20_000);
            let failure = sim.build().run(waits(sim::block)).unwrap_err();
            let kind = match limit {
                // It returns at the end of time, in 73 years, and the test waits for ever.
                Duration::MAX => FailureKind::Deadlock,
                _ => FailureKind::TimeLimit,
            };
            assert_eq!((failure.kind(), failure.message()), (kind, ""), "{failure}");
        }
    }
    // The monitor looks at it again and again.
    let sim = builder().step_limit(20_000).build();
    let failure = sim.run(waits(sim::compute)).unwrap_err();
    assert_eq!(
        (failure.kind(), failure.message()),
        (FailureKind::StepLimit, "")
    );
}

/// Two threads take turns for ever, and a third one would end that.
#[test]
fn nobody_starves() {
    for seed in 0..40 {
        let run = builder().seed(seed).pct(1).step_limit(1_000_000).build();
        let ended = run.run(async {
            let flag = Arc::new(AtomicBool::new(false));
            let own = flag.clone();
            drop(executor::spawn_blocking(move || {
                own.store(true, Ordering::Relaxed);
            }));
            while !flag.load(Ordering::Relaxed) {
                executor::spawn(async {}).await.unwrap();
            }
        });
        ended.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_queue_is_closed_while_another_thread_runs_it() {
    repeats(|| async {
        let queue = Arc::new(TaskQueue::new(|| {}));
        drop(queue.spawner().spawn(async { sim::block(millis(50)) }));
        let own = queue.clone();
        let runner = executor::spawn_blocking(move || own.run(10));
        sleep(millis(10)).await;
        queue.close();
        runner.await.unwrap();
    });
}

#[test]
fn a_runtime_of_the_system_is_dropped() {
    for seed in 0..5 {
        let runtime = executor::Builder::new().worker_threads(1).build().unwrap();
        drop(runtime.spawn(pending::<()>()));
        let other = executor::Builder::new().worker_threads(1).build().unwrap();
        let run = builder().seed(seed).build().run(async move {
            drop(runtime);
            let report = other.shutdown_timeout(Duration::from_secs(60));
            assert!(report.is_complete());
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    }
}
