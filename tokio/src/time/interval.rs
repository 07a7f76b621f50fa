//! [`Interval`]: an endless series of ticks.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::timer::Timer;
use super::{Duration, FAR_FUTURE, Instant, after};

/// A tick that is returned at most this late has not been missed.
const ON_TIME: Duration = Duration::from_millis(5);

/// Ticks now, and then every `period`.
///
/// # Panics
///
/// If `period` is zero, outside a runtime, and in one without timers.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval::new(None, period)
}

/// Ticks at `start`, and then every `period`.
///
/// # Panics
///
/// If `period` is zero, outside a runtime, and in one without timers.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(Some(start), period)
}

/// How an [`Interval`] goes on after a tick that was returned more than 5 ms late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// The ticks that were missed come at once, then the series goes on as planned.
    #[default]
    Burst,
    /// The next tick comes a period after the late one was returned.
    Delay,
    /// The ticks that were missed are left out: the next one is the first of the series that is
    /// still to come.
    Skip,
}

impl MissedTickBehavior {
    /// The tick after one that was due at `due` and is returned, late, at `now`.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            MissedTickBehavior::Burst => due + period,
            MissedTickBehavior::Delay => now + period,
            MissedTickBehavior::Skip => {
                // Less than the period, which is 30 years at most: it fits.
                let over = (now - due).as_nanos() % period.as_nanos();
                now + (period - Duration::from_nanos(u64::try_from(over).unwrap_or(0)))
            }
        }
    }
}

/// The series of ticks of [`interval`] and [`interval_at`].
pub struct Interval {
    /// Waits for the next tick.
    timer: Timer,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    #[track_caller]
    fn new(start: Option<Instant>, period: Duration) -> Interval {
        assert!(!period.is_zero(), "`period` must be non-zero.");
        let start = match start {
            Some(start) => start,
            None => Instant::now(),
        };
        Interval {
            timer: Timer::new(start),
            period: period.min(FAR_FUTURE),
            missed: MissedTickBehavior::default(),
        }
    }

    /// Waits for the next tick, and returns when it was due.
    ///
    /// Cancel safe: if the future is dropped, the next call returns the tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll form of [`tick`](Interval::tick).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.timer.poll(cx));
        let due = self.timer.deadline();
        let now = Instant::now();
        let next = if now > due + ON_TIME {
            self.missed.next(due, now, self.period)
        } else {
            due + self.period
        };
        self.timer.restart(next);
        Poll::Ready(due)
    }

    /// The next tick comes a period from now.
    pub fn reset(&mut self) {
        self.timer.reset(Instant::now() + self.period);
    }

    /// The next tick comes now.
    pub fn reset_immediately(&mut self) {
        self.timer.reset(Instant::now());
    }

    /// The next tick comes `after` that time.
    pub fn reset_after(&mut self, after: Duration) {
        self.timer.reset(self::after(after));
    }

    /// The next tick comes at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.timer.reset(deadline);
    }

    /// How the series goes on after a tick was missed.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets how the series goes on after a tick was missed.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("next", &self.timer.deadline())
            .field("period", &self.period)
            .field("missed_tick_behavior", &self.missed)
            .finish()
    }
}
