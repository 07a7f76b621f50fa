//! The class of a task: its own, and the one that it is lifted to.
//!
//! How a task keeps them is in [`class`](mod@super::class).
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
//!    be of a task that ran here before, or of an earlier poll of this one, which has become normal.
//!    Who finds it not zero compares the tags, and empties a cell of another task; one that a poll
//!    has filled it fills anew from the task's word ([`current::class_here`]).
//! 4. A spawn looks at the cell. Where it is not zero, [`inherit`] gives the new task its class
//!    before anybody else has it.
//! 5. A poll inside of a poll, as of a local task or of one that is cancelled, restores the cell
//!    for the outer one ([`Purpose::poll_within`](super::Purpose::poll_within)).
//!
//! So a normal task pays for a look at each spawn. A class that changes while its task is polled
//! counts for what the task spawns from the next poll on at the latest.
//!
//! # Background tasks are registered when they are spawned
//!
//! They may lie in their queue for long. Their entry in the registry is what lifts them there, by
//! a set or by an [`AbortHandle`](super::AbortHandle). Others reach a run queue at once, and are
//! registered when they first wait; or when they come into that queue, as a handle has made them
//! background tasks before their first poll ([`register_queued`]).

use super::class::{Class, Priority};
use super::register::register_queued;
use super::{Runnable, Schedule, current};
use crate::sync::atomic::Ordering;

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
pub(super) fn inherit<H: Schedule>(runnable: Runnable) -> Runnable {
    let meta = runnable.metadata();
    let lift = current::spawn_lift();
    let word = lift.bits();
    if word != 0 {
        // Relaxed: the task is published later, by a push or with its handle.
        meta.registration.fetch_or(word, Ordering::Relaxed);
        if lift.own == Priority::Background && H::is_queued_by_class(meta) {
            register_queued(&runnable);
        }
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
        _ => Priority::Normal,
    }
}
