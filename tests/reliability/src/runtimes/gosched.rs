//! This crate.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use executor::{Handle, JoinError, JoinHandle, net, task, time};

use super::{Outcome, Runtime, Task};

#[derive(Clone)]
pub(crate) struct Gosched {
    handle: Handle,
    runtime: Arc<Mutex<Option<executor::Runtime>>>,
}

pub(crate) struct Joined<T>(JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        Pin::new(&mut self.0).poll(cx).map(outcome)
    }
}

impl<T: Send> Task<T> for Joined<T> {
    async fn cancel(self) -> Outcome<T> {
        self.0.abort();
        outcome(self.0.await)
    }
}

fn outcome<T>(result: Result<T, JoinError>) -> Outcome<T> {
    match result {
        Ok(value) => Outcome::Finished(value),
        Err(error) if error.is_panic() => Outcome::Panicked,
        Err(_) => Outcome::Cancelled,
    }
}

impl Gosched {
    /// The one that the calling thread is in. Its end is its owner's affair.
    #[cfg(feature = "sim")]
    pub(crate) fn current() -> Gosched {
        Gosched {
            handle: Handle::current(),
            runtime: Arc::default(),
        }
    }
}

impl Runtime for Gosched {
    const NAME: &'static str = "gosched";
    const EXACT: bool = true;
    const DROP_MAY_PANIC: bool = true;
    type Task<T: Send + 'static> = Joined<T>;
    type Listener = net::TcpListener;
    type Stream = net::TcpStream;

    fn start(workers: usize, blocking: usize) -> io::Result<Gosched> {
        let runtime = executor::Builder::new()
            .worker_threads(workers)
            .max_blocking_threads(blocking)
            .build()?;
        Ok(Gosched {
            handle: runtime.handle().clone(),
            runtime: Arc::new(Mutex::new(Some(runtime))),
        })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    fn spawn<F>(&self, future: F) -> Joined<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Joined(self.handle.spawn(future))
    }

    fn spawn_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Joined<T> {
        Joined(self.handle.spawn_blocking(job))
    }

    async fn sleep(time: Duration) {
        time::sleep(time).await;
    }

    async fn timeout<F: Future + Send>(time: Duration, future: F) -> Option<F::Output> {
        time::timeout(time, future).await.ok()
    }

    async fn ticks(period: Duration, times: usize) -> Vec<Instant> {
        let mut interval = time::interval_at(Instant::now() + period, period);
        let mut ticks = Vec::new();
        while ticks.len() < times {
            interval.tick().await;
            ticks.push(Instant::now());
        }
        ticks
    }

    async fn yield_now() {
        task::yield_now().await;
    }

    async fn listen() -> io::Result<(net::TcpListener, SocketAddr)> {
        let listener = net::TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &net::TcpListener) -> io::Result<net::TcpStream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(addr: SocketAddr) -> io::Result<net::TcpStream> {
        net::TcpStream::connect(addr).await
    }

    #[cfg(feature = "sim")]
    fn block(time: Duration) {
        executor::sim::block(time);
    }

    #[cfg(feature = "sim")]
    fn now() -> Instant {
        time::now()
    }

    fn retakes(&self) -> Option<u64> {
        Some(self.handle.metrics().retake_count())
    }

    fn ask_where_they_wait(&self, within: Duration) -> Option<usize> {
        let dump = self.handle.dump_stacks(within);
        let told = dump.tasks().iter().filter(|task| !task.stacks().is_empty());
        Some(told.count())
    }

    fn resize(&self, workers: usize) -> Option<io::Result<()>> {
        Some(self.handle.set_worker_threads(workers))
    }

    fn stop(self, limit: Duration) {
        let runtime = (self.runtime.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(limit);
        }
    }
}
