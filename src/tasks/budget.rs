//! The cooperative budget: how a task that never waits still yields.
//!
//! A task that finds data ready at every read would never return from its poll. So each poll begins with
//! [`BUDGET`] operations; our own I/O, timers and joins take one each, and when none is left they return `Pending`
//! after waking their task, which then goes to the back of the queue. Only operations that made progress count: one
//! that had to wait anyway gives its unit back.
//!
//! Outside a task there is no budget and nothing ever yields for its sake.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Operations per poll. tokio's figure: large enough to vanish in the cost of the operations, small enough that a
/// poll of socket reads (about 1 µs each) stays near 100 µs.
pub(crate) const BUDGET: u8 = 128;

/// Stands for "no limit".
const UNLIMITED: u8 = u8::MAX;

std::thread_local! {
    /// Units left in the poll that runs on this thread.
    static LEFT: Cell<u8> = const { Cell::new(UNLIMITED) };
}

/// Starts a poll's budget; the result goes to [`restore`] at its end.
#[inline]
pub(crate) fn refill() -> u8 {
    LEFT.replace(BUDGET)
}

/// Ends a poll's budget.
#[inline]
pub(crate) fn restore(outer: u8) {
    LEFT.set(outer);
}

/// One unit taken from the budget. Given back on drop unless [`Progress::made`] was called.
#[derive(Debug)]
#[must_use = "dropping it gives the unit back"]
pub(crate) struct Progress {
    /// What to reset the budget to.
    before: u8,
}

impl Progress {
    /// The operation completed: the unit is spent.
    #[inline]
    pub(crate) fn made(self) {
        std::mem::forget(self);
    }
}

impl Drop for Progress {
    #[inline]
    fn drop(&mut self) {
        LEFT.set(self.before);
    }
}

/// Takes one unit. `Pending` when the budget is used up; the task has been woken already.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<Progress> {
    let before = LEFT.get();
    if before == 0 {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    if before != UNLIMITED {
        LEFT.set(before - 1);
    }
    Poll::Ready(Progress { before })
}

/// No budget until the guard is dropped: nothing yields for fairness alone.
pub(crate) fn unlimited() -> Unlimited {
    Unlimited {
        outer: LEFT.replace(UNLIMITED),
    }
}

/// See [`unlimited`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Unlimited {
    outer: u8,
}

impl Drop for Unlimited {
    fn drop(&mut self) {
        LEFT.set(self.outer);
    }
}

/// Takes one unit from the task's budget and yields if none is left.
///
/// For loops that do a lot of work between two real waits. Each poll of a task begins with 128 units. Outside a
/// task it does nothing.
///
/// # Cancel safety
///
/// Cancel safe: it holds no state.
///
/// # Examples
///
/// ```
/// executor::block_on(executor::spawn(async {
///     let mut sum = 0u64;
///     for n in 0..10_000 {
///         sum += n;
///         executor::task::consume_budget().await;
///     }
///     assert_eq!(sum, 49_995_000);
/// }))
/// .unwrap();
/// ```
pub async fn consume_budget() {
    std::future::poll_fn(|cx| poll_proceed(cx).map(Progress::made)).await;
}

pin_project! {
    /// A future exempt from the cooperative budget, made by [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Exempts a future from the cooperative budget.
///
/// Its operations then never yield for fairness alone. Use it for a future that is known to be short: one that is
/// always ready would hold its processor as long as it likes.
///
/// # Examples
///
/// ```
/// let n = executor::block_on(executor::task::unconstrained(async { 7 }));
/// assert_eq!(n, 7);
/// ```
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _unlimited = unlimited();
        self.project().future.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Waker;

    #[test]
    fn exactly_128_operations_then_pending() {
        let mut cx = Context::from_waker(Waker::noop());
        let outer = refill();
        for _ in 0..BUDGET {
            assert!(poll_proceed(&mut cx).map(Progress::made).is_ready());
        }
        assert!(poll_proceed(&mut cx).is_pending());
        restore(outer);
        assert!(poll_proceed(&mut cx).map(Progress::made).is_ready());
    }

    #[test]
    fn an_operation_that_waited_gives_its_unit_back() {
        let mut cx = Context::from_waker(Waker::noop());
        let outer = refill();
        for _ in 0..1000 {
            assert!(poll_proceed(&mut cx).is_ready());
        }
        restore(outer);
    }

    #[test]
    fn what_is_unconstrained_has_no_end_and_takes_nothing_from_the_others() {
        let mut cx = Context::from_waker(Waker::noop());
        let outer = refill();
        let many = unconstrained(async {
            for _ in 0..2 * u32::from(BUDGET) {
                consume_budget().await;
            }
        });
        assert!(pin!(many).poll(&mut cx).is_ready());
        for _ in 0..BUDGET {
            assert!(pin!(consume_budget()).poll(&mut cx).is_ready());
        }
        assert!(pin!(consume_budget()).poll(&mut cx).is_pending());
        restore(outer);
    }
}
