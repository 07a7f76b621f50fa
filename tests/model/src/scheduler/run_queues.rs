//! Of the run queues, those parts that the copies of the others use.

#[path = "../../../../src/scheduler/run_queues/compute_limit/held_back.rs"]
#[rustfmt::skip]
pub(crate) mod held_back;
#[path = "../../../../src/scheduler/run_queues/detached/list.rs"]
#[rustfmt::skip]
mod list;

pub(crate) mod compute_limit {
    pub(crate) use super::held_back;
}

pub(crate) mod detached {
    pub(crate) use super::list::DetachedList;
}

/// No steal has to be tried again.
pub(crate) mod steal {
    pub(crate) fn steal_one<T>(steal: impl FnOnce() -> Option<T>) -> Option<T> {
        steal()
    }
}
