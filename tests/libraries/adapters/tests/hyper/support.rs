//! A server and a client, both by hyper-util, over TCP or Unix sockets. They count what they do.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use executor::JoinHandle;
use executor::compat::{HyperExecutor, HyperTimer};
use executor::net::unix::{UnixListener, UnixStream};
use executor::net::{TcpListener, TcpStream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use libraries_adapters::pattern;
use tokio::sync::{Barrier, Semaphore};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Body = BoxBody<Bytes, Error>;
pub type Auto = auto::Builder<HyperExecutor>;

/// The length of `/big`, in bytes.
pub const BIG: usize = 4 << 20;
/// How many requests `/meet` waits for.
pub const MEETING: usize = 100;

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

pub async fn collect<B: hyper::body::Body>(body: B) -> Bytes
where
    B::Error: std::fmt::Debug,
{
    body.collect().await.unwrap().to_bytes()
}

/// What the server saw, and what its routes wait for.
pub struct Site {
    pub accepted: AtomicUsize,
    pub requests: AtomicUsize,
    /// `/gate` takes one of these.
    pub gate: Semaphore,
    meeting: Barrier,
}

impl Site {
    pub fn accepted(&self) -> usize {
        self.accepted.load(Relaxed)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    /// `/number/7` gives `7`, `/echo` the body, as it comes; see the others here.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.requests.fetch_add(1, Relaxed);
        let path = request.uri().path().to_owned();
        let body = match path.as_str() {
            "/" => full("hello"),
            "/big" => full(pattern(BIG, 1)),
            "/echo" => request.into_body().map_err(Error::from).boxed(),
            "/count" => full(collect(request.into_body()).await.len().to_string()),
            "/gate" => {
                self.gate.acquire().await.unwrap().forget();
                full("passed")
            }
            "/meet" => {
                self.meeting.wait().await;
                full("met")
            }
            _ => match path.strip_prefix("/number/") {
                Some(number) => full(number.to_owned()),
                None => {
                    let mut response = Response::new(full("no such page"));
                    *response.status_mut() = StatusCode::NOT_FOUND;
                    return Ok(response);
                }
            },
        };
        Ok(Response::new(body))
    }
}

/// Serves until it is dropped; the connections go on to their ends.
pub struct Server<A> {
    pub address: A,
    pub site: Arc<Site>,
    graceful: Option<Arc<GracefulShutdown>>,
    accepting: JoinHandle<()>,
}

impl<A> Drop for Server<A> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl<A> Server<A> {
    /// Accepts no more, and waits until what is in flight has been answered.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        let graceful = self.graceful.take().and_then(Arc::into_inner).unwrap();
        graceful.shutdown().await;
    }
}

/// Accepts connections from `accept` for ever.
fn serve<A, S, F>(
    address: A,
    builder: Auto,
    accept: impl Fn() -> F + Send + Sync + 'static,
) -> Server<A>
where
    S: Read + Write + Unpin + Send + 'static,
    F: Future<Output = io::Result<S>> + Send,
{
    let site = Arc::new(Site {
        accepted: AtomicUsize::new(0),
        requests: AtomicUsize::new(0),
        gate: Semaphore::new(0),
        meeting: Barrier::new(MEETING),
    });
    let graceful = Arc::new(GracefulShutdown::new());
    let (seen, watching) = (site.clone(), graceful.clone());
    let accepting = executor::spawn(async move {
        loop {
            let stream = accept().await.unwrap();
            seen.accepted.fetch_add(1, Relaxed);
            let (site, builder, watcher) = (seen.clone(), builder.clone(), watching.watcher());
            executor::spawn(async move {
                let service = service_fn(|request| {
                    let site = site.clone();
                    async move { site.answer(request).await }
                });
                let connection = builder.serve_connection(stream, service);
                // A peer that goes away in the middle makes it an error.
                let _ = watcher.watch(connection.into_owned()).await;
            });
        }
    });
    Server {
        address,
        site,
        graceful: Some(graceful),
        accepting,
    }
}

/// A server with both protocols, and our timer.
pub async fn server() -> Server<SocketAddr> {
    server_with(builder()).await
}

pub fn builder() -> Auto {
    let mut builder = Auto::new(HyperExecutor);
    builder.http1().timer(HyperTimer);
    builder.http2().timer(HyperTimer);
    builder
}

pub async fn server_with(builder: Auto) -> Server<SocketAddr> {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    serve(address, builder, move || {
        let listener = listener.clone();
        async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    })
}

pub fn unix_server(path: PathBuf) -> Server<PathBuf> {
    let listener = Arc::new(UnixListener::bind(&path).unwrap());
    serve(path, builder(), move || {
        let listener = listener.clone();
        async move { Ok(listener.accept().await?.0) }
    })
}

/// Connects hyper-util's client: a `tower` service from a name to a stream, whatever the name.
#[derive(Clone)]
pub struct Connector<A> {
    target: A,
    /// How many connections it may make. More wait; once it is closed they fail.
    pub budget: Arc<Semaphore>,
}

impl<A> Connector<A> {
    pub fn to(target: A) -> Connector<A> {
        Connector::limited(target, Semaphore::MAX_PERMITS)
    }

    pub fn limited(target: A, connections: usize) -> Connector<A> {
        Connector {
            target,
            budget: Arc::new(Semaphore::new(connections)),
        }
    }
}

/// hyper-util asks a stream for more than hyper does: this adds it.
pub struct Wire<S>(pub S);

impl<S> Connection for Wire<S> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl<S: Read + Unpin> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: Write + Unpin> Write for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Where a client connects to.
pub trait Target: Clone + Send + Sync + 'static {
    type Stream: Read + Write + Unpin + Send + 'static;

    fn connect(self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Target for SocketAddr {
    type Stream = TcpStream;

    async fn connect(self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Target for PathBuf {
    type Stream = UnixStream;

    async fn connect(self) -> io::Result<UnixStream> {
        UnixStream::connect(self).await
    }
}

impl<A: Target> tower_service::Service<Uri> for Connector<A> {
    type Response = Wire<A::Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Wire<A::Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (target, budget) = (self.target.clone(), self.budget.clone());
        Box::pin(async move {
            budget.acquire().await.map_err(io::Error::other)?.forget();
            Ok(Wire(target.connect().await?))
        })
    }
}

/// Which protocol a client speaks; without TLS it has to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Version {
    Http1,
    Http2,
}

pub const BOTH: [Version; 2] = [Version::Http1, Version::Http2];

pub type Pooled<A> = Client<Connector<A>, Body>;

/// A client with a pool of connections, by our timer.
pub fn client<A: Target>(version: Version, connector: Connector<A>) -> Pooled<A> {
    let mut builder = Client::builder(HyperExecutor);
    builder
        .pool_timer(HyperTimer)
        .timer(HyperTimer)
        .pool_idle_timeout(Duration::from_secs(600))
        .http2_only(version == Version::Http2);
    builder.build(connector)
}

/// The address of a page.
pub fn page(path: &str) -> Uri {
    format!("http://localhost{path}").parse().unwrap()
}

pub fn post(path: &str, body: Body) -> Request<Body> {
    Request::post(page(path)).body(body).unwrap()
}
