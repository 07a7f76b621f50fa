//! `futures`' `Spawn` and `LocalSpawn` for our `Handle`.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use executor::{Builder, Handle};
use futures::channel::{mpsc, oneshot};
use futures::future::{self, FutureExt, join_all};
use futures::stream::StreamExt;
use futures::task::{LocalSpawn, LocalSpawnExt, Spawn, SpawnExt};
use libraries_adapters::{alive_tasks, test, until};

/// A runtime that has shut down: its handle is all that is left.
fn ended() -> Handle {
    Builder::new().build().unwrap().handle().clone()
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn every_spawned_future_gives_its_output_once() {
    test(async {
        let handle = Handle::current();
        let tasks = (0..1000u64).map(|n| handle.spawn_with_handle(async move { n }).unwrap());
        let outputs = join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(outputs, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_library_that_takes_any_spawn_runs_on_workers() {
    async fn library(spawn: &dyn Spawn) -> Vec<usize> {
        let (tx, rx) = mpsc::unbounded();
        for n in 0..100 {
            let tx = tx.clone();
            spawn
                .spawn(async move { tx.unbounded_send(n).unwrap() })
                .unwrap();
        }
        drop(tx);
        rx.collect().await
    }
    test(async {
        let mut numbers = library(&Handle::current()).await;
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_handle_of_futures_cancels_when_dropped_and_not_when_forgotten() {
    test(async {
        let handle = Handle::current();
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let dropped = Dropped(drops.clone());
            drop(handle.spawn_with_handle(async move {
                let _dropped = dropped;
                future::pending::<()>().await
            }));
        }
        until(|| alive_tasks() == 0).await;
        assert_eq!(drops.load(Relaxed), 100);

        let (tx, rx) = oneshot::channel();
        handle
            .spawn_with_handle(async { tx.send(1).unwrap() })
            .unwrap()
            .forget();
        assert_eq!(rx.await, Ok(1));
    });
}

#[test]
fn a_panic_comes_out_of_the_handle_of_futures_and_harms_nothing_else() {
    test(async {
        let handle = Handle::current();
        let bad = handle
            .spawn_with_handle(async { panic!("from the task") })
            .unwrap();
        let good = handle.spawn_with_handle(async { 1 }).unwrap();
        let panic: Result<(), _> = AssertUnwindSafe(bad).catch_unwind().await;
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"from the task"));
        assert_eq!(good.await, 1);
    });
}

#[test]
fn a_runtime_that_has_shut_down_says_so_and_drops_the_future() {
    let drops = Arc::new(AtomicUsize::new(0));
    let handle = ended();
    assert!(handle.status().unwrap_err().is_shutdown());
    let dropped = Dropped(drops.clone());
    let error = SpawnExt::spawn(&handle, async move { drop(dropped) }).unwrap_err();
    assert!(error.is_shutdown());
    assert!(handle.spawn_with_handle(async {}).is_err());
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_shutdown_drops_what_was_spawned_exactly_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new().build().unwrap();
    for _ in 0..100 {
        let dropped = Dropped(drops.clone());
        let task = async move {
            let _dropped = dropped;
            future::pending::<()>().await
        };
        runtime.handle().spawn_obj(Box::pin(task).into()).unwrap();
    }
    drop(runtime);
    assert_eq!(drops.load(Relaxed), 100);
}

#[test]
fn local_futures_run_on_the_thread_of_block_on() {
    test(async {
        let handle = Handle::current();
        let thread = std::thread::current().id();
        let sum = Rc::new(Cell::new(0));
        let tasks = (0..100).map(|n| {
            let sum = sum.clone();
            let task = async move {
                executor::task::yield_now().await;
                assert_eq!(std::thread::current().id(), thread);
                sum.set(sum.get() + n);
            };
            handle.spawn_local_with_handle(task).unwrap()
        });
        join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(sum.get(), 4950);
        handle.status_local().unwrap();
    });
}

#[test]
fn a_local_spawn_outside_a_block_on_is_an_error_not_a_panic() {
    let dropped = Rc::new(());
    let spawn = |handle: &Handle| {
        let kept = dropped.clone();
        let error = handle.spawn_local(async move { drop(kept) });
        assert!(error.unwrap_err().is_shutdown());
        assert!(handle.status_local().unwrap_err().is_shutdown());
        assert_eq!(Rc::strong_count(&dropped), 1);
    };
    let runtime = Builder::new().build().unwrap();
    spawn(runtime.handle());
    {
        let _entered = runtime.handle().enter();
        spawn(runtime.handle());
    }
    runtime.block_on(async {});
    spawn(runtime.handle());
    spawn(&ended());
}

#[test]
fn a_local_spawn_on_a_worker_or_a_blocking_thread_is_an_error() {
    test(async {
        let attempt = || {
            let handle = Handle::current();
            assert!(handle.status_local().is_err());
            assert!(handle.spawn_local(async {}).is_err());
        };
        executor::spawn(async move { attempt() }).await.unwrap();
        executor::spawn_blocking(attempt).await.unwrap();
        // A `block_on` within a task makes a place for them.
        let nested = || {
            executor::block_on(async {
                let handle = Handle::current();
                handle.spawn_local_with_handle(async { 7 }).unwrap().await
            })
        };
        assert_eq!(executor::spawn(async move { nested() }).await.unwrap(), 7);
    });
}
