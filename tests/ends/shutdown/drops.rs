//! Shutdown: every future is dropped exactly once, and nothing hangs or leaks.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use executor::runtime::Builder;
use executor::{Handle, Runtime};
use futures::task::AtomicWaker;

use crate::common::alone;

fn runtime() -> Runtime {
    Builder::new().build().unwrap()
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "not yet: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn every_waiting_future_is_dropped_once() {
    for tasks in [0, 1, 2, 100, 50_000] {
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime();
        for _ in 0..tasks {
            let held = Counted(drops.clone());
            drop(runtime.spawn(async move {
                let _held = held;
                pending::<()>().await;
            }));
        }
        drop(runtime);
        assert_eq!(drops.load(Ordering::SeqCst), tasks);
    }
}

#[test]
fn tasks_that_never_ran_are_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let inner = barrier.clone();
    drop(runtime.spawn(async move {
        inner.wait();
        inner.wait();
    }));
    barrier.wait();
    for _ in 0..1000 {
        let held = Counted(drops.clone());
        drop(runtime.spawn(async move {
            let _held = held;
        }));
    }
    let closer = std::thread::spawn(move || drop(runtime));
    barrier.wait();
    closer.join().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 1000);
}

#[test]
fn a_spawn_onto_an_ended_runtime_is_cancelled() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    drop(runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let held = Counted(drops.clone());
    let task = handle.spawn(async move {
        let _held = held;
    });
    assert!(task.is_finished());
    assert!(handle.block_on(task).unwrap_err().is_cancelled());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    let job = handle.spawn_blocking(|| 1);
    assert!(handle.block_on(job).unwrap_err().is_cancelled());
}

#[test]
fn a_task_that_spawns_for_ever_does_not_hold_up_the_end() {
    fn respawn(spawned: Arc<AtomicUsize>) {
        spawned.fetch_add(1, Ordering::SeqCst);
        drop(executor::spawn(async move { respawn(spawned) }));
    }
    let runtime = runtime();
    let spawned = Arc::new(AtomicUsize::new(0));
    let inner = spawned.clone();
    drop(runtime.spawn(async move { respawn(inner) }));
    while spawned.load(Ordering::SeqCst) < 1000 {
        std::thread::yield_now();
    }
    drop(runtime);
    assert_eq!(Arc::strong_count(&spawned), 1);
}

#[test]
fn a_destructor_may_spawn_and_wake() {
    struct Spawner(Handle, Arc<AtomicUsize>, Option<Waker>);
    impl Drop for Spawner {
        fn drop(&mut self) {
            let held = Counted(self.1.clone());
            drop(self.0.spawn(async move {
                let _held = held;
                pending::<()>().await;
            }));
            self.2.take().into_iter().for_each(Waker::wake);
        }
    }
    let runtime = runtime();
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let mut spawner = Spawner(runtime.handle().clone(), drops.clone(), None);
        drop(runtime.spawn(async move {
            std::future::poll_fn(|cx| {
                spawner.2 = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        }));
    }
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 100);
}

#[test]
fn a_waker_outlives_its_runtime() {
    let wakers = Arc::new(Mutex::new(Vec::new()));
    let runtime = runtime();
    for _ in 0..100 {
        let wakers = wakers.clone();
        drop(runtime.spawn(std::future::poll_fn(move |cx| {
            wakers.lock().unwrap().push(cx.waker().clone());
            Poll::<()>::Pending
        })));
    }
    drop(runtime);
    let successor = self::runtime();
    for waker in wakers.lock().unwrap().drain(..) {
        waker.wake_by_ref();
        waker.wake();
    }
    assert_eq!(successor.metrics().spawned_tasks_count(), 0);
    assert_eq!(successor.block_on(successor.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn foreign_wakes_race_with_the_end() {
    for _ in 0..200 {
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime();
        let stop = Arc::new(AtomicBool::new(false));
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        for _ in 0..20 {
            let (wakers, held) = (wakers.clone(), Counted(drops.clone()));
            drop(runtime.spawn(std::future::poll_fn(move |cx| {
                let _held = &held;
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::<()>::Pending
            })));
        }
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (stop, wakers) = (stop.clone(), wakers.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let taken = std::mem::take(&mut *wakers.lock().unwrap());
                        taken.into_iter().for_each(Waker::wake);
                    }
                })
            })
            .collect();
        drop(runtime);
        assert_eq!(drops.load(Ordering::SeqCst), 20);
        stop.store(true, Ordering::SeqCst);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
}

/// Sixteen times more workers than CPUs or so: one of them is likely to stand, when the end begins, between its look
/// whether it has begun and the poll that it had chosen. The end's wake of that task finds it woken already.
#[test]
fn a_poll_that_the_end_overtakes_leaves_no_task_asleep() {
    for round in 0..60 {
        let runtime = Builder::new().worker_threads(16).build().unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..24 {
            let places = [(); 2].map(|()| Arc::new(AtomicWaker::new()));
            for own in 0..2 {
                let (places, counted) = (places.clone(), Counted(dropped.clone()));
                drop(runtime.spawn(poll_fn(move |cx| {
                    let _counted = &counted;
                    places[own].register(cx.waker());
                    places[1 - own].wake();
                    Poll::<()>::Pending
                })));
            }
        }
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(200 + 50 * round) {
            std::hint::spin_loop();
        }
        let ended = Arc::new(AtomicBool::new(false));
        let end = std::thread::spawn({
            let ended = ended.clone();
            move || {
                drop(runtime);
                ended.store(true, Ordering::SeqCst);
            }
        });
        wait_until("the end has come", || ended.load(Ordering::SeqCst));
        end.join().unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 48);
    }
}

#[test]
fn dropped_inside_its_own_task_it_ends_in_the_background() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    let handle = runtime.handle().clone();
    let held = Counted(drops.clone());
    drop(runtime.spawn(async move {
        let _held = held;
        pending::<()>().await;
    }));
    let (sender, receiver) = std::sync::mpsc::channel();
    drop(handle.spawn(async move {
        drop(runtime);
        sender.send(()).unwrap();
    }));
    receiver.recv().unwrap();
    while drops.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn shutdown_timeout_does_not_wait_for_a_stuck_poll() {
    let runtime = runtime();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let started = Arc::new(Barrier::new(2));
    let inner = started.clone();
    drop(runtime.spawn(async move {
        inner.wait();
        let _ = receiver.recv();
    }));
    started.wait();
    let begin = Instant::now();
    runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(begin.elapsed() >= Duration::from_millis(50));
    drop(sender);
}

#[test]
fn an_infinite_shutdown_timeout_is_no_overflow() {
    runtime().shutdown_timeout(Duration::MAX);
    runtime().shutdown_background();
}

#[test]
#[cfg(all(target_os = "linux", feature = "time"))]
fn a_task_that_meets_the_end_with_a_sleep_does_not_start_the_default_runtime() {
    use std::pin::pin;
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Wakes>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    if !alone(
        module_path!(),
        "a_task_that_meets_the_end_with_a_sleep_does_not_start_the_default_runtime",
    ) {
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let without = threads();
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    // tokio's one thread stays.
    let ended = without + usize::from(cfg!(feature = "tokio-compat"));
    wait_until("its threads are gone", || threads() == ended);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut sleep = pin!(executor::time::sleep(Duration::from_millis(1)));
    let guard = handle.enter();
    assert!(sleep.as_mut().poll(&mut cx).is_pending());
    // A task of the runtime would now be cancelled.
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(threads(), ended);
    // Whoever polls again waits for the deadline.
    assert!(sleep.as_mut().poll(&mut cx).is_pending());
    wait_until("it is woken", || wakes.0.load(Ordering::SeqCst) == 2);
    drop(guard);
    assert!(sleep.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_thousand_runtimes_leave_no_thread_or_descriptor() {
    fn count(of: &str) -> usize {
        std::fs::read_dir(of).map_or(0, Iterator::count)
    }
    let round = || {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        drop(runtime.spawn(pending::<()>()));
        runtime.block_on(runtime.spawn(async {})).unwrap();
    };
    if !alone(
        module_path!(),
        "a_thousand_runtimes_leave_no_thread_or_descriptor",
    ) {
        return;
    }
    // The one thread of the process's tokio runtime stays.
    let threads = count("/proc/self/task") + usize::from(cfg!(feature = "tokio-compat"));
    round();
    let descriptors = count("/proc/self/fd");
    (0..1000).for_each(|_| round());
    assert_eq!(count("/proc/self/fd"), descriptors);
    // The system lists a thread for a moment after it could be joined.
    wait_until("its threads are gone", || {
        count("/proc/self/task") == threads
    });
}
