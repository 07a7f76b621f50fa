//! Unix listeners.

use std::io;
use std::os::unix::net::{
    SocketAddr, UnixListener as StdUnixListener, UnixStream as StdUnixStream,
};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::io::Async;
use crate::net::sockets::{self, Socket};
use crate::net::traits;

use super::UnixStream;

/// A Unix socket that accepts connections.
///
/// Dropping it closes the socket but does not remove its file, as with `std`.
///
/// # Examples
///
/// ```no_run
/// use executor::net::unix::UnixListener;
/// use futures::io::AsyncWriteExt;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let listener = UnixListener::bind("/run/greeter.sock")?;
///     loop {
///         let (mut stream, _) = listener.accept().await?;
///         drop(executor::spawn(async move { stream.write_all(b"hello").await }));
///     }
/// })
/// # }
/// ```
pub struct UnixListener {
    io: Async<Socket<StdUnixListener>>,
}

traits::impl_owner!(UnixListener, StdUnixListener);

impl UnixListener {
    /// Binds to `path` and listens. This creates a socket file there.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as [`AddrInUse`](io::ErrorKind::AddrInUse) if the file
    /// exists already.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Binds to an address that need not be a path, and listens.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let io = sockets::bind_unix(address)?;
        Ok(UnixListener { io })
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
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accepted = self.io.read_with(Socket::<StdUnixListener>::accept).await?;
        self.register(accepted)
    }

    /// The poll form of [`accept`](UnixListener::accept). Different tasks may poll; see [`Async`]
    /// for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`accept`](UnixListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        self.io
            .poll_read_with(cx, Socket::<StdUnixListener>::accept)
            .map(|accepted| self.register(accepted?))
    }

    /// The connections, one after the other, as a stream that never ends.
    ///
    /// Several tasks may take connections this way; see [`Async`] for how many wakers are kept.
    /// Errors are items: see [`accept`](UnixListener::accept) for those that repeat at once.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Like [`incoming`](UnixListener::incoming), but the stream owns the listener and closes it
    /// when it is dropped.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming { listener: self }
    }

    fn register(
        &self,
        (socket, peer): (Socket<StdUnixStream>, SocketAddr),
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let io = Async::register(socket, self.io.reactor())?;
        Ok((UnixStream::from_async(io), peer))
    }

    /// The address that the listener listens on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }
}

/// The stream of a listener's connections; see [`UnixListener::incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self.listener.poll_accept(cx);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

/// The stream of a listener's connections; see [`UnixListener::into_incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct IntoIncoming {
    listener: UnixListener,
}

impl Stream for IntoIncoming {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.listener.incoming()).poll_next(cx)
    }
}
