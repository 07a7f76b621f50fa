//! Each future of a queue is polled by one thread at a time, and dropped once, whoever closes.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Alive, Notify, Queue};
use crate::clock;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Arc, Mutex, thread};
use crate::tasks::JoinHandle;

/// Far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts its notifications.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Notify for Count {
    fn notify(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Counts how often it is dropped.
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn queue() -> (Arc<Queue<Count>>, Arc<AtomicUsize>) {
    let count = Count::default();
    (Arc::new(Queue::new(count.clone(), None)), count.0)
}

/// A task that never ends, where it keeps its waker, and how often it was dropped.
fn spawn_pending(
    queue: &Arc<Queue<Count>>,
) -> (JoinHandle<()>, Arc<Mutex<Option<Waker>>>, Arc<AtomicUsize>) {
    let (place, drops) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
    let (kept, dropped) = (place.clone(), Drops(drops.clone()));
    let future = async move {
        let _dropped = dropped;
        poll_fn(move |cx| {
            *kept.lock() = Some(cx.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    };
    (queue.spawn(future, 0), place, drops)
}

#[track_caller]
fn assert_cancelled(mut handle: JoinHandle<()>) {
    let mut cx = std::task::Context::from_waker(Waker::noop());
    match pin!(&mut handle).poll(&mut cx) {
        Poll::Ready(Err(error)) => assert!(error.is_cancelled()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_wake_is_one_poll_and_one_notification_and_the_limit_holds() {
    let (queue, notified) = queue();
    let (_first, place, _) = spawn_pending(&queue);
    let _second = spawn_pending(&queue);
    assert_eq!((queue.len(), notified.load(SeqCst)), (2, 2));
    assert_eq!((queue.run(1), queue.len()), (1, 1));
    assert_eq!((queue.run(9), queue.len()), (1, 0));
    assert_eq!(queue.run(9), 0);
    let waker = place.lock().clone().unwrap();
    waker.wake_by_ref();
    waker.wake();
    assert_eq!((queue.len(), notified.load(SeqCst)), (1, 3));
    assert_eq!((queue.run(9), queue.num_alive()), (1, 2));
    queue.close();
}

#[test]
fn closing_drops_tasks_that_wait_and_tasks_that_have_not_begun_once_each() {
    let (queue, _) = queue();
    let (waiting, place, waiting_drops) = spawn_pending(&queue);
    queue.run(1);
    let (fresh, fresh_place, fresh_drops) = spawn_pending(&queue);
    queue.close();
    assert_eq!(
        (waiting_drops.load(SeqCst), fresh_drops.load(SeqCst)),
        (1, 1)
    );
    assert!(fresh_place.lock().is_none(), "it was not polled");
    assert_cancelled(waiting);
    assert_cancelled(fresh);
    place.lock().take().unwrap().wake();
    assert_eq!((queue.len(), queue.num_alive()), (0, 0));
}

#[test]
fn a_task_spawned_after_closing_is_dropped_unpolled() {
    let (queue, _) = queue();
    queue.close();
    let (handle, place, drops) = spawn_pending(&queue);
    assert_eq!((drops.load(SeqCst), queue.num_alive()), (1, 0));
    assert!(place.lock().is_none());
    assert_cancelled(handle);
    queue.close();
}

#[test]
fn a_task_that_closes_its_queue_ends_when_its_poll_does() {
    let (queue, _) = queue();
    let (waiting, _, drops) = spawn_pending(&queue);
    queue.run(1);
    let closes = queue.clone();
    let closer = queue.spawn(
        async move {
            closes.close();
            pending::<()>().await;
        },
        0,
    );
    let behind = spawn_pending(&queue);
    assert_eq!(queue.run(9), 1);
    assert_eq!((drops.load(SeqCst), behind.2.load(SeqCst)), (1, 1));
    for handle in [waiting, closer, behind.0] {
        assert_cancelled(handle);
    }
}

#[test]
fn one_thread_at_a_time_runs_a_queue_and_another_that_closes_it_waits() {
    let (queue, _) = queue();
    let stage = Arc::new(AtomicUsize::new(0));
    let is_at = |stage: &AtomicUsize, number| {
        while stage.load(SeqCst) != number {
            thread::yield_now();
        }
    };
    let inside = stage.clone();
    let again = queue.clone();
    let handle = queue.spawn(
        async move {
            assert_eq!(again.run(9), 0, "a task of its own");
            inside.store(1, SeqCst);
            is_at(&inside, 2);
        },
        0,
    );
    let behind = spawn_pending(&queue);
    let runs = queue.clone();
    let runner = thread::spawn(move || runs.run(9));
    is_at(&stage, 1);
    assert_eq!(queue.run(9), 0, "another thread");
    let closes = queue.clone();
    let closer = thread::spawn(move || closes.close());
    while queue.changed.total_listeners() == 0 {
        thread::yield_now();
    }
    assert!(!closer.is_finished());
    stage.store(2, SeqCst);
    assert_eq!(runner.join().unwrap(), 1);
    closer.join().unwrap();
    assert!(handle.is_finished());
    assert_eq!(behind.2.load(SeqCst), 1);
}

#[test]
fn of_two_threads_that_close_the_one_that_waits_for_a_task_is_told() {
    let (queue, _) = queue();
    let (last, more) = (Alive::new(&queue), Alive::new(&queue));
    let close = |queue: &Arc<Queue<Count>>| {
        let closes = queue.clone();
        thread::spawn(move || closes.close())
    };
    let listeners = |number| {
        while queue.changed.total_listeners() != number {
            thread::yield_now();
        }
    };
    // The one that drains listens twice.
    let drains = close(&queue);
    listeners(2);
    let waits = close(&queue);
    listeners(3);
    drop(more);
    drop(last);
    let begin = clock::now();
    while !drains.is_finished() || !waits.is_finished() {
        assert!(clock::elapsed(begin) < PATIENCE, "one waits for ever");
        thread::yield_now();
    }
    drains.join().unwrap();
    waits.join().unwrap();
}

#[test]
fn a_panic_ends_one_task_and_not_the_queue() {
    let (queue, _) = queue();
    let mut panics = queue.spawn(async { panic!("of a test") }, 0);
    let after = queue.spawn(async {}, 0);
    assert_eq!(queue.run(9), 2);
    assert!(after.is_finished());
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let outcome: Poll<Result<(), _>> = pin!(&mut panics).poll(&mut cx);
    assert!(matches!(outcome, Poll::Ready(Err(error)) if error.is_panic()));
    assert_eq!(queue.num_alive(), 0);
    queue.close();
}
