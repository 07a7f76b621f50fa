//! This crate as the workloads see it.

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Runtime, Scheduler, workers};

const LOCALHOST: &str = "127.0.0.1:0";

/// A join handle whose errors are panics.
pub(crate) struct Joined<H>(pub(crate) H);

impl<T, E: Debug, H: Future<Output = Result<T, E>> + Unpin> Future for Joined<H> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|joined| joined.expect("a task of a bench failed"))
    }
}

pub(crate) struct Gosched(executor::Runtime);

impl Scheduler for Gosched {
    const NAME: &'static str = "gosched";
    type Task<T: Send + 'static> = Joined<executor::JoinHandle<T>>;

    fn start() -> Gosched {
        Gosched(
            executor::Builder::new()
                .worker_threads(workers())
                .build()
                .expect("threads"),
        )
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn_from_outside<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.0.spawn(future));
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Joined(executor::spawn(future))
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        drop(executor::spawn(future));
    }

    async fn yield_now() {
        executor::task::yield_now().await;
    }
}

impl Runtime for Gosched {
    type Listener = executor::net::TcpListener;
    type Stream = executor::net::TcpStream;

    fn spawn_blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        Joined(executor::spawn_blocking(job))
    }

    async fn sleep(time: Duration) {
        executor::time::sleep(time).await;
    }

    async fn timeout<F: Future<Output = ()> + Send>(time: Duration, future: F) -> bool {
        executor::time::timeout(time, future).await.is_ok()
    }

    async fn listen() -> (Self::Listener, SocketAddr) {
        let listener = executor::net::TcpListener::bind(LOCALHOST)
            .await
            .expect("bind");
        let addr = listener.local_addr().expect("address");
        (listener, addr)
    }

    async fn accept(listener: &mut Self::Listener) -> Self::Stream {
        let stream = listener.accept().await.expect("accept").0;
        stream.set_nodelay(true).expect("nodelay");
        stream
    }

    async fn connect(addr: SocketAddr) -> Self::Stream {
        let stream = executor::net::TcpStream::connect(addr)
            .await
            .expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream
    }

    async fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> usize {
        futures::AsyncReadExt::read(stream, buffer)
            .await
            .expect("read")
    }

    async fn write_all(stream: &mut Self::Stream, bytes: &[u8]) {
        futures::AsyncWriteExt::write_all(stream, bytes)
            .await
            .expect("write");
    }
}

impl Gosched {
    pub(crate) fn metrics(&self) -> executor::runtime::RuntimeMetrics {
        self.0.metrics()
    }
}
