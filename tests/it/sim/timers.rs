//! Timers in virtual time: nothing early, forgotten or left behind, however threads interleave.
//!
//! What does not wait, and what others are asked to bring, is in `it/timers.rs`.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use executor::time::{MissedTickBehavior, interval, interval_at, now, sleep, sleep_until, timeout};
use executor::{sim, spawn};
use futures::StreamExt;

const SEEDS: usize = 60;
const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

#[track_caller]
fn check<F: Future>(program: fn() -> F) {
    sim::check(SEEDS, program);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    // A poll that takes long may be overtaken by the next deadline.
    let sim = sim::Builder::new().slow_polls(false);
    sim.check(SEEDS, || async {
        let (sender, receiver) = async_channel::unbounded();
        for n in [12u32, 4, 8] {
            let sender = sender.clone();
            let sleep = sleep(MS * n);
            spawn(async move {
                sleep.await;
                sender.send(n).await.unwrap();
            });
        }
        drop(sender);
        assert_eq!(receiver.collect::<Vec<_>>().await, [4, 8, 12]);
    });
}

#[test]
fn reset_to_later_does_not_end_at_the_old_deadline() {
    check(|| async {
        let mut sleep = sleep(MS * 100);
        assert!(futures::poll!(&mut sleep).is_pending());
        let deadline = now() + MS * 150;
        Pin::new(&mut sleep).reset(deadline);
        assert_eq!(sleep.deadline(), deadline);
        sleep.await;
        assert!(now() >= deadline);
    });
}

#[test]
fn reset_after_the_end_waits_anew() {
    check(|| async {
        let mut sleep = sleep(MS);
        for _ in 0..3 {
            (&mut sleep).await;
            let deadline = now() + MS * 3;
            Pin::new(&mut sleep).reset(deadline);
            assert!(!sleep.is_elapsed());
            (&mut sleep).await;
            assert!(now() >= deadline);
        }
    });
}

#[test]
fn a_dropped_sleep_wakes_nobody_and_keeps_no_waker() {
    check(|| async {
        let count = Arc::new(Count::default());
        let mut short = sleep(MS * 100);
        let mut long = sleep(LONG);
        let mut never = sleep(Duration::MAX);
        for sleep in [&mut short, &mut long, &mut never] {
            assert!(poll_with(sleep, &count.clone().into()).is_pending());
        }
        drop((short, long, never));
        assert_eq!(Arc::strong_count(&count), 1, "a timer was left behind");
        sleep(LONG * 2).await;
        assert_eq!(count.0.load(SeqCst), 0);
    });
}

#[test]
fn polled_from_two_tasks_the_last_one_is_woken() {
    check(|| async {
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut asleep = sleep(LONG);
        assert!(poll_with(&mut asleep, &first.clone().into()).is_pending());
        assert!(poll_with(&mut asleep, &second.clone().into()).is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "the first waker was kept");
        sleep(LONG * 2).await;
        assert!(poll_with(&mut asleep, &second.clone().into()).is_ready());
        assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
    });
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep goes on elsewhere")]
fn a_sleep_moves_between_tasks_while_it_waits() {
    check(|| async {
        let start = now();
        let mut sleep = sleep(LONG);
        for _ in 0..3 {
            assert!(futures::poll!(&mut sleep).is_pending());
            sleep = spawn(async move {
                assert!(futures::poll!(&mut sleep).is_pending());
                sleep
            })
            .await
            .unwrap();
        }
        spawn(sleep).await.unwrap();
        assert!(now() - start >= LONG);
    });
}

#[test]
fn a_sleep_that_outlives_its_runtime_still_ends() {
    check(|| async {
        let old = executor::Builder::new().worker_threads(1).build().unwrap();
        let deadline = now() + LONG;
        let mut kept = sleep_until(deadline);
        let count = Arc::new(Count::default());
        old.block_on(async {
            assert!(poll_with(&mut kept, &count.clone().into()).is_pending());
        });
        drop(old);
        // Woken by the end of the runtime; in any case it does not hang.
        assert_eq!(count.0.load(SeqCst), 1);
        kept.await;
        assert!(now() >= deadline);
    });
}

#[test]
fn a_task_that_waits_for_another_runtimes_sleep_survives_its_end() {
    check(|| async {
        let old = executor::Builder::new().worker_threads(1).build().unwrap();
        let deadline = now() + LONG;
        let mut kept = sleep_until(deadline);
        old.block_on(async {
            assert!(poll_with(&mut kept, Waker::noop()).is_pending());
        });
        let waiting = spawn(async move {
            kept.await;
            now()
        });
        drop(old);
        assert!(waiting.await.unwrap() >= deadline);
    });
}

#[test]
fn timeout_counts_from_the_first_poll() {
    check(|| async {
        let late = timeout(MS * 30, pending::<()>());
        sleep(MS * 20).await;
        let first_poll = now();
        assert!(late.await.is_err());
        assert!(now() - first_poll >= MS * 30);
    });
}

#[test]
fn after_missed_ticks_delay_shifts_and_skip_stays_in_step() {
    check(|| async {
        let period = MS * 100;
        // One that is two and a half periods late, and its start.
        let overdue = |behavior| {
            let start = now();
            sim::block(period * 5 / 2);
            let mut interval = interval_at(start, period);
            interval.set_missed_tick_behavior(behavior);
            (interval, start)
        };
        let (mut delay, start) = overdue(MissedTickBehavior::Delay);
        let before = now();
        assert_eq!(delay.tick().await, start);
        assert!(delay.tick().await >= before + period);

        let (mut skip, start) = overdue(MissedTickBehavior::Skip);
        let before = now();
        assert_eq!(skip.tick().await, start);
        let next = skip.tick().await;
        assert!(next > before);
        assert_eq!((next - start).as_nanos() % period.as_nanos(), 0);
    });
}

#[test]
fn a_cancelled_tick_is_not_lost() {
    check(|| async {
        let start = now() + MS * 150;
        let mut interval = interval_at(start, LONG);
        assert!(timeout(MS, interval.tick()).await.is_err());
        assert!(futures::poll!(pin!(interval.tick())).is_pending());
        assert_eq!(interval.tick().await, start);
    });
}

#[test]
fn interval_reset_starts_a_period_from_now() {
    check(|| async {
        let mut interval = interval(MS * 20);
        interval.tick().await;
        let before = now();
        interval.reset();
        assert!(interval.tick().await >= before + MS * 20);
    });
}

#[test]
fn no_sleep_ends_early() {
    check(|| async {
        let tasks: Vec<_> = (0..100u32)
            .map(|n| {
                spawn(async move {
                    let deadline = now() + Duration::from_micros(u64::from(n) * 97);
                    sleep_until(deadline).await;
                    let end = now();
                    assert!(end >= deadline, "early by {:?}", deadline - end);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for micros in [1, 60, 65, 66, 131, 1000] {
            let start = now();
            sleep(Duration::from_micros(micros)).await;
            assert!(now() - start >= Duration::from_micros(micros));
        }
    });
}
