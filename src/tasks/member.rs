//! Tasks that belong to a group, a `JoinSet`: the group aborts them together, and their outcome goes to it instead of to a handle.
//!
//! * Each poll begins with the question whether the group was aborted.
//! * Each poll that is pending tells the group the task's waker, until it knows it.
//! * The last poll hands the outcome over, when the future has been dropped and the task no longer counts. Every task has such a poll,
//!   and be it the one that cancels it, since a [`Runnable`] is always run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_task::{Builder, WithInfo};
use pin_project_lite::pin_project;

use super::contain::{Call, Contained, Outcome, Schedule, schedule, spawn_site_of, this_id};
use super::observe::{Kind, Observed, observed};
use super::registry::Registry;
use super::{AbortHandle, Id, JoinHandle, Meta, Runnable, current, registration};
use crate::sync::atomic::Ordering;

/// A task's part in its group. What is called here is called inside the task's poll: it must not panic.
pub(crate) trait Membership<T>: Send + 'static {
    /// Whether the task has to end.
    fn is_aborted(&self) -> bool;

    /// The task is pending, and this wakes it. False: it has to end.
    fn wait(&mut self, waker: &Waker) -> bool;

    /// What the task came to. As long as a copy of its waker is there, so is its memory.
    fn complete(self, id: Id, outcome: Outcome<T>, waker: &Waker);
}

/// [`create`](super::create) for a task of a group, with a handle that can abort it.
#[track_caller]
#[inline]
pub(crate) fn create_member<F, H, M>(
    future: F,
    bytes: usize,
    registry: &Registry,
    membership: M,
) -> (Runnable, AbortHandle)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Schedule,
    M: Membership<F::Output>,
{
    create_as::<F, H, M>(future, bytes, registry, Kind::Task, membership)
}

/// [`create_ready`](super::create_ready), likewise.
#[track_caller]
pub(crate) fn create_ready_member<F, T, H, M>(
    f: F,
    bytes: usize,
    registry: &Registry,
    membership: M,
) -> (Runnable, AbortHandle)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    H: Schedule,
    M: Membership<T>,
{
    create_as::<_, H, M>(Call::new(f), bytes, registry, Kind::Blocking, membership)
}

#[track_caller]
#[inline]
fn create_as<F, H, M>(
    future: F,
    bytes: usize,
    registry: &Registry,
    kind: Kind,
    membership: M,
) -> (Runnable, AbortHandle)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Schedule,
    M: Membership<F::Output>,
{
    let meta = Meta::new(Id::next(), spawn_site_of(registry), 0);
    let future = observed(future, kind, bytes, Some(meta.id()), None);
    let (runnable, task) = Builder::new().metadata(meta).spawn(
        move |_| Member {
            task: Contained::<Observed<F>, H>::new(future),
            membership: Some(membership),
        },
        WithInfo(schedule::<H>),
    );
    let abort = AbortHandle::new(JoinHandle::new(task));
    (Runnable::new(runnable), abort)
}

pin_project! {
    struct Member<F, H, M>
    where
        H: Schedule,
    {
        #[pin]
        task: Contained<F, H>,
        // `None` after the last poll.
        membership: Option<M>,
    }
}

impl<F, H, M> Future for Member<F, H, M>
where
    F: Future,
    H: Schedule,
    M: Membership<F::Output>,
{
    /// Of no use to the handle, which aborts and does nothing else.
    type Output = Outcome<()>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<()>> {
        let mut this = self.project();
        let Some(membership) = this.membership else {
            unreachable!("async-task polls no task that has completed");
        };
        if membership.is_aborted() {
            abort_current();
        }
        let outcome = loop {
            match this.task.as_mut().poll(cx) {
                Poll::Ready(outcome) => break outcome,
                Poll::Pending if membership.wait(cx.waker()) => return Poll::Pending,
                // The next poll is the last.
                Poll::Pending => abort_current(),
            }
        };
        if let Some(membership) = this.membership.take() {
            membership.complete(this_id(), outcome, cx.waker());
        }
        Poll::Ready(Outcome::new(Ok(())))
    }
}

/// As the abort of a handle, from inside the task's poll. Relaxed: the same poll reads it.
#[cold]
fn abort_current() {
    current::with_meta(|meta| {
        meta.registration
            .fetch_or(registration::ABORTED, Ordering::Relaxed)
    });
}
