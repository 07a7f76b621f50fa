//! Code that blocks.

use super::JoinHandle;
use crate::context;
use crate::coop;
use crate::runtime::current_thread::outside_turn;

/// Runs a closure that may block on this thread, after its processor was given away.
///
/// Works anywhere, also in a runtime for one thread and outside any.
#[track_caller]
pub fn block_in_place<F, R>(f: F) -> R
where
    F: FnOnce() -> R,
{
    let _outside = outside_turn();
    executor::block_in_place(|| coop::without_budget(f))
}

/// Runs a closure that may block, on a thread for such closures.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    context::expect_current().spawn_blocking(f)
}
