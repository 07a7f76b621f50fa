//! What a scenario needs of a runtime: one trait, and three that have it.

mod gosched;
#[cfg(feature = "peers")]
mod smol;
#[cfg(feature = "peers")]
mod tokio;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::io::{AsyncRead, AsyncWrite};

pub(crate) use self::gosched::Gosched;
#[cfg(feature = "peers")]
pub(crate) use self::smol::Smol;
#[cfg(feature = "peers")]
pub(crate) use self::tokio::Tokio;

/// How a task ended, as its handle tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    Finished(T),
    /// Aborted, or the runtime ended first.
    Cancelled,
    Panicked,
}

/// A handle to a task. Awaiting it tells the outcome; dropping it detaches the task.
pub(crate) trait Task<T>: Future<Output = Outcome<T>> + Send + Unpin {
    /// Asks the task to end, and waits until its future is gone.
    fn cancel(self) -> impl Future<Output = Outcome<T>> + Send;
}

/// A runtime that can be started and stopped, any number of times.
pub(crate) trait Runtime: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    /// A task that finishes, or panics, although it was asked to end is told to have done so.
    const EXACT: bool;
    /// A future may panic when it is dropped. Where not, the process is aborted.
    const DROP_MAY_PANIC: bool;
    type Task<T: Send + 'static>: Task<T>;
    type Listener: Send + Sync + 'static;
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// With so many workers, and at most so many threads for blocking jobs.
    ///
    /// # Errors
    ///
    /// The system gives no threads or descriptors.
    fn start(workers: usize, blocking: usize) -> io::Result<Self>;

    fn block_on<F: Future>(&self, future: F) -> F::Output;

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    fn spawn_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T>;

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// `None` after `time`; the future is dropped then.
    fn timeout<F: Future + Send>(
        time: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// When an interval of `period` ticked, so many times, the first after one period.
    fn ticks(period: Duration, times: usize) -> impl Future<Output = Vec<Instant>> + Send;

    fn yield_now() -> impl Future<Output = ()> + Send;

    /// On a free port of the loopback interface.
    fn listen() -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Keeps the calling thread for so long.
    fn block(time: Duration) {
        std::thread::sleep(time);
    }

    /// What its timers go by.
    fn now() -> Instant {
        Instant::now()
    }

    /// How often a worker that was stuck lost its tasks to another; for runtimes that do that.
    fn retakes(&self) -> Option<u64> {
        None
    }

    /// Asks all tasks where they wait, for so long at most, which polls them; for runtimes that can. How many have told.
    fn ask_where_they_wait(&self, _within: Duration) -> Option<usize> {
        None
    }

    /// Changes the number of workers while it runs; for runtimes that can.
    fn resize(&self, _workers: usize) -> Option<io::Result<()>> {
        None
    }

    /// Ends it: what has not finished is cancelled. Waits for its threads, at most `limit`. To be called by the last
    /// holder, outside of it.
    fn stop(self, limit: Duration);
}
