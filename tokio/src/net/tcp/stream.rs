//! TCP connections.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use executor::io::Ready as Flags;
use real::io::ReadBuf;
use rustix::net::RecvFlags;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::halves;
use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::net::addr::{ToSocketAddrs, try_each};
use crate::net::macros::{impl_readiness, impl_socket};
use crate::net::stream::impl_stream;
use crate::net::{Registration, sys};

type Std = std::net::TcpStream;

/// A TCP connection.
pub struct TcpStream {
    io: Registration<Std>,
}

impl_socket!(TcpStream, Std);
impl_readiness!(TcpStream, poll_read_ready, poll_write_ready);
// Urgent data and the end count as more to come, so a short read has emptied the socket otherwise.
impl_stream!(TcpStream, Std, short_read_drains: true);

impl TcpStream {
    /// Connects to an address. Several are tried in turn.
    ///
    /// # Errors
    ///
    /// Of the last address that was tried.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        try_each(addr, TcpStream::connect_to).await
    }

    async fn connect_to(addr: SocketAddr) -> io::Result<TcpStream> {
        let kind = Type::STREAM.nonblocking();
        let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
        TcpStream::connect_socket(socket, addr).await
    }

    pub(super) async fn connect_socket(socket: Socket, addr: SocketAddr) -> io::Result<TcpStream> {
        sys::start_connect(&socket, &addr.into())?;
        let stream = TcpStream::register(socket.into())?;
        stream.io.connected(Std::take_error).await?;
        Ok(stream)
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
        self.io.get_ref().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Receives without taking the data off the queue.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read(|socket| socket.peek(buf)).await
    }

    /// Polls to receive without taking the data off the queue.
    ///
    /// # Errors
    ///
    /// As for [`peek`](TcpStream::peek).
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let peek = |socket: &Std| sys::recv_into(socket, buf, RecvFlags::PEEK);
        self.io.poll_read(cx, peek)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().nodelay()
    }

    /// Sets whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get_ref().set_nodelay(nodelay)
    }

    /// Whether what is received is acknowledged at once.
    ///
    /// # Errors
    ///
    /// What the system says.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }

    /// Sets whether what is received is acknowledged at once.
    ///
    /// # Errors
    ///
    /// What the system says.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }

    /// For how long closing waits for data to be sent.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Sets for how long closing waits for data to be sent.
    ///
    /// # Errors
    ///
    /// What the system says.
    #[deprecated = "`SO_LINGER` causes the socket to block the thread on drop"]
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_linger(dur)
    }

    /// Lets closing throw away what is not sent, and reset the connection.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }

    /// The time to live of its packets.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets the time to live of its packets.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }
}
