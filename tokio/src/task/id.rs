use std::fmt;

/// Identifies a task among those that are alive.
#[derive(Clone, Copy, Hash, Eq, PartialEq, PartialOrd, Ord)]
pub struct Id(executor::task::Id);

impl Id {
    pub(crate) fn new(id: executor::task::Id) -> Id {
        Id(id)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of the task that runs on this thread.
///
/// # Panics
///
/// Outside a task.
#[track_caller]
pub fn id() -> Id {
    try_id().expect("Can't get a task id when not inside a task")
}

/// The id of the task that runs on this thread, if there is one.
pub fn try_id() -> Option<Id> {
    executor::task::try_id().map(Id)
}
