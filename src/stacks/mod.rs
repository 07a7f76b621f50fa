//! Call stacks: the return addresses of a thread's calls, and the names and lines that belong to them.
//!
//! Two steps, on different threads:
//!
//! 1. [`walk`] reads the addresses of the calling thread, up to a boundary. It takes no lock and
//!    looks up nothing, so it may run inside a poll.
//! 2. [`TaskStack::frames`] looks up the [`symbols`] of the addresses, on the thread that asks. The
//!    first look-up reads the program's debug information, which takes tens of milliseconds.
//!
//! Without the feature `stacks` no address is read, and every stack is empty.

mod frame;
mod origin;
mod symbols;
mod walk;

pub use frame::{Frame, TaskStack};
pub(crate) use origin::{Origin, readable_type};
pub(crate) use walk::walk;

/// Takes every lock of this module, for a fork.
pub(crate) fn hold() -> impl Sized + 'static {
    symbols::hold()
}

/// Whether stacks can be read at all.
pub(crate) const AVAILABLE: bool = cfg!(feature = "stacks");
