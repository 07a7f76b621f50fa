//! axum's `Listener` for the listeners of this crate (feature `axum-0-8`).
//!
//! [`compat::serve`](super::serve()) serves a `Router` on them, with each connection a task of this
//! crate.
//!
//! `axum::serve` accepts them, too. It calls `tokio::spawn`, so it needs a tokio context: turn on
//! `tokio-compat`, or run the future on another executor that has one. Its connections are tasks
//! there, so a handler that blocks delays others.
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
//! Set options of the accepted sockets with `tap_io`, of [`ListenerExt`](axum::serve::ListenerExt).
//! This wrapper also gives handlers the peer's address: axum implements its `Connected` for the
//! wrapper and for its own listeners. This crate cannot implement it for its listeners, since
//! neither the trait nor `SocketAddr` belongs to it.
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
//! After an error of `accept` that would repeat at once, such as too many open files, the listener
//! prints the error to standard error and tries again a second later, as axum's own listener does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;

use crate::net::{TcpListener, TcpStream};
use crate::stderr;
use crate::time::sleep;

/// How long a listener waits after an error that would repeat at once, such as too many open files.
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

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::net::SocketAddr;

    use axum::serve::Listener;

    use super::recover;
    use crate::net::unix::{UnixListener, UnixStream};

    impl Listener for UnixListener {
        type Io = UnixStream;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> (UnixStream, SocketAddr) {
            loop {
                match UnixListener::accept(self).await {
                    Ok(accepted) => return accepted,
                    Err(error) => recover(error).await,
                }
            }
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            UnixListener::local_addr(self)
        }
    }
}

/// Waits after an error of `accept`, unless the error concerns one connection only. The trait
/// cannot return errors, so the server continues.
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
