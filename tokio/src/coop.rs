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
//! 3. Then it drops a copy of the value. The budget is full.

use std::cell::OnceCell;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use real::task::coop::{RestoreOnPending, Unconstrained, poll_proceed, unconstrained};

std::thread_local! {
    /// Stands for a full budget. Empty before the first poll on this thread.
    static FULL: OnceCell<ManuallyDrop<RestoreOnPending>> = const { OnceCell::new() };
}

const _: () = assert!(size_of::<RestoreOnPending>() == size_of::<Option<u8>>());

/// Fills the budget of this thread, inside a scope that restores it.
fn fill() {
    // While the thread's locals are being destroyed there is no budget either.
    let _ = FULL.try_with(|full| {
        let full = full.get_or_init(|| ManuallyDrop::new(first()));
        // SAFETY: in the release that the manifest pins, the value is an `Option<u8>` in a `Cell`,
        // and no more: it owns nothing. Its destructor writes the number to a thread-local of the
        // real tokio. So a copy may be dropped as often as one likes. The original never is.
        drop(unsafe { ptr::read(&raw const **full) });
    });
}

/// A value that stands for a full budget.
#[cold]
fn first() -> RestoreOnPending {
    static REAL: LazyLock<io::Result<real::runtime::Runtime>> =
        LazyLock::new(|| real::runtime::Builder::new_current_thread().build());

    match &*REAL {
        Ok(real) => real.block_on(poll_fn(poll_proceed)),
        Err(error) => panic!("a runtime without drivers needs no resources: {error}"),
    }
}

/// Calls a closure that polls as it likes: without a limit.
#[track_caller]
pub(crate) fn without_budget<R>(f: impl FnOnce() -> R) -> R {
    let mut f = Some(f);
    let call = unconstrained(poll_fn(|_| match f.take() {
        Some(f) => Poll::Ready(f()),
        None => unreachable!("it is ready at the first poll"),
    }));
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("it is ready at the first poll"),
    }
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
