//! [`Timeout`]: a future with a time limit for another one.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use real::task::coop::{has_budget_remaining, unconstrained};

use super::error::Elapsed;
use super::{Duration, Instant, Sleep};

/// Gives `future` at most `duration`, counted from this call.
///
/// Each poll polls the future before it looks at the time, so no result is lost because it is late.
/// A duration that the clock cannot express is no limit.
///
/// # Errors
///
/// [`Elapsed`] if the time was up before the future was ready.
///
/// # Panics
///
/// Outside a runtime, and in one without timers.
#[track_caller]
pub fn timeout<F>(duration: Duration, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    // A closure would not pass the caller's location on.
    #[allow(clippy::manual_map)]
    let delay = match Instant::now().checked_add(duration) {
        Some(deadline) => Some(Sleep::new(deadline)),
        None => None,
    };
    Timeout {
        value: future.into_future(),
        delay,
    }
}

/// Gives `future` time until `deadline`. Otherwise like [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the time was up before the future was ready.
///
/// # Panics
///
/// Outside a runtime, and in one without timers.
#[track_caller]
pub fn timeout_at<F>(deadline: Instant, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    Timeout {
        value: future.into_future(),
        delay: Some(Sleep::new(deadline)),
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    #[derive(Debug)]
    pub struct Timeout<T> {
        #[pin]
        value: T,
        // `None`: there is no limit.
        #[pin]
        delay: Option<Sleep>,
    }
}

impl<T> Timeout<T> {
    /// The inner future.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The inner future.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The inner future, without a limit.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: Future> Future for Timeout<T> {
    type Output = Result<T::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = has_budget_remaining();
        if let Poll::Ready(output) = this.value.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let Some(delay) = this.delay.as_pin_mut() else {
            return Poll::Pending;
        };
        // A future that uses up the budget in each poll would never be cut off otherwise.
        let exhausted = had_budget && !has_budget_remaining();
        poll_delay(delay, exhausted, cx).map(|()| Err(Elapsed::new()))
    }
}

fn poll_delay(mut delay: Pin<&mut Sleep>, free: bool, cx: &mut Context<'_>) -> Poll<()> {
    if free {
        pin!(unconstrained(poll_fn(|cx| delay.as_mut().poll(cx)))).poll(cx)
    } else {
        delay.poll(cx)
    }
}
