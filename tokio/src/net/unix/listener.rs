//! Accepting connections of Unix sockets.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::task::{Context, Poll};

use executor::io::Ready as Flags;
use rustix::net::SocketAddrAny;

use super::{SocketAddr, UnixStream};
use crate::net::macros::impl_socket;
use crate::net::{Registration, sys};

type Std = std::os::unix::net::UnixListener;

/// A Unix socket that accepts connections.
pub struct UnixListener {
    io: Registration<Std>,
}

impl_socket!(UnixListener, Std);

impl UnixListener {
    /// A listener at a path.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn bind<P>(path: P) -> io::Result<UnixListener>
    where
        P: AsRef<Path>,
    {
        UnixListener::bind_addr(&SocketAddr::of_path(path.as_ref())?)
    }

    /// A listener at an address.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        let listener = Std::bind_addr(&socket_addr.0)?;
        listener.set_nonblocking(true)?;
        UnixListener::register(listener)
    }

    /// The address that it listens at.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr().map(SocketAddr)
    }

    /// Takes the error that is pending on the socket.
    ///
    /// # Errors
    ///
    /// When the system cannot tell.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().take_error()
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        accepted(self.io.read(|listener| sys::accept(listener)).await?)
    }

    /// Polls for the next connection.
    ///
    /// # Errors
    ///
    /// As for [`accept`](UnixListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let polled = self.io.poll_read(cx, |listener| sys::accept(listener));
        polled.map(|result| result.and_then(accepted))
    }
}

fn accepted(
    (socket, peer): (OwnedFd, Option<SocketAddrAny>),
) -> io::Result<(UnixStream, SocketAddr)> {
    let peer = sys::unix(peer)?;
    let stream = UnixStream::register(socket.into())?;
    // A peer that has connected often writes at once.
    stream.assume_ready(Flags::READABLE | Flags::WRITABLE);
    Ok((stream, SocketAddr(peer)))
}
