//! Where tasks wait, and waited last, as it was recorded: adds it to the list of tasks, and writes
//! it.

use std::fmt;
use std::time::Instant;

use super::futurelock::Futurelock;
use super::task_info::{TaskInfo, TaskState};
use crate::scheduler::Shared;
use crate::stacks::TaskStack;

/// What was recorded of these tasks.
pub(super) fn add(shared: &'static Shared, tasks: &mut [TaskInfo], now: Instant) {
    let Some(leaves) = shared.registry.leaves() else {
        return;
    };
    for task in tasks {
        let Some(mut places) = leaves.of(task.tag()) else {
            continue;
        };
        let waits = task.state() == TaskState::Waiting;
        if waits && !places.waits.is_empty() {
            task.stacks = places.waits;
        } else {
            places.waits.append(&mut places.waited);
            task.last_stacks = places.waits;
        }
        if waits {
            let told = |snoozed| Futurelock::of(snoozed, now);
            task.futurelocks = places.snoozed.into_iter().filter_map(told).collect();
        }
    }
}

/// Where a task waited last, as it was recorded.
pub(super) fn last(shared: &'static Shared, tag: u64) -> Vec<TaskStack> {
    let places = shared.registry.leaves().and_then(|leaves| leaves.of(tag));
    let mut places = places.unwrap_or_default();
    places.waits.append(&mut places.waited);
    places.waits
}

/// Where a task waited last, below a line about it.
pub(super) struct LastWaited<'a>(pub(super) &'a [TaskStack]);

impl fmt::Display for LastWaited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.iter()).try_for_each(|stack| write!(f, "\n    last waited at{}", Indented(stack)))
    }
}

/// A stack below a line that says what it is.
struct Indented<'a>(&'a TaskStack);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.frames()).try_for_each(|frame| write!(f, "\n      {frame}"))
    }
}
