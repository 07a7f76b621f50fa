//! The stacks of tasks whose polls, or jobs, have their threads blocked.

use std::collections::HashMap;

use super::task_info::{TaskInfo, TaskState};
use crate::clock::Instant;
use crate::scheduler::Shared;
use crate::scheduler::probe;
use crate::stacks::BlockedStacks;

/// A poll or a job, and its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Poll { thread: u64, tick: u64 },
    OffProcessor { thread: u64, since: Instant },
}

/// By the task's tag.
fn all(shared: &'static Shared) -> HashMap<u64, Doing> {
    let mut all = HashMap::new();
    shared.each_instance(|instance| {
        if let Some(at_work) = instance.at_work() {
            let (thread, tick) = (at_work.thread, at_work.tick);
            all.insert(at_work.task, Doing::Poll { thread, tick });
        }
    });
    for away in shared.off_processor() {
        let (thread, since) = (away.thread, away.since);
        all.insert(away.tag, Doing::OffProcessor { thread, since });
    }
    all
}

/// Adds the stacks of those that are blocked still.
pub(super) fn add(shared: &'static Shared, tasks: &mut [TaskInfo]) {
    let is_blocked = |task: &&mut TaskInfo| task.state() == TaskState::Blocked;
    if !tasks.iter_mut().any(|task| is_blocked(&task)) {
        return;
    }
    let mut stacks = BlockedStacks::default();
    let before = all(shared);
    for task in tasks.iter_mut().filter(is_blocked) {
        if let Some(Doing::Poll { thread, .. } | Doing::OffProcessor { thread, .. }) =
            before.get(&task.tag())
        {
            task.stacks.extend(stacks.read(probe::number(*thread)));
        }
    }
    // A thread that has gone on to another task was read for that one.
    let after = all(shared);
    for task in tasks.iter_mut().filter(is_blocked) {
        if before.get(&task.tag()) != after.get(&task.tag()) {
            task.stacks.clear();
        }
    }
}
