//! The list of orphans; what is done with it is in `retake`.

#[path = "../../../../src/scheduler/orphan/list.rs"]
#[rustfmt::skip]
mod list;

pub(super) use list::Orphans;
