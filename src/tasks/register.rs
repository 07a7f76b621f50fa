//! Gives a task its place in the registry of its runtime, and its control a waker.

use std::task::Waker;

use super::control::Control;
use super::registry::NotRegistered;
use super::{Meta, Runnable, layout, registration, wakers};
use crate::sync::atomic::Ordering;

/// For a task that is polled, or about to be queued. Gives the word that was read with the key, and
/// whether the task goes on: it may have been aborted.
pub(super) fn enter_registry(meta: &Meta, waker: &Waker) -> Result<(u32, bool), NotRegistered> {
    layout::assert_offset(waker, meta);
    wakers::note_own(waker);
    let key = meta.registry().insert(waker)?;
    // AcqRel: pairs with the exchanges of `JoinHandle::abort`, `JoinHandle::control` and
    // `lift::exchange`: of two, the later one sees the other.
    let seen = meta.registration.fetch_or(key, Ordering::AcqRel);
    let mut goes_on = seen & registration::ABORTED == 0;
    if seen & registration::CONTROLLED != 0 {
        if let Some(control) = Control::find(meta.id()) {
            // An abort through the control and one through the join handle may both have come
            // before.
            goes_on &= control.attach(waker.clone());
            control.settle(meta);
        }
    }
    Ok((seen, goes_on))
}

/// Gives a runnable whose place is in the queue of the background tasks its entry in the registry, if
/// it has none: see [`mod@super::priority`]. If the runtime is closed, or full, the task finds that out
/// when it waits.
#[cold]
pub(crate) fn register_queued(runnable: &Runnable) {
    let meta = runnable.metadata();
    // Relaxed: who has the runnable is the only one to register its task.
    let seen = meta.registration.load(Ordering::Relaxed);
    if seen & registration::KEY == 0 {
        // As it is queued, it is not taken for one without a waker before its control has one.
        drop(enter_registry(meta, &runnable.waker()));
    }
}
