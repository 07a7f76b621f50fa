//! Unix sockets for datagrams.

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

use executor::io::Ready as Flags;
use real::io::ReadBuf;
use rustix::net::RecvFlags;

use super::SocketAddr;
use crate::net::macros::{impl_readiness, impl_socket};
use crate::net::{Registration, sys};

type Std = std::os::unix::net::UnixDatagram;

/// A Unix socket for datagrams.
pub struct UnixDatagram {
    io: Registration<Std>,
}

impl_socket!(UnixDatagram, Std);
impl_readiness!(UnixDatagram, poll_recv_ready, poll_send_ready);

impl UnixDatagram {
    /// A socket at a path.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn bind<P>(path: P) -> io::Result<UnixDatagram>
    where
        P: AsRef<Path>,
    {
        UnixDatagram::nonblocking(Std::bind(path)?)
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
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = Std::pair()?;
        let (a, b) = (UnixDatagram::nonblocking(a)?, UnixDatagram::nonblocking(b)?);
        // They have room, and nothing to read yet.
        a.io.assume_ready(Flags::WRITABLE);
        b.io.assume_ready(Flags::WRITABLE);
        Ok((a, b))
    }

    /// A socket without an address.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::nonblocking(Std::unbound()?)
    }

    #[track_caller]
    fn nonblocking(socket: Std) -> io::Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        UnixDatagram::register(socket)
    }

    /// Sets the peer for `send` and `recv`.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.io.get_ref().connect(path)
    }

    /// The address of the socket.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr().map(SocketAddr)
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr().map(SocketAddr)
    }

    /// Ends receiving, sending or both.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
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
    /// As for [`send`](UnixDatagram::send).
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

    /// Sends a datagram to a path.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn send_to<P>(&self, buf: &[u8], target: P) -> io::Result<usize>
    where
        P: AsRef<Path>,
    {
        let send = |socket: &Std| socket.send_to(buf, target.as_ref());
        self.io.write(send).await
    }

    /// Polls to send a datagram to a path.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](UnixDatagram::send_to).
    pub fn poll_send_to<P>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>>
    where
        P: AsRef<Path>,
    {
        let send = |socket: &Std| socket.send_to(buf, target.as_ref());
        self.io.poll_write(cx, send)
    }

    /// Sends a datagram to a path at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is no room.
    pub fn try_send_to<P>(&self, buf: &[u8], target: P) -> io::Result<usize>
    where
        P: AsRef<Path>,
    {
        let send = |socket: &Std| socket.send_to(buf, target.as_ref());
        self.io.try_write(send)
    }

    /// Receives a datagram.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read(|socket| socket.recv(buf)).await
    }

    /// Polls to receive a datagram.
    ///
    /// # Errors
    ///
    /// As for [`recv`](UnixDatagram::recv).
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
        let (len, sender) = self.io.read(|socket| socket.recv_from(buf)).await?;
        Ok((len, SocketAddr(sender)))
    }

    /// Polls to receive a datagram, and says from whom.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UnixDatagram::recv_from).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let polled = self.io.poll_read(cx, |socket| recv_from_into(socket, buf));
        polled.map_ok(|(_, sender)| sender)
    }

    /// Receives a datagram at once, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, sender) = self.io.try_read(|socket| socket.recv_from(buf))?;
        Ok((len, SocketAddr(sender)))
    }
}

#[cfg(feature = "io-util")]
impl UnixDatagram {
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
        self.io.read(|socket| recv_buf(socket, buf)).await
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
        self.io.read(|socket| recv_buf_from(socket, buf)).await
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
    sys::into_buf_mut(buf, |chunk| recv_from_into(socket, chunk))
}

fn recv_from_into(socket: &Std, buf: &mut ReadBuf<'_>) -> io::Result<(usize, SocketAddr)> {
    let (len, sender) = sys::recv_from_into(socket, buf, RecvFlags::empty())?;
    Ok((len, SocketAddr(sys::unix(sender)?)))
}
