//! The wrapper around every future. It catches panics, registers the task and carries out aborts.
//!
//! # One poll
//!
//! 1. If the poll is a cancellation, or an abort has arrived: drop the future and complete with
//!    "cancelled".
//! 2. Otherwise poll the future inside `catch_unwind`. If it returns `Ready` or panics: drop it,
//!    again inside `catch_unwind`, and complete. The future is dropped before the handle resolves.
//! 3. If it returns `Pending` for the first time: [`fn@register`] the task, unless it is a background
//!    task, which was registered when it was queued. If the runtime is closed, or an abort arrived
//!    during the poll, nothing would wake the task later, so end it as in step 1.
//!
//! `register` and a handle's `abort` both change `Meta::registration` with a read-modify-write, so
//! the later of the two sees the earlier one. If `register` is later, it sees the abort bit and
//! ends the task. If `abort` is later, it sees the key and wakes the task.

use std::any::Any;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_task::{Builder, ScheduleInfo, WithInfo};
use pin_project_lite::pin_project;

use super::control::{self, Control};
use super::observe::{Kind, Observed, observed};
use super::registry::{NotRegistered, Registry};
use super::{
    Id, JoinError, JoinHandle, Meta, Outcome, Runnable, capture, current, lift, priority, register,
    registration, spawn_site,
};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, no_threads};

/// What schedules a kind of task. Implemented by types without values: see "Why the schedule
/// function captures nothing" in [`super`].
pub(crate) trait Schedule: 'static {
    /// Whether this task, which is about to be spawned, is queued by its class. Not in a child made by
    /// `fork`, where the locks of its runtime may be held for ever.
    fn is_queued_by_class(_: &Meta) -> bool {
        false
    }

    /// Called when the task becomes runnable.
    fn schedule(runnable: Runnable, info: ScheduleInfo);

    /// Called when a task with a class is spawned, before it is queued. No lock is held.
    fn spawned_with_class(_: &Meta) {}

    /// Called when the class of a task has changed, on the thread that has changed it. No lock is
    /// held.
    fn reclassed(_: &Meta) {}

    /// Called when a poll of the task has panicked, before the future is dropped.
    fn panicked(_: &Meta) {}

    /// Called when the task ends because of an abort or because its runtime is closed, before the
    /// future is dropped.
    fn cancelled(_: &Meta) {}

    /// Called once per task, when its future has been dropped, on the thread that dropped it.
    fn finished(meta: &Meta);
}

#[inline]
pub(super) fn schedule<H: Schedule>(runnable: async_task::Runnable<Meta>, info: ScheduleInfo) {
    if info.woken_while_running {
        // Its poll is over. Once it is in a queue, another thread may run it to its end, and free
        // it.
        current::task_is_gone();
    }
    H::schedule(Runnable::new(runnable), info);
}

/// A task that any thread may poll. `bytes`: see [`observed`].
#[track_caller]
#[inline]
pub(crate) fn create<F, H>(
    future: F,
    bytes: usize,
    registry: &Registry,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Schedule,
{
    create_as::<F, H>(future, bytes, registry, Kind::Task)
}

#[track_caller]
#[inline]
fn create_as<F, H>(
    future: F,
    bytes: usize,
    registry: &Registry,
    kind: Kind,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Schedule,
{
    let meta = Meta::new(Id::next(), spawn_site_of(registry), 0);
    let future = observed(future, kind, bytes, Some(meta.id()), None);
    let (runnable, task) = Builder::new().metadata(meta).spawn(
        move |_| Contained::<Observed<F>, H>::new(future),
        WithInfo(schedule::<H>),
    );
    (classed::<H>(runnable), JoinHandle::new(task))
}

/// The runnable of a new task, which has the class that its spawner gives on.
#[inline]
pub(super) fn classed<H: Schedule>(runnable: async_task::Runnable<Meta>) -> Runnable {
    let runnable = Runnable::new(runnable);
    match current::class() {
        0 => runnable,
        _ => priority::inherit::<H>(runnable),
    }
}

/// The spawn site of a task that the caller spawns on the runtime of `registry`.
#[track_caller]
#[inline]
pub(super) fn spawn_site_of(registry: &Registry) -> u32 {
    spawn_site::intern(registry.index(), Location::caller())
}

/// [`create`] for a task with a name.
#[track_caller]
pub(crate) fn create_named<F, H>(
    future: F,
    bytes: usize,
    registry: &Registry,
    name: &str,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    H: Schedule,
{
    let id = Id::next();
    Control::insert(id, Some(name.into()));
    let meta = Meta::new(id, spawn_site_of(registry), registration::CONTROLLED);
    let future = observed(future, Kind::Task, bytes, Some(id), Some(name));
    let (runnable, task) = Builder::new().metadata(meta).spawn(
        move |_| Contained::<Observed<F>, H>::new(future),
        WithInfo(schedule::<H>),
    );
    (classed::<H>(runnable), JoinHandle::new(task))
}

/// A task that calls a closure at its first poll, and completes.
#[track_caller]
pub(crate) fn create_ready<F, T, H>(
    f: F,
    bytes: usize,
    registry: &Registry,
) -> (Runnable, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    H: Schedule,
{
    create_as::<_, H>(Call::new(f), bytes, registry, Kind::Blocking)
}

/// The future of [`create_ready`]. Not an `async` block, which would keep a state beside the
/// closure.
pub(super) struct Call<F>(Option<F>);

impl<F> Call<F> {
    pub(super) fn new(f: F) -> Call<F> {
        Call(Some(f))
    }
}

impl<F> Unpin for Call<F> {}

impl<F: FnOnce() -> T, T> Future for Call<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let f = self.0.take().expect("polled after completion");
        Poll::Ready(f())
    }
}

/// Calls user code and catches its panic. If the destructor of the panic's payload panics too, that
/// second payload is leaked.
pub(crate) fn catch_panic(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(payload);
        }
    }
}

/// Drops a value of the user's and catches a panic of its destructor.
pub(crate) fn drop_catching<T>(value: T) {
    catch_panic(|| drop(value));
}

pin_project! {
    /// `FINISHED` in the task's metadata says whether the future has been dropped. A flag in this
    /// struct would cost eight bytes per task, and often the allocator's next size class.
    pub(super) struct Contained<F, H>
    where
        H: Schedule,
    {
        #[pin]
        future: ManuallyDrop<F>,
        scheduler: PhantomData<fn() -> H>,
    }

    impl<F, H> PinnedDrop for Contained<F, H>
    where
        H: Schedule,
    {
        fn drop(this: Pin<&mut Self>) {
            let is_finished = current::with_meta(|meta| {
                meta.registration.load(Ordering::Relaxed) & registration::FINISHED != 0
            });
            if is_finished != Some(true) {
                // SAFETY: the future has not been dropped. Only the last poll and this destructor
                // drop it. After the last poll, async-task drops the wrapper at once, with the same
                // metadata in place, and that poll has set `FINISHED`. `with_meta` gives the
                // metadata of this task: async-task drops the wrapper while it runs the task, or
                // when it drops a runnable that was not run. The second never happens, since the
                // destructor of `Runnable` runs the task.
                if let Err(payload) = unsafe { this.end() } {
                    drop_catching(payload);
                }
            }
            current::task_is_gone();
        }
    }
}

impl<F, H: Schedule> Contained<F, H> {
    #[inline]
    pub(super) fn new(future: F) -> Contained<F, H> {
        Contained {
            future: ManuallyDrop::new(future),
            scheduler: PhantomData,
        }
    }

    /// Drops the future, then removes the task from its registry, the scheduler's counts and the
    /// control table. The error is the payload of a panic in the future's destructor.
    ///
    /// # Safety
    ///
    /// Call at most once, and do not use the future afterwards.
    #[inline]
    unsafe fn end(self: Pin<&mut Self>) -> Result<(), Box<dyn Any + Send>> {
        // SAFETY: the future does not move before it is dropped in place, and the caller ensures
        // that this is the first drop.
        let drop = || unsafe { ManuallyDrop::drop(self.project().future.get_unchecked_mut()) };
        let dropped = match std::mem::needs_drop::<F>() {
            true => catch_unwind(AssertUnwindSafe(drop)),
            false => Ok(()),
        };
        current::with_meta(|meta| {
            let control = leave(meta);
            H::finished(meta);
            // Release: pairs with the acquire load in `AbortHandle::is_finished`.
            let counted = registration::COUNTED;
            meta.registration.store(counted, Ordering::Release);
            // Last: a thread that sees through an abort handle that the task has finished must not
            // find it in the scheduler's counts.
            if let Some(control) = control {
                control.finish();
            }
        });
        dropped
    }
}

impl<F: Future, H: Schedule> Contained<F, H> {
    #[inline]
    fn poll_future(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().future;
        // SAFETY: a pin projection. The future has not been dropped, since the task has not
        // finished.
        unsafe { future.map_unchecked_mut(|future| &mut **future) }.poll(cx)
    }
}

impl<F: Future, H: Schedule> Future for Contained<F, H> {
    type Output = Outcome<F::Output>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        let mut seen = current::with_meta(|meta| meta.registration.load(Ordering::Relaxed))
            .expect("a task is polled by `current::run` alone");
        let real = cx.waker();
        let mut waker = real;
        let stops = current::is_cancelling()
            || (seen & (registration::FLAGS | registration::CLASS) != 0 && {
                seen = look_closer(seen);
                let stops = seen & registration::ABORTED != 0;
                if !stops && seen & registration::STACK_WANTED != 0 {
                    waker = begin_capture(real, std::any::type_name::<F>);
                    // So that a pending poll comes to `register`, which ends the capture. Here, as
                    // a test of its own would cost each poll that captures nothing.
                    seen &= !registration::KEY;
                }
                stops
            });
        let polled = if stops {
            current::with_meta(H::cancelled);
            Ok(Poll::Pending)
        } else {
            // A context of its own: no future that does without one pays for the other waker.
            let mut cx = Context::from_waker(waker);
            let polled = catch_unwind(AssertUnwindSafe(|| self.as_mut().poll_future(&mut cx)));
            match polled {
                Ok(Poll::Pending) if seen & registration::KEY != 0 || register(real, seen) => {
                    return Poll::Pending;
                }
                Ok(Poll::Pending) => drop(current::with_meta(H::cancelled)),
                Err(_) => drop(current::with_meta(H::panicked)),
                Ok(Poll::Ready(_)) => {}
            }
            polled
        };
        // SAFETY: this is the last poll, and the destructor sees `FINISHED`.
        let dropped = unsafe { self.end() };
        Poll::Ready(Outcome::new(match (polled, dropped) {
            (Ok(Poll::Ready(output)), Ok(())) => Ok(output),
            (Ok(Poll::Ready(output)), Err(payload)) => {
                drop_catching(output);
                Err(panicked(payload))
            }
            (Ok(Poll::Pending), dropped) => Err(cancelled(dropped)),
            (Err(payload), dropped) => {
                drop_catching(dropped);
                Err(panicked(payload))
            }
        }))
    }
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> JoinError {
    #[cfg(feature = "sim")]
    crate::simulated::note_panic();
    JoinError::panic(this_id(), payload)
}

/// The result of a task that was aborted, or that nothing would have woken again.
#[cold]
fn cancelled(dropped: Result<(), Box<dyn Any + Send>>) -> JoinError {
    drop_catching(dropped);
    match current::refused() {
        Some(io::ErrorKind::Unsupported) => JoinError::refused(this_id(), no_threads()),
        Some(kind) => JoinError::refused(this_id(), kind.into()),
        None => JoinError::cancelled(this_id()),
    }
}

pub(super) fn this_id() -> Id {
    current::current_id().unwrap_or_else(Id::next)
}

/// The poll of a task with flags or a class begins. Gives its word, with `ABORTED` if the task has to
/// end.
#[cold]
fn look_closer(seen: u32) -> u32 {
    let has_requests = || current::current_id().is_some_and(control::requests_outstanding);
    let asked = seen & registration::CONTROLLED != 0 && has_requests();
    let seen = if asked { asked_by_control(seen) } else { seen };
    if seen & registration::CLASS != 0 {
        current::begin_class(seen);
    }
    seen
}

#[cold]
fn asked_by_control(seen: u32) -> u32 {
    current::with_meta(|meta| match Control::find(meta.id()) {
        Some(control) if control.is_aborted() => seen | registration::ABORTED,
        Some(control) => {
            control.settle(meta);
            meta.registration.load(Ordering::Relaxed)
        }
        None => seen,
    })
    .unwrap_or(seen)
}

/// A waker that captures the stacks of the poll.
#[cold]
fn begin_capture(waker: &Waker, future: fn() -> &'static str) -> &Waker {
    let begun = current::with_meta(|meta| capture::begin(meta, waker, future()));
    begun.unwrap_or(waker)
}

/// Step 3 of a poll that began with the word `begun`. `false`: nothing would wake this task, so it
/// must end now.
#[cold]
fn register(waker: &Waker, begun: u32) -> bool {
    current::with_meta(|meta| {
        let seen = meta.registration.load(Ordering::Relaxed);
        let stays = seen & registration::KEY != 0 || register_first(meta, waker, begun);
        // If it ends now, `leave` finds the flag.
        if stays && seen & registration::STACK_WANTED != 0 {
            capture::end(meta, Some(waker));
        }
        stays
    })
    .unwrap_or(true)
}

/// The task waits for the first time.
fn register_first(meta: &Meta, waker: &Waker, begun: u32) -> bool {
    match register::enter_registry(meta, waker) {
        Ok((seen, stays)) => {
            if seen & registration::CLASS != 0 {
                lift::waits_first(begun, seen, waker);
            }
            stays
        }
        Err(NotRegistered::Closed) => false,
        Err(NotRegistered::Full) => {
            current::refuse(io::ErrorKind::OutOfMemory);
            false
        }
    }
}

/// Undoes [`fn@register`] after the future was dropped. Returns the task's control, if it has one: the
/// caller must call its `finish`.
#[inline]
fn leave(meta: &Meta) -> Option<Arc<Control>> {
    let seen = meta
        .registration
        .swap(registration::FINISHED, Ordering::AcqRel);
    match seen {
        0 => None,
        _ => leave_registered(meta, seen),
    }
}

#[cold]
fn leave_registered(meta: &Meta, seen: u32) -> Option<Arc<Control>> {
    if seen & registration::KEY != 0 {
        drop(meta.registry().remove(seen & registration::KEY));
    }
    if seen & registration::STACK_WANTED != 0 {
        capture::end(meta, None);
    }
    match seen & registration::CONTROLLED {
        0 => None,
        _ => Control::remove(meta.id()),
    }
}
