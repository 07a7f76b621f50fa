//! Hazards of `JoinSet`: results lost or given twice, tasks that survive their set, wakes that are lost.

use std::collections::HashSet;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use executor::runtime::{Builder, Runtime};
use executor::task::{JoinSet, yield_now};
use futures::FutureExt;
use futures::channel::oneshot;

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

/// Counts how often it was dropped.
struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Counts wakes.
#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Yields until `done` says so; panics when that takes too long.
async fn until(what: &str, done: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < give_up, "still waiting until {what}");
        yield_now().await;
    }
}

/// A task that never ends by itself; `drops` counts its end.
fn endless(drops: &Arc<AtomicUsize>) -> impl Future<Output = u32> + Send + 'static {
    let guard = CountDrop(drops.clone());
    async move {
        let _guard = guard;
        pending().await
    }
}

#[test]
fn each_result_comes_once() {
    runtime().block_on(async {
        let mut set: JoinSet<usize> = (0..100).map(|n| async move { n }).collect();
        assert_eq!(set.len(), 100);
        let mut seen = HashSet::new();
        while let Some(result) = set.join_next().await {
            assert!(seen.insert(result.unwrap()));
            assert_eq!(set.len(), 100 - seen.len());
        }
        assert_eq!(seen.len(), 100);
        assert!(set.is_empty());
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn results_come_in_the_order_of_completion() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        let mut senders = Vec::new();
        for n in 0..10 {
            let (sender, receiver) = oneshot::channel::<()>();
            senders.push(Some(sender));
            set.spawn(async move {
                receiver.await.unwrap();
                n
            });
        }
        for n in [7, 0, 9, 3, 1, 8, 2, 6, 4, 5] {
            assert!(set.join_next().now_or_never().is_none());
            senders[n].take().unwrap().send(()).unwrap();
            assert_eq!(set.join_next().await.unwrap().unwrap(), n);
        }
    });
}

#[test]
fn several_completions_before_a_look_keep_their_order() {
    // One worker: what a task came to is in the set before the next one runs.
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        let mut senders = Vec::new();
        let mut handles = Vec::new();
        for n in 0..5 {
            let (sender, receiver) = oneshot::channel::<()>();
            senders.push(Some(sender));
            handles.push(set.spawn(async move {
                receiver.await.unwrap();
                n
            }));
        }
        assert!(set.join_next().now_or_never().is_none());
        for n in [3, 1, 4, 0, 2] {
            senders[n].take().unwrap().send(()).unwrap();
            until("it is finished", || handles[n].is_finished()).await;
        }
        for n in [3, 1, 4, 0, 2] {
            assert_eq!(set.join_next().await.unwrap().unwrap(), n);
        }
    });
}

#[test]
fn one_abort_ends_one_task() {
    let drops = Arc::new(AtomicUsize::new(0));
    runtime().block_on(async {
        let mut set = JoinSet::new();
        let victim = set.spawn(endless(&drops));
        set.spawn(async { 1 });
        victim.abort();
        let mut cancelled = Vec::new();
        let mut ok = Vec::new();
        while let Some(result) = set.join_next_with_id().await {
            match result {
                Ok((id, output)) => ok.push((id, output)),
                Err(error) => {
                    assert!(error.is_cancelled());
                    cancelled.push(error.id());
                }
            }
        }
        assert_eq!(cancelled, [victim.id()]);
        assert_eq!(ok.len(), 1);
        assert_ne!(ok[0].0, victim.id());
        assert_eq!(ok[0].1, 1);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn abort_all_cancels_all_and_keeps_them_to_be_joined() {
    let drops = Arc::new(AtomicUsize::new(0));
    runtime().block_on(async {
        let mut set: JoinSet<u32> = (0..50).map(|_| endless(&drops)).collect();
        set.abort_all();
        assert_eq!(set.len(), 50);
        let mut cancelled = 0;
        while let Some(result) = set.join_next().await {
            assert!(result.unwrap_err().is_cancelled());
            cancelled += 1;
            assert!(drops.load(SeqCst) >= cancelled);
        }
        assert_eq!((cancelled, drops.load(SeqCst)), (50, 50));
    });
}

/// Each way in which a task can be when its set is aborted, and one that is spawned afterwards.
#[test]
fn abort_all_reaches_who_waits_and_who_has_not_begun_and_nobody_who_comes_later() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let task = runtime.spawn({
        let drops = drops.clone();
        async move {
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let drops = CountDrop(drops.clone());
                // Waits for the second time.
                set.spawn(async move {
                    let _drops = drops;
                    yield_now().await;
                    pending().await
                });
            }
            for _ in 0..10 {
                yield_now().await;
            }
            for _ in 0..10 {
                set.spawn(endless(&drops));
            }
            set.abort_all();
            set.spawn(async {
                yield_now().await;
                7
            });
            let mut cancelled = 0;
            let mut outputs = Vec::new();
            while let Some(result) = set.join_next().await {
                match result {
                    Ok(output) => outputs.push(output),
                    Err(error) => cancelled += usize::from(error.is_cancelled()),
                }
            }
            (cancelled, outputs)
        }
    });
    assert_eq!(runtime.block_on(task).unwrap(), (20, vec![7]));
    assert_eq!(drops.load(SeqCst), 20);
}

#[test]
fn a_clone_of_an_abort_handle_aborts_the_task_too() {
    let drops = Arc::new(AtomicUsize::new(0));
    runtime().block_on(async {
        let mut set = JoinSet::new();
        let first = set.spawn(endless(&drops));
        let clone = first.clone();
        assert_eq!((first.id(), first.is_finished()), (clone.id(), false));
        drop(first);
        let again = clone.clone();
        clone.abort();
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(clone.is_finished() && again.is_finished());
        let late = set.spawn(async { 1 });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        assert!(late.clone().is_finished());
    });
}

#[test]
fn dropping_the_set_aborts_every_task() {
    let drops = Arc::new(AtomicUsize::new(0));
    runtime().block_on(async {
        let mut set: JoinSet<u32> = (0..50).map(|_| endless(&drops)).collect();
        assert!(set.join_next().now_or_never().is_none());
        drop(set);
        until("all are dropped", || drops.load(SeqCst) == 50).await;
    });
    assert_eq!(drops.load(SeqCst), 50);
}

#[test]
fn outputs_nobody_joins_are_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        let handles: Vec<_> = (0..20)
            .map(|_| {
                let output = CountDrop(drops.clone());
                set.spawn(async move { output })
            })
            .collect();
        until("all have finished", || {
            handles.iter().all(|handle| handle.is_finished())
        })
        .await;
        drop(set.join_next().await);
        assert_eq!(drops.load(SeqCst), 1);
        drop(set);
    });
    drop(runtime);
    assert_eq!(drops.load(SeqCst), 20);
}

#[test]
fn detached_tasks_run_on() {
    let runtime = runtime();
    runtime.block_on(async {
        let done = Arc::new(AtomicUsize::new(0));
        let mut set = JoinSet::new();
        let mut senders = Vec::new();
        for _ in 0..20 {
            let (sender, receiver) = oneshot::channel::<()>();
            let done = done.clone();
            senders.push(sender);
            set.spawn(async move {
                receiver.await.unwrap();
                done.fetch_add(1, SeqCst);
            });
        }
        assert!(set.join_next().now_or_never().is_none());
        set.detach_all();
        assert!(set.is_empty());
        assert!(set.join_next().await.is_none());
        // The numbers serve again; what the detached tasks come to must not be taken for the new ones'.
        for _ in 0..20 {
            set.spawn(pending());
        }
        senders
            .into_iter()
            .for_each(|sender| sender.send(()).unwrap());
        until("all have run", || done.load(SeqCst) == 20).await;
        assert!(set.join_next().now_or_never().is_none());
        assert_eq!(set.len(), 20);
        drop(set);
        assert_eq!(done.load(SeqCst), 20);
    });
}

#[test]
fn panics_come_out() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("first") });
        set.spawn_blocking(|| panic!("second"));
        set.spawn(async {});
        let mut messages = Vec::new();
        let mut ok = 0;
        while let Some(result) = set.join_next().await {
            match result {
                Ok(()) => ok += 1,
                Err(error) => {
                    assert!(error.is_panic());
                    messages.push(*error.into_panic().downcast::<&str>().unwrap());
                }
            }
        }
        messages.sort_unstable();
        assert_eq!((ok, messages), (1, vec!["first", "second"]));
    });
}

#[test]
fn a_cancelled_join_next_loses_nothing() {
    runtime().block_on(async {
        let mut set: JoinSet<usize> = (0..500)
            .map(|n| async move {
                for _ in 0..n % 7 {
                    yield_now().await;
                }
                n
            })
            .collect();
        let mut seen = HashSet::new();
        let mut cancelled = 0;
        while !set.is_empty() {
            let mut other = pin!(yield_now().fuse());
            let mut next = pin!(set.join_next().fuse());
            futures::select_biased! {
                _ = other => cancelled += 1,
                next = next => assert!(seen.insert(next.unwrap().unwrap())),
            }
        }
        assert_eq!(seen.len(), 500, "after {cancelled} cancelled joins");
    });
}

/// The join of one task must not look at the others: 10,000 joins of 10,000 tasks would take minutes.
/// In a task of its own it must also get along with the cooperative budget.
#[test]
fn ten_thousand_tasks() {
    async fn all() -> usize {
        let mut set = JoinSet::new();
        let mut senders = Vec::new();
        for n in 0..10_000 {
            let (sender, receiver) = oneshot::channel::<()>();
            senders.push(sender);
            set.spawn(async move {
                receiver.await.unwrap();
                n
            });
        }
        assert!(set.join_next().now_or_never().is_none());
        let sending = executor::spawn(async {
            for sender in senders {
                sender.send(()).unwrap();
                yield_now().await;
            }
        });
        let mut sum = 0;
        while let Some(result) = set.join_next().await {
            sum += result.unwrap();
        }
        sending.await.unwrap();
        sum
    }
    let runtime = runtime();
    assert_eq!(runtime.block_on(all()), 49_995_000);
    assert_eq!(runtime.block_on(runtime.spawn(all())).unwrap(), 49_995_000);
}

#[test]
fn finished_tasks_beyond_the_budget_are_all_joined() {
    let runtime = runtime();
    let sum = runtime.spawn(async {
        let mut set = JoinSet::new();
        let handles: Vec<_> = (0..1_000).map(|n| set.spawn(async move { n })).collect();
        until("all have finished", || {
            handles.iter().all(|handle| handle.is_finished())
        })
        .await;
        let mut sum = 0;
        while let Some(result) = set.join_next().await {
            sum += result.unwrap();
        }
        sum
    });
    assert_eq!(runtime.block_on(sum).unwrap(), 499_500);
}

#[test]
fn a_set_that_was_empty_serves_again() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        for round in 0..50 {
            assert!(set.join_next().await.is_none());
            for n in 0..3 {
                set.spawn(async move { round * 3 + n });
            }
            let mut results = Vec::new();
            while let Some(result) = set.join_next().await {
                results.push(result.unwrap());
            }
            results.sort_unstable();
            assert_eq!(results, [round * 3, round * 3 + 1, round * 3 + 2]);
        }
    });
}

#[test]
fn shutdown_waits_for_the_drops() {
    let drops = Arc::new(AtomicUsize::new(0));
    runtime().block_on(async {
        let mut set: JoinSet<u32> = (0..50).map(|_| endless(&drops)).collect();
        set.spawn(async { 1 });
        set.shutdown().await;
        assert!(set.is_empty());
        assert_eq!(drops.load(SeqCst), 50);
        set.spawn(async { 2 });
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
    });
}

#[test]
fn try_join_next_takes_what_has_finished_and_keeps_the_waiter() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        assert!(set.try_join_next().is_none());
        let (sender, receiver) = oneshot::channel::<()>();
        let handle = set.spawn(async move { receiver.await.unwrap() });
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(wakes.clone());
        assert!(
            set.poll_join_next(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert!(set.try_join_next().is_none());
        assert_eq!(wakes.0.load(SeqCst), 0);
        sender.send(()).unwrap();
        until("the waiter is woken", || wakes.0.load(SeqCst) == 1).await;
        assert!(handle.is_finished());
        assert!(set.try_join_next().unwrap().is_ok());
        assert!(set.is_empty());
    });
}

/// Between two polls of the set a task is added: the waiter of the first must hear of it.
#[test]
fn a_task_spawned_beside_a_waiter_wakes_it() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        set.spawn(pending());
        let mut spawned = false;
        let first = poll_fn(|cx| {
            let polled = set.poll_join_next(cx);
            if polled.is_pending() && !spawned {
                spawned = true;
                set.spawn(async { 5 });
            }
            polled
        });
        assert_eq!(first.await.unwrap().unwrap(), 5);
    });
}

/// The waiter of a set may be the task that owns it; a detached or dropped set must let go of it.
#[test]
fn a_set_lets_go_of_its_waiter() {
    runtime().block_on(async {
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(wakes.clone());
        let mut set = JoinSet::<()>::new();
        let handle = set.spawn(pending());
        assert!(
            set.poll_join_next(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 2);
        set.detach_all();
        assert_eq!(Arc::strong_count(&wakes), 1);
        handle.abort();
    });
}

/// Also while a task of it cannot end, and keeps what would wake the set.
#[test]
fn a_set_that_is_dropped_lets_go_of_its_waiter() {
    let runtime = runtime();
    let wakes = Arc::new(CountWakes::default());
    let (begun, has_begun) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let entered = runtime.handle().enter();
    let mut set = JoinSet::new();
    set.spawn(async move {
        begun.send(()).unwrap();
        held.recv().unwrap_err();
    });
    drop(entered);
    has_begun.recv().unwrap();
    let waker = Waker::from(wakes.clone());
    let polled = set.poll_join_next(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 2);
    drop(set);
    assert_eq!(Arc::strong_count(&wakes), 1);
    drop(release);
}

#[test]
fn blocking_jobs_are_joined_too() {
    runtime().block_on(async {
        let mut set = JoinSet::new();
        for n in 0..20 {
            set.spawn_blocking(move || n);
        }
        let mut sum = 0;
        while let Some(result) = set.join_next().await {
            sum += result.unwrap();
        }
        assert_eq!(sum, 190);
    });
}

#[test]
fn a_set_moves_between_threads() {
    fn check<T: Send + Sync + Unpin + Default + std::fmt::Debug>(_: &T) {}
    let mut set = JoinSet::<std::cell::Cell<u8>>::new();
    check(&set);
    assert_eq!(format!("{set:?}"), "JoinSet { len: 0, .. }");
    let runtime = runtime();
    let _entered = runtime.handle().enter();
    set.extend([async { std::cell::Cell::new(3) }]);
    let joined = std::thread::spawn(move || {
        executor::block_on(async { set.join_next().await.unwrap().unwrap().get() })
    });
    assert_eq!(joined.join().unwrap(), 3);
}
