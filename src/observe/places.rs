//! Where tasks wait, and waited last, as it was recorded: adds it to the list of tasks.

use std::mem;

use super::futurelock::Judge;
use super::task_info::{TaskInfo, TaskState};
use crate::clock::Instant;
use crate::scheduler::Shared;
use crate::stacks::TaskStack;
use crate::tasks::leaves::Places;

/// What was recorded of these tasks.
pub(super) fn add(shared: &'static Shared, tasks: &mut [TaskInfo], now: Instant) {
    let Some(leaves) = shared.registry.leaves() else {
        return;
    };
    let mut judge = Judge::new(now);
    for task in tasks {
        let Some(mut places) = leaves.of(task.tag()) else {
            continue;
        };
        let waits = task.state() == TaskState::Waiting;
        if waits && !places.waits.is_empty() {
            task.stacks = places.waits;
        } else {
            task.last_stacks = places.take_last();
        }
        if waits {
            let told = |snoozed| judge.futurelock(snoozed);
            task.futurelocks = places.snoozed.into_iter().filter_map(told).collect();
        }
    }
}

/// Where a task waited last, as it was recorded.
pub(super) fn last(shared: &'static Shared, tag: u64) -> Vec<TaskStack> {
    let places = shared.registry.leaves().and_then(|leaves| leaves.of(tag));
    places.unwrap_or_default().take_last()
}

impl Places {
    /// Where the task waited last, if it does not wait now.
    fn take_last(&mut self) -> Vec<TaskStack> {
        let mut last = mem::take(&mut self.waits);
        last.append(&mut self.waited);
        last
    }
}
