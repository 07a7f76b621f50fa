//! From a task to its scheduler: a table, so that no task needs a reference and no wake a count.

use std::ptr;

use super::Shared;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::tasks::Meta;
use crate::tasks::origin::{self, ORIGIN_BITS};
use crate::tasks::registry;

/// All schedulers, by the origins of their tasks, so that a wake need not look up the home first. The entry of a home is
/// written when its scheduler is made, by [`settle`]; that of any other origin when the first wake asks for it.
static TABLE: [AtomicPtr<Shared>; 1 << ORIGIN_BITS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; 1 << ORIGIN_BITS];

/// The scheduler that this task belongs to.
#[inline]
pub(crate) fn home_of(meta: &Meta) -> &'static Shared {
    at(meta.origin()).unwrap_or_else(|| learn_home(meta.origin()))
}

#[inline]
fn at(origin: usize) -> Option<&'static Shared> {
    let shared = TABLE[origin].load(Ordering::Acquire);
    // SAFETY: entries are null or point to a leaked, hence immortal, scheduler, and are read through shared references.
    unsafe { shared.as_ref() }
}

/// The scheduler of this home has been made.
pub(super) fn settle(home: u16, shared: &'static Shared) {
    // Release pairs with the load in `at`.
    TABLE[usize::from(home)].store(ptr::from_ref(shared).cast_mut(), Ordering::Release);
}

/// Calls `f` with every scheduler there is.
pub(super) fn each(f: impl FnMut(&'static Shared)) {
    (0..registry::made()).filter_map(at).for_each(f);
}

#[cold]
fn learn_home(origin: usize) -> &'static Shared {
    // Not null: a task of a runtime carries an origin of the home that its scheduler was stored under before.
    let shared = at(origin::home_of(origin)).expect("a task names a scheduler that was never made");
    TABLE[origin].store(ptr::from_ref(shared).cast_mut(), Ordering::Release);
    shared
}
