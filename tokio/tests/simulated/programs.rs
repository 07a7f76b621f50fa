//! What a program uses works in a simulation as it does elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use executor::sim::{self, FailureKind};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Barrier, Notify, mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, block_in_place, spawn_blocking, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::{HOUR, MS, run, simulate};

#[test]
fn time_is_virtual() {
    simulate(|| async {
        let start = Instant::now();
        sleep(HOUR).await;
        assert!(start.elapsed() >= HOUR);
        assert!(timeout(HOUR, std::future::pending::<()>()).await.is_err());
        assert!(start.elapsed() >= 2 * HOUR);
        let mut ticks = interval(HOUR);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..3 {
            ticks.tick().await;
        }
        assert!(start.elapsed() >= 4 * HOUR);
    });
}

#[test]
fn tasks_run_on_the_runtime_of_the_simulation() {
    simulate(|| async {
        let handle = Handle::current();
        assert_eq!(handle.runtime_flavor(), RuntimeFlavor::MultiThread);
        assert_eq!(handle.metrics().num_workers(), 2);
        let (inner, outer) = (handle.id(), handle.id());
        let task = tokio::spawn(async move {
            assert_eq!(Handle::current().id(), inner);
            sleep(MS).await;
            tokio::spawn(async { Handle::current().id() })
                .await
                .unwrap()
        });
        assert_eq!(task.await.unwrap(), outer);
        let closure = spawn_blocking(|| {
            let handle = Handle::current();
            sim::block(MS);
            handle.block_on(async {
                sleep(MS).await;
                tokio::spawn(async { Handle::current().id() })
                    .await
                    .unwrap()
            })
        });
        assert_eq!(closure.await.unwrap(), outer);
        let other = executor::spawn(async { Handle::current().id() });
        assert_eq!(other.await.unwrap(), outer);
    });
}

#[test]
fn who_blocks_holds_up_nobody() {
    simulate(|| async {
        let start = Instant::now();
        let stuck: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(async {
                    block_in_place(|| sim::block(HOUR));
                    block_in_place(|| Handle::current().block_on(sleep(HOUR)));
                })
            })
            .collect();
        let other = tokio::spawn(async {
            for _ in 0..10 {
                sleep(MS).await;
                yield_now().await;
            }
        });
        other.await.unwrap();
        assert!(start.elapsed() < HOUR);
        for task in stuck {
            task.await.unwrap();
        }
        assert!(start.elapsed() >= 2 * HOUR);
    });
}

#[test]
fn sets_of_tasks_are_joined_and_aborted() {
    simulate(|| async {
        let mut set = JoinSet::new();
        for index in 0..10_u32 {
            set.spawn(async move {
                sleep(index * MS).await;
                index
            });
        }
        set.spawn_blocking(|| 45);
        let mut sum = 0;
        while let Some(index) = set.join_next().await {
            sum += index.unwrap();
        }
        assert_eq!(sum, 90);
        for _ in 0..5 {
            set.spawn(std::future::pending());
        }
        set.shutdown().await;
        let local = LocalSet::new();
        let here = std::rc::Rc::new(5);
        let value = local
            .run_until(async move {
                tokio::task::spawn_local(async move {
                    sleep(MS).await;
                    *here
                })
                .await
                .unwrap()
            })
            .await;
        assert_eq!(value, 5);
    });
}

/// A thread that waits in a poll gives its place to others: what it is in must not be theirs.
#[test]
fn each_thread_is_in_its_own_sets_and_scopes() {
    tokio::task_local! {
        static NUMBER: usize;
        static TEXT: String;
    }
    let program = || async {
        let tasks: Vec<_> = (0..4_usize)
            .map(|number| {
                let inner = async move {
                    for _ in 0..3 {
                        sim::block((1 + number as u32) * MS);
                        assert_eq!(NUMBER.get(), number);
                        let nested = NUMBER.sync_scope(number + 100, || {
                            sim::block(MS);
                            NUMBER.get()
                        });
                        assert_eq!(nested, number + 100);
                        assert_eq!(TEXT.with(String::len), number);
                        yield_now().await;
                    }
                };
                let scoped = TEXT.scope("x".repeat(number), NUMBER.scope(number, inner));
                tokio::spawn(scoped)
            })
            .collect();
        let outside = tokio::spawn(async {
            for _ in 0..10 {
                assert!(NUMBER.try_get().is_err());
                let spawn = || tokio::task::spawn_local(async {});
                assert!(std::panic::catch_unwind(spawn).is_err());
                sleep(MS).await;
            }
        });
        let local = LocalSet::new();
        local
            .run_until(async {
                for _ in 0..5 {
                    tokio::task::spawn_local(async { sim::block(MS) })
                        .await
                        .unwrap();
                }
            })
            .await;
        outside.await.unwrap();
        for task in tasks {
            task.await.unwrap();
        }
    };
    for seed in 0..20 {
        // Those that are caught count, too.
        let sim = sim::Builder::new()
            .seed(seed)
            .allow_task_panics(true)
            .build();
        sim.run(program()).unwrap();
    }
}

/// The set is older than the simulation.
#[test]
fn each_thread_is_in_no_set_of_another() {
    let local = LocalSet::new();
    local.spawn_local(async {
        // The set's thread waits in it.
        block_in_place(|| sim::block(HOUR));
    });
    let program = async {
        let others: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(async {
                    for _ in 0..10 {
                        sleep(MS).await;
                        let spawn = || tokio::task::spawn_local(async {});
                        assert!(std::panic::catch_unwind(spawn).is_err());
                    }
                })
            })
            .collect();
        local.await;
        for task in others {
            task.await.unwrap();
        }
    };
    let sim = sim::Builder::new().allow_task_panics(true).build();
    sim.run(program).unwrap();
}

/// A poll that waits has spent some of its budget. Others begin with theirs.
#[test]
fn each_poll_has_its_own_budget() {
    use tokio::task::coop::has_budget_remaining;
    simulate(|| async {
        let polls: Vec<_> = (0..4)
            .map(|_| {
                let (sender, mut receiver) = mpsc::unbounded_channel();
                (0..200).for_each(|n| sender.send(n).unwrap());
                tokio::spawn(async move {
                    let mut polls = 0;
                    let mut all = std::pin::pin!(async {
                        for n in 0..200 {
                            assert_eq!(receiver.recv().await, Some(n));
                            if n % 16 == 0 {
                                assert!(has_budget_remaining());
                                sim::block(MS);
                            }
                        }
                    });
                    std::future::poll_fn(|cx| {
                        polls += 1;
                        all.as_mut().poll(cx)
                    })
                    .await;
                    polls
                })
            })
            .collect();
        for task in polls {
            // 128 operations, then the rest.
            assert_eq!(task.await.unwrap(), 2);
        }
    });
}

#[test]
fn what_waits_for_nothing_is_found() {
    let failure = run(1, async {
        let (sender, receiver) = oneshot::channel::<()>();
        tokio::spawn(async move { receiver.await.unwrap() })
            .await
            .unwrap();
        drop(sender);
    });
    assert_eq!(failure.unwrap_err().kind(), FailureKind::Deadlock);
    let failure = run(1, async { drop(tokio::spawn(sleep(HOUR))) });
    assert_eq!(failure.unwrap_err().kind(), FailureKind::LeftoverTasks);
    let failure = run(1, async {
        tokio::spawn(async { panic!("in a task") }).await.is_err()
    });
    assert_eq!(failure.unwrap_err().kind(), FailureKind::Panic);
}

#[test]
fn barriers_and_notifications_meet() {
    simulate(|| async {
        let (barrier, notify) = (Arc::new(Barrier::new(5)), Arc::new(Notify::new()));
        let passed = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (barrier, notify) = (barrier.clone(), notify.clone());
                let passed = passed.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    if passed.fetch_add(1, Ordering::Relaxed) == 3 {
                        notify.notify_one();
                    }
                })
            })
            .collect();
        barrier.wait().await;
        notify.notified().await;
        assert_eq!(passed.load(Ordering::Relaxed), 4);
        for task in tasks {
            task.await.unwrap();
        }
    });
}
