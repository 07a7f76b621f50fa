//! Which threads unwind.
//!
//! To the system all threads of a simulation are one: while one of them unwinds, and waits in a
//! destructor, [`panicking`] is true for all. But only the thread that unwinds must not be ended by
//! another panic, nor give way where others would take its panic for theirs.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::thread::panicking;

use super::{Ended, World};

/// The threads that began to unwind since the last moment when none did. A thread that has ended its
/// panic since then stays here until none unwinds: that errs on the safe side.
#[derive(Default)]
pub(super) struct Unwinding(RefCell<Vec<usize>>);

impl World {
    /// The running thread begins to panic.
    pub(crate) fn panic_begins(&self) {
        self.unwinding.0.borrow_mut().push(self.running.get());
    }

    /// Ends the wait of the running thread, which tells no panic hook.
    pub(super) fn unwind(&self) -> ! {
        self.panic_begins();
        resume_unwind(Box::new(Ended))
    }

    /// Whether the running thread unwinds.
    pub(super) fn unwinds(&self) -> bool {
        let mut unwinding = self.unwinding.0.borrow_mut();
        if !panicking() {
            unwinding.clear();
            return false;
        }
        // A panic that goes on tells nobody. The others did not unwind, so it is this one's.
        if unwinding.is_empty() {
            unwinding.push(self.running.get());
        }
        unwinding.contains(&self.running.get())
    }
}
