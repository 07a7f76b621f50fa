//! TCP sockets before they connect or listen.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::io::Async;

use super::{TcpListener, TcpStream, sys};

/// A TCP socket that is not connected yet, for options that must be set before `connect` or `bind`.
///
/// # Examples
///
/// ```
/// use executor::net::TcpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuseaddr(true)?;
///     socket.bind(([127, 0, 0, 1], 0).into())?;
///     let listener = socket.listen(16)?;
///
///     let socket = TcpSocket::new_v4()?;
///     socket.set_recv_buffer_size(64 * 1024)?;
///     let stream = socket.connect(listener.local_addr()?).await?;
///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
///     Ok(())
/// })
/// # }
/// ```
pub struct TcpSocket {
    fd: OwnedFd,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left.
    pub fn new_v4() -> io::Result<TcpSocket> {
        let fd = sys::socket(AddressFamily::INET, SocketType::STREAM)?;
        Ok(TcpSocket { fd })
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left, or no IPv6.
    pub fn new_v6() -> io::Result<TcpSocket> {
        let fd = sys::socket(AddressFamily::INET6, SocketType::STREAM)?;
        Ok(TcpSocket { fd })
    }

    /// Binds to a local address. Port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as [`AddrInUse`](io::ErrorKind::AddrInUse).
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        Ok(rustix::net::bind(&self.fd, &address)?)
    }

    /// Connects, and registers the stream with the runtime of the calling thread.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes the socket.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_socket(StdTcpStream::from(self.fd), address).await
    }

    /// Listens, and registers the listener with the runtime of the calling thread. At most
    /// `backlog` connections wait to be accepted; the system lowers the number to its own limit.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let reactor = crate::runtime::context::reactor()?;
        rustix::net::listen(&self.fd, i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let io = Async::register(StdTcpListener::from(self.fd), &reactor)?;
        Ok(TcpListener { io })
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(rustix::net::getsockname(&self.fd)?.try_into()?)
    }
}

/// Makes a getter and a setter for each option.
macro_rules! options {
    ($(#[$doc:meta] $get:ident, $set:ident: $Value:ty = $os_get:ident, $os_set:ident;)*) => {
        impl TcpSocket {$(
            #[doc = "Tells"]
            #[$doc]
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn $get(&self) -> io::Result<$Value> {
                Ok(sockopt::$os_get(&self.fd)?)
            }

            #[doc = "Sets"]
            #[$doc]
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn $set(&self, value: $Value) -> io::Result<()> {
                Ok(sockopt::$os_set(&self.fd, value)?)
            }
        )*}
    };
}

options! {
    /// whether it may bind to an address that closed connections still hold (`SO_REUSEADDR`).
    reuseaddr, set_reuseaddr: bool = socket_reuseaddr, set_socket_reuseaddr;
    /// whether it shares its address with other sockets that set this (`SO_REUSEPORT`).
    reuseport, set_reuseport: bool = socket_reuseport, set_socket_reuseport;
    /// whether idle connections are probed (`SO_KEEPALIVE`).
    keepalive, set_keepalive: bool = socket_keepalive, set_socket_keepalive;
    /// whether small writes are sent at once (`TCP_NODELAY`).
    nodelay, set_nodelay: bool = tcp_nodelay, set_tcp_nodelay;
    /// the size of the send buffer, in bytes. Linux gives twice what is asked for.
    send_buffer_size, set_send_buffer_size: usize = socket_send_buffer_size, set_socket_send_buffer_size;
    /// the size of the receive buffer, in bytes. Linux gives twice what is asked for.
    recv_buffer_size, set_recv_buffer_size: usize = socket_recv_buffer_size, set_socket_recv_buffer_size;
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("fd", &self.fd).finish()
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.fd.into_raw_fd()
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> OwnedFd {
        socket.fd
    }
}
