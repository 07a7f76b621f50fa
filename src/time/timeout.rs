//! [`Timeout`]: a future with a time limit for another one.
//!
//! A `Timeout` polls the inner future first. If that is ready at its first poll, the `Timeout` does
//! not even read the clock, so that a timeout around an operation that need not wait costs almost
//! nothing. Therefore a duration counts from the first poll.
//!
//! The timer neither takes a unit of the task's cooperative budget nor asks for one. If an inner
//! future uses up the budget in every poll and so is never ready, the deadline still ends it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::sleep::{Sleep, sleep, sleep_until};

/// Gives `future` at most `duration`, counted from the first poll.
///
/// Each poll polls the future before it checks the deadline. So no result is lost because it is
/// late, and even with a zero duration the future is polled once. [`Duration::MAX`] means no limit.
///
/// After the time is up, the future is dropped together with the `Timeout`: at once, if the
/// `Timeout` is awaited by value.
///
/// # Errors
///
/// [`Elapsed`] if the deadline passed before the future was ready.
///
/// # Cancel safety
///
/// As cancel safe as the inner future. An elapsed timeout cancels it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use executor::time::timeout;
///
/// executor::block_on(async {
///     assert_eq!(timeout(Duration::from_secs(5), async { 7 }).await, Ok(7));
///     let late = timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
///     assert!(late.is_err());
/// });
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        duration,
        sleep: None,
    }
}

/// Gives `future` time until `deadline`.
///
/// Otherwise like [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the deadline passed before the future was ready.
///
/// # Cancel safety
///
/// As cancel safe as the inner future. An elapsed timeout cancels it.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use executor::time::timeout_at;
///
/// executor::block_on(async {
///     let deadline = Instant::now() + Duration::from_millis(1);
///     let late = timeout_at(deadline, std::future::pending::<()>()).await;
///     assert!(late.is_err() && Instant::now() >= deadline);
/// });
/// ```
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    let sleep = Some(sleep_until(deadline));
    Timeout {
        future: future.into_future(),
        duration: Duration::ZERO,
        sleep,
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    ///
    /// Do not poll it again after it was ready, as with most futures.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        // Counted from the first pending poll, which makes the sleep. Not used once `sleep` is
        // there.
        duration: Duration,
        sleep: Option<Sleep>,
    }
}

impl<F> Timeout<F> {
    /// The inner future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The inner future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Returns the inner future, without a limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let duration = *this.duration;
        let sleep = this.sleep.get_or_insert_with(|| sleep(duration));
        sleep.poll_due(cx).map(|()| Err(Elapsed(())))
    }
}

/// The time limit of a [`Timeout`] has passed.
///
/// As an [`io::Error`] it has the kind [`TimedOut`](io::ErrorKind::TimedOut), and this error as its
/// inner error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Waker;

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_ready_future_wins_even_with_no_time_at_all() {
        assert_eq!(poll(timeout(Duration::ZERO, ready(1))), Poll::Ready(Ok(1)));
        let past = Instant::now() - Duration::from_secs(1);
        assert_eq!(poll(timeout_at(past, ready(2))), Poll::Ready(Ok(2)));
    }

    #[test]
    fn no_time_at_all_elapses_at_the_first_poll() {
        let past = Instant::now() - Duration::from_secs(1);
        assert_eq!(
            poll(timeout(Duration::ZERO, pending::<()>())),
            Poll::Ready(Err(Elapsed(())))
        );
        assert_eq!(
            poll(timeout_at(past, pending::<()>())),
            Poll::Ready(Err(Elapsed(())))
        );
    }

    #[test]
    fn no_clock_is_read_for_a_ready_future() {
        let mut timeout = timeout(Duration::from_secs(1), ready(1));
        assert!(poll(&mut timeout).is_ready());
        assert!(timeout.sleep.is_none());
    }

    #[test]
    fn max_is_no_limit() {
        assert!(poll(timeout(Duration::MAX, pending::<()>())).is_pending());
    }

    #[test]
    fn a_future_that_uses_up_the_budget_is_still_cut_off() {
        let greedy = std::future::poll_fn(|cx| {
            while crate::tasks::budget::poll_proceed(cx)
                .map(|unit| unit.made())
                .is_ready()
            {}
            Poll::<()>::Pending
        });
        let outer = crate::tasks::budget::refill();
        let result = poll(timeout(Duration::ZERO, greedy));
        crate::tasks::budget::restore(outer);
        assert_eq!(result, Poll::Ready(Err(Elapsed(()))));
    }

    #[test]
    fn elapsed_is_a_timed_out_io_error_that_keeps_its_source() {
        let error = io::Error::from(Elapsed(()));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Elapsed>()));
        assert_eq!(error.to_string(), "deadline has elapsed");
    }
}
