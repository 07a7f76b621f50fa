//! A copy of what was recorded.

use super::event::Event;

/// Where events happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// An instance of a processor, see `scheduler::slot`.
    Processor { index: usize, instance: usize },
    /// A thread without a processor, by its number in the system or a number of ours.
    Thread(u64),
    /// The monitor: what concerns a processor names it.
    Monitor,
}

/// The events of one place, in the order of time.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) place: Place,
    pub(crate) events: Vec<Event>,
    /// Older events that were overwritten.
    pub(crate) lost: u64,
    /// The poll that goes on at the end, by the word of its task.
    pub(crate) polling: Option<u64>,
}

/// All lanes of one runtime.
#[derive(Debug)]
pub(crate) struct Log {
    /// Of the runtime's threads.
    pub(crate) name: String,
    pub(crate) lanes: Vec<Lane>,
    /// From when to when it was recorded.
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// What a file says of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskLabel {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    /// File, line, column.
    pub(crate) location: Option<(&'static str, u32, u32)>,
}

impl TaskLabel {
    /// For a slice: the name, else where the task was spawned, else its number.
    pub(crate) fn title(&self) -> String {
        match (&self.name, self.location) {
            (Some(name), _) => name.clone(),
            (None, Some((file, line, _))) => {
                let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
                format!("{file}:{line}")
            }
            (None, None) => format!("task {}", self.id),
        }
    }
}
