//! smol's global executor as the workloads see it. It reads its number of threads from `SMOL_THREADS`, which has to be
//! in the environment when the process starts.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Runtime, Scheduler, workers};

const LOCALHOST: &str = "127.0.0.1:0";

/// async-executor behind smol's global functions.
pub(crate) struct Smol;

impl Scheduler for Smol {
    const NAME: &'static str = "smol";
    type Task<T: Send + 'static> = smol::Task<T>;

    fn start() -> Smol {
        let threads = std::env::var("SMOL_THREADS")
            .ok()
            .and_then(|n| n.parse().ok());
        assert_eq!(threads, Some(workers()), "SMOL_THREADS is not set");
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

    async fn yield_now() {
        smol::future::yield_now().await;
    }
}

impl Runtime for Smol {
    type Listener = smol::net::TcpListener;
    type Stream = smol::net::TcpStream;

    fn spawn_blocking<T: Send + 'static>(
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        smol::unblock(job)
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
