//! Tasks of a group, such as a `JoinSet`. The group aborts its tasks together, and receives their
//! outcomes instead of a handle.
//!
//! * Each poll begins by asking [`Membership::is_aborted`].
//! * Each poll that is pending offers the task's [`Entry`] to [`Membership::wait`]; the group takes
//!   it the first time.
//! * The last poll passes the outcome to [`Membership::complete`], after the future was dropped and
//!   the task left the scheduler's counts. Every task has a last poll, even if it is the one that
//!   cancels the task, since a [`Runnable`] is always run.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_task::{Builder, WithInfo};
use pin_project_lite::pin_project;

use super::contain::{Call, Contained, Schedule, schedule, spawn_site_of, this_id};
use super::observe::{Kind, Observed, observed};
use super::outcome::Outcome;
use super::registry::{Entry, Registry};
use super::{
    AbortHandle, Id, JoinHandle, Meta, NO_LIFT, Priority, Runnable, SpawnsAs, current, lift,
    priority, registration,
};
use crate::sync::atomic::Ordering;

/// A task's membership of its group. The task's poll calls these functions: they must not panic.
pub(crate) trait Membership<T>: Send + 'static {
    /// Whether the task has to end.
    fn is_aborted(&self) -> bool;

    /// Called when the task is pending; by the entry it is woken. `lift` lifts the task to a class.
    /// `false`: the task has to end.
    fn wait(&mut self, entry: fn() -> Entry, lift: fn(Priority)) -> bool;

    /// Called when the task is about to be spawned with a class.
    fn classed(&self) -> Listing;

    /// Called with the task's outcome. A clone of `waker` keeps the task's memory for as long as it
    /// exists.
    fn complete(self, id: Id, outcome: Outcome<T>, waker: &Waker);
}

/// What a group wants of a task that is spawned with a class.
pub(crate) struct Listing {
    /// What the task is lifted to from the beginning.
    pub(crate) level: Priority,
    /// Takes the entry of a task that is registered from the beginning.
    pub(crate) list: Box<dyn FnOnce(Entry)>,
}

/// [`create`](super::create) for a task of a group. The handle can abort it.
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

/// [`create_ready`](super::create_ready) for a task of a group. The handle can abort it.
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
    // Two looks, as what the first one finds would be kept across the calls below by all spawns.
    if current::class() != 0 {
        begin_classed(&membership);
    }
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
    let runnable = Runnable::new(runnable);
    let runnable = match current::class() {
        0 => runnable,
        _ => end_classed::<H>(runnable),
    };
    (runnable, abort)
}

std::thread_local! {
    /// Of the task that this thread is about to create.
    static LISTING: Cell<Option<Listing>> = const { Cell::new(None) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept(Option<Listing>);

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        self.0 = LISTING.replace(self.0.take());
    }
}

/// Does nothing if the class of this thread is out of date.
#[cold]
fn begin_classed<T>(membership: &impl Membership<T>) {
    if current::class_here() != 0 {
        let listing = membership.classed();
        drop(LISTING.try_with(|place| place.replace(Some(listing))));
    }
}

/// The task was created, and nobody else has it yet.
#[cold]
fn end_classed<H: Schedule>(runnable: Runnable) -> Runnable {
    // `None`: the thread ends.
    let Some(Listing { level, list }) = LISTING.try_with(Cell::take).ok().flatten() else {
        return priority::inherit::<H>(runnable);
    };
    let _lifted = (level != NO_LIFT).then(|| SpawnsAs::lifted(level));
    let runnable = priority::inherit::<H>(runnable);
    if let Some(entry) = Entry::of(runnable.metadata()) {
        list(entry);
    }
    runnable
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
    /// Empty: the handle only aborts.
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
                Poll::Pending if membership.wait(current_entry, lift_current) => {
                    return Poll::Pending;
                }
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

/// The entry of the task that is being polled, and has registered.
fn current_entry() -> Entry {
    let entry = current::with_meta(Entry::of).flatten();
    entry.expect("a poll that is pending has registered its task")
}

/// Lifts the task that is being polled.
fn lift_current(class: Priority) {
    current::with_meta(|meta| lift::lift_to(meta, class));
}

/// Does what `JoinHandle::abort` does, inside the task's poll. Relaxed: the same poll reads the
/// bit.
#[cold]
fn abort_current() {
    current::with_meta(|meta| {
        meta.registration
            .fetch_or(registration::ABORTED, Ordering::Relaxed)
    });
}
