//! Durations and instants in all their extremes, through everything public that takes one: no panic, nothing early, and what
//! leads beyond the last instant means never.
//!
//! A poll is judged by the clock before it and after it: ready means that the deadline had passed by the end of it, pending that
//! it had not at its beginning. So nothing here depends on how fast the machine is.

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::common::within_patience;
use executor::runtime::Builder;
use executor::time::{
    Interval, MissedTickBehavior, Sleep, interval, interval_at, sleep, sleep_until, timeout,
    timeout_at,
};
use executor::{block_on, spawn};
use proptest::prelude::*;

const BEHAVIORS: [MissedTickBehavior; 3] = [
    MissedTickBehavior::Burst,
    MissedTickBehavior::Delay,
    MissedTickBehavior::Skip,
];
/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(3600);

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_sleep(sleep: &mut Sleep) -> Poll<()> {
    poll(Pin::new(sleep))
}

fn poll_tick(interval: &mut Interval) -> Poll<Instant> {
    interval.poll_tick(&mut Context::from_waker(Waker::noop()))
}

/// Nothing, a nanosecond, the edges of a tick and of each power of two, the last of every unit, and any.
fn duration() -> impl Strategy<Value = Duration> {
    let off = |nanos: u64, off: i64| Duration::from_nanos(nanos.saturating_add_signed(off));
    prop_oneof![
        2 => prop::sample::select(vec![
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_nanos(u64::MAX),
            Duration::from_micros(u64::MAX),
            Duration::from_millis(u64::MAX),
            Duration::from_secs(i64::MAX as u64),
            Duration::from_secs(u64::MAX),
            Duration::MAX / 2,
            Duration::MAX / 10,
            Duration::MAX - Duration::from_nanos(1),
            Duration::MAX,
        ]),
        2 => (0u64..1000, -1i64..=1).prop_map(move |(ticks, by)| off(ticks << 14, by)),
        2 => (0u32..64, -1i64..=1).prop_map(move |(shift, by)| off(1 << shift, by)),
        1 => (any::<u64>(), 0u32..1_000_000_000).prop_map(|(s, ns)| Duration::new(s, ns)),
        1 => (0u64..2000).prop_map(Duration::from_micros),
    ]
}

/// The last instant that there is.
fn last_instant() -> Instant {
    let mut last = Instant::now();
    for shift in (0..64).rev() {
        last = last
            .checked_add(Duration::from_secs(1 << shift))
            .unwrap_or(last);
    }
    last + Duration::from_nanos(1)
}

/// Before and after now, as far as the clock goes.
fn instant() -> impl Strategy<Value = Instant> {
    let now = Instant::now;
    prop_oneof![
        3 => duration().prop_map(move |d| now().checked_add(d).unwrap_or_else(last_instant)),
        2 => duration().prop_map(move |d| now().checked_sub(d).unwrap_or_else(now)),
    ]
}

/// Judges a poll that began at `before`, of what is due at `deadline`; `None` is never.
fn judge(is_ready: bool, before: Instant, deadline: Option<Instant>) -> Result<(), TestCaseError> {
    match deadline {
        Some(deadline) if is_ready => prop_assert!(Instant::now() >= deadline, "early"),
        Some(deadline) => prop_assert!(before < deadline, "overdue"),
        None => prop_assert!(!is_ready, "never has come"),
    }
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_duration_makes_a_sleep_panic_or_end_early(duration in duration()) {
        let before = Instant::now();
        let mut sleep = sleep(duration);
        let is_ready = poll_sleep(&mut sleep).is_ready();
        match before.checked_add(duration) {
            // The deadline was counted from the call, a little later.
            Some(earliest) if is_ready => prop_assert!(Instant::now() >= earliest),
            Some(_) => judge(false, before, Some(sleep.deadline()))?,
            None => prop_assert!(!is_ready && !sleep.is_elapsed()),
        }
        prop_assert!(duration < LONG || sleep.deadline() >= before + LONG);
        let _ = format!("{sleep:?}");
    }

    #[test]
    fn no_instant_makes_a_sleep_panic_or_end_early(deadline in instant()) {
        let mut sleep = sleep_until(deadline);
        prop_assert_eq!(sleep.deadline(), deadline);
        let before = Instant::now();
        judge(poll_sleep(&mut sleep).is_ready(), before, Some(deadline))?;
    }

    #[test]
    fn a_sleep_obeys_the_last_of_many_resets(
        first in duration(),
        resets in prop::collection::vec((instant(), any::<bool>()), 1..12),
    ) {
        let mut sleep = sleep(first);
        let _ = poll_sleep(&mut sleep);
        for (deadline, polled) in resets {
            Pin::new(&mut sleep).reset(deadline);
            prop_assert_eq!(sleep.deadline(), deadline);
            if polled {
                let before = Instant::now();
                judge(poll_sleep(&mut sleep).is_ready(), before, Some(deadline))?;
            }
            let before = Instant::now();
            judge(sleep.is_elapsed(), before, Some(deadline))?;
        }
    }

    #[test]
    fn no_limit_makes_a_timeout_panic_or_elapse_early(limit in duration(), at in instant()) {
        let before = Instant::now();
        let mut late = Box::pin(timeout(limit, pending::<()>()));
        let elapsed = poll(late.as_mut()).is_ready();
        match before.checked_add(limit) {
            Some(earliest) if elapsed => prop_assert!(Instant::now() >= earliest, "early"),
            Some(_) => prop_assert!(!limit.is_zero(), "no time at all is over at once"),
            None => prop_assert!(!elapsed, "never has come"),
        }

        let before = Instant::now();
        let mut late = Box::pin(timeout_at(at, pending::<()>()));
        judge(poll(late.as_mut()).is_ready(), before, Some(at))?;
        prop_assert_eq!(poll(Box::pin(timeout(limit, ready(1))).as_mut()), Poll::Ready(Ok(1)));
        prop_assert_eq!(poll(Box::pin(timeout_at(at, ready(2))).as_mut()), Poll::Ready(Ok(2)));
    }

    #[test]
    fn no_period_makes_an_interval_panic_or_tick_early(
        start in instant(),
        period in duration(),
        behaviors in prop::collection::vec((0usize..3, prop::bool::weighted(0.1)), 1..40),
    ) {
        let period = period.max(Duration::from_nanos(1));
        let mut interval = interval_at(start, period);
        // What the next tick is at the earliest; `None` for never.
        let mut earliest = Some(start);
        for (behavior, reset) in behaviors {
            let behavior = BEHAVIORS[behavior];
            interval.set_missed_tick_behavior(behavior);
            let before = Instant::now();
            if reset {
                interval.reset();
                earliest = before.checked_add(period);
                continue;
            }
            let Poll::Ready(tick) = poll_tick(&mut interval) else { continue };
            prop_assert!(Instant::now() >= tick, "early");
            prop_assert!(earliest.is_some_and(|earliest| tick >= earliest), "out of the series");
            earliest = tick.checked_add(period);
            if behavior == MissedTickBehavior::Skip && tick + period.min(LONG) <= before {
                // In step with the tick before, but after it was asked for.
                earliest = Some(before);
            }
        }
    }

    #[test]
    fn a_burst_leaves_no_tick_out(ago in 1u64..50_000, period in 1u64..5000) {
        let start = Instant::now().checked_sub(Duration::from_nanos(ago)).unwrap();
        let period = Duration::from_nanos(period);
        let mut interval = interval_at(start, period);
        for n in 0..20 {
            let before = Instant::now();
            let due = start + period * n;
            match poll_tick(&mut interval) {
                Poll::Ready(tick) => prop_assert_eq!(tick, due),
                Poll::Pending => {
                    prop_assert!(before < due);
                    break;
                }
            }
        }
    }

    #[test]
    fn skipped_ticks_leave_the_rest_in_step(ago in duration(), period in 1u64..1_000_000) {
        let start = Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
        let period = Duration::from_nanos(period);
        let mut interval = interval_at(start, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = None;
        for _ in 0..20 {
            let Poll::Ready(tick) = poll_tick(&mut interval) else { break };
            let since = tick - start;
            prop_assert_eq!(since.as_nanos() % period.as_nanos(), 0);
            prop_assert!(last < Some(tick), "a tick came twice");
            last = Some(tick);
        }
    }
}

proptest! {
    // Each starts threads, or waits.
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(8), ..config() })]

    #[test]
    fn short_sleeps_that_are_reset_on_the_way_all_end_and_none_early(
        sleeps in prop::collection::vec((0u64..2_000_000, 0u64..2_000_000, any::<bool>()), 1..40),
    ) {
        within_patience(move || block_on(async {
            let tasks: Vec<_> = sleeps.into_iter().map(|(first, second, reset)| spawn(async move {
                let mut sleep = sleep(Duration::from_nanos(first));
                if reset {
                    let _ = futures::poll!(&mut sleep);
                    Pin::new(&mut sleep).reset(Instant::now() + Duration::from_nanos(second));
                }
                let deadline = sleep.deadline();
                sleep.await;
                assert!(Instant::now() >= deadline, "early");
            })).collect();
            for task in tasks {
                task.await.unwrap();
            }
        }));
    }

    #[test]
    fn no_duration_makes_a_runtime_panic_or_hang(keep_alive in duration(), limit in duration()) {
        within_patience(move || {
            let runtime = Builder::new().worker_threads(1).thread_keep_alive(keep_alive).build().unwrap();
            runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
            let waits = runtime.spawn(pending::<()>());
            runtime.shutdown_timeout(limit);
            assert!(block_on(waits).unwrap_err().is_cancelled());
        });
    }
}

#[test]
fn an_interval_that_leads_beyond_the_last_instant_waits_for_ever() {
    for behavior in BEHAVIORS {
        for period in [
            Duration::MAX,
            Duration::MAX / 2,
            Duration::from_secs(u64::MAX),
        ] {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(behavior);
            assert!(poll_tick(&mut interval).is_ready());
            assert!(poll_tick(&mut interval).is_pending());
            interval.reset();
            assert!(poll_tick(&mut interval).is_pending());
        }
    }
}

#[test]
fn the_last_instant_is_a_deadline_like_any_other() {
    let last = last_instant();
    assert!(last.checked_add(Duration::from_secs(1)).is_none());
    let mut sleep = sleep_until(last);
    assert!(poll_sleep(&mut sleep).is_pending());
    Pin::new(&mut sleep).reset(Instant::now());
    assert!(poll_sleep(&mut sleep).is_ready());
    Pin::new(&mut sleep).reset(last);
    assert!(poll_sleep(&mut sleep).is_pending());
    let mut interval = interval_at(last, Duration::from_nanos(1));
    assert!(poll_tick(&mut interval).is_pending());
}
