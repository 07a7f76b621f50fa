//! One budget: the one of the real tokio, whose channels, locks and utilities run in our tasks.
//!
//! A poll of a task, or of the future of a `block_on`, begins with a full budget, and every
//! operation takes from it: those of `sync`, `io` and `select!` because they are the real ones,
//! those of `net`, `time` and `task` because they ask
//! [`poll_proceed`](real::task::coop::poll_proceed) too. The executor's own budget is switched off
//! inside.
//!
//! The real tokio fills its budget where it polls tasks, which it does not do here, and it has no
//! function for that. But a `RestoreOnPending` that is dropped puts the budget back to what it was
//! when the value was made. So:
//!
//! 1. The first poll on a thread takes a unit inside a `block_on` of a real runtime, without
//!    drivers or threads, and keeps the value: it stands for a full budget.
//! 2. A poll begins inside [`Unconstrained`], which saves the budget of the poll around it, and
//!    restores that at the end.
//! 3. Then it drops the value. The budget is full.
//! 4. It takes a unit, for the next poll's value. That leaves 127 operations of 128.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use real::task::coop::{RestoreOnPending, Unconstrained, poll_proceed, unconstrained};

std::thread_local! {
    /// Stands for a full budget. `None` before the first poll on this thread.
    static FULL: Cell<Option<RestoreOnPending>> = const { Cell::new(None) };
}

/// Fills the budget of this thread, inside a scope that restores it.
fn fill() {
    // While the thread's locals are being destroyed there is no budget either.
    let _ = FULL.try_with(|full| {
        drop(full.take().or_else(first));
        full.set(take());
    });
}

fn take() -> Option<RestoreOnPending> {
    match poll_proceed(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A value that stands for a full budget.
#[cold]
fn first() -> Option<RestoreOnPending> {
    static REAL: LazyLock<Option<real::runtime::Runtime>> =
        LazyLock::new(|| real::runtime::Builder::new_current_thread().build().ok());

    let real = REAL.as_ref()?;
    Some(real.block_on(poll_fn(poll_proceed)))
}

pin_project! {
    /// A future each of whose polls has a budget of its own.
    pub(crate) struct Budgeted<F> {
        #[pin]
        future: executor::task::Unconstrained<Unconstrained<Filled<F>>>,
    }
}

pin_project! {
    struct Filled<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Budgeted<F> {
    pub(crate) fn new(future: F) -> Budgeted<F> {
        let future = unconstrained(Filled { future });
        Budgeted {
            future: executor::task::unconstrained(future),
        }
    }
}

impl<F: Future> Future for Budgeted<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F: Future> Future for Filled<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        fill();
        self.project().future.poll(cx)
    }
}

/// Polls `future` once with a full budget, and without any limit around it.
pub(crate) fn poll_with_budget<F: Future>(future: F, cx: &mut Context<'_>) -> Poll<F::Output> {
    pin!(Budgeted::new(future)).poll(cx)
}
