//! Hazards of timers: early, lost, left behind, overflowing.
//!
//! Lateness is not judged here (the machine may be loaded); that nothing is early, and nothing is forgotten, is.
//! What can be said in virtual time is in `it/sim/timers.rs`.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use executor::time::{
    Interval, MissedTickBehavior, Sleep, interval, interval_at, sleep, sleep_until, timeout,
    timeout_at,
};
use executor::{block_on, spawn};
use futures::{FutureExt, StreamExt};

const MS: Duration = Duration::from_millis(1);
/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(3600);

/// Counts wakes, and tells a channel of each.
struct Count {
    wakes: AtomicUsize,
    woken: mpsc::Sender<()>,
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
        // The test may have ended.
        let _ = self.woken.send(());
    }
}

fn counter() -> (Arc<Count>, mpsc::Receiver<()>) {
    let (woken, receiver) = mpsc::channel();
    (
        Arc::new(Count {
            wakes: AtomicUsize::new(0),
            woken,
        }),
        receiver,
    )
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Sets its flag when dropped.
struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn zero_and_past_deadlines_end_at_the_first_poll() {
    block_on(async {
        let mut polls = 0;
        for mut sleep in [sleep(Duration::ZERO), sleep_until(Instant::now() - MS)] {
            poll_fn(|cx| {
                polls += 1;
                Pin::new(&mut sleep).poll(cx)
            })
            .await;
            assert!(sleep.is_elapsed());
        }
        assert_eq!(polls, 2);
    });
}

#[test]
fn the_longest_duration_means_never() {
    block_on(async {
        let never = sleep(Duration::MAX);
        assert!(never.deadline() > Instant::now() + LONG);
        assert!(timeout(MS * 5, never).await.is_err());
        assert!(
            timeout(MS * 5, timeout(Duration::MAX, pending::<()>()))
                .await
                .is_err()
        );
        assert_eq!(timeout(Duration::MAX, ready(1)).await, Ok(1));
        let far = Instant::now() + Duration::from_secs(1 << 33);
        assert!(timeout(MS * 5, sleep_until(far)).await.is_err());
        let mut rare = interval(Duration::MAX);
        rare.tick().await;
        assert!(timeout(MS * 5, rare.tick()).await.is_err());
    });
}

#[test]
fn a_sleep_that_has_ended_stays_ready() {
    block_on(async {
        let mut sleep = sleep(MS);
        (&mut sleep).await;
        (&mut sleep).await;
        assert!(sleep.is_elapsed());
    });
}

/// The task that waits must be woken for the new deadline although it does not poll after the reset.
fn reset_wakes_at_the_new_deadline(mut sleep: Sleep) {
    let (count, woken) = counter();
    let waker = Waker::from(count.clone());
    assert!(poll_with(&mut sleep, &waker).is_pending());
    let deadline = Instant::now() + MS * 5;
    Pin::new(&mut sleep).reset(deadline);
    while poll_with(&mut sleep, &Waker::from(count.clone())).is_pending() {
        woken.recv_timeout(LONG).unwrap();
    }
    assert!(Instant::now() >= deadline);
}

#[test]
fn reset_to_earlier_wakes_who_waits() {
    block_on(async { reset_wakes_at_the_new_deadline(sleep(LONG)) });
    let mut sleep = sleep(LONG);
    let (count, woken) = counter();
    assert!(poll_with(&mut sleep, &count.clone().into()).is_pending());
    Pin::new(&mut sleep).reset(Instant::now() + MS);
    woken.recv_timeout(LONG).unwrap();
    assert_eq!(count.wakes.load(SeqCst), 1);
}

#[test]
fn reset_from_never_wakes_who_waits() {
    block_on(async { reset_wakes_at_the_new_deadline(sleep(Duration::MAX)) });
}

#[test]
fn a_million_dropped_sleeps_are_quick_and_leave_nothing() {
    let (count, _woken) = counter();
    block_on(async {
        let waker = Waker::from(count.clone());
        for n in 0..1_000_000u64 {
            let mut sleep = sleep(LONG + MS * (n % 1000) as u32);
            assert!(poll_with(&mut sleep, &waker).is_pending());
        }
        drop(waker);
    });
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_sleep_works_in_a_foreign_executor() {
    let start = Instant::now();
    futures::executor::block_on(async {
        sleep(MS * 3).await;
        sleep_until(start + MS * 6).await;
    });
    assert!(start.elapsed() >= MS * 6);
}

#[test]
#[expect(clippy::async_yields_async, reason = "the sleep goes on elsewhere")]
fn a_sleep_first_polled_after_its_runtime_ended_still_ends() {
    let old = executor::Builder::new().worker_threads(1).build().unwrap();
    let kept = old.block_on(async { sleep(MS * 5) });
    drop(old);
    block_on(spawn(kept)).unwrap();
}

#[test]
fn timeout_of_a_ready_future_is_its_output() {
    block_on(async {
        assert_eq!(timeout(LONG, ready(7)).await, Ok(7));
        assert_eq!(timeout(Duration::ZERO, ready(7)).await, Ok(7));
        assert_eq!(timeout_at(Instant::now() - MS, ready(7)).await, Ok(7));
        let woken_later = timeout(LONG, async {
            executor::task::yield_now().await;
            8
        });
        assert_eq!(woken_later.await, Ok(8));
    });
}

#[test]
fn timeout_drops_its_future_when_the_time_is_up() {
    let drops = Arc::new(AtomicUsize::new(0));
    block_on(async {
        let guard = OnDrop(drops.clone());
        let start = Instant::now();
        let result = timeout(MS * 5, async move {
            let _guard = guard;
            pending::<()>().await;
        })
        .await;
        assert!(result.is_err() && start.elapsed() >= MS * 5);
        assert_eq!(drops.load(SeqCst), 1);
        let error = std::io::Error::from(result.unwrap_err());
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn timeout_cuts_off_a_future_that_never_stops_being_busy() {
    let result = block_on(spawn(timeout(MS * 10, async {
        loop {
            executor::task::consume_budget().await;
        }
    })));
    let elapsed: Result<(), _> = result.unwrap();
    assert!(elapsed.is_err());
}

#[test]
fn interval_ticks_at_once_and_then_at_exact_instants() {
    block_on(async {
        let mut interval = interval(MS * 3);
        assert_eq!(interval.period(), MS * 3);
        let first = interval.tick().await;
        for n in 1..5 {
            let tick = interval.tick().await;
            assert_eq!(tick, first + MS * 3 * n);
            assert!(Instant::now() >= tick);
        }
    });
}

/// An interval that should have begun two and a half periods ago, and its start.
fn overdue(period: Duration, behavior: MissedTickBehavior) -> (Interval, Instant) {
    let start = Instant::now() - period * 5 / 2;
    let mut interval = interval_at(start, period);
    interval.set_missed_tick_behavior(behavior);
    assert_eq!(interval.missed_tick_behavior(), behavior);
    (interval, start)
}

/// Seconds after the start of all ticks that are ready now.
fn ready_ticks((mut interval, start): (Interval, Instant)) -> Vec<u64> {
    let mut ticks = Vec::new();
    while let Some(tick) = interval.next().now_or_never() {
        ticks.push((tick.unwrap() - start).as_secs());
    }
    ticks
}

#[test]
fn missed_ticks_come_in_a_burst_or_not_at_all() {
    block_on(async {
        let period = MS * 20_000;
        assert_eq!(
            ready_ticks(overdue(period, MissedTickBehavior::Burst)),
            [0, 20, 40]
        );
        assert_eq!(ready_ticks(overdue(period, MissedTickBehavior::Delay)), [0]);
        assert_eq!(ready_ticks(overdue(period, MissedTickBehavior::Skip)), [0]);
    });
}

#[test]
fn interval_is_an_endless_stream() {
    block_on(async {
        let start = Instant::now();
        let ticks: Vec<Instant> = interval_at(start, MS).take(4).collect().await;
        assert_eq!(ticks, [start, start + MS, start + MS * 2, start + MS * 3]);
    });
}

#[test]
#[should_panic(expected = "must not be zero")]
fn an_interval_without_a_period_is_refused() {
    let _ = interval_at(Instant::now(), Duration::ZERO);
}

/// A processor changes hands while its timers wait, and the worker that armed them may never see it again.
#[test]
fn a_timer_fires_whoever_lies_down_with_its_processor() {
    let runtime = executor::runtime::Builder::new()
        .worker_threads(3)
        .build()
        .unwrap();
    for _ in 0..20 {
        let begin = Instant::now();
        let sleepers: Vec<_> = (1..=9)
            .map(|n| runtime.spawn(async move { sleep(Duration::from_millis(n)).await }))
            .collect();
        for sleeper in sleepers {
            runtime.block_on(sleeper).unwrap();
        }
        // Half of the keep-alive after which idle threads would look by chance.
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
