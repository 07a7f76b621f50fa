//! Runtimes that a simulated program builds.

use std::rc::Rc;

use executor::sim::{self, FailureKind};
use tokio::runtime::{Builder, Handle, LocalOptions, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{spawn_blocking, spawn_local, yield_now};
use tokio::time::{Duration, Instant, advance, interval, pause, resume, sleep, timeout};

use crate::{HOUR, MS, run, simulate};

fn current_thread(start_paused: bool) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_all()
        .start_paused(start_paused)
        .build()
        .unwrap()
}

#[test]
fn they_are_simulated_too() {
    let program = || async {
        let outer = Handle::current().id();
        for current in [false, true] {
            let runtime = match current {
                true => current_thread(false),
                false => Builder::new_multi_thread().enable_all().build().unwrap(),
            };
            // As many as the simulation's, on every machine.
            let workers = if current { 1 } else { 3 };
            assert_eq!(runtime.metrics().num_workers(), workers);
            assert_ne!(runtime.handle().id(), outer);
            let inner = runtime.handle().id();
            let elapsed = runtime.block_on(async move {
                let start = Instant::now();
                let task = tokio::spawn(async move {
                    sleep(HOUR).await;
                    spawn_blocking(|| sim::block(HOUR)).await.unwrap();
                    Handle::current().id()
                });
                assert_eq!(task.await.unwrap(), inner);
                start.elapsed()
            });
            assert!(elapsed >= 2 * HOUR);
            assert_eq!(Handle::current().id(), outer);
            runtime.shutdown_background();
            // A new thread has nothing of those that have just ended.
            let closure = || {
                let id = Handle::current().id();
                sim::block(MS);
                id
            };
            let closures: Vec<_> = (0..4).map(|_| spawn_blocking(closure)).collect();
            for closure in closures {
                assert_eq!(closure.await.unwrap(), outer);
            }
        }
    };
    for seed in 0..20 {
        let sim = sim::Builder::new().seed(seed).processors(3).build();
        sim.run(program()).unwrap();
    }
}

#[test]
fn a_thread_of_its_own_has_a_local_runtime() {
    simulate(|| async {
        let (sender, mut receiver) = mpsc::channel(1);
        let thread = spawn_blocking(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .unwrap();
            runtime.block_on(async move {
                let value = Rc::new(7);
                let task = spawn_local(async move {
                    sleep(HOUR).await;
                    *value
                });
                sender.send(task.await.unwrap()).await.unwrap();
            });
        });
        assert_eq!(receiver.recv().await, Some(7));
        thread.await.unwrap();
    });
}

/// A task that blocks does so in a turn of its runtime, which is no turn of other threads.
#[test]
fn another_threads_turn_holds_up_no_yield() {
    simulate(|| async {
        let start = Instant::now();
        let stuck = spawn_blocking(|| {
            current_thread(false).block_on(async {
                tokio::spawn(async { sim::block(HOUR) }).await.unwrap();
            });
        });
        sleep(MS).await;
        for _ in 0..3 {
            tokio::spawn(async { yield_now().await }).await.unwrap();
        }
        assert!(start.elapsed() < HOUR);
        stuck.await.unwrap();
    });
}

#[test]
fn a_local_runtime_is_of_one_simulated_thread() {
    let program = || async {
        let (sender, receiver) = oneshot::channel();
        let owner = spawn_blocking(|| {
            let mut builder = Builder::new_current_thread();
            let runtime = builder
                .enable_all()
                .build_local(LocalOptions::default())
                .unwrap();
            runtime.block_on(async {
                sender.send(Handle::current()).unwrap();
                sim::block(Duration::from_secs(1));
            });
        });
        let handle = receiver.await.unwrap();
        let other = spawn_blocking(move || {
            let _entered = handle.enter();
            spawn_local(async {});
        });
        assert!(other.await.unwrap_err().is_panic());
        owner.await.unwrap();
    };
    for seed in 0..20 {
        let sim = sim::Builder::new()
            .seed(seed)
            .allow_task_panics(true)
            .build();
        sim.run(program()).unwrap();
    }
}

/// What a thread does that can run comes before the next deadline of a paused clock.
#[test]
fn a_paused_clock_waits_for_other_threads() {
    simulate(|| async {
        let (request, wanted) = oneshot::channel();
        let (answer, wait) = oneshot::channel();
        let paused = spawn_blocking(|| {
            current_thread(true).block_on(async {
                request.send(()).unwrap();
                timeout(HOUR, wait).await.is_ok()
            })
        });
        wanted.await.unwrap();
        answer.send(()).unwrap();
        assert!(paused.await.unwrap());
    });
}

/// The clock of the runtime stands still, and that of the simulation goes on.
#[test]
fn a_paused_clock_moves_as_elsewhere() {
    simulate(|| async {
        let before = Instant::now();
        current_thread(true).block_on(async {
            let start = Instant::now();
            let ticker = tokio::spawn(async {
                let mut ticks = interval(HOUR);
                for _ in 0..5 {
                    ticks.tick().await;
                }
            });
            sleep(MS).await;
            assert_eq!(start.elapsed(), MS);
            assert!(timeout(HOUR, std::future::pending::<()>()).await.is_err());
            ticker.await.unwrap();
            assert_eq!(start.elapsed(), 4 * HOUR);
            advance(Duration::from_secs(5)).await;
            assert_eq!(start.elapsed(), 4 * HOUR + Duration::from_secs(5));
            // Time does not pass while a closure runs.
            let held = spawn_blocking(|| sim::block(10 * MS));
            let now = Instant::now();
            let early = timeout(HOUR, held).await;
            early.unwrap().unwrap();
            assert_eq!(now.elapsed(), Duration::ZERO);
            resume();
            sleep(HOUR).await;
            assert!(start.elapsed() >= 5 * HOUR + Duration::from_secs(5));
        });
        assert!(before.elapsed() >= HOUR);
        assert!(before.elapsed() < 2 * HOUR);
    });
}

#[test]
fn a_clock_is_paused_in_the_middle() {
    simulate(|| async {
        current_thread(false).block_on(async {
            let sleeper = tokio::spawn(sleep(HOUR));
            sleep(MS).await;
            pause();
            let start = Instant::now();
            sim::block(Duration::from_secs(1));
            assert_eq!(start.elapsed(), Duration::ZERO);
            sleeper.await.unwrap();
            let elapsed = start.elapsed();
            // A millisecond had passed before, and deadlines are rounded up to the next one.
            assert!(
                elapsed <= HOUR && elapsed > HOUR - Duration::from_secs(1),
                "{elapsed:?}"
            );
        });
    });
}

/// The simulation's runtime has several threads, and its time is virtual anyway.
#[test]
fn the_clock_of_the_simulation_cannot_be_paused() {
    let failure = run(1, async { pause() }).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Panic);
    assert!(
        failure.message().contains("requires the `current_thread`"),
        "{failure}"
    );
}

#[test]
fn main_functions_run_inside() {
    #[tokio::main]
    async fn multi() -> u32 {
        sleep(HOUR).await;
        tokio::spawn(async { 5 }).await.unwrap()
    }
    #[tokio::main(flavor = "current_thread", start_paused = true)]
    async fn paused() -> Duration {
        let start = Instant::now();
        sleep(HOUR).await;
        start.elapsed()
    }
    simulate(|| async {
        assert_eq!(multi(), 5);
        assert_eq!(paused(), HOUR);
    });
}

/// A runtime that waits for nothing is found in it, too.
#[test]
fn a_deadlock_inside_is_found() {
    let failure = run(1, async {
        current_thread(true).block_on(std::future::pending::<()>());
    });
    assert_eq!(failure.unwrap_err().kind(), FailureKind::Deadlock);
}
