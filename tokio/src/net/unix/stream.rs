//! Connections of Unix sockets.

use std::io;
use std::path::Path;

use executor::io::Ready as Flags;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, SocketAddr, UCred, WriteHalf};
use super::{halves, ucred};
use crate::net::macros::{impl_readiness, impl_socket};
use crate::net::stream::impl_stream;
use crate::net::{Registration, sys};

type Std = std::os::unix::net::UnixStream;

/// A connection of a Unix socket.
pub struct UnixStream {
    io: Registration<Std>,
}

impl_socket!(UnixStream, Std);
impl_readiness!(UnixStream, poll_read_ready, poll_write_ready);
// A read also stops after a message that carries file descriptors.
impl_stream!(UnixStream, Std, short_read_drains: false);

impl UnixStream {
    /// Connects to a path.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    pub async fn connect<P>(path: P) -> io::Result<UnixStream>
    where
        P: AsRef<Path>,
    {
        let address = SocketAddr::of_path(path.as_ref())?;
        UnixStream::connect_addr(&address).await
    }

    /// Connects to an address.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    pub async fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        UnixStream::connect_socket(socket, &socket_addr.to_socket2()?).await
    }

    pub(super) async fn connect_socket(
        socket: Socket,
        address: &SockAddr,
    ) -> io::Result<UnixStream> {
        sys::start_connect(&socket, address)?;
        let stream = UnixStream::register(socket.into())?;
        stream.io.connected(Std::take_error).await?;
        Ok(stream)
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = Std::pair()?;
        a.set_nonblocking(true)?;
        b.set_nonblocking(true)?;
        let (a, b) = (UnixStream::register(a)?, UnixStream::register(b)?);
        // They have room, and nothing to read yet.
        a.assume_ready(Flags::WRITABLE);
        b.assume_ready(Flags::WRITABLE);
        Ok((a, b))
    }

    pub(super) fn assume_ready(&self, flags: Flags) {
        self.io.assume_ready(flags);
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr().map(SocketAddr)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr().map(SocketAddr)
    }

    /// The user, group and process at the other end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        ucred::of_peer(self)
    }
}
