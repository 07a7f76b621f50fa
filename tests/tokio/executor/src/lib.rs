//! What tests of the executor call by its names, as tokio has it: the same test then runs on both. A runtime is tokio's; what is
//! used outside of one goes to the one of the process, which the executor has as well.

pub mod net;

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Handle as TokioHandle, Runtime};

/// The executor's own, whose runtimes are below tokio's.
pub use executor_itself::{Handle, runtime};
pub use tokio::task::{JoinHandle, block_in_place};

pub mod task {
    pub use tokio::task::yield_now;
}

static PROCESS: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn current() -> TokioHandle {
    TokioHandle::try_current().unwrap_or_else(|_| PROCESS.handle().clone())
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    current().block_on(future)
}

pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    current().spawn(future)
}

pub fn spawn_blocking<T, F>(job: F) -> JoinHandle<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    current().spawn_blocking(job)
}
