//! Ends that are hard: waits in destructors, a caught end, and what outlives its simulation.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use executor::sim::{self, Failure, FailureKind};
use executor::time::{sleep, timeout};

use super::{OnDrop, builder, fails, millis, repeats};

/// Swallows the panic by which the run ends its waits.
#[test]
fn the_end_is_caught() {
    fails(FailureKind::Deadlock, || async {
        let job = executor::spawn_blocking(|| {
            for _ in 0..3 {
                let wait = || executor::block_on(pending::<()>());
                assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());
            }
        });
        let task = executor::spawn(async {
            let wait = || executor::block_on(pending::<()>());
            let _ = catch_unwind(AssertUnwindSafe(wait));
            pending::<()>().await
        });
        let _ = (job.await, task.await);
        pending::<()>().await
    });
}

#[test]
fn a_drop_waits_for_ever_at_the_end() {
    fails(FailureKind::Deadlock, || async {
        let _task = executor::spawn(async {
            let _guard = OnDrop(|| executor::block_on(pending::<()>()));
            pending::<()>().await
        });
        let _own = OnDrop(|| executor::block_on(sleep(millis(1))));
        pending::<()>().await
    });
}

#[test]
fn a_drop_waits_for_ever_while_a_panic_unwinds() {
    for seed in 0..5 {
        let run = || {
            builder().seed(seed).build().run(async {
                let task = executor::spawn(async {
                    let _guard = OnDrop(|| {
                        let _ = catch_unwind(|| executor::block_on(pending::<()>()));
                    });
                    sleep(millis(1)).await;
                    panic!("in a task")
                });
                let task: executor::JoinHandle<()> = task;
                let _ = task.await;
            })
        };
        let failure: Failure = run().unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Deadlock, "{failure}");
    }
}

/// They are not part of the run: it may end before they have woken anybody. But it ends.
#[test]
fn threads_of_the_system_wake_tasks() {
    for seed in 0..20 {
        let sum = builder().seed(seed).build().run(async {
            let (sender, receiver) = async_channel::unbounded();
            let thread = std::thread::spawn(move || {
                for count in 0..50 {
                    sender.send_blocking(count).unwrap();
                    std::thread::yield_now();
                }
            });
            let task = executor::spawn(async move {
                let mut sum = 0;
                while !receiver.is_closed() || !receiver.is_empty() {
                    match timeout(millis(1), receiver.recv()).await {
                        Ok(Ok(count)) => sum += count,
                        _ => std::thread::yield_now(),
                    }
                }
                sum
            });
            let sum = task.await.unwrap();
            thread.join().unwrap();
            sum
        });
        match sum {
            Ok(sum) => assert_eq!(sum, 49 * 25),
            Err(failure) => assert_eq!(failure.kind(), FailureKind::Deadlock, "{failure}"),
        }
    }
}

/// What was made in a simulation is used when that is over.
#[test]
fn handles_outlive_their_simulation() {
    for seed in 0..20 {
        let (handle, mut task, sleep, runtime, nested) = builder()
            .seed(seed)
            .build()
            .run(async {
                let task = executor::spawn(pending::<()>());
                let mut own = Box::pin(sleep(millis(3)));
                poll_fn(|cx| {
                    assert!(own.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                let runtime = executor::Builder::new().worker_threads(1).build().unwrap();
                let nested = runtime.spawn(sleep(millis(1)));
                (executor::Handle::current(), task, own, runtime, nested)
            })
            .unwrap();
        assert!(handle.try_spawn_is_cancelled());
        let ended = executor::block_on(async { timeout(millis(50), &mut task).await });
        assert!(ended.unwrap().is_err_and(|error| error.is_cancelled()));
        executor::block_on(sleep);
        drop((runtime, nested));
    }
}

#[test]
fn a_runtime_that_is_kept_fails_the_run() {
    let build = || async { executor::Builder::new().worker_threads(1).build().unwrap() };
    let kept = builder().allow_leftover_tasks(false).build().run(build());
    let failure = kept.expect_err("its threads are left");
    assert_eq!(failure.kind(), FailureKind::LeftoverTasks);
    assert!(failure.message().contains("threads are left"), "{failure}");
}

trait IsClosed {
    fn try_spawn_is_cancelled(&self) -> bool;
}

impl IsClosed for executor::Handle {
    fn try_spawn_is_cancelled(&self) -> bool {
        let task = self.spawn(async {});
        executor::block_on(task).is_err_and(|error| error.is_cancelled())
    }
}

#[test]
fn a_simulation_does_not_begin_in_another_one() {
    repeats(|| async {
        let inner = || sim::Builder::new().build().run(async {});
        assert!(catch_unwind(inner).is_err());
        let task = executor::spawn(async move { catch_unwind(inner).is_err() });
        assert!(task.await.unwrap());
        let job = executor::spawn_blocking(move || catch_unwind(inner).is_err());
        assert!(job.await.unwrap());
    });
}
