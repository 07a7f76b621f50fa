//! TCP sockets before they connect or listen.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream as StdTcpStream};

use crate::io::Async;
use crate::sys::{self, OwnedDescriptor};

use super::{TcpListener, TcpStream, sockets};

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
    socket: sockets::Socket<OwnedDescriptor>,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::for_address(&(Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left, or no IPv6.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::for_address(&(Ipv6Addr::UNSPECIFIED, 0).into())
    }

    /// A socket for addresses like this one.
    pub(super) fn for_address(address: &SocketAddr) -> io::Result<TcpSocket> {
        let socket = sockets::tcp_socket(address)?;
        Ok(TcpSocket { socket })
    }

    /// Binds to a local address. Port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as [`AddrInUse`](io::ErrorKind::AddrInUse).
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&address)
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
        TcpStream::connect_socket(self.socket.map(StdTcpStream::from), address).await
    }

    /// Listens, and registers the listener with the runtime of the calling thread. At most
    /// `backlog` connections wait to be accepted; the system lowers the number to its own limit.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let reactor = crate::runtime::context::reactor()?;
        let io = Async::register(self.socket.listen(backlog)?, &reactor)?;
        Ok(TcpListener { io })
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Makes a getter and a setter for each option.
macro_rules! options {
    ($($(#[$doc:meta])+ $get:ident, $set:ident: $Value:ty;)*) => {
        impl TcpSocket {$(
            #[doc = "Tells"]
            $(#[$doc])+
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn $get(&self) -> io::Result<$Value> {
                self.socket.$get()
            }

            #[doc = "Sets"]
            $(#[$doc])+
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn $set(&self, value: $Value) -> io::Result<()> {
                self.socket.$set(value)
            }
        )*}
    };
}

options! {
    /// whether it may bind to an address that closed connections still hold (`SO_REUSEADDR`). On
    /// Windows: whether it may take an address away from another socket.
    reuseaddr, set_reuseaddr: bool;
    /// whether it shares its address with other sockets that set this (`SO_REUSEPORT`). On Windows,
    /// where it cannot, `true` is [`Unsupported`](std::io::ErrorKind::Unsupported).
    reuseport, set_reuseport: bool;
    /// whether idle connections are probed (`SO_KEEPALIVE`).
    keepalive, set_keepalive: bool;
    /// whether small writes are sent at once (`TCP_NODELAY`).
    nodelay, set_nodelay: bool;
    /// the size of the send buffer, in bytes. Linux gives twice what is asked for.
    send_buffer_size, set_send_buffer_size: usize;
    /// the size of the receive buffer, in bytes. Linux gives twice what is asked for.
    recv_buffer_size, set_recv_buffer_size: usize;
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("socket", &self.socket)
            .finish()
    }
}

sys::impl_descriptor!(
    [] TcpSocket,
    /// # Panics
    ///
    /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
    |socket| socket.socket.descriptor()
);

sys::impl_owned_descriptor!(
    TcpSocket,
    /// # Panics
    ///
    /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
    |socket| socket.socket.expect_system()
);
