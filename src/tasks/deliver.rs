//! Tasks whose outcome goes elsewhere than to a handle: those of a `JoinSet`.
//!
//! The last poll of a task delivers, when the future has been dropped and the task no longer counts. Every task has such a poll,
//! and be it the one that cancels it, since a [`Runnable`] is always run: so there is one delivery for each task. What is called
//! there is called inside the poll: it must not panic.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_task::{Builder, WithInfo};
use pin_project_lite::pin_project;

use super::contain::{Call, Contained, Home, Outcome, origin_of, schedule};
use super::observe::{Kind, Observed, observed};
use super::registry::Registry;
use super::{AbortHandle, Id, Meta, Runnable};

/// Where the outcome of a task goes.
pub(crate) trait Deliver<T>: Send + 'static {
    fn deliver(self, outcome: Outcome<T>);
}

/// [`create`](super::create) for a task whose outcome goes to `delivery`, with a handle that can abort it.
#[track_caller]
#[inline]
pub(crate) fn create_delivering<F, H, D>(
    future: F,
    bytes: usize,
    home: &Registry,
    delivery: D,
) -> (Runnable, AbortHandle)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Home,
    D: Deliver<F::Output>,
{
    create_as::<F, H, D>(future, bytes, home, Kind::Task, delivery)
}

/// [`create_ready`](super::create_ready), likewise.
#[track_caller]
pub(crate) fn create_ready_delivering<F, T, H, D>(
    f: F,
    bytes: usize,
    home: &Registry,
    delivery: D,
) -> (Runnable, AbortHandle)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    H: Home,
    D: Deliver<T>,
{
    create_as::<_, H, D>(Call::new(f), bytes, home, Kind::Blocking, delivery)
}

#[track_caller]
#[inline]
fn create_as<F, H, D>(
    future: F,
    bytes: usize,
    home: &Registry,
    kind: Kind,
    delivery: D,
) -> (Runnable, AbortHandle)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Home,
    D: Deliver<F::Output>,
{
    let meta = Meta::new(Id::next(), origin_of(home), 0);
    let future = observed(future, kind, bytes, Some(meta.id()), None);
    let (runnable, task) = Builder::new().metadata(meta).spawn(
        move |_| Delivering {
            task: Contained::<Observed<F>, H>::new(future),
            delivery: Some(delivery),
        },
        WithInfo(schedule::<H>),
    );
    task.detach();
    let runnable = Runnable::new(runnable);
    let abort = AbortHandle::new(&runnable);
    (runnable, abort)
}

pin_project! {
    struct Delivering<F, H, D>
    where
        H: Home,
    {
        #[pin]
        task: Contained<F, H>,
        delivery: Option<D>,
    }
}

impl<F, H, D> Future for Delivering<F, H, D>
where
    F: Future,
    H: Home,
    D: Deliver<F::Output>,
{
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let Poll::Ready(outcome) = this.task.poll(cx) else {
            return Poll::Pending;
        };
        if let Some(delivery) = this.delivery.take() {
            delivery.deliver(outcome);
        }
        Poll::Ready(())
    }
}
