//! Time where the tests of the real tokio do not look: runtimes that end first, clocks that are paused while somebody waits,
//! several drivers of one paused runtime.
#![cfg(all(feature = "full", feature = "test-util"))]

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::oneshot;
use tokio::time::{self, Duration, Instant, Sleep, interval, sleep, sleep_until, timeout};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn multi() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn current() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// The message of the panic of `f`.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    }
}

/// Counts wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_with(waker: &Waker, sleep: &mut Pin<Box<Sleep>>) -> Poll<()> {
    sleep.as_mut().poll(&mut Context::from_waker(waker))
}

/// A task of another runtime waits for a sleep whose runtime ends: it is woken, and its poll panics.
#[test]
fn a_sleep_that_outlives_its_runtime_panics_and_never_hangs() {
    for first in [multi, current, paused] {
        let (runtime, other) = (first(), multi());
        let mut sleep = Box::pin({
            let _entered = runtime.enter();
            sleep(HOUR)
        });
        let (waits, is_waiting) = mpsc::channel();
        let task = other.spawn(async move {
            poll_fn(|cx| {
                let polled = sleep.as_mut().poll(cx);
                waits.send(()).unwrap();
                polled
            })
            .await;
        });
        is_waiting.recv().unwrap();
        drop(runtime);
        let error = other.block_on(task).unwrap_err();
        let message = panic_of(|| std::panic::resume_unwind(error.into_panic()));
        assert_eq!(
            message,
            "A Tokio 1.x context was found, but it is being shutdown."
        );
    }
}

#[test]
fn a_sleep_that_was_never_polled_before_its_runtime_ended_panics() {
    for first in [multi, current, paused] {
        for keep_handle in [false, true] {
            let runtime = first();
            let handle = runtime.handle().clone();
            let mut sleep = Box::pin({
                let _entered = runtime.enter();
                sleep(HOUR)
            });
            drop(runtime);
            let handle = keep_handle.then_some(handle);
            let _entered = handle.as_ref().map(|handle| handle.enter());
            let message = panic_of(|| assert!(poll_with(Waker::noop(), &mut sleep).is_ready()));
            assert!(message.contains("being shutdown"), "{message}");
            // Neither does it matter what becomes of it later.
            sleep.as_mut().reset(Instant::now() + MS);
            drop(sleep);
        }
    }
}

/// Tasks that poll sleeps while their runtime ends are cancelled, and see no panic.
#[test]
fn tasks_see_no_panic_when_their_runtime_ends() {
    struct Sees(Arc<AtomicUsize>);
    impl Drop for Sees {
        fn drop(&mut self) {
            self.0
                .fetch_add(usize::from(thread::panicking()), Ordering::SeqCst);
        }
    }
    let panics = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let runtime = multi();
        for _ in 0..50 {
            let sees = Sees(panics.clone());
            runtime.spawn(async move {
                let _sees = sees;
                loop {
                    sleep(Duration::from_micros(20)).await;
                }
            });
        }
        runtime.block_on(sleep_in(MS));
    }
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

async fn sleep_in(duration: Duration) {
    sleep(duration).await;
}

#[test]
fn a_pause_takes_over_the_sleeps_that_wait() {
    current().block_on(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now();
        let tasks: Vec<_> = [3, 1, 2]
            .map(|hours| {
                let order = order.clone();
                tokio::spawn(async move {
                    sleep_until(start + hours * HOUR).await;
                    order.lock().unwrap().push(hours);
                })
            })
            .into();
        // All of them wait by the executor's timers.
        tokio::task::yield_now().await;
        time::pause();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert!(start.elapsed() >= 3 * HOUR && start.elapsed() < 4 * HOUR);
    });
}

#[test]
fn a_resume_lets_the_sleeps_that_wait_go_on() {
    let real = std::time::Instant::now();
    paused().block_on(async {
        let start = Instant::now();
        let task = tokio::spawn(async move {
            sleep_until(start + HOUR + 5 * MS).await;
            Instant::now()
        });
        tokio::task::yield_now().await;
        time::advance(HOUR).await;
        time::resume();
        let end = task.await.unwrap();
        assert!(end >= start + HOUR + 5 * MS && end < start + 2 * HOUR);
    });
    assert!(real.elapsed() >= 5 * MS);
}

/// What stands between a pause and a resume is not made up for.
#[test]
fn a_clock_that_was_paused_may_be_behind() {
    current().block_on(async {
        let start = Instant::now();
        time::pause();
        let hold = tokio::task::spawn_blocking(|| thread::sleep(100 * MS));
        hold.await.unwrap();
        time::resume();
        assert!(start.elapsed() < 100 * MS);
        let real = std::time::Instant::now();
        sleep(10 * MS).await;
        assert!(real.elapsed() >= 10 * MS);
    });
}

/// A task that waits is woken at a deadline that somebody else has brought forward.
#[test]
fn a_reset_wakes_by_either_clock() {
    for runtime in [multi(), current(), paused()] {
        runtime.block_on(async {
            let sleep = Arc::new(Mutex::new(Box::pin(sleep(100 * HOUR))));
            let (theirs, start) = (sleep.clone(), Instant::now());
            let (waits, is_waiting) = oneshot::channel();
            let mut waits = Some(waits);
            let task = tokio::spawn(poll_fn(move |cx| {
                let polled = theirs.lock().unwrap().as_mut().poll(cx);
                if let Some(waits) = waits.take() {
                    waits.send(()).unwrap();
                }
                polled
            }));
            is_waiting.await.unwrap();
            sleep.lock().unwrap().as_mut().reset(start + 7 * MS);
            task.await.unwrap();
            assert!(start.elapsed() >= 7 * MS && start.elapsed() < HOUR);
            // Once more, after it has ended.
            sleep.lock().unwrap().as_mut().reset(start + 9 * MS);
            assert!(!sleep.lock().unwrap().is_elapsed() || start.elapsed() >= 9 * MS);
            let again = sleep.clone();
            poll_fn(move |cx| again.lock().unwrap().as_mut().poll(cx)).await;
            assert!(sleep.lock().unwrap().is_elapsed());
        });
    }
}

#[test]
fn a_reset_between_two_clocks_counts_by_the_one_that_is_left() {
    current().block_on(async {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut sleep = Box::pin(sleep(HOUR));
        assert!(poll_with(&waker, &mut sleep).is_pending());
        time::pause();
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            1,
            "to enter the other clock"
        );
        sleep.as_mut().reset(Instant::now() + 2 * HOUR);
        assert!(poll_with(&waker, &mut sleep).is_pending());
        time::advance(HOUR + MS).await;
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(poll_with(&waker, &mut sleep).is_pending());
        sleep.as_mut().reset(Instant::now() - MS);
        assert_eq!(count.0.load(Ordering::SeqCst), 2, "its deadline has passed");
        assert!(poll_with(&waker, &mut sleep).is_ready());
    });
}

#[test]
fn a_sleep_that_is_dropped_moves_no_clock() {
    paused().block_on(async {
        let start = Instant::now();
        assert!(timeout(MS, sleep(HOUR)).await.is_err());
        assert_eq!(start.elapsed(), MS);
        let mut dropped = Box::pin(sleep(MS));
        assert!(poll_with(Waker::noop(), &mut dropped).is_pending());
        drop(dropped);
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), MS + HOUR);
    });
}

/// Time does not pass while another driver of the runtime polls its future, however long.
#[test]
fn a_paused_clock_waits_for_every_driver() {
    let runtime = Arc::new(paused());
    let start = runtime.block_on(async { Instant::now() });
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let other = |polls: mpsc::Sender<()>| {
        let runtime = runtime.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                polls.send(()).unwrap();
                may_go_on.recv().unwrap();
                let seen = start.elapsed();
                sleep(2 * HOUR).await;
                (seen, start.elapsed())
            })
        })
    };
    // The first driver is the one that moves the clock.
    let (slept, other) = runtime.block_on(async {
        let mut sleep = Box::pin(sleep(HOUR));
        let mut other = Some(other);
        let mut running = None;
        poll_fn(|cx| {
            if let Some(other) = other.take() {
                let (polls, is_polling) = mpsc::channel();
                running = Some(other(polls));
                is_polling.recv().unwrap();
                // Time to go idle and to move the clock, if nothing forbade that.
                let waker = cx.waker().clone();
                thread::spawn(move || {
                    thread::sleep(20 * MS);
                    waker.wake();
                });
            } else {
                let _ = go_on.send(());
            }
            sleep.as_mut().poll(cx)
        })
        .await;
        (start.elapsed(), running.unwrap())
    });
    assert_eq!(slept, HOUR);
    assert_eq!(other.join().unwrap(), (Duration::ZERO, 2 * HOUR));
}

/// The first driver leaves while the others sleep: one of them takes over.
#[test]
fn drivers_of_a_paused_runtime_take_over_from_each_other() {
    for _ in 0..50 {
        let runtime = Arc::new(paused());
        let start = runtime.block_on(async { Instant::now() });
        let threads: Vec<_> = (1..=4)
            .map(|n| {
                let runtime = runtime.clone();
                thread::spawn(move || runtime.block_on(sleep_in(n * HOUR)))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let end = runtime.block_on(async { start.elapsed() });
        assert!(end >= 4 * HOUR && end <= 10 * HOUR, "{end:?}");
    }
}

/// A sleep that comes from outside any turn is seen by a driver that is parked.
#[test]
fn a_parked_driver_sees_the_sleep_of_another_thread() {
    let runtime = paused();
    let handle = runtime.handle().clone();
    let (ends, has_ended) = oneshot::channel();
    let other = thread::spawn(move || {
        handle.block_on(async {
            let start = Instant::now();
            sleep(HOUR).await;
            ends.send(start.elapsed()).unwrap();
        });
    });
    assert!(runtime.block_on(has_ended).unwrap() >= HOUR);
    other.join().unwrap();
}

/// Sleeps of a paused runtime that a task of another one waits for, one after the other.
#[test]
fn a_paused_clock_goes_on_for_tasks_of_other_runtimes() {
    let (runtime, other) = (paused(), multi());
    let (ends, has_ended) = oneshot::channel();
    let handle = runtime.handle().clone();
    let sleeps: Vec<_> = {
        let _entered = handle.enter();
        (1..=10).map(|n| sleep(n * HOUR)).collect()
    };
    other.spawn(async move {
        for sleep in sleeps {
            sleep.await;
        }
        ends.send(()).unwrap();
    });
    runtime.block_on(has_ended).unwrap();
}

#[test]
fn a_local_runtime_moves_its_clock() {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .unwrap();
    let start = runtime.block_on(async { Instant::now() });
    let passed = runtime.block_on(async {
        let task = tokio::task::spawn_local(async {
            let mut interval = interval(HOUR);
            for _ in 0..3 {
                interval.tick().await;
            }
        });
        task.await.unwrap();
        start.elapsed()
    });
    assert_eq!(passed, 2 * HOUR);
}

/// Input that is there comes before the next deadline.
#[test]
fn ready_input_comes_before_the_clock_moves() {
    use executor::io::Async;
    use std::os::unix::net::UnixDatagram;

    paused().block_on(async {
        for _ in 0..300 {
            let start = Instant::now();
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            let theirs = Async::new(theirs).unwrap();
            let (waits, is_waiting) = oneshot::channel();
            let task = tokio::spawn(async move {
                let mut waits = Some(waits);
                poll_fn(|cx| {
                    let polled = theirs.poll_read_with(cx, |theirs| theirs.recv(&mut [0; 1]));
                    if let Some(waits) = waits.take() {
                        waits.send(()).unwrap();
                    }
                    polled
                })
                .await
                .unwrap();
                start.elapsed()
            });
            is_waiting.await.unwrap();
            ours.send(&[1]).unwrap();
            sleep(MS).await;
            assert_eq!(task.await.unwrap(), Duration::ZERO);
        }
    });
}

/// What a blocking closure returns is known before the clock moves.
#[test]
fn the_end_of_a_blocking_closure_comes_before_the_clock_moves() {
    paused().block_on(async {
        let start = Instant::now();
        for n in 0..300 {
            let job = tokio::task::spawn_blocking(move || n);
            assert_eq!(timeout(MS, job).await.unwrap().unwrap(), n);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

/// In steps of a millisecond from the beginning of the clock, as in the real tokio.
#[test]
fn a_paused_clock_moves_by_milliseconds() {
    paused().block_on(async {
        let start = Instant::now();
        sleep(Duration::from_micros(300)).await;
        assert_eq!(start.elapsed(), MS);
        sleep(Duration::from_micros(1300)).await;
        assert_eq!(start.elapsed(), 3 * MS);
    });
}

#[test]
#[should_panic = "`time::pause()` requires the `current_thread` Tokio runtime"]
fn a_runtime_for_many_threads_does_not_begin_paused() {
    let _ = Builder::new_multi_thread().start_paused(true).build();
}

#[test]
#[should_panic = "time cannot be frozen from outside the Tokio runtime"]
fn outside_a_runtime_nothing_is_paused() {
    time::pause();
}
