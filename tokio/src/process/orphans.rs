//! Children that nobody waits for any more. Without somebody who asks for its exit status, a child
//! that has ended stays as a zombie.
//!
//! # Protocol
//!
//! 1. [`adopt`] puts the child into the list. Then it makes sure that SIGCHLD is caught, and only
//!    then looks whether a child has ended. So an end is either seen by that look, or raises a
//!    signal that is caught.
//! 2. At each SIGCHLD the thread that reads signals (`signal::registry`) calls [`reap`], which asks
//!    for the status of every child in the list, and forgets those that have one.
//! 3. If SIGCHLD cannot be caught, children stay in the list until the next one is dropped.

use std::process::Child;
use std::sync::{Mutex, PoisonError};

use crate::signal::registry;

static ORPHANS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Step 1.
pub(super) fn adopt(child: Child) {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    orphans.push(child);
    drop(orphans);
    // There is no caller to return the error to: step 3.
    let _ = registry::install(libc::SIGCHLD);
    reap();
}

/// Step 2.
pub(crate) fn reap() {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    // An error says that there is no such child, since somebody else has asked for its status.
    orphans.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}
