//! The runtimes under comparison.

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Runtime, WORKERS};

const LOCALHOST: &str = "127.0.0.1:0";

/// A join handle whose errors are panics.
pub(crate) struct Joined<H>(H);

impl<T, E: Debug, H: Future<Output = Result<T, E>> + Unpin> Future for Joined<H> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|joined| joined.expect("a task of a bench failed"))
    }
}

pub(crate) struct Gosched(executor::Runtime);

impl Runtime for Gosched {
    const NAME: &'static str = "gosched";
    type Task<T: Send + 'static> = Joined<executor::JoinHandle<T>>;
    type Listener = executor::net::TcpListener;
    type Stream = executor::net::TcpStream;

    fn start() -> Gosched {
        Gosched(
            executor::Builder::new()
                .worker_threads(WORKERS)
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

    fn spawn_blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        Joined(executor::spawn_blocking(job))
    }

    async fn yield_now() {
        executor::task::yield_now().await;
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

pub(crate) struct Tokio(tokio::runtime::Runtime);

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";
    type Task<T: Send + 'static> = Joined<tokio::task::JoinHandle<T>>;
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;

    fn start() -> Tokio {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Tokio(
            builder
                .worker_threads(WORKERS)
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

    fn spawn_blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        Joined(tokio::task::spawn_blocking(job))
    }

    async fn yield_now() {
        tokio::task::yield_now().await;
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

/// async-executor behind smol's global functions. They read their number of threads from `SMOL_THREADS`, which has to be
/// in the environment when the process starts.
pub(crate) struct Smol;

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    type Task<T: Send + 'static> = smol::Task<T>;
    type Listener = smol::net::TcpListener;
    type Stream = smol::net::TcpStream;

    fn start() -> Smol {
        let threads = std::env::var("SMOL_THREADS")
            .ok()
            .and_then(|n| n.parse().ok());
        assert_eq!(threads, Some(WORKERS), "SMOL_THREADS is not set");
        Smol
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn_from_outside<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        smol::spawn(future).detach();
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        smol::spawn(future)
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        smol::spawn(future).detach();
    }

    fn spawn_blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        smol::unblock(job)
    }

    async fn yield_now() {
        smol::future::yield_now().await;
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    async fn timeout<F: Future<Output = ()> + Send>(time: Duration, future: F) -> bool {
        let in_time = async {
            future.await;
            true
        };
        let late = async {
            smol::Timer::after(time).await;
            false
        };
        smol::future::or(in_time, late).await
    }

    async fn listen() -> (Self::Listener, SocketAddr) {
        let listener = smol::net::TcpListener::bind(LOCALHOST).await.expect("bind");
        let addr = listener.local_addr().expect("address");
        (listener, addr)
    }

    async fn accept(listener: &mut Self::Listener) -> Self::Stream {
        let stream = listener.accept().await.expect("accept").0;
        stream.set_nodelay(true).expect("nodelay");
        stream
    }

    async fn connect(addr: SocketAddr) -> Self::Stream {
        let stream = smol::net::TcpStream::connect(addr).await.expect("connect");
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
