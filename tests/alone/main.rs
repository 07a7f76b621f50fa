//! Tests that cannot share their process with others, one at a time.
//!
//! `timeline` records what all runtimes of the process do. `block_on_cost` replaces the allocator, to count. Neither uses the
//! default runtime, which would stay for the next test.

#[path = "../common/mod.rs"]
mod common;

mod block_on_cost;
#[cfg(feature = "time")]
mod timeline;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For as long as the test has the process to itself.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
