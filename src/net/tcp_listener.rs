//! TCP listeners.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::io::Async;
use crate::sys;

use super::addr::{self, ToSocketAddrs};
use super::sockets::Socket;
use super::{TcpSocket, TcpStream, traits};

/// How many connections may wait to be accepted; the system lowers it to its own limit. `std`'s 128
/// overflows in a burst of a thousand, and each connection too many waits a second before it tries
/// again.
pub(super) const BACKLOG: u32 = 1024;

/// A TCP socket that accepts connections.
///
/// # Examples
///
/// ```no_run
/// use executor::net::TcpListener;
/// use futures::io::AsyncWriteExt;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:7000").await?;
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         let greeting = format!("hello {peer}");
///         drop(executor::spawn(async move { stream.write_all(greeting.as_bytes()).await }));
///     }
/// })
/// # }
/// ```
pub struct TcpListener {
    pub(super) io: Async<Socket<StdTcpListener>>,
}

traits::impl_owner!(TcpListener, StdTcpListener);

impl TcpListener {
    /// Binds to `address` and listens. If there are several addresses, takes the first that can be
    /// bound. Port 0 lets the system choose a port, which [`local_addr`](TcpListener::local_addr)
    /// returns.
    ///
    /// As with `std`, the socket gets `SO_REUSEADDR` except on Windows, so that a server can restart
    /// at once. For other options see [`TcpSocket`].
    ///
    /// # Errors
    ///
    /// The error of the last address, or of resolving the name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let bind_to = |address: SocketAddr| async move {
            let socket = TcpSocket::for_address(&address)?;
            if sys::sockets::LISTENERS_REUSE_ADDRESSES {
                socket.set_reuseaddr(true)?;
            }
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        addr::try_each(address, bind_to).await
    }

    /// Waits for the next connection.
    ///
    /// The stream belongs to the runtime that registered the listener.
    ///
    /// # Errors
    ///
    /// What the operating system says; the listener still works. "Too many open files" and "out of
    /// memory" leave the connection in the queue, so calling again at once gives the same error:
    /// wait a little first, or close something.
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) means that a peer left before it was
    /// accepted. A connection whose socket cannot be registered is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = self.io.read_with(Socket::<StdTcpListener>::accept).await?;
        self.register(accepted)
    }

    /// The poll form of [`accept`](TcpListener::accept). Different tasks may poll; see [`Async`]
    /// for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.io
            .poll_read_with(cx, Socket::<StdTcpListener>::accept)
            .map(|accepted| self.register(accepted?))
    }

    /// The connections, one after the other, as a stream that never ends.
    ///
    /// Several tasks may take connections this way; see [`Async`] for how many wakers are kept.
    /// Errors are items: see [`accept`](TcpListener::accept) for those that repeat at once.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Like [`incoming`](TcpListener::incoming), but the stream owns the listener and closes it
    /// when it is dropped.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming { listener: self }
    }

    fn register(
        &self,
        (socket, peer): (Socket<StdTcpStream>, SocketAddr),
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let io = Async::register(socket, self.io.reactor())?;
        Ok((TcpStream::from_async(io), peer))
    }

    /// The address that the listener listens on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The time to live, in hops, of packets sent from this socket.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets the time to live, in hops, of packets sent from this socket.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(hops)
    }
}

/// The stream of a listener's connections; see [`TcpListener::incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self.listener.poll_accept(cx);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

/// The stream of a listener's connections; see [`TcpListener::into_incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct IntoIncoming {
    listener: TcpListener,
}

impl Stream for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.listener.incoming()).poll_next(cx)
    }
}
