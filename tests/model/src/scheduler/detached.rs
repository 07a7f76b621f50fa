//! The list of detached processors; what is done with it is in `retake`.

#[path = "../../../../src/scheduler/detached/list.rs"]
#[rustfmt::skip]
mod list;

pub(super) use list::DetachedList;
