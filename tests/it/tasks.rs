//! Tasks: joining, detaching, aborting, panicking; each counted exactly.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use executor::runtime::Builder;
use executor::{Runtime, block_on, spawn};

fn runtime() -> Runtime {
    Builder::new().build().unwrap()
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<AtomicUsize>, impl Fn() -> Counted) {
    let count = Arc::new(AtomicUsize::new(0));
    let inner = count.clone();
    (count, move || Counted(inner.clone()))
}

#[test]
fn a_joined_task_gives_its_output() {
    assert_eq!(block_on(spawn(async { 7 })).unwrap(), 7);
}

#[test]
fn a_detached_task_runs_to_its_end() {
    let (sender, receiver) = async_channel::bounded(1);
    drop(spawn(async move { sender.send(1).await.unwrap() }));
    assert_eq!(block_on(receiver.recv()).unwrap(), 1);
}

#[test]
fn a_hundred_thousand_tasks_all_finish() {
    let runtime = runtime();
    let count = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..100_000)
        .map(|_| {
            let count = count.clone();
            runtime.spawn(async move {
                count.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    runtime.block_on(async {
        for handle in handles {
            handle.await.unwrap();
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 100_000);
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    assert_eq!(runtime.metrics().spawned_tasks_count(), 100_000);
}

#[test]
fn tasks_spawned_by_tasks_all_finish() {
    fn tree(depth: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            if depth == 0 {
                return 1;
            }
            let children: Vec<_> = (0..10).map(|_| spawn(tree(depth - 1))).collect();
            let mut sum = 0;
            for child in children {
                sum += child.await.unwrap();
            }
            sum
        })
    }
    assert_eq!(executor::run(tree(4)), 10_000);
}

#[test]
fn a_panic_reaches_the_handle_and_nothing_else() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    for _ in 0..100 {
        let error = runtime
            .block_on(runtime.spawn(async { panic!("boom") }))
            .unwrap_err();
        assert!(error.is_panic());
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "boom");
    }
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn a_panic_in_a_destructor_reaches_the_handle() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let handle = runtime.spawn(async {
        let _bomb = Bomb;
    });
    assert!(runtime.block_on(handle).unwrap_err().is_panic());
    // The same when the task is dropped while it waits, and when nobody takes its output.
    let handle = runtime.spawn(async {
        let _bomb = Bomb;
        pending::<()>().await;
    });
    runtime.block_on(async { executor::task::yield_now().await });
    handle.abort();
    assert!(runtime.block_on(handle).unwrap_err().is_cancelled());
    drop(runtime.spawn(async { Bomb }));
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn the_future_is_dropped_before_its_handle_resolves() {
    let (drops, counted) = counter();
    for round in 1..=1000 {
        let held = counted();
        block_on(spawn(async move {
            let _held = held;
        }))
        .unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), round);
    }
}

#[test]
fn abort_drops_a_waiting_future_once() {
    let (drops, counted) = counter();
    for round in 1..=1000 {
        let held = counted();
        let (sender, receiver) = async_channel::bounded::<()>(1);
        let handle = spawn(async move {
            let _held = held;
            sender.send(()).await.unwrap();
            pending::<()>().await;
        });
        block_on(receiver.recv()).unwrap();
        handle.abort();
        handle.abort();
        assert!(block_on(handle).unwrap_err().is_cancelled());
        assert_eq!(drops.load(Ordering::SeqCst), round);
    }
}

#[test]
fn abort_that_races_with_completion_gives_either() {
    let (drops, counted) = counter();
    for round in 1..=10_000 {
        let held = counted();
        let handle = spawn(async move {
            let _held = held;
            executor::task::yield_now().await;
            5
        });
        let abort = handle.abort_handle();
        if round % 2 == 0 {
            abort.abort()
        } else {
            handle.abort()
        }
        match block_on(handle) {
            Ok(output) => assert_eq!(output, 5),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert!(abort.is_finished());
        assert_eq!(drops.load(Ordering::SeqCst), round);
    }
}

#[test]
fn abort_of_a_finished_task_keeps_its_output() {
    let handle = spawn(async { 3 });
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    handle.abort();
    assert_eq!(block_on(handle).unwrap(), 3);
}

#[test]
fn an_abort_handle_outlives_everything() {
    let runtime = runtime();
    let handle = runtime.spawn(pending::<()>());
    let abort = handle.abort_handle();
    let early = runtime.spawn(async {}).abort_handle();
    drop(handle);
    assert!(!abort.is_finished());
    drop(runtime);
    assert!(abort.is_finished());
    assert!(early.is_finished());
    abort.abort();
}

#[test]
fn a_detached_task_can_be_aborted() {
    let (drops, counted) = counter();
    let runtime = runtime();
    let held = counted();
    let handle = runtime.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    let abort = handle.abort_handle();
    drop(handle);
    abort.abort();
    while !abort.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}

#[test]
fn a_task_woken_while_it_runs_is_polled_once_more() {
    let polls = Arc::new(AtomicUsize::new(0));
    let inner = polls.clone();
    block_on(spawn(poll_fn(move |cx: &mut Context<'_>| {
        if inner.fetch_add(1, Ordering::SeqCst) == 4 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        cx.waker().wake_by_ref();
        Poll::Pending
    })))
    .unwrap();
    assert_eq!(polls.load(Ordering::SeqCst), 5);
}

#[test]
fn ids_are_unique_and_seen_inside() {
    let handles: Vec<_> = (0..1000)
        .map(|_| spawn(async { executor::task::id() }))
        .collect();
    let mut ids: Vec<_> = handles.iter().map(|handle| handle.id()).collect();
    for (handle, id) in handles.into_iter().zip(&ids) {
        assert_eq!(block_on(handle).unwrap(), *id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
    assert!(executor::task::try_id().is_none());
}

#[test]
fn two_tasks_that_hold_each_others_handles_end_with_the_runtime() {
    let (drops, counted) = counter();
    let runtime = runtime();
    let (sender, receiver) = async_channel::bounded(2);
    for _ in 0..2 {
        let (receiver, held) = (receiver.clone(), counted());
        let handle = runtime.spawn(async move {
            let _held = held;
            let other: executor::JoinHandle<()> = receiver.recv().await.unwrap();
            let _ = other.await;
        });
        sender.try_send(handle).unwrap();
    }
    drop(runtime);
    // One of them may have received its own handle, or both each other's: all are gone.
    assert_eq!(drops.load(Ordering::SeqCst), 2);
}

/// Each way to spawn passes on the caller's line, not one of this crate.
#[test]
fn every_way_to_spawn_knows_the_line_it_was_called_from() {
    fn here() -> (&'static str, u32) {
        let location = executor::task::location().expect("a task knows where it was spawned");
        (location.file(), location.line())
    }
    async fn there() -> (&'static str, u32) {
        here()
    }

    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let handle = runtime.handle();
    let mut set = executor::task::JoinSet::new();
    let entered = handle.enter();
    let first = line!() + 1;
    let spawned = [
        executor::spawn(there()),
        executor::spawn_blocking(here),
        runtime.spawn(there()),
        runtime.spawn_blocking(here),
        handle.spawn(there()),
        handle.spawn_blocking(here),
        executor::task::Builder::new().spawn(there()),
        executor::task::Builder::new().name("named").spawn(there()),
    ];
    for (line, task) in (first..).skip(1).zip(spawned) {
        assert_eq!(runtime.block_on(task).unwrap(), (file!(), line));
    }
    let ran = (executor::run(there()), line!());
    assert_eq!(ran.0, (file!(), ran.1));
    runtime.block_on(async {
        let local = (executor::spawn_local(there()), line!());
        assert_eq!(local.0.await.unwrap(), (file!(), local.1));
        let in_set = [
            (set.spawn(there()), line!()),
            (set.spawn_blocking(here), line!()),
        ];
        let mut seen = Vec::new();
        for _ in &in_set {
            seen.push(set.join_next().await.unwrap().unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, in_set.map(|(_, line)| (file!(), line)));
    });
    drop(entered);
    assert!(executor::task::location().is_none(), "outside a task");
}
