//! What the calling thread holds: the scheduler it works for and, if any, the core of a processor.
//!
//! A submission asks here whether it happens on a worker of the very scheduler it is meant for. The core sits in a
//! `RefCell` for its rare comings and goings (going idle, handing over); no borrow is alive while user code runs.

use std::cell::{Cell, RefCell};
use std::ptr;

use super::processor::Core;
use super::{Shared, probe};

struct Local {
    shared: Cell<Option<&'static Shared>>,
    core: RefCell<Option<Box<Core>>>,
}

std::thread_local! {
    static LOCAL: Local = const { Local { shared: Cell::new(None), core: RefCell::new(None) } };

    /// The scheduler this thread was started for, as a worker or as anything else.
    static MEMBER: Cell<Option<&'static Shared>> = const { Cell::new(None) };
}

/// Runs `f` on the core this thread holds for `shared`. `None` if it holds none, or is ending.
#[inline]
pub(super) fn with_core<R>(shared: &'static Shared, f: impl FnOnce(&Core) -> R) -> Option<R> {
    LOCAL
        .try_with(|local| {
            if !local
                .shared
                .get()
                .is_some_and(|other| ptr::eq(other, shared))
            {
                return None;
            }
            // Only a hand-over borrows mutably, and calls nobody meanwhile.
            local.core.try_borrow().ok()?.as_deref().map(f)
        })
        .ok()
        .flatten()
}

/// Whether this thread holds a core.
pub(super) fn holds_core() -> bool {
    LOCAL
        .try_with(|local| local.core.borrow().is_some())
        .unwrap_or(false)
}

/// The scheduler this thread is a worker of, whether it holds a core now or not.
pub(super) fn shared() -> Option<&'static Shared> {
    LOCAL.try_with(|local| local.shared.get()).ok().flatten()
}

/// This thread becomes a worker (or ceases to be one).
pub(super) fn set_shared(shared: Option<&'static Shared>) {
    let _ = LOCAL.try_with(|local| local.shared.set(shared));
}

/// Lays a core to this thread.
pub(super) fn put_core(core: Box<Core>) {
    core.processor.ownership.acquire(probe::this_thread());
    LOCAL.with(|local| {
        let previous = local.core.borrow_mut().replace(core);
        debug_assert!(previous.is_none(), "a thread was given two cores");
    });
}

/// Takes the core from this thread: for [`Shared::release`] alone.
pub(super) fn take_core() -> Option<Box<Core>> {
    LOCAL
        .try_with(|local| local.core.borrow_mut().take())
        .ok()
        .flatten()
}

/// This thread was started for `shared`.
pub(super) fn set_member(shared: &'static Shared) {
    MEMBER.set(Some(shared));
}

/// The scheduler this thread was started for.
#[inline]
pub(super) fn member() -> Option<&'static Shared> {
    MEMBER.get()
}
