//! Tests that cannot share their process with others, one at a time.
//!
//! * `block_on_cost` replaces the allocator, to count.
//! * `lost_poller` closes all descriptors of a child in which no neighbour may hold a worker up: the monitor would look at that
//!   one by a descriptor.
//! * `timeline` records what all runtimes of the process do.
//! * `timer_pieces` counts turns, which come out otherwise when a neighbour holds the only worker up.
//!
//! None of them uses the default runtime here, which would stay for the next test.

#[path = "../common/mod.rs"]
mod common;

mod block_on_cost;
// Not with tokio beside us, whose runtime panics there and ends the process.
#[cfg(all(
    target_os = "linux",
    feature = "time",
    feature = "net",
    not(feature = "tokio-compat")
))]
mod lost_poller;
#[cfg(feature = "time")]
mod timeline;
#[cfg(feature = "time")]
mod timer_pieces;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For as long as the test has the process to itself.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
