//! TCP connections.

use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::time::Duration;

use crate::io::Async;

use super::addr::{self, ToSocketAddrs};
use super::sockets::{self, Socket};
use super::stream;

/// A TCP connection.
///
/// It reads and writes through [`futures_io::AsyncRead`] and [`futures_io::AsyncWrite`], by value
/// and by reference. Closing it shuts the sending side down. A clone shares the socket, which
/// closes when the last clone or half is dropped.
///
/// Several tasks may wait at one time. Each clone and each half keeps the wakers of up to sixteen
/// tasks per direction that wait through these traits, as [`Async`] does, and removes them when it
/// is dropped. So a clone per task always suffices.
///
/// # Examples
///
/// ```no_run
/// use executor::net::TcpStream;
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let mut stream = TcpStream::connect("example.org:80").await?;
///     stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
///     let mut answer = Vec::new();
///     stream.read_to_end(&mut answer).await?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct TcpStream {
    io: stream::Share<StdTcpStream>,
}

stream::impl_stream!(TcpStream, StdTcpStream);

impl TcpStream {
    /// Connects to `address`. If there are several addresses, takes the first that answers.
    ///
    /// # Errors
    ///
    /// The error of the last address, or of resolving the name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives the attempt up.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        addr::try_each(address, TcpStream::connect_to).await
    }

    async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
        let socket = sockets::tcp_socket(&address)?.map(StdTcpStream::from);
        TcpStream::connect_socket(socket, address).await
    }

    /// Connects a new, non-blocking socket. Registers it only after the connect has begun, since an
    /// unconnected socket reports a hang-up.
    pub(super) async fn connect_socket(
        socket: Socket<StdTcpStream>,
        address: SocketAddr,
    ) -> io::Result<TcpStream> {
        let reactor = crate::runtime::context::reactor()?;
        socket.start_connect(&address)?;
        let io = Async::register(socket, &reactor)?;
        stream::finish_connect(&io, Socket::<StdTcpStream>::take_error).await?;
        Ok(TcpStream::from_async(io))
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
    /// [`NotConnected`](io::ErrorKind::NotConnected) when the connection is broken.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Reads without removing the data: the next read gets the same bytes. 0 means the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.peek(buf)).await
    }

    /// Whether small writes are sent at once (Nagle's algorithm is off).
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().nodelay()
    }

    /// Sets whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get_ref().set_nodelay(nodelay)
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

    /// How long closing the socket blocks for data not yet sent. `None`: it does not block, and the
    /// system sends the data in the background.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.io.get_ref().linger()
    }

    /// Sets how long closing the socket blocks for data not yet sent, in whole seconds. Zero
    /// discards the data and resets the connection. A longer time blocks the thread that drops the
    /// stream.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.io.get_ref().set_linger(linger)
    }
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.io.get_ref(), f)
    }
}
