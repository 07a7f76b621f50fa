//! Child processes: see tokio's documentation of the module of this name.

mod child;
mod command;
mod orphans;
mod pipe;
mod waiter;

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use command::Command;

pub(crate) use orphans::reap as reap_orphans;
