//! [`spawn`].

use std::future::Future;

use super::join::JoinHandle;
use crate::context;

/// Spawns a task onto the runtime that this thread is in.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    context::expect_current().spawn(future)
}
