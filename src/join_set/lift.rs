//! A set lifts its tasks to the class of the task that awaits it: see
//! [`tasks::lift`](crate::tasks::lift).
//!
//! # Protocol
//! 1. `JoinSet::poll_next` finds no completion. If a class may be in play, the set compares the class
//!    of the task that polls it with the level that it has lifted its tasks to.
//! 2. They differ: [`Group::lift`] stores the new level in the critical section in which it takes the
//!    entries of the tasks that wait, and then lifts those. So a set pays for its tasks once for
//!    each level and not at each poll.
//! 3. A task that waits for the first time stores its entry in the critical section in which it reads
//!    the level (`Group::wait`). Outside the lock it lifts itself, and reads the level again, until
//!    that has not changed meanwhile. So either it sees the last level, or step 2 has its entry and
//!    comes after it.
//! 4. A task that is spawned with a class begins with the level. A background task has an entry from
//!    the beginning ([`Group::list`]), so that step 2 reaches it in its queue. Others reach a run
//!    queue at once, and do step 3.
//! 5. When the set detaches its tasks, it lifts them to no class, and then closes the group, which
//!    has no level any more. Tasks of a set that is dropped end soon, and stay lifted.

use super::group::Group;
use crate::tasks::{self, Entry, NO_LIFT, Priority, lift};

/// What a set has lifted its tasks to.
pub(super) struct Level(Priority);

impl Level {
    pub(super) const NONE: Level = Level(NO_LIFT);

    /// Whether a set that waits has to look at the classes.
    #[inline]
    pub(super) fn is_in_play<C>(&self, group: &Group<C, Entry>) -> bool {
        tasks::class() != 0 || self.0 != NO_LIFT || group.has_classes() || lift::is_set_by_handle()
    }

    /// Steps 1 and 2.
    #[cold]
    pub(super) fn awaited<C>(&mut self, group: &Group<C, Entry>) {
        // So that a class that is out of date leads here once.
        tasks::class_here();
        self.lift(group, lift::class_of_awaiter());
    }

    fn lift<C>(&mut self, group: &Group<C, Entry>, class: Priority) {
        if self.0 != class {
            self.0 = class;
            group.lift(class, |entry| entry.lift_to(class));
        }
    }

    /// Step 5, before the group is closed.
    pub(super) fn detach<C>(&mut self, group: &Group<C, Entry>) {
        self.lift(group, NO_LIFT);
    }
}
