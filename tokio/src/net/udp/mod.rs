//! UDP sockets.

mod options;
mod peek;

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use real::io::ReadBuf;
use rustix::net::RecvFlags;
use socket2::{Domain, Protocol, Socket, Type};

use super::addr::{ToSocketAddrs, to_socket_addrs, try_each};
use super::macros::{impl_readiness, impl_socket};
use super::{Registration, sys};

type Std = std::net::UdpSocket;

/// A UDP socket.
pub struct UdpSocket {
    io: Registration<Std>,
}

impl_socket!(UdpSocket, Std);
impl_readiness!(UdpSocket, poll_recv_ready, poll_send_ready);

impl UdpSocket {
    /// A socket at an address. The first of several that works is taken.
    ///
    /// # Errors
    ///
    /// Of the last address that was tried.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        try_each(addr, |addr| async move { UdpSocket::bind_to(addr) }).await
    }

    fn bind_to(addr: SocketAddr) -> io::Result<UdpSocket> {
        let kind = Type::DGRAM.nonblocking();
        let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::UDP))?;
        socket.bind(&addr.into())?;
        UdpSocket::register(socket.into())
    }

    /// Sets the peer for `send` and `recv`. The first of several addresses that works is taken.
    ///
    /// # Errors
    ///
    /// Of the last address that was tried.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let connect = |addr| async move { self.io.get_ref().connect(addr) };
        try_each(addr, connect).await
    }

    /// The address of the socket.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address of the peer, once it is connected.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.write(|socket| socket.send(buf)).await
    }

    /// Polls to send a datagram to the peer.
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_write(cx, |socket| socket.send(buf))
    }

    /// Sends a datagram to the peer at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is no room.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.try_write(|socket| socket.send(buf))
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let Some(target) = to_socket_addrs(addr).await?.next() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no addresses to send data to",
            ));
        };
        self.io.write(|socket| socket.send_to(buf, target)).await
    }

    /// Polls to send a datagram to an address.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](UdpSocket::send_to).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.io.poll_write(cx, |socket| socket.send_to(buf, target))
    }

    /// Sends a datagram to an address at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is no room.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.io.try_write(|socket| socket.send_to(buf, target))
    }

    /// Receives a datagram.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read_or_error(|socket| socket.recv(buf)).await
    }

    /// Polls to receive a datagram.
    ///
    /// # Errors
    ///
    /// As for [`recv`](UdpSocket::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let recv = |socket: &Std| sys::recv_into(socket, buf, RecvFlags::empty());
        self.io.poll_read(cx, recv).map_ok(drop)
    }

    /// Receives a datagram at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_read(|socket| socket.recv(buf))
    }

    /// Receives a datagram, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_or_error(|socket| socket.recv_from(buf)).await
    }

    /// Polls to receive a datagram, and says from whom.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let recv = |socket: &Std| recv_from_into(socket, buf, RecvFlags::empty());
        self.io.poll_read(cx, recv).map_ok(|(_, sender)| sender)
    }

    /// Receives a datagram at once, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read(|socket| socket.recv_from(buf))
    }
}

#[cfg(feature = "io-util")]
impl UdpSocket {
    /// Receives a datagram into a buffer at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_recv_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.io.try_read(|socket| recv_buf(socket, buf))
    }

    /// Receives a datagram into a buffer.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn recv_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.io.read_or_error(|socket| recv_buf(socket, buf)).await
    }

    /// Receives a datagram into a buffer at once, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_recv_buf_from<B: bytes::BufMut>(
        &self,
        buf: &mut B,
    ) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read(|socket| recv_buf_from(socket, buf))
    }

    /// Receives a datagram into a buffer, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn recv_buf_from<B: bytes::BufMut>(
        &self,
        buf: &mut B,
    ) -> io::Result<(usize, SocketAddr)> {
        self.io
            .read_or_error(|socket| recv_buf_from(socket, buf))
            .await
    }
}

#[cfg(feature = "io-util")]
fn recv_buf(socket: &Std, buf: &mut impl bytes::BufMut) -> io::Result<usize> {
    sys::into_buf_mut(buf, |chunk| {
        sys::recv_into(socket, chunk, RecvFlags::empty())
    })
}

#[cfg(feature = "io-util")]
fn recv_buf_from(socket: &Std, buf: &mut impl bytes::BufMut) -> io::Result<(usize, SocketAddr)> {
    sys::into_buf_mut(buf, |chunk| {
        recv_from_into(socket, chunk, RecvFlags::empty())
    })
}

fn recv_from_into(
    socket: &Std,
    buf: &mut ReadBuf<'_>,
    flags: RecvFlags,
) -> io::Result<(usize, SocketAddr)> {
    let (len, sender) = sys::recv_from_into(socket, buf, flags)?;
    Ok((len, sys::ip(sender)?))
}
