//! Tasks: the binding to `async-task`, which knows no scheduler.
//!
//! A task is one allocation: header, [`Meta`], and a union of the future and its output. This
//! module adds three things to what `async-task` gives:
//!
//! * **Containment** ([`contain`]): if the future, its destructor or the destructor of its output
//!   panics, the panic becomes a [`JoinError`] or is dropped. It never reaches the thread that
//!   polls.
//! * **Registration** ([`registry`]): a task that returns `Pending` for the first time puts its
//!   waker into the registry of its runtime, so that shutdown and `abort` can reach it. A task that
//!   finishes at its first poll never touches the registry. It was always in a queue, and shutdown
//!   drains the queues. Background tasks are registered before they are queued: see [`mod@priority`].
//! * **The current task** ([`current`]): while a thread polls or drops a task, it knows which one.
//!   A runnable that is dropped ends its task in the same way.
//!
//! # Why the schedule function captures nothing
//!
//! `async-task` protects a schedule function that captures something with a temporary reference to
//! the task: two contended atomic operations per wake. A zero-sized schedule function needs none.
//! So a task does not hold its runtime. It holds a number, the [`spawn_site`], packed beside its
//! id, which stands for its runtime and for the line that spawned it.
//!
//! Registries are leaked and reused, never freed, so a waker that outlives its runtime still finds
//! valid memory. A runtime does not end before all its tasks have completed, so such a waker has
//! nothing left to schedule.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;

use crate::sync::Arc;
use crate::sync::atomic::AtomicU32;

pub(crate) mod budget;
pub(crate) mod capture;
pub(crate) mod class;
pub(crate) mod collector;
mod contain;
pub(crate) mod control;
mod current;
mod future_name;
mod join;
#[cfg(feature = "sim")]
pub(crate) mod kept;
pub(crate) mod large;
mod layout;
pub(crate) mod leaves;
pub(crate) mod lift;
mod member;
pub(crate) mod nested;
pub(crate) mod observe;
mod outcome;
pub(crate) mod priority;
pub(crate) mod queue;
pub(crate) mod register;
pub(crate) mod registry;
mod reject;
pub(crate) mod spawn_site;
pub(crate) mod wakers;
mod yield_now;

pub(crate) use class::NO_LIFT;
pub use class::Priority;
pub(crate) use contain::{
    Schedule, catch_panic, create, create_named, create_ready, drop_catching,
};
pub(crate) use control::{ended_names, keep_names};
pub(crate) use current::keeping_current;
pub(crate) use current::{
    Polled, Purpose, Runnable, SpawnsAs, cancel, class, class_here, current_class, current_id,
    current_tag, enter_class, run,
};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub(crate) use member::{Listing, Membership, create_member, create_ready_member};
pub(crate) use outcome::Outcome;
pub use priority::priority;
pub(crate) use registry::Entry;
pub(crate) use reject::{reject, reject_next};
pub use yield_now::{YieldNow, yield_now};

/// Takes every lock that the tasks of all runtimes share, for a fork. No other lock is taken under
/// them.
pub(crate) fn hold() -> impl Sized + 'static {
    (
        registry::hold(),
        spawn_site::hold(),
        control::hold(),
        nested::hold(),
    )
}

use registry::Registry;
use spawn_site::SPAWN_SITE_BITS;

/// Identifies a task.
///
/// Unique among the tasks of the process that are alive at the same time. Threads draw ids in
/// blocks, so ids do not tell the order of spawning.
///
/// # Examples
///
/// ```
/// let handle = executor::spawn(async { executor::task::id() });
/// let id = handle.id();
/// assert_eq!(executor::block_on(handle).unwrap(), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU64);

impl Id {
    /// A fresh id.
    pub(crate) fn next() -> Id {
        current::next_id()
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }

    fn from_number(number: u64) -> Id {
        Id(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What every task carries beside its future. 12 bytes fit into the padding of `async-task`'s
/// header, with 4 bytes left for a flag of its own: the header takes 48 bytes in all. A pointer
/// here would cost 8 bytes more per task.
pub(crate) struct Meta {
    /// The spawn site in the low [`SPAWN_SITE_BITS`] bits, then the low bits of the id.
    low: u32,
    /// The high 32 bits of the id.
    high: u32,
    /// Flags and registry key, see [`registration`]. Written by the task's own polls (`register`,
    /// `leave`, `Contained::end`, `abort_current`, `capture::poll_recorded`, `capture::end`), by who
    /// spawns it (`priority::inherit`) or queues it (`register_queued`), by its handles and its set
    /// (`lift::abort`, `JoinHandle::control`, `lift::exchange`) and by who asks where it waits
    /// (`Member::want_stack`); read by all of them, and by who looks at it (`Registered::look`, `Meta::class`).
    registration: AtomicU32,
}

/// 16,384 runtimes and local sets can exist at once.
pub(crate) const RUNTIME_BITS: u32 = 14;

/// The bits that the spawn site leaves of 64. At a million spawns a second, the ids last two years
/// before the first comes again, and even then only a task that has lived for two years could meet
/// one with its id.
const ID_BITS: u32 = 64 - SPAWN_SITE_BITS;

/// The bits of [`Meta::registration`].
///
/// Until the task has finished, all changes are read-modify-writes, so the later of two changes
/// sees the earlier one: a task that registers sees an earlier abort, and an abort sees an earlier
/// registration. The last change is the store of [`COUNTED`](registration::COUNTED) by
/// `Contained::end`. It may overwrite a bit that a handle has set meanwhile, but that handle saw
/// [`FINISHED`](registration::FINISHED), which `leave` had set, and relies on no other bit.
pub(crate) mod registration {
    /// The task was asked to stop. Set by its handles and its group (`lift::abort`), and by the task's
    /// poll for its group (`abort_current`). Read at the start of each poll, by `enter_registry`, and
    /// by who queues it ([`Meta::polled_as`](super::Meta::polled_as)).
    pub(crate) const ABORTED: u32 = 1 << 31;
    /// A [`super::control::Control`] exists for this task. Set at its creation (`create_named`) or
    /// by `JoinHandle::control`; remains until the task has finished.
    pub(crate) const CONTROLLED: u32 = 1 << 30;
    /// The future has been dropped. Set by `leave`, which clears all other bits; never cleared.
    pub(crate) const FINISHED: u32 = 1 << 29;
    /// The task was asked where it waits. Set by [`super::capture`], on a task that is registered, or
    /// by the thread that is about to poll it. Read at the start of each poll; cleared at its end.
    pub(crate) const STACK_WANTED: u32 = 1 << 28;
    /// The flags above: what each poll looks for.
    pub(crate) const FLAGS: u32 = ABORTED | CONTROLLED | FINISHED | STACK_WANTED;
    /// The task's class: see [`mod@super::class`]. Zero for a normal task. Set at its creation;
    /// changed by its handles and by who awaits them ([`super::lift`]); read at the start of each
    /// poll, with the flags.
    pub(crate) const CLASS: u32 = 0b111 << CLASS_SHIFT;
    pub(crate) const CLASS_SHIFT: u32 = 25;
    /// The task's key in the registry of its runtime; 0 while the task is not registered. Set by
    /// `register::enter_registry`: when the task is pending for the first time, or comes into the
    /// queue of the background tasks. 33,554,424 tasks of a runtime can be registered at once.
    pub(crate) const KEY: u32 = (1 << CLASS_SHIFT) - 1;
    /// The whole word once the end of the task has been counted, too. Stored last, by
    /// `Contained::end`; read by `AbortHandle::is_finished`. [`FINISHED`] alone means that the
    /// count is still to come.
    pub(crate) const COUNTED: u32 = FINISHED | 1;
}

impl Meta {
    pub(crate) fn new(id: Id, spawn_site: u32, flags: u32) -> Meta {
        let tag = id.0.get() << SPAWN_SITE_BITS | u64::from(spawn_site);
        Meta {
            low: tag as u32,
            high: (tag >> 32) as u32,
            registration: AtomicU32::new(flags),
        }
    }

    /// Id and spawn site as one word, which can be published, and read without touching the task.
    /// See [`describe`].
    #[inline]
    pub(crate) fn tag(&self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }

    #[inline]
    pub(crate) fn id(&self) -> Id {
        id_in(self.tag())
    }

    /// Index of the spawn site of this task.
    #[inline]
    pub(crate) fn spawn_site(&self) -> usize {
        spawn_site_in(self.tag())
    }

    #[inline]
    fn registry(&self) -> &'static Registry {
        Registry::at(spawn_site::runtime_of(self.spawn_site()))
    }
}

/// The id in a [`Meta::tag`].
#[inline]
pub(crate) fn id_in(tag: u64) -> Id {
    Id::from_number(tag >> SPAWN_SITE_BITS)
}

/// The number of the spawn site in a [`Meta::tag`]. Spawn sites without an entry of their own share
/// the number of their runtime.
#[inline]
pub(crate) fn site_number(tag: u64) -> usize {
    spawn_site_in(tag)
}

#[inline]
fn spawn_site_in(tag: u64) -> usize {
    (tag & ((1 << SPAWN_SITE_BITS) - 1)) as usize
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta").field("id", &self.id()).finish()
    }
}

/// What is known about a task from its [`Meta::tag`], even after it has ended.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// See [`Meta::tag`].
    pub(crate) tag: u64,
    pub(crate) id: Id,
    /// `None` if the task was given no name, or has ended.
    pub(crate) name: Option<Arc<str>>,
    /// Where the task was spawned. `None` if too many other locations came before.
    pub(crate) location: Option<&'static Location<'static>>,
}

/// `task 7 "name", spawned at src/main.rs:3:5`
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        match self.location {
            Some(location) => write!(f, ", spawned at {location}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn describe(tag: u64) -> Description {
    let id = id_in(tag);
    Description {
        tag,
        id,
        name: control::name_of(id),
        location: spawn_site::location_of(spawn_site_in(tag)),
    }
}

/// The id of the task that is being polled on this thread.
///
/// # Panics
///
/// Outside a task. [`try_id`] does not panic.
///
/// # Examples
///
/// ```
/// let handle = executor::spawn(async { executor::task::id() });
/// assert_eq!(handle.id(), executor::block_on(handle).unwrap());
/// ```
#[track_caller]
pub fn id() -> Id {
    try_id().expect("task::id() called outside a task")
}

/// The id of the task that is being polled on this thread; `None` outside a task.
///
/// # Examples
///
/// ```
/// assert!(executor::task::try_id().is_none());
/// ```
pub fn try_id() -> Option<Id> {
    current_id()
}

/// Where the task that is being polled on this thread was spawned. `None` outside a task, and for
/// locations beyond the first 245,760 of a process.
///
/// # Examples
///
/// ```
/// let handle = executor::spawn(async { executor::task::location() });
/// let location = executor::block_on(handle).unwrap().unwrap();
/// assert_eq!(location.file(), file!());
/// ```
pub fn location() -> Option<&'static Location<'static>> {
    current::with_meta(Meta::spawn_site).and_then(spawn_site::location_of)
}

#[cfg(test)]
mod tests;
