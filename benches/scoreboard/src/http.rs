//! hyper's "hello world" on each runtime, and the client that asks for it, from a process of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::runtimes::{Smol, Tokio};
use crate::support::process::cpu_time;
use crate::support::{Gosched, Runtime};

const CONNECTIONS: usize = 64;
const WARM_UP: usize = 100;
const REQUESTS: usize = 1_500;

/// A runtime on which hyper can serve.
pub(crate) trait Http: Runtime {
    type Io: Read + Write + Unpin + Send + 'static;

    fn io(stream: Self::Stream) -> Self::Io;
}

impl Http for Gosched {
    type Io = Self::Stream;

    fn io(stream: Self::Stream) -> Self::Io {
        stream
    }
}

impl Http for Smol {
    type Io = FuturesIo<Self::Stream>;

    fn io(stream: Self::Stream) -> Self::Io {
        FuturesIo(stream)
    }
}

impl Http for Tokio {
    type Io = TokioIo<Self::Stream>;

    fn io(stream: Self::Stream) -> Self::Io {
        TokioIo::new(stream)
    }
}

/// The traits of `futures` as hyper's. Reads go through a buffer of their own: a request has less than 1 KiB.
pub(crate) struct FuturesIo<S>(S);

impl<S: AsyncRead + Unpin> Read for FuturesIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 1024];
        let room = buffer.remaining().min(bytes.len());
        let count = ready!(Pin::new(&mut self.0).poll_read(cx, &mut bytes[..room]))?;
        buffer.put_slice(&bytes[..count]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for FuturesIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// CPU nanoseconds of this process per request, with a client of ours.
pub(crate) fn server_cpu<R: Http>(runtime: &R) -> Vec<f64> {
    let addr = start(runtime);
    per_request(
        || ask(addr, WARM_UP),
        || {
            ask(addr, REQUESTS);
            CONNECTIONS * REQUESTS
        },
    )
}

/// The same with `wrk -t1 -c64`. No figure where there is no such program.
pub(crate) fn server_cpu_by_wrk<R: Http>(runtime: &R) -> Vec<f64> {
    let addr = start(runtime);
    match wrk(addr, 1) {
        Some(_) => per_request(|| (), || wrk(addr, 2).expect("wrk worked before")),
        None => Vec::new(),
    }
}

fn start<R: Http>(runtime: &R) -> SocketAddr {
    runtime.run(async {
        let (mut listener, addr) = R::listen().await;
        R::detach(async move {
            loop {
                let stream = R::accept(&mut listener).await;
                R::detach(serve(R::io(stream)));
            }
        });
        addr
    })
}

/// The median of three runs, each of which tells its requests.
fn per_request(warm_up: impl Fn(), run: impl Fn() -> usize) -> Vec<f64> {
    warm_up();
    let measure = || {
        let before = cpu_time();
        let requests = run();
        (cpu_time() - before).as_nanos() as f64 / requests as f64
    };
    let mut figures = [measure(), measure(), measure()];
    figures.sort_by(f64::total_cmp);
    vec![figures[1]]
}

/// The requests that wrk got answered in so many seconds.
fn wrk(addr: SocketAddr, seconds: usize) -> Option<usize> {
    let output = Command::new("wrk")
        .args([
            "-t1",
            "-c64",
            &format!("-d{seconds}s"),
            &format!("http://{addr}/"),
        ])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Socket errors"), "{text}");
    let (requests, _) = text.split_once(" requests in ")?;
    requests.rsplit_once(' ')?.1.parse().ok()
}

async fn serve(io: impl Read + Write + Unpin + Send + 'static) {
    // An error is a client that hangs up.
    let _ = http1::Builder::new()
        .serve_connection(io, service_fn(hello))
        .await;
}

async fn hello(_: Request<body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello world"))))
}

/// Runs the client to its end.
fn ask(addr: SocketAddr, requests: usize) {
    let status = Command::new(std::env::current_exe().expect("own path"))
        .args(["--client", &addr.to_string(), &requests.to_string()])
        .status()
        .expect("client process");
    assert!(status.success(), "the client failed");
}

/// So many requests on each connection, each after the answer to the last. One thread.
pub(crate) fn client(addr: SocketAddr, requests: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("descriptors");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(keep_asking(addr, requests)))
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("the server answers");
        }
    });
}

async fn keep_asking(addr: SocketAddr, requests: usize) -> io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 1024];
    for _ in 0..requests {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await?;
        let mut filled = 0;
        while !answer[..filled].ends_with(b"hello world") {
            match stream.read(&mut answer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
    }
    Ok(())
}
