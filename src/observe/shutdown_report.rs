//! What a shutdown has come to: who has ended, and who has not.

use std::fmt;

use super::blocked_stacks;
use super::dump::dump_tasks;
use super::groups::write_task;
use super::task_info::{Counted, TaskInfo, TaskState};
use crate::scheduler::Shared;

/// What became of a runtime's tasks: see
/// [`Runtime::shutdown_timeout`](crate::Runtime::shutdown_timeout).
#[derive(Clone, Debug, Default)]
pub struct ShutdownReport {
    finished: u64,
    cancelled: u64,
    left: u64,
    blocked: Vec<TaskInfo>,
}

impl ShutdownReport {
    /// Whether all tasks have ended.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Tasks and blocking jobs that came to their own end, or panicked, while the runtime shut
    /// down.
    pub fn finished(&self) -> usize {
        self.finished as usize
    }

    /// Those that were cancelled.
    pub fn cancelled(&self) -> usize {
        self.cancelled as usize
    }

    /// Those that have not ended: the blocked ones, and what could not be cancelled yet because of
    /// them.
    pub fn left(&self) -> usize {
        self.left as usize
    }

    /// Polls and blocking jobs that were still running in the end: which tasks, where they were
    /// spawned, and whether their threads are blocked.
    pub fn blocked(&self) -> &[TaskInfo] {
        &self.blocked
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} finished, {} cancelled, {} left",
            Counted(self.finished, "task"),
            self.cancelled,
            self.left
        )?;
        for task in &self.blocked {
            f.write_str("\n  ")?;
            write_task(f, task, "  ")?;
        }
        Ok(())
    }
}

/// Counts that a report compares with later ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endings {
    finished: u64,
    cancelled: u64,
}

/// How many tasks have ended, and of them by being cancelled.
pub(crate) fn count_endings(shared: &'static Shared) -> Endings {
    Endings {
        // In this order: a task counts as cancelled before it counts as finished.
        finished: shared.num_finished_tasks(),
        cancelled: shared.num_cancelled_tasks(),
    }
}

/// What has ended since, and what has not.
pub(crate) fn shutdown_report(shared: &'static Shared, before: Endings) -> ShutdownReport {
    let after = count_endings(shared);
    let left = shared.num_alive_tasks();
    let cancelled = after.cancelled - before.cancelled;
    let mut blocked = match left {
        0 => Vec::new(),
        _ => dump_tasks(shared).tasks,
    };
    blocked.retain(|task| matches!(task.state(), TaskState::Blocked | TaskState::Running));
    blocked_stacks::add(shared, &mut blocked);
    ShutdownReport {
        finished: (after.finished - before.finished).saturating_sub(cancelled),
        cancelled,
        left,
        blocked,
    }
}
