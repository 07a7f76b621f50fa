//! The live tasks of a runtime, at a moment. How it is written is in [`groups`](super::groups).

use super::block_ons::BlockOnInfo;
use super::task_info::TaskInfo;

/// The live tasks of a runtime: see [`Handle::dump_tasks`](crate::Handle::dump_tasks).
#[derive(Clone, Debug)]
pub struct TaskDump {
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) alive: u64,
    pub(super) unreached: usize,
    pub(super) block_ons: Vec<BlockOnInfo>,
}

impl TaskDump {
    /// Those that are known, the blocked ones first, then the running, the queued, the waiting; of
    /// each kind first those that have been so for longest, where that is known.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// How many more there are, about which nothing is known: spawned and never polled. Background
    /// tasks are known, and all are while
    /// [`Builder::task_details`](crate::Builder::task_details) is on.
    pub fn num_unlisted(&self) -> usize {
        (self.alive as usize).saturating_sub(self.tasks.len())
    }

    /// The `block_on`s of this runtime that wait, or that are being polled and have waited before,
    /// as the one has in which the dump was asked for. Empty but for
    /// [`Handle::dump_stacks`](crate::Handle::dump_stacks).
    pub fn block_ons(&self) -> &[BlockOnInfo] {
        &self.block_ons
    }

    /// How many of the tasks that wait were not polled in time by
    /// [`Handle::dump_stacks`](crate::Handle::dump_stacks), and so have no stack here.
    pub fn num_unreached(&self) -> usize {
        self.unreached
    }

    /// Whether somebody was asked where he waits.
    pub(super) fn has_stacks(&self) -> bool {
        let is_known = |task: &TaskInfo| {
            task.future.is_some() || !task.stacks.is_empty() || !task.last_stacks.is_empty()
        };
        let waits = |block_on: &BlockOnInfo| block_on.future().is_some();
        self.unreached > 0 || self.block_ons.iter().any(waits) || self.tasks.iter().any(is_known)
    }
}
