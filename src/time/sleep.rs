//! [`Sleep`]: a future that is ready once an instant has passed.
//!
//! It consists of a deadline and a [`Timer`]. Each poll ([`Sleep::poll_due`]) takes these steps:
//!
//! 1. Has the deadline passed? If so, drop the timer and return ready. The first poll compares with
//!    the cached instant ([`clock::recent`]), which making the sleep has often just read. The
//!    cached instant is never ahead of the clock, so the sleep may end late but not early. Later
//!    polls read the clock, since outside this crate's tasks the cache may be as old as the first
//!    poll.
//! 2. Otherwise arm the timer with this poll's waker. [`Timer::arm`] does as little as it can. It
//!    leaves a timer that is armed where it is, on whichever runtime, and replaces its waker only
//!    if that has changed. It arms a timer anew, on the current runtime, if it has fired or its
//!    runtime has ended.
//! 3. If the current runtime shuts down, the first poll that finds this wakes its own task and arms
//!    nothing. A task of that runtime will not be polled again but cancelled, so the default
//!    runtime need not be started for it. If there is a next poll (of a thread in `block_on`, which
//!    still waits), it arms the timer on the default runtime.
//!
//! If the timer fires between steps 1 and 2, arming it once more does no harm: its firing has woken
//! the task, and the next poll finds that the deadline has passed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use crate::clock;
use crate::runtime::context;
use crate::scheduler::timers::Timer;
use crate::tasks::budget;

/// The [`deadline`](Sleep::deadline) of a sleep that never ends, counted from its making. Far
/// enough that no program waits for it, and near enough that a program can add a little to it on
/// every platform.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Waits until `duration` has passed, counted from this call.
///
/// Zero completes at the first poll. A duration too long for an [`Instant`], such as
/// [`Duration::MAX`], never completes.
///
/// # Cancel safety
///
/// Cancel safe. Dropping the future disarms its timer; a new `sleep` counts from its own start.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// executor::block_on(async {
///     let start = Instant::now();
///     executor::time::sleep(Duration::from_millis(5)).await;
///     assert!(start.elapsed() >= Duration::from_millis(5));
/// });
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let now = clock::now();
    if duration.is_zero() {
        return Sleep::elapsed(now);
    }
    let mut sleep = sleep_until(now);
    sleep.set_deadline(now.checked_add(duration), now);
    sleep
}

/// Waits until `deadline`. If it has passed, completes at the first poll.
///
/// # Cancel safety
///
/// Cancel safe. Dropping the future disarms its timer.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// executor::block_on(async {
///     let deadline = Instant::now() + Duration::from_millis(5);
///     executor::time::sleep_until(deadline).await;
///     assert!(Instant::now() >= deadline);
/// });
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        state: State::waiting(),
    }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// Any task may poll it, also several in turn: the one that polled last is woken. After it has
/// completed it stays ready, until it is [`reset`](Sleep::reset).
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    deadline: Instant,
    state: State,
}

enum State {
    /// Ready at the deadline. The first poll arms the timer, which stays armed until it fires.
    Waiting {
        timer: Timer,
        polled: bool,
        /// A poll found that the runtime shuts down (step 3).
        refused: bool,
    },
    /// No deadline and no timer. A reset wakes the waker of the last poll.
    Never(Option<Waker>),
    /// Ready, whatever the clock says.
    Elapsed,
}

impl State {
    const fn waiting() -> State {
        State::Waiting {
            timer: Timer::new(),
            polled: false,
            refused: false,
        }
    }
}

impl Sleep {
    /// A sleep that is ready at once and was due at `deadline`.
    pub(super) fn elapsed(deadline: Instant) -> Sleep {
        Sleep {
            deadline,
            state: State::Elapsed,
        }
    }

    /// The instant at which this completes.
    ///
    /// For a sleep that never completes, an arbitrary instant 30 years after its creation.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed, whether or not the sleep was polled since.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        match self.state {
            State::Waiting { .. } => clock::now() >= self.deadline,
            State::Never(_) => false,
            State::Elapsed => true,
        }
    }

    /// Gives the sleep another deadline, in place.
    ///
    /// A task that waits for it need not poll it again: it will be woken at the new deadline, even
    /// if that is earlier than the old one. A sleep that has completed may also be reset, and then
    /// waits again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::time::{Duration, Instant};
    /// use executor::time::sleep;
    ///
    /// executor::block_on(async {
    ///     let mut sleep = pin!(sleep(Duration::MAX));
    ///     let deadline = Instant::now() + Duration::from_millis(1);
    ///     sleep.as_mut().reset(deadline);
    ///     sleep.await;
    ///     assert!(Instant::now() >= deadline);
    /// });
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.get_mut().set_deadline(Some(deadline), deadline);
    }

    /// [`Sleep::reset`] for a deadline that may be `None`, which means never. [`Sleep::deadline`]
    /// then counts from `start`.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>, start: Instant) {
        let Some(deadline) = deadline else {
            // If even this overflows, `start` will do: nothing depends on it.
            self.deadline = start.checked_add(FAR_FUTURE).unwrap_or(start);
            self.state = State::Never(None);
            return;
        };
        self.deadline = deadline;
        match &mut self.state {
            // Returns false if the timer is not armed: then no task waits, or it has been woken and
            // will poll.
            State::Waiting { timer, .. } => drop(timer.reset(deadline)),
            State::Elapsed => self.state = State::waiting(),
            State::Never(waiting) => {
                let waiting = waiting.take();
                self.state = State::waiting();
                // The task's poll arms the timer, on its runtime.
                if let Some(waker) = waiting {
                    waker.wake();
                }
            }
        }
    }

    /// Polls without taking a unit of the cooperative budget.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Elapsed => return Poll::Ready(()),
            State::Never(Some(waiting)) => waiting.clone_from(cx.waker()),
            State::Never(waiting) => *waiting = Some(cx.waker().clone()),
            State::Waiting {
                timer,
                polled,
                refused,
            } => {
                let now = if *polled {
                    clock::now()
                } else {
                    clock::recent()
                };
                if now >= self.deadline {
                    // Drops the timer, which disarms it.
                    self.state = State::Elapsed;
                    return Poll::Ready(());
                }
                *polled = true;
                let Some(shared) = context::alive_or_default(refused) else {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                timer.arm(shared, self.deadline, cx.waker());
            }
        }
        Poll::Pending
    }

    /// Polls as one operation of the task's cooperative budget.
    pub(super) fn poll_budgeted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let progress = ready!(budget::poll_proceed(cx));
        ready!(self.poll_due(cx));
        progress.made();
        Poll::Ready(())
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().poll_budgeted(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "waiting",
            State::Never(_) => "never",
            State::Elapsed => "elapsed",
        };
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("state", &state)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(sleep: &mut Sleep) -> Poll<()> {
        Pin::new(sleep).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn futures_of_this_module_are_send_and_sync() {
        fn check<T: Send + Sync + Unpin>() {}
        check::<Sleep>();
        check::<crate::time::Interval>();
        check::<crate::time::Timeout<std::future::Ready<()>>>();
    }

    #[test]
    fn zero_is_ready_at_once_and_stays_ready() {
        let mut sleep = sleep(Duration::ZERO);
        assert!(sleep.is_elapsed());
        assert!(poll(&mut sleep).is_ready());
        assert!(poll(&mut sleep).is_ready());
    }

    #[test]
    fn past_deadline_is_ready_at_once() {
        let past = clock::now() - Duration::from_secs(1);
        let mut sleep = sleep_until(past);
        assert_eq!(sleep.deadline(), past);
        assert!(poll(&mut sleep).is_ready());
        assert!(poll(&mut sleep).is_ready());
    }

    #[test]
    fn never_is_pending_not_elapsed_and_far_away() {
        let mut sleep = sleep(Duration::MAX);
        assert!(poll(&mut sleep).is_pending());
        assert!(!sleep.is_elapsed());
        assert!(sleep.deadline() > clock::now() + FAR_FUTURE / 2);
        let _no_overflow = sleep.deadline() + Duration::from_secs(3600);
        let now = clock::now();
        Pin::new(&mut sleep).reset(now);
        assert!(sleep.is_elapsed());
        assert!(poll(&mut sleep).is_ready());
    }

    #[test]
    fn a_ready_sleep_takes_one_unit_of_the_budget() {
        let outer = budget::refill();
        for _ in 0..budget::BUDGET {
            assert!(poll(&mut sleep(Duration::ZERO)).is_ready());
        }
        assert!(poll(&mut sleep(Duration::ZERO)).is_pending());
        budget::restore(outer);
    }

    #[test]
    fn a_pending_sleep_gives_its_unit_back() {
        let outer = budget::refill();
        let mut sleep = sleep(Duration::MAX);
        for _ in 0..1000 {
            assert!(poll(&mut sleep).is_pending());
        }
        assert_eq!(budget::refill(), budget::BUDGET);
        budget::restore(outer);
    }
}
