//! axum's `Listener` for our listeners, so that `axum::serve` takes them (feature `axum-0-8`).
//!
//! Our listeners are axum's `Listener`. `axum::serve` itself calls `tokio::spawn`, so it needs a tokio context: turn on
//! `tokio-compat`, or hand the future to another executor that has one. Without tokio, serve a `Router` through hyper-util.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//!
//! # fn main() -> std::io::Result<()> {
//! executor::block_on(async {
//!     let listener = executor::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     let app = Router::new().route("/", get(|| async { "hello" }));
//!     axum::serve(listener, app).await
//! })
//! # }
//! ```
//!
//! `axum::serve` spawns its connections onto that context, where they share few threads, by default one: a handler that blocks
//! there holds up all of them. A layer hands each request to a task of ours, so that handlers run on all processors and may block:
//!
//! ```
//! use axum::{extract::Request, http::StatusCode, middleware::Next, response::Response};
//!
//! async fn spread(request: Request, next: Next) -> Result<Response, StatusCode> {
//!     let answer = executor::spawn(next.run(request)).await;
//!     answer.map_err(|_panicked| StatusCode::INTERNAL_SERVER_ERROR)
//! }
//! # let _: axum::Router =
//! axum::Router::new().layer(axum::middleware::from_fn(spread))
//! # ;
//! ```
//!
//! Options of the accepted sockets are set by `tap_io`, of [`ListenerExt`](axum::serve::ListenerExt). It is also what gives handlers
//! the peer's address: axum implements its `Connected` for that wrapper and for its own listeners, and we cannot for ours, since
//! neither the trait nor `SocketAddr` is ours.
//!
//! ```
//! use axum::extract::ConnectInfo;
//! use axum::serve::ListenerExt;
//! use axum::{Router, routing::get};
//! use std::net::SocketAddr;
//!
//! # #[allow(dead_code)]
//! async fn serve() -> std::io::Result<()> {
//!     let hello = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {peer}") };
//!     let app = Router::new().route("/", get(hello));
//!     let listener = executor::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
//!     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
//! }
//! ```
//!
//! An error of `accept` that would come again at once, such as too many open files, is printed to standard error, and the next
//! attempt made a second later, as axum's own listener does.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::time::Duration;

use axum::serve::Listener;

use crate::net::unix::{UnixListener, UnixStream};
use crate::net::{TcpListener, TcpStream};
use crate::stderr;
use crate::time::sleep;

/// How long a listener waits after an error that would come again at once, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);

impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match TcpListener::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => recover(error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;
    type Addr = UnixAddr;

    async fn accept(&mut self) -> (UnixStream, UnixAddr) {
        loop {
            match UnixListener::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => recover(error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<UnixAddr> {
        UnixListener::local_addr(self)
    }
}

/// The trait has no way to return an error: the server goes on, at once if only the one connection was concerned.
async fn recover(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        stderr::say(format_args!("accept: {error}; trying again in {PAUSE:?}"));
        sleep(PAUSE).await;
    }
}
