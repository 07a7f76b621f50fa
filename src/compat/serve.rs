//! [`serve`]: an axum `Router`, each of whose connections is a task of this crate (feature
//! `axum-0-8`).

use std::future::{Future, IntoFuture, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;

use super::{HyperExecutor, HyperTimer};

/// Serves a `Router` on a listener: HTTP/1, with upgrades, and HTTP/2, as the client wants.
///
/// Each connection, and each stream of HTTP/2, is a task of the runtime that the caller is in. So
/// handlers run on all processors, and one that blocks delays nobody else. `axum::serve` spawns onto
/// a tokio runtime instead.
///
/// It ends when it is told to by [`with_graceful_shutdown`](Serve::with_graceful_shutdown). A
/// handler that panics ends its connection.
///
/// The listener is one of [`net`](crate::net), also in a wrapper of
/// [`ListenerExt`](axum::serve::ListenerExt), or any whose connections implement hyper's traits. A
/// service that is no `Router` becomes one by `Router::fallback_service`.
///
/// # Errors
///
/// None. The result is there since that of `axum::serve` has one: to go from one to the other, only
/// the name changes. Errors of `accept` are handled by the listener; see [`compat::axum`](super::axum).
///
/// # Cancel safety
///
/// When its future is dropped, no more connections are accepted. Those that exist go on.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::get};
/// use executor::net::{TcpListener, TcpStream};
/// use futures::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let app = Router::new().route("/", get(|| async { "hello" }));
///     executor::spawn(executor::compat::serve(listener, app).into_future());
///
///     let mut stream = TcpStream::connect(address).await?;
///     stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer).await?;
///     assert!(answer.ends_with("hello"));
///     Ok(())
/// })
/// # }
/// ```
pub fn serve<L>(listener: L, app: Router) -> Serve<L>
where
    L: Listener,
    L::Io: hyper::rt::Read + hyper::rt::Write,
{
    Serve {
        listener,
        app,
        connect_info: false,
    }
}

/// A server that [`serve`] makes. It begins when it is awaited.
#[derive(Debug)]
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<L> {
    listener: L,
    app: Router,
    connect_info: bool,
}

impl<L> Serve<L>
where
    L: Listener,
    L::Io: hyper::rt::Read + hyper::rt::Write,
{
    /// Gives handlers the peer's address, which they extract as [`ConnectInfo`].
    pub fn with_connect_info(mut self) -> Serve<L>
    where
        L::Addr: Clone + Sync,
    {
        self.connect_info = true;
        self
    }

    /// When `signal` completes, accepts no more connections, lets each finish the request that it
    /// is in, and ends when all have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// executor::block_on(async {
    ///     let listener = executor::net::TcpListener::bind("127.0.0.1:0").await?;
    ///     let soon = executor::time::sleep(std::time::Duration::from_millis(1));
    ///     let app = axum::Router::new();
    ///     executor::compat::serve(listener, app).with_graceful_shutdown(soon).await
    /// })
    /// # }
    /// ```
    pub fn with_graceful_shutdown<F>(self, signal: F) -> ServeGracefully<L, F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        ServeGracefully {
            serve: self,
            signal,
        }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// What the listener says.
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

/// A server that [`Serve::with_graceful_shutdown`] makes. It begins when it is awaited.
#[derive(Debug)]
#[must_use = "a server does nothing unless awaited"]
pub struct ServeGracefully<L, F> {
    serve: Serve<L>,
    signal: F,
}

type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl<L> IntoFuture for Serve<L>
where
    L: Listener,
    L::Io: hyper::rt::Read + hyper::rt::Write,
    L::Addr: Clone + Sync,
{
    type Output = io::Result<()>;
    type IntoFuture = Serving;

    fn into_future(self) -> Serving {
        Box::pin(run(self, pending()))
    }
}

impl<L, F> IntoFuture for ServeGracefully<L, F>
where
    L: Listener,
    L::Io: hyper::rt::Read + hyper::rt::Write,
    L::Addr: Clone + Sync,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = Serving;

    fn into_future(self) -> Serving {
        Box::pin(run(self.serve, self.signal))
    }
}

async fn run<L>(serve: Serve<L>, signal: impl Future<Output = ()> + Send) -> io::Result<()>
where
    L: Listener,
    L::Io: hyper::rt::Read + hyper::rt::Write,
    L::Addr: Clone + Sync,
{
    let Serve {
        mut listener,
        app,
        connect_info,
    } = serve;
    let mut builder = auto::Builder::new(HyperExecutor);
    builder.http1().timer(HyperTimer);
    // Upgrades of streams of HTTP/2, as WebSockets need.
    builder.http2().timer(HyperTimer).enable_connect_protocol();
    let connections = GracefulShutdown::new();
    let mut signal = pin!(signal);
    loop {
        let mut accept = pin!(listener.accept());
        let accepted = poll_fn(|cx| {
            if signal.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            accept.as_mut().poll(cx).map(Some)
        });
        let Some((io, peer)) = accepted.await else {
            break;
        };
        let app = TowerToHyperService::new(app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            if connect_info {
                request.extensions_mut().insert(ConnectInfo(peer.clone()));
            }
            app.call(request)
        });
        let connection = builder.serve_connection_with_upgrades(io, service);
        let connection = connections.watch(connection.into_owned());
        // An error concerns this connection only: its peer has gone, or does not speak HTTP.
        crate::spawn(async { drop(connection.await) });
    }
    drop(listener);
    connections.shutdown().await;
    Ok(())
}
