//! UDP sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::task::{Context, Poll};

use crate::io::Async;

use super::addr::{self, ToSocketAddrs};
use super::{sockets, traits};

/// A UDP socket.
///
/// All methods take `&self`: share it through an `Arc` to send and receive in different tasks.
///
/// # Examples
///
/// ```
/// use executor::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let a = UdpSocket::bind("127.0.0.1:0").await?;
///     let b = UdpSocket::bind("127.0.0.1:0").await?;
///     a.send_to(b"hello", b.local_addr()?).await?;
///
///     let mut buf = [0; 16];
///     let (len, from) = b.recv_from(&mut buf).await?;
///     assert_eq!((&buf[..len], from), (&b"hello"[..], a.local_addr()?));
///     Ok(())
/// })
/// # }
/// ```
pub struct UdpSocket {
    io: Async<sockets::Socket<StdUdpSocket>>,
}

traits::impl_owner!(UdpSocket, StdUdpSocket);

impl UdpSocket {
    /// Binds to `address`. If there are several addresses, takes the first that can be bound. Port
    /// 0 lets the system choose a port.
    ///
    /// # Errors
    ///
    /// The error of the last address, or of resolving the name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let bind_to = |address: SocketAddr| async move {
            let io = sockets::bind_udp(address)?;
            Ok(UdpSocket { io })
        };
        addr::try_each(address, bind_to).await
    }

    /// Sets the peer: [`send`](UdpSocket::send) sends to it, and the socket receives only datagrams
    /// from it.
    ///
    /// # Errors
    ///
    /// The error of the last address, or of resolving the name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        let connect = |address: SocketAddr| async move { self.io.get_ref().connect(address) };
        addr::try_each(address, connect).await
    }

    /// Sends a datagram to `address`, the first if there are several. Returns the number of bytes
    /// sent.
    ///
    /// # Errors
    ///
    /// The error of resolving the name, otherwise what the operating system says, which may concern
    /// an earlier datagram.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is sent as a whole or not at all.
    pub async fn send_to(&self, buf: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        let addresses = addr::resolve(&address).await?;
        let Some(&address) = addresses.first() else {
            return Err(addr::no_address());
        };
        self.io
            .write_with(|socket| socket.send_to(buf, address))
            .await
    }

    /// Receives a datagram. Returns its length and its sender. Bytes that do not fit into `buf` are
    /// lost.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.recv_from(buf)).await
    }

    /// Like [`recv_from`](UdpSocket::recv_from), but leaves the datagram in the queue.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_with(|socket| socket.peek_from(buf)).await
    }

    /// Sends a datagram to the peer set by [`connect`](UdpSocket::connect). Returns the number of
    /// bytes sent.
    ///
    /// # Errors
    ///
    /// What the operating system says, which may concern an earlier datagram (a refused one).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is sent as a whole or not at all.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.write_with(|socket| socket.send(buf)).await
    }

    /// Receives a datagram from the peer. Bytes that do not fit into `buf` are lost.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(|socket| socket.recv(buf)).await
    }

    /// Like [`recv`](UdpSocket::recv), but leaves the datagram in the queue.
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

    /// The poll form of [`send_to`](UdpSocket::send_to). Different tasks may poll; see [`Async`]
    /// for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](UdpSocket::send_to).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        address: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.io
            .poll_write_with(cx, |socket| socket.send_to(buf, address))
    }

    /// The poll form of [`recv_from`](UdpSocket::recv_from). Different tasks may poll; see
    /// [`Async`] for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_read_with(cx, |socket| socket.recv_from(buf))
    }

    /// Waits until there is a datagram to receive.
    ///
    /// # Errors
    ///
    /// When it would have to wait and the runtime that registered the socket has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Waits until there is room to send.
    ///
    /// # Errors
    ///
    /// When it would have to wait and the runtime that registered the socket has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }
}

/// Passes calls on to methods of `std` that do not wait.
macro_rules! delegate {
    ($($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $Arg:ty)*) -> $Output:ty;)*) => {
        impl UdpSocket {$(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn $name(&self $(, $arg: $Arg)*) -> io::Result<$Output> {
                self.io.get_ref().$name($($arg),*)
            }
        )*}
    };
}

delegate! {
    /// The address that the socket is bound to.
    fn local_addr(&self) -> SocketAddr;
    /// The address of the peer set by [`connect`](UdpSocket::connect).
    fn peer_addr(&self) -> SocketAddr;
    /// Whether the socket may send to broadcast addresses.
    fn broadcast(&self) -> bool;
    /// Sets whether the socket may send to broadcast addresses.
    fn set_broadcast(&self, on: bool) -> ();
    /// The time to live, in hops, of datagrams sent from this socket.
    fn ttl(&self) -> u32;
    /// Sets the time to live, in hops, of datagrams sent from this socket.
    fn set_ttl(&self, hops: u32) -> ();
    /// Whether IPv4 multicast datagrams sent from this socket come back to this host.
    fn multicast_loop_v4(&self) -> bool;
    /// Sets whether IPv4 multicast datagrams sent from this socket come back to this host.
    fn set_multicast_loop_v4(&self, on: bool) -> ();
    /// The time to live, in hops, of IPv4 multicast datagrams sent from this socket.
    fn multicast_ttl_v4(&self) -> u32;
    /// Sets the time to live, in hops, of IPv4 multicast datagrams sent from this socket.
    fn set_multicast_ttl_v4(&self, hops: u32) -> ();
    /// Whether IPv6 multicast datagrams sent from this socket come back to this host.
    fn multicast_loop_v6(&self) -> bool;
    /// Sets whether IPv6 multicast datagrams sent from this socket come back to this host.
    fn set_multicast_loop_v6(&self, on: bool) -> ();
    /// Joins an IPv4 multicast group on the interface that has the given address, or on any.
    fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Leaves an IPv4 multicast group.
    fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Joins an IPv6 multicast group on the interface of the given index; 0 means any.
    fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
    /// Leaves an IPv6 multicast group.
    fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
}
