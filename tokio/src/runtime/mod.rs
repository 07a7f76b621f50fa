//! Runtimes: see tokio's documentation of the module of this name.

#[cfg(feature = "test-util")]
mod auto_advance;
mod builder;
pub(crate) mod current_thread;
mod drivers;
mod handle;
mod id;
mod local;
mod metrics;
#[allow(clippy::module_inception)]
mod runtime;
pub(crate) mod shared;

pub use crate::context::TryCurrentError;
pub use builder::{Builder, LocalOptions};
pub use handle::{EnterGuard, RuntimeFlavor};
pub use id::Id;
pub use local::LocalRuntime;
pub use metrics::RuntimeMetrics;
pub use runtime::{Runtime, is_rt_shutdown_err};
pub use shared::Handle;

/// The index of the worker that runs this task, by which
/// [`RuntimeMetrics::worker_park_count`] and its like know it.
///
/// `None` where no worker runs a task: outside a runtime, in `spawn_blocking`, in the `block_on` of a
/// runtime for many threads, and in a task whose processor was handed over since it blocks.
pub fn worker_index() -> Option<usize> {
    match current_thread::drives() {
        true => Some(0),
        false => executor::runtime::worker_index(),
    }
}

pub(crate) use local::local_queue;
#[cfg(any(feature = "fs", feature = "io-std"))]
pub(crate) use runtime::NotBegun;
pub(crate) use runtime::ShutDown;
