//! Another crate's part of a thread: what it keeps in thread-locals.
//!
//! # Protocol
//!
//! 1. The crate gives a function, once for the process ([`set_around`]). It takes away what the
//!    crate keeps for the thread that runs, calls what it was given, and puts that back. If what it
//!    was given unwinds, so does it, with everything put back.
//! 2. Every wait of a simulated thread is inside it, also the root's, which resumes the others. So
//!    each thread begins, and goes on after its wait, with what is its own.
//! 3. So is the body of a thread. What that leaves behind is dropped when it ends.
//!
//! A thread that waited already when the function was given has nothing to put back: the crate
//! gives it before it keeps anything.

use std::sync::OnceLock;

/// See the module.
pub(crate) type Around = fn(&mut dyn FnMut());

static AROUND: OnceLock<Around> = OnceLock::new();

/// Step 1. One crate can: later calls change nothing.
pub(crate) fn set_around(around: Around) {
    AROUND.get_or_init(|| around);
}

/// Steps 2 and 3.
pub(super) fn call(f: impl FnOnce()) {
    match AROUND.get() {
        None => f(),
        Some(around) => {
            let mut f = Some(f);
            around(&mut || {
                if let Some(f) = f.take() {
                    f();
                }
            });
        }
    }
}
