//! The tokio context of a thread, as a test sees it.

use executor::Builder;
use tokio::runtime::{self, Id, Runtime};

/// The id of the context that this thread is in.
pub fn id() -> Option<Id> {
    let handle = runtime::Handle::try_current();
    handle.ok().map(|handle| handle.id())
}

/// The id of the tokio runtime of the process.
pub fn of_process() -> Option<Id> {
    let id = executor::block_on(async { id() });
    assert!(id.is_some());
    id
}

/// A tokio runtime that is not the one of the process.
pub fn tokio_runtime() -> Runtime {
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// A runtime whose threads are in that context.
pub fn with_own_tokio(tokio: &Runtime, count: usize) -> executor::Runtime {
    let builder = Builder::new().worker_threads(count);
    builder
        .tokio_handle(tokio.handle().clone())
        .build()
        .unwrap()
}
