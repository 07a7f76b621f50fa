//! From a task to its scheduler: a table, so that no task needs a reference and no wake a count.

use std::ptr;

use crate::scheduler::Shared;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::tasks::Meta;
use crate::tasks::registry;
use crate::tasks::spawn_site::{self, SPAWN_SITE_BITS};

/// All schedulers, by the spawn sites of their tasks, so that a wake need not look up the runtime
/// first. The entry of a runtime is written when its scheduler is made, by [`insert`]; that of any
/// other spawn site when the first wake asks for it.
static TABLE: [AtomicPtr<Shared>; 1 << SPAWN_SITE_BITS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; 1 << SPAWN_SITE_BITS];

/// The scheduler that this task belongs to.
#[inline]
pub(crate) fn scheduler_of(meta: &Meta) -> &'static Shared {
    at(meta.spawn_site()).unwrap_or_else(|| learn_runtime(meta.spawn_site()))
}

#[inline]
fn at(spawn_site: usize) -> Option<&'static Shared> {
    let shared = TABLE[spawn_site].load(Ordering::Acquire);
    // SAFETY: entries are null or point to a leaked, hence immortal, scheduler, and are read
    // through shared references.
    unsafe { shared.as_ref() }
}

/// The scheduler of this runtime has been made.
pub(crate) fn insert(runtime: u16, shared: &'static Shared) {
    // Release pairs with the load in `at`.
    TABLE[usize::from(runtime)].store(ptr::from_ref(shared).cast_mut(), Ordering::Release);
}

/// Calls `f` with every scheduler there is.
pub(crate) fn each(f: impl FnMut(&'static Shared)) {
    (0..registry::made()).filter_map(at).for_each(f);
}

#[cold]
fn learn_runtime(spawn_site: usize) -> &'static Shared {
    // Not null: a task of a runtime carries a spawn site of the runtime that its scheduler was
    // stored under before.
    let shared = at(spawn_site::runtime_of(spawn_site))
        .expect("a task names a scheduler that was never made");
    TABLE[spawn_site].store(ptr::from_ref(shared).cast_mut(), Ordering::Release);
    shared
}
