//! The cooperative budget: a task that never has to wait still yields.
//!
//! A task that finds data ready at every read would never return from its poll. So each poll begins
//! with [`BUDGET`] units. Our I/O, timers and joins take one unit per operation. When no unit is
//! left, an operation wakes its task and returns `Pending`, and the task goes to the back of the
//! run queue. An operation that has to wait anyway gives its unit back, so only operations that
//! make progress count.
//!
//! Code that runs outside a task has no budget and never yields because of it.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Units per poll. 128 is tokio's figure. It is large enough that the cost of a yield disappears in
/// the cost of the operations, and small enough that a poll of socket reads (about 1 µs each) takes
/// about 100 µs.
pub(crate) const BUDGET: u8 = 128;

/// Value of [`LEFT`] outside a task and under [`unlimited`].
const UNLIMITED: u8 = u8::MAX;

std::thread_local! {
    /// Units left for the poll that runs on this thread.
    static LEFT: Cell<u8> = const { Cell::new(UNLIMITED) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
pub(crate) struct Kept(u8);

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) const fn new() -> Kept {
        Kept(UNLIMITED)
    }

    pub(crate) fn exchange(&mut self) {
        self.0 = LEFT.replace(self.0);
    }
}

/// Begins a poll with [`BUDGET`] units. The caller passes the result to [`restore`] when the poll
/// ends.
#[inline]
pub(crate) fn refill() -> u8 {
    LEFT.replace(BUDGET)
}

/// Ends a poll: restores the budget of the poll around it.
#[inline]
pub(crate) fn restore(outer: u8) {
    LEFT.set(outer);
}

/// One unit taken from the budget. Dropping it gives the unit back; [`Progress::made`] spends it.
#[derive(Debug)]
#[must_use = "dropping it gives the unit back"]
pub(crate) struct Progress {
    /// Value that dropping this writes back to [`LEFT`].
    before: u8,
}

impl Progress {
    /// Spends the unit: the operation has completed.
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

/// Takes one unit. When none is left, wakes the task and returns `Pending`.
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

/// Lifts the budget on this thread until the guard is dropped.
pub(crate) fn unlimited() -> Unlimited {
    Unlimited {
        outer: LEFT.replace(UNLIMITED),
    }
}

/// Guard of [`unlimited`].
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
/// Call it in a loop that does much work between two real waits. Each poll of a task begins with
/// 128 units. Outside a task it does nothing.
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
/// The future's operations never yield for fairness alone. Use it for a future that is known to be
/// short: one that is always ready would keep its processor for as long as it runs.
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
