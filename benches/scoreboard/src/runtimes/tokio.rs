//! tokio's multi-threaded runtime as the workloads see it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Joined, Runtime, Scheduler, workers};

const LOCALHOST: &str = "127.0.0.1:0";

pub(crate) struct Tokio(tokio::runtime::Runtime);

impl Scheduler for Tokio {
    const NAME: &'static str = "tokio";
    type Task<T: Send + 'static> = Joined<tokio::task::JoinHandle<T>>;

    fn start() -> Tokio {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Tokio(
            builder
                .worker_threads(workers())
                .enable_all()
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
        Joined(tokio::spawn(future))
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        drop(tokio::spawn(future));
    }

    async fn yield_now() {
        tokio::task::yield_now().await;
    }
}

impl Runtime for Tokio {
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;

    fn spawn_blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        Joined(tokio::task::spawn_blocking(job))
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn timeout<F: Future<Output = ()> + Send>(time: Duration, future: F) -> bool {
        tokio::time::timeout(time, future).await.is_ok()
    }

    async fn listen() -> (Self::Listener, SocketAddr) {
        let listener = tokio::net::TcpListener::bind(LOCALHOST)
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
        let stream = tokio::net::TcpStream::connect(addr).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream
    }

    async fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> usize {
        tokio::io::AsyncReadExt::read(stream, buffer)
            .await
            .expect("read")
    }

    async fn write_all(stream: &mut Self::Stream, bytes: &[u8]) {
        tokio::io::AsyncWriteExt::write_all(stream, bytes)
            .await
            .expect("write");
    }
}
