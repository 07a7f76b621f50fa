//! The soak: a runtime under everything at once, with a ledger in which each task is accounted for exactly once.
//!
//! # Who does what
//!
//! | file | what |
//! |---|---|
//! | [`driver`] | from the beginning to the last sum |
//! | [`plan`], [`acts`], [`sockets`] | what a task does: drawn from its seed, then done |
//! | [`strangers`] | threads outside: late wakes, spawns, further runtimes |
//! | [`ledger`], [`watched`], [`fault`] | places, counts, the future around each task, what is not as it should be |
//! | [`runnable`], [`sampler`] | whether work is left waiting |
//! | [`watch`] | hangs; memory, threads and descriptors |
//! | [`command`] | the command `soak`, and the storm of stops |
//! | `simulated` | the soak in simulations |
//!
//! # What the seed fixes
//!
//! What each task does, see [`plan`]. Not the time, nor which thread: a failure that needs both a plan and an interleaving comes
//! again with the same seed, but perhaps not at the first attempt.

mod acts;
pub(crate) mod clock;
pub(crate) mod command;
mod driver;
pub(crate) mod fault;
pub(crate) mod ledger;
mod plan;
mod runnable;
pub(crate) mod sampler;
#[cfg(feature = "sim")]
mod simulated;
mod sockets;
mod strangers;
mod watch;
pub(crate) mod watched;
mod world;

pub(crate) use driver::run;
