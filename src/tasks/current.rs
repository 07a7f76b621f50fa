//! A task that is ready to be polled, the ways to poll it, and what its thread knows meanwhile.

use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::class::{Class, Lift, NO_LIFT, Priority};
use super::{Id, Meta, budget, registration};
use crate::sync::atomic::Ordering;

mod ids;
mod keeping;
#[cfg(feature = "sim")]
pub(super) mod kept;

pub(super) use ids::next_id;
pub(crate) use keeping::keeping_current;

/// A task that is ready to be polled.
///
/// Dropping it ends the task as [`cancel`] does. `async-task` alone would drop the future
/// outside a poll. The thread would then know no current task, or another one, which it would take
/// for the one that has ended.
#[derive(Debug)]
pub(crate) struct Runnable(
    /// Not an `Option`: `Option<Runnable>` would have no niche then, which made a poll 7 % slower.
    ManuallyDrop<async_task::Runnable<Meta>>,
);

impl Runnable {
    #[inline]
    pub(crate) fn new(runnable: async_task::Runnable<Meta>) -> Runnable {
        Runnable(ManuallyDrop::new(runnable))
    }

    #[inline]
    pub(crate) fn metadata(&self) -> &Meta {
        self.0.metadata()
    }

    pub(super) fn waker(&self) -> Waker {
        self.0.waker()
    }

    /// Passes it to its schedule function.
    pub(crate) fn schedule(self) {
        self.into_inner().schedule();
    }

    /// For [`Purpose::poll`] alone, which has set the current task. `true`: the task was woken
    /// meanwhile.
    #[inline]
    fn run(self) -> bool {
        self.into_inner().run()
    }

    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        self.into_inner().into_raw()
    }

    /// Turns the pointer of [`Runnable::into_raw`] back into the runnable.
    ///
    /// # Safety
    ///
    /// The pointer came from [`Runnable::into_raw`], and no other runnable is made from it.
    #[inline]
    pub(crate) unsafe fn from_raw(pointer: NonNull<()>) -> Runnable {
        // SAFETY: the caller upholds the condition.
        Runnable::new(unsafe { async_task::Runnable::from_raw(pointer) })
    }

    #[inline]
    fn into_inner(self) -> async_task::Runnable<Meta> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, and its destructor does not run.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl Drop for Runnable {
    // Not inlined, and not `cold` either: with `cold` each poll took five instructions more.
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: the destructor runs once, and nothing uses `self.0` after it.
        let inner = unsafe { ManuallyDrop::take(&mut self.0) };
        cancel(Runnable::new(inner));
    }
}

/// What a thread knows about the task that it polls. Plain cells without a destructor: they are at
/// one fixed offset from the thread pointer, and usable even while thread-locals are being
/// destroyed.
struct Current {
    /// The task being polled or dropped; null outside. Points into the task's allocation.
    meta: Cell<*const Meta>,
    /// What the current poll is for.
    purpose: Cell<Purpose>,
    /// Ids that this thread may hand out: the next one, and the end of its block.
    ids: Cell<(u64, u64)>,
    /// The class bits of what runs here, with [`BEGINS_LIFTED`] or [`OWN`]: see [`mod@super::priority`].
    /// Zero, or out of date, in a normal task.
    class: Cell<u32>,
    /// Tag of the task that [`Current::class`] is of; zero: it is of the thread, outside of tasks. If
    /// another one runs here, the class is out of date.
    class_of: Cell<u64>,
    /// Set by [`enter_class`], and taken by [`Purpose::poll_within`]: says the class of what runs here
    /// anew.
    entered: Cell<Option<fn()>>,
    /// The last task with a class that this thread has spawned, and its word then.
    spawned: Cell<(u64, u32)>,
}

impl Current {
    const fn new() -> Current {
        Current {
            meta: Cell::new(ptr::null()),
            purpose: Cell::new(Purpose::Run),
            ids: Cell::new((0, 0)),
            class: Cell::new(0),
            class_of: Cell::new(0),
            entered: Cell::new(None),
            spawned: Cell::new((0, 0)),
        }
    }
}

/// In [`Current::class`] beside a [`Lift`]: what is spawned begins with that lift.
const BEGINS_LIFTED: u32 = 1;

/// In [`Current::class`] beside the class bits: they are those of the task's word, which may have
/// changed since.
const OWN: u32 = 2;

/// What a poll is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Run,
    /// To end the task: the wrapper drops its future instead of polling it.
    Cancel,
    /// Likewise. The task's handle is told what the system refused.
    Reject(io::ErrorKind),
}

std::thread_local! {
    static CURRENT: Current = const { Current::new() };
}

/// Polls the task once, with a fresh budget.
///
/// Never unwinds: the wrapper in [`super::contain`] catches panics of the future.
#[inline]
pub(crate) fn run(runnable: Runnable) -> Polled {
    Purpose::Run.poll(runnable)
}

/// Ends the task: drops its future on this thread, and resolves its handle to "cancelled".
///
/// This *polls* the task instead of dropping it. So the task completes like any other, and a
/// `JoinHandle` handles one kind of end only.
pub(crate) fn cancel(runnable: Runnable) -> Polled {
    Purpose::Cancel.poll(runnable)
}

/// [`run`], on a thread that may be in the middle of another task's poll.
pub(super) fn run_within(runnable: Runnable) -> Polled {
    #[cfg(feature = "sim")]
    let _simulated = crate::simulated::Poll::begin(runnable.metadata().tag());
    Purpose::Run.poll_within(runnable)
}

/// What a poll did to its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Polled {
    /// The task's future has been dropped.
    pub(crate) has_ended: bool,
    /// The task was woken during the poll, and is in a queue.
    pub(crate) is_queued: bool,
}

impl Purpose {
    #[inline]
    pub(crate) fn poll(self, runnable: Runnable) -> Polled {
        match self {
            Purpose::Run => self.poll_here(runnable),
            Purpose::Cancel | Purpose::Reject(_) => self.poll_within(runnable),
        }
    }

    /// For a poll that may be in the middle of another one: keeps what that one knows.
    #[inline(never)]
    fn poll_within(self, runnable: Runnable) -> Polled {
        let (outer, before) = CURRENT.with(|current| {
            let outer = (current.class.get(), current.class_of.get());
            (outer, current.entered.take())
        });
        let polled = self.poll_here(runnable);
        match CURRENT.with(|current| current.entered.get()) {
            // The poll has entered or left a handle, which may be the outer one's. Whoever is around
            // that one finds this, too.
            Some(tell_class) => tell_class(),
            None => {
                CURRENT.with(|current| current.entered.set(before));
                set_class(outer);
            }
        }
        polled
    }

    #[inline(always)]
    fn poll_here(self, runnable: Runnable) -> Polled {
        let meta: *const Meta = runnable.metadata();
        CURRENT.with(|current| {
            let outer = current.meta.replace(meta);
            let outer_purpose = current.purpose.replace(self);
            let outer_budget = budget::refill();
            let is_queued = runnable.run();
            budget::restore(outer_budget);
            current.purpose.set(outer_purpose);
            // `task_is_gone` has set it to null if the future was dropped, or the task is queued.
            let has_ended = current.meta.replace(outer).is_null() && !is_queued;
            Polled {
                has_ended,
                is_queued,
            }
        })
    }
}

/// Whether the current poll has to end the task.
#[inline]
pub(super) fn is_cancelling() -> bool {
    CURRENT.with(|current| current.purpose.get() != Purpose::Run)
}

/// What the system refused, if that is why the current poll ends the task.
pub(super) fn refused() -> Option<io::ErrorKind> {
    CURRENT.with(|current| match current.purpose.get() {
        Purpose::Reject(kind) => Some(kind),
        Purpose::Run | Purpose::Cancel => None,
    })
}

/// The task that is polled here cannot go on, as the system has no room for it: it ends, and its
/// handle is told.
pub(super) fn refuse(kind: io::ErrorKind) {
    CURRENT.with(|current| current.purpose.set(Purpose::Reject(kind)));
}

/// Runs `f` on the metadata of the task being polled or dropped on this thread.
#[inline]
pub(super) fn with_meta<R>(f: impl FnOnce(&Meta) -> R) -> Option<R> {
    CURRENT.with(|current| {
        let meta = current.meta.get();
        // SAFETY: `meta` is non-null only between the beginning of `poll` and the moment when the
        // task's future has been dropped or the task is about to be queued again (`task_is_gone`),
        // or `Runnable::run` has returned. That call of `poll` is on this thread, further up this
        // stack. `run` holds a reference to the task until then, and calls nothing of ours or
        // foreign between giving it up and returning.
        unsafe { meta.as_ref() }.map(f)
    })
}

/// The class bits of what runs on this thread. Zero: a normal task, or no task. Not zero:
/// [`class_here`] says whether they are out of date.
#[inline]
pub(crate) fn class() -> u32 {
    CURRENT.with(|current| current.class.get())
}

fn set_class((class, of): (u32, u64)) {
    CURRENT.with(|current| {
        current.class.set(class);
        current.class_of.set(of);
    });
}

/// [`class`], up to date.
pub(crate) fn class_here() -> u32 {
    let of = CURRENT.with(|current| current.class_of.get());
    if of != current_tag().unwrap_or(0) {
        // The next one need not ask.
        set_class((0, 0));
    } else if class() & OWN != 0 {
        // A poll of a task that has become normal does not come to `begin_class`.
        begin_class(own_word());
    }
    class()
}

/// The poll of a task with this word begins.
pub(super) fn begin_class(word: u32) {
    let bits = match word & registration::CLASS {
        0 => 0,
        class => class | OWN,
    };
    set_class((bits, current_tag().unwrap_or(0)));
}

/// The word of the task that runs here; zero outside of tasks.
fn own_word() -> u32 {
    with_meta(|meta| meta.registration.load(Ordering::Relaxed)).unwrap_or(0)
}

/// A handle was entered or left: from now on this is the class of what runs here. `None`: its own; a
/// thread has none. `tell_class` says that anew when the poll is over that runs here.
pub(crate) fn enter_class(class: Option<Priority>, tell_class: fn()) {
    CURRENT.with(|current| current.entered.set(Some(tell_class)));
    let own = own_word();
    let bits = match class {
        None => return begin_class(own),
        // Not zero, so that what is awaited is lifted to the class of the task.
        Some(Priority::Normal) if own & registration::CLASS != 0 => Lift {
            own: Priority::Normal,
            to: Priority::Interactive,
        }
        .bits(),
        Some(class) => Class::of(class).bits(),
    };
    set_class((bits, current_tag().unwrap_or(0)));
}

/// While it exists, what this thread spawns has a class.
pub(crate) struct SpawnsAs {
    outer: (u32, u64),
}

impl SpawnsAs {
    pub(crate) fn class(class: Priority) -> SpawnsAs {
        SpawnsAs::bits(Class::of(class).bits())
    }

    /// The class as it is, but with this lift.
    pub(crate) fn lifted(to: Priority) -> SpawnsAs {
        let own = Class::in_word(class_here()).own;
        SpawnsAs::bits(Lift { own, to }.bits() | BEGINS_LIFTED)
    }

    fn bits(bits: u32) -> SpawnsAs {
        let outer = CURRENT.with(|current| (current.class.get(), current.class_of.get()));
        set_class((bits, current_tag().unwrap_or(0)));
        SpawnsAs { outer }
    }
}

impl Drop for SpawnsAs {
    fn drop(&mut self) {
        set_class(self.outer);
    }
}

/// What a task has that is spawned here.
pub(super) fn spawn_lift() -> Lift {
    let class = class_here();
    let lift = Lift::in_word(class);
    match class & BEGINS_LIFTED {
        0 => Lift {
            to: NO_LIFT,
            ..lift
        },
        _ => lift,
    }
}

/// A task with a class was spawned here.
pub(super) fn note_spawned(meta: &Meta) {
    let word = meta.registration.load(Ordering::Relaxed);
    CURRENT.with(|current| current.spawned.set((meta.tag(), word)));
}

/// See [`Current::spawned`].
pub(super) fn last_spawned() -> (u64, u32) {
    CURRENT.with(|current| current.spawned.get())
}

/// Clears the current task: its future has been dropped, or it is about to be queued again. In
/// either case it may be freed before its poll returns.
pub(super) fn task_is_gone() {
    CURRENT.with(|current| current.meta.set(ptr::null()));
}

/// The tag of the current task: see [`Meta::tag`].
pub(crate) fn current_tag() -> Option<u64> {
    with_meta(Meta::tag)
}

/// Gives the task that is polled here another class, for tests of the scheduler.
#[cfg(test)]
impl Meta {
    pub(crate) fn put_class_here(class: Class) {
        with_meta(|meta| meta.put_class(class));
    }
}

/// The class of the current task. Outside a task: as of any.
pub(crate) fn current_class() -> Class {
    with_meta(Meta::class).unwrap_or_default()
}

pub(crate) fn current_id() -> Option<Id> {
    with_meta(Meta::id)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::task::Poll;

    use super::{cancel, run};
    use crate::tasks::registry::Registry;
    use crate::tasks::tests::{ENDED, by_hand, result, woken};

    #[test]
    fn a_runnable_that_is_scheduled_comes_to_its_scheduler() {
        let registry = Registry::lease().unwrap();
        let (runnable, handle) = by_hand(registry, async { 7 });
        runnable.schedule();
        run(woken().unwrap());
        assert_eq!(result(handle).unwrap(), 7);
        assert_eq!(ENDED.take().len(), 1);
        registry.release();
    }

    #[test]
    fn a_runnable_that_is_dropped_ends_its_task_once() {
        let registry = Registry::lease().unwrap();
        let (runnable, new) = by_hand(registry, async { 5 });
        let (waiting, polled) = by_hand(registry, pending::<()>());
        let ids = [new.id(), polled.id()];
        run(waiting);
        polled.abort();
        drop(runnable);
        drop(woken().expect("the abort wakes the task that waits"));
        assert_eq!(ENDED.take(), ids);
        assert!(result(new).unwrap_err().is_cancelled());
        assert!(result(polled).unwrap_err().is_cancelled());
        assert_eq!(registry.len(), 0);
        registry.release();
    }

    #[test]
    fn a_runnable_dropped_in_another_task_s_poll_ends_its_own_task_and_not_that_one() {
        let registry = Registry::lease().unwrap();
        let (inner, inner_handle) = by_hand(registry, pending::<()>());
        let mut inner = Some(inner);
        let outer = poll_fn(move |_| match inner.take() {
            Some(inner) => {
                drop(inner);
                Poll::Pending
            }
            None => Poll::Ready(crate::tasks::id()),
        });
        let (outer, outer_handle) = by_hand(registry, outer);
        assert!(!run(outer).has_ended);
        assert_eq!(ENDED.take(), [inner_handle.id()]);
        assert!(result(inner_handle).unwrap_err().is_cancelled());
        assert_eq!(registry.len(), 1, "the outer task is still there");
        let id = outer_handle.id();
        registry.close();
        assert!(run(woken().unwrap()).has_ended);
        assert_eq!(ENDED.take(), [id]);
        assert_eq!(result(outer_handle).unwrap(), id);
        registry.release();
    }

    #[test]
    fn a_runnable_dropped_while_its_thread_unwinds_ends_its_task() {
        struct Throws;
        impl Drop for Throws {
            fn drop(&mut self) {
                panic!("thrown by a destructor");
            }
        }
        let registry = Registry::lease().unwrap();
        let throws = Throws;
        let (runnable, handle) = by_hand(registry, async move { drop(throws) });
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _runnable = runnable;
            panic!("thrown by the thread");
        }));
        assert!(unwound.is_err());
        assert_eq!(ENDED.take(), [handle.id()]);
        assert!(result(handle).is_err());
        cancel(by_hand(registry, async {}).0);
        registry.release();
    }
}
