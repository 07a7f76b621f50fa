//! [`Interval`]: an endless series of ticks.
//!
//! It contains one [`Sleep`], and sets it to the next tick when it returns a tick. The series
//! counts from the instants at which ticks were due, not from those at which they were returned, so
//! that small delays do not add up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::sleep::{Sleep, sleep_until};
use crate::clock;

/// A tick that is returned at most this late is on time for [`MissedTickBehavior::Delay`].
/// Otherwise the usual delays of scheduling would shift the series a little at each tick. The
/// figure is tokio's.
const ON_TIME: Duration = Duration::from_millis(5);

/// Ticks now, and then every `period`.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// executor::block_on(async {
///     let start = Instant::now();
///     let mut interval = executor::time::interval(Duration::from_millis(2));
///     let first = interval.tick().await;
///     let second = interval.tick().await;
///     assert_eq!(second - first, Duration::from_millis(2));
///     assert!(start.elapsed() >= Duration::from_millis(2));
/// });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval::new(Sleep::elapsed(clock::now()), period)
}

/// Ticks at `start`, which may have passed, and then every `period`.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// executor::block_on(async {
///     let start = Instant::now() + Duration::from_millis(2);
///     let mut interval = executor::time::interval_at(start, Duration::from_secs(60));
///     assert_eq!(interval.tick().await, start);
/// });
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(sleep_until(start), period)
}

/// How an [`Interval`] continues after ticks were missed, because no task polled it in time.
///
/// With a period of 50 ms, and no poll for 120 ms after the tick at 50:
///
/// ```text
/// scheduled   0    50   100   150   200   250   300
/// Burst       0    50 ........170 170 200   250   300      returns 100, 150, then in step
/// Delay       0    50 ........170      220   270           returns 100, then counts from 170
/// Skip        0    50 ........170     200   250   300      returns 100, then the next multiple
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTickBehavior {
    /// Return all missed ticks at once, then continue as planned: the number of ticks is right.
    #[default]
    Burst,
    /// Shift the series: the next tick comes a period after the late one was returned. A tick is
    /// late if it is returned more than 5 ms, or more than a period, after its instant. Less does
    /// not shift the series.
    Delay,
    /// Leave out the missed ticks: the next tick is the first one still to come, in step with the
    /// start.
    Skip,
}

/// The series of ticks made by [`interval`] and [`interval_at`].
///
/// Also an endless [`Stream`]. If a period leads beyond the last [`Instant`], the series ends but
/// the stream does not: no further tick comes.
#[derive(Debug)]
pub struct Interval {
    /// Sleeps until the next tick.
    sleep: Sleep,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    #[track_caller]
    fn new(sleep: Sleep, period: Duration) -> Interval {
        assert!(
            !period.is_zero(),
            "the period of an interval must not be zero"
        );
        Interval {
            sleep,
            period,
            behavior: MissedTickBehavior::default(),
        }
    }

    /// Waits for the next tick and returns the instant at which it was due.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, the next call returns the tick.
    pub async fn tick(&mut self) -> Instant {
        std::future::poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll form of [`Interval::tick`].
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.sleep.poll_budgeted(cx));
        let scheduled = self.sleep.deadline();
        let next = match self.behavior {
            MissedTickBehavior::Burst => scheduled.checked_add(self.period),
            behavior => next_after(behavior, scheduled, self.period, clock::now()),
        };
        self.sleep.set_deadline(next, scheduled);
        Poll::Ready(scheduled)
    }

    /// Restarts the series: the next tick comes a period from now.
    pub fn reset(&mut self) {
        let now = clock::now();
        self.sleep.set_deadline(now.checked_add(self.period), now);
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// How the series continues after missed ticks.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets how the series continues after missed ticks, from the next tick on.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.get_mut().poll_tick(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

/// The tick after one that was due at `scheduled` and is returned at `now`; `None` if it never
/// comes.
fn next_after(
    behavior: MissedTickBehavior,
    scheduled: Instant,
    period: Duration,
    now: Instant,
) -> Option<Instant> {
    let late = now.saturating_duration_since(scheduled);
    match behavior {
        MissedTickBehavior::Delay if late > period.min(ON_TIME) => now.checked_add(period),
        MissedTickBehavior::Skip if late >= period => {
            now.checked_add(period - remainder(late, period))
        }
        _ => scheduled.checked_add(period),
    }
}

/// `duration % period`. The caller ensures that `period` is at most `duration`. A remainder of over
/// 584 years does not fit, and counts as zero.
fn remainder(duration: Duration, period: Duration) -> Duration {
    let nanos = duration.as_nanos() % period.as_nanos();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::MissedTickBehavior::{Burst, Delay, Skip};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many ms after the scheduled tick the next one is due, if the scheduled one is returned
    /// `late` µs late.
    fn next(behavior: MissedTickBehavior, period: u32, late: u64) -> f64 {
        let scheduled = clock::now();
        let now = scheduled + Duration::from_micros(late);
        let next = next_after(behavior, scheduled, MS * period, now).unwrap();
        (next - scheduled).as_secs_f64() * 1e3
    }

    #[test]
    fn ticks_in_time_keep_the_series_in_step() {
        for behavior in [Burst, Delay, Skip] {
            assert_eq!(next(behavior, 10, 0), 10.0);
            assert_eq!(next(behavior, 10, 5_000), 10.0);
        }
    }

    #[test]
    fn burst_catches_up_delay_shifts_and_skip_stays_in_step() {
        assert_eq!(next(Burst, 10, 27_000), 10.0);
        assert_eq!(next(Delay, 10, 27_000), 37.0);
        assert_eq!(next(Skip, 10, 27_000), 30.0);
        assert_eq!(next(Delay, 10, 6_000), 16.0);
        assert_eq!(next(Skip, 10, 6_000), 10.0);
        assert_eq!(
            next(Skip, 10, 10_000),
            20.0,
            "the tick of now itself is past"
        );
    }

    #[test]
    fn short_periods_do_not_hide_behind_the_tolerance() {
        assert_eq!(next(Delay, 1, 2_500), 3.5);
        assert_eq!(next(Skip, 1, 2_500), 3.0);
    }

    #[test]
    fn a_period_beyond_the_last_instant_means_never() {
        let now = clock::now();
        for behavior in [Burst, Delay, Skip] {
            assert_eq!(
                next_after(behavior, now, Duration::MAX, now + MS * 50),
                None
            );
        }
        assert_eq!(remainder(MS * 25, MS * 10), MS * 5);
    }

    #[test]
    #[should_panic(expected = "must not be zero")]
    fn zero_period_is_refused() {
        let _ = interval(Duration::ZERO);
    }
}
