//! The class of a task: its own, and the one that it is lifted to.
//!
//! Both are in three bits of the word `Meta::registration`, so that a task costs no memory for
//! them, and zero means [`Normal`](Priority::Normal), not lifted: nearly all tasks.
//!
//! # Inheritance
//!
//! A spawn takes over the own class of the task that spawns, not the one that it is lifted to.
//!
//! 1. A thread knows the class of what runs on it in a cell, [`current::class`], and beside it the
//!    tag of the task whose class that is. Zero: a normal task, or no task.
//! 2. A poll of a task with a class finds its bits among the flags that each poll looks for. Its
//!    cold branch fills the cell ([`current::begin_class`]).
//! 3. Nobody empties the cell at the end of the poll: each poll would pay for that. So the cell may
//!    be of a task that ran here before. Who finds it not zero compares the tags, and empties a
//!    cell that is out of date ([`current::class_here`]).
//! 4. A spawn looks at the cell. Where it is not zero, [`inherit`] gives the new task its class
//!    before anybody else has it.
//! 5. A poll inside of a poll, as of a local task or of one that is cancelled, restores the cell
//!    for the outer one ([`Purpose::poll_within`](super::Purpose::poll_within)).
//!
//! So a normal task pays for a look at each spawn. A class that changes while its task is polled
//! counts for what that poll spawns only from the next poll on.
//!
//! # Background tasks are registered when they are spawned
//!
//! They may lie in their queue for long. Their entry in the registry is what lifts them there, by
//! a set or by an [`AbortHandle`](super::AbortHandle). Others reach a run queue at once, and are
//! registered when they first wait.

use super::registry::Registry;
use super::{Meta, Runnable, Schedule, current, layout, registration, wakers};
use crate::sync::atomic::Ordering;

/// How soon a task is polled, in comparison with the others of its runtime.
///
/// A task has the class of the task that spawned it, or the one that
/// [`Builder::priority`](crate::task::Builder::priority) or
/// [`Handle::with_priority`](crate::Handle::with_priority) gives, and
/// [`JoinHandle::set_priority`](crate::task::JoinHandle::set_priority) changes. While a task of a higher
/// class awaits it, it is *lifted* to that class.
///
/// Blocking jobs, and tasks of a `block_on` or of a [`TaskQueue`](crate::task::TaskQueue), have a class for
/// what they spawn and await. They are polled in an order of their own.
///
/// # Examples
///
/// ```
/// use executor::task::Priority;
///
/// assert!(Priority::Background < Priority::Normal && Priority::Normal < Priority::Interactive);
/// assert_eq!(Priority::default(), Priority::Normal);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Work that nobody waits for: it is polled where there is nothing else to do, and a little
    /// beside the rest.
    Background,
    /// Everything else.
    #[default]
    Normal,
    /// Work that somebody waits for: it is polled before the rest.
    Interactive,
}

use Priority::{Background, Interactive, Normal};

/// The class of a task, and the one that it has while others wait for it: never a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class {
    /// What it was given, and gives on to what it spawns.
    pub(crate) own: Priority,
    /// What it is polled by.
    pub(crate) effective: Priority,
}

/// By the number in [`registration::CLASS`].
const CLASSES: [Class; 8] = {
    const fn class(own: Priority, effective: Priority) -> Class {
        Class { own, effective }
    }
    [
        class(Normal, Normal),
        class(Normal, Interactive),
        class(Interactive, Interactive),
        // Lifted to Interactive: see `Lift`.
        class(Interactive, Interactive),
        class(Background, Background),
        class(Background, Normal),
        class(Background, Interactive),
        // Lifted to Normal.
        class(Interactive, Interactive),
    ]
};

impl Class {
    /// A task of this class that nobody waits for.
    pub(crate) const fn of(own: Priority) -> Class {
        Class {
            own,
            effective: own,
        }
    }

    /// The class in a [`Meta::registration`].
    #[inline]
    pub(crate) fn in_word(word: u32) -> Class {
        CLASSES[((word & registration::CLASS) >> registration::CLASS_SHIFT) as usize]
    }

    /// Its bits in a [`Meta::registration`]. An effective class below the own one is that one.
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        let number = match (self.own, self.effective) {
            (Normal, Background | Normal) => 0,
            (Normal, Interactive) => 1,
            (Interactive, _) => 2,
            (Background, Background) => 4,
            (Background, Normal) => 5,
            (Background, Interactive) => 6,
        };
        number << registration::CLASS_SHIFT
    }
}

impl Meta {
    /// The task's class at this moment. `Relaxed`: nothing but the word is read, and a class that
    /// is out of date only puts the task into another queue.
    #[inline]
    pub(crate) fn class(&self) -> Class {
        Class::in_word(self.registration.load(Ordering::Relaxed))
    }
}

/// For tests of the scheduler.
#[cfg(test)]
impl Meta {
    /// Gives the task another class.
    pub(crate) fn put_class(&self, class: Class) {
        let change = |word: u32| Some(word & !registration::CLASS | class.bits());
        let _ = (self.registration).fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// Gives the task that is polled here another class.
    pub(crate) fn put_class_here(class: Class) {
        super::current::with_meta(|meta| meta.put_class(class));
    }
}

/// The class of the task that is polled on this thread, as it is lifted.
/// [`Normal`](Priority::Normal) outside of tasks.
///
/// # Examples
///
/// ```
/// use executor::task::{self, Priority};
///
/// let task = task::Builder::new().priority(Priority::Background);
/// let seen = task.spawn(async { task::priority() });
/// // A thread has no class: it lifts nothing that it waits for.
/// assert_eq!(executor::block_on(seen).unwrap(), Priority::Background);
/// assert_eq!(task::priority(), Priority::Normal);
/// ```
pub fn priority() -> Priority {
    current::with_meta(|meta| meta.class().effective).unwrap_or_default()
}

/// Step 4 of inheriting, for a task that nobody else has yet.
#[cold]
pub(super) fn inherit<H: Schedule>(runnable: Runnable, registry: &Registry) -> Runnable {
    let meta = runnable.metadata();
    let lift = current::spawn_lift();
    let mut word = lift.bits();
    if lift.own == Background && H::BY_CLASS {
        let waker = runnable.waker();
        layout::assert_offset(&waker, meta);
        wakers::note_own(&waker);
        // `None`: the runtime is closed, or full. The task finds that out when it waits.
        word |= registry.insert(&waker).unwrap_or(0);
    }
    if word != 0 {
        // Relaxed: the task is published later, by a push or with its handle.
        meta.registration.fetch_or(word, Ordering::Relaxed);
        H::spawned_with_class(meta);
        current::note_spawned(meta);
    }
    runnable
}

/// The class that a task was spawned with, if it was the last one with a class that this thread has
/// spawned: for who is told of the spawn.
pub(crate) fn of_spawned(tag: u64) -> Priority {
    match current::last_spawned() {
        (spawned, word) if spawned == tag => Class::in_word(word).effective,
        _ => Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_comes_back_from_its_bits() {
        let all = [Background, Normal, Interactive];
        for (own, effective) in all
            .into_iter()
            .flat_map(|own| all.map(|other| (own, other)))
        {
            let class = Class { own, effective };
            let kept = Class::in_word(!registration::CLASS | class.bits());
            assert_eq!(kept.own, own);
            assert_eq!(kept.effective, effective.max(own));
            assert_eq!(class.bits() & !registration::CLASS, 0);
        }
        assert_eq!(Class::default().bits(), 0, "an ordinary task costs nothing");
    }
}
