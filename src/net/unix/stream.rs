//! Unix stream sockets.

use std::io;
use std::os::unix::net::{SocketAddr, UnixStream as StdUnixStream};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::io::Async;
use crate::net::{stream, sys};
use crate::sync::Arc;

/// A Unix stream socket.
///
/// It reads and writes through [`futures_io::AsyncRead`] and [`futures_io::AsyncWrite`], by value and by reference, and
/// closing it shuts the sending side down. A clone shares the socket, which closes when the last clone or half is gone.
///
/// # Examples
///
/// ```
/// use executor::net::unix::UnixStream;
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let (mut a, mut b) = UnixStream::pair()?;
///     a.write_all(b"hello").await?;
///     a.close().await?;
///
///     let mut text = String::new();
///     b.read_to_string(&mut text).await?;
///     assert_eq!(text, "hello");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct UnixStream {
    io: Arc<Async<StdUnixStream>>,
}

stream::impl_stream!(UnixStream, StdUnixStream);

impl UnixStream {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    ///
    /// What the operating system says. Linux cannot wait for a place in a listener's full queue: that is
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), to be tried again later.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the attempt is given up.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = SocketAddrUnix::new(path.as_ref())?;
        UnixStream::connect_to(address).await
    }

    /// Connects to a socket whose address need not be a path.
    ///
    /// # Errors
    ///
    /// As for [`connect`](UnixStream::connect).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the attempt is given up.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        UnixStream::connect_to(super::address::to_os(address)?).await
    }

    async fn connect_to(address: SocketAddrUnix) -> io::Result<UnixStream> {
        let reactor = crate::runtime::context::reactor()?;
        let socket = sys::socket(AddressFamily::UNIX, SocketType::STREAM)?;
        sys::start_connect(&socket, &address)?;
        let io = Async::register(StdUnixStream::from(socket), &reactor)?;
        stream::finish_connect(&io, StdUnixStream::take_error).await?;
        Ok(UnixStream::from_async(io))
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = StdUnixStream::pair()?;
        Ok((a.try_into()?, b.try_into()?))
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }
}

impl std::fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.io.get_ref(), f)
    }
}
