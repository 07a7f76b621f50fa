//! What these tests share: a bound in time, and the places where a future can be awaited.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// After this a test counts as hung.
const BOUND: Duration = Duration::from_secs(60);

/// Runs the body of a test on a thread of its own; a hang becomes a failure.
#[track_caller]
pub fn bounded<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        let output = body();
        let _ = done.send(());
        output
    });
    if let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(BOUND) {
        panic!("hung");
    }
    match thread.join() {
        Ok(output) => output,
        Err(payload) => resume_unwind(payload),
    }
}

/// Awaits what a scenario returns in each of the places that tokio has: a `block_on`, a task, a `block_on` in a blocking job, a
/// task of a runtime with one processor that ends afterwards, and a runtime for one thread, there in a task, too.
#[track_caller]
pub fn everywhere<S, F>(scenario: S)
where
    S: Fn() -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    bounded(move || {
        executor::block_on(scenario());
        executor::block_on(output(executor::spawn(scenario())));
        executor::block_on(output(executor::spawn_blocking(move || {
            executor::block_on(scenario());
        })));
        let runtime = processors(1);
        runtime.block_on(output(runtime.spawn(scenario())));
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(scenario());
        runtime.block_on(output(runtime.spawn(scenario())));
    });
}

/// A runtime with so many processors.
pub fn processors(count: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// What a task returned; its panic goes on here.
pub async fn output<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => panic!("{error}"),
        },
    }
}
