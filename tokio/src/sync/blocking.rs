//! Waits that block their thread.
//!
//! The real tokio's block the thread of the system, and with it a whole simulation. There, the
//! simulated thread waits in a `block_on` of its runtime.

use std::future::Future;

use crate::context;
use crate::simulated;

/// Waits for `future` in a simulation, and calls `real` elsewhere, with what the other one would use.
#[track_caller]
pub(super) fn wait<S, F: Future>(
    with: S,
    future: impl FnOnce(S) -> F,
    real: impl FnOnce(S) -> F::Output,
) -> F::Output {
    if !simulated::is_here() {
        return real(with);
    }
    context::expect_current().block_on(future(with))
}
