//! Call stacks: the return addresses of a thread's calls, and the names and lines that belong to them.
//!
//! Two steps, on different threads:
//!
//! 1. [`walk`] reads the addresses of the calling thread, up to a boundary. It takes no lock and
//!    looks up nothing, so it may run inside a poll.
//! 2. [`TaskStack::frames`] looks up the [`symbols`] of the addresses, on the thread that asks. The
//!    first look-up reads the program's debug information, which takes tens of milliseconds.
//!
//! The stack of another thread is read while that is blocked in the kernel ([`BlockedStacks`]).
//!
//! Without the feature `stacks` no address is read, and every stack is empty.

#[cfg(all(
    feature = "stacks",
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64"
))]
mod blocked;
#[cfg(not(all(
    feature = "stacks",
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64"
)))]
mod blocked {
    /// Elsewhere nothing is known of another thread's stack.
    #[derive(Debug, Default)]
    pub(crate) struct BlockedStacks(());

    impl BlockedStacks {
        pub(crate) fn read(&mut self, _: u64) -> Option<super::TaskStack> {
            None
        }
    }
}
mod frame;
// Linux tells a thread where its stack is, and the register has a name of its own on each machine.
#[cfg(all(
    feature = "stacks",
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64"
))]
mod frame_pointers;
#[cfg(not(all(
    feature = "stacks",
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64"
)))]
mod frame_pointers {
    pub(crate) use super::walk::walk as walk_often;
}
mod origin;
mod symbols;
mod walk;

pub(crate) use blocked::BlockedStacks;
pub use frame::{Frame, TaskStack};
pub(crate) use frame_pointers::walk_often;
pub(crate) use origin::{Origin, readable_type};
pub(crate) use walk::walk;

/// Takes every lock of this module, for a fork.
pub(crate) fn hold() -> impl Sized + 'static {
    symbols::hold()
}

/// Whether stacks can be read at all.
pub(crate) const AVAILABLE: bool = cfg!(feature = "stacks");
