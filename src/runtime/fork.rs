//! Handles a `fork` for everything that the runtimes of a process share; see [`crate::sync::fork`].

use std::any::Any;
use std::io;

use super::{context, foreign};
use crate::machine;
use crate::observe::timeline::stamp;
use crate::observe::{deadlock, recording, sigquit};
use crate::scheduler::{self, Free};
use crate::stacks;
use crate::stderr;
use crate::sync::fork::{self, Watch};
use crate::tasks;

/// The process-wide locks, held while a thread forks.
struct Held {
    schedulers: Free,
    stderr: stderr::Held,
    _others: Box<dyn Any>,
}

/// Watches forks from now on.
///
/// # Errors
///
/// When the C library has no memory for it.
pub(super) fn watch() -> io::Result<()> {
    fork::watch(Watch { hold, in_child })
}

/// Takes the lock of the default runtime first: a thread that makes the default runtime takes some
/// of the other locks under it.
fn hold() -> Box<dyn Any> {
    let others = (
        context::hold(),
        machine::hold(),
        foreign::hold(),
        recording::hold(),
        sigquit::hold(),
        tasks::hold(),
        stamp::hold(),
        stacks::hold(),
        scheduler::lifecycle::wait_cycle::hold(),
    );
    crate::clock::prepare();
    Box::new(Held {
        schedulers: scheduler::hold_free(),
        stderr: stderr::hold(),
        _others: Box::new(others),
    })
}

fn in_child(held: &mut dyn Any) {
    if let Some(held) = held.downcast_mut::<Held>() {
        scheduler::close_in_child(&mut held.schedulers);
        stderr::in_child(&mut held.stderr);
        deadlock::in_child();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else a child could wait for ever for a thread that it does not have.
    #[test]
    fn the_lock_of_the_topology_is_held_for_a_fork() {
        let held = hold();
        assert!(machine::is_held());
        drop(held);
    }
}
