//! Looking at a datagram and leaving it in the queue.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use real::io::ReadBuf;
use rustix::net::RecvFlags;
use socket2::SockRef;

use super::{Std, UdpSocket, recv_from_into};
use crate::net::sys;

impl UdpSocket {
    /// Receives a datagram, which stays in the queue.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read_or_error(|socket| socket.peek(buf)).await
    }

    /// Polls to receive a datagram, which stays in the queue.
    ///
    /// # Errors
    ///
    /// As for [`peek`](UdpSocket::peek).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let peek = |socket: &Std| sys::recv_into(socket, buf, RecvFlags::PEEK);
        self.io.poll_read(cx, peek).map_ok(drop)
    }

    /// Receives a datagram at once, which stays in the queue.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_read(|socket| socket.peek(buf))
    }

    /// Receives a datagram, which stays in the queue, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.read_or_error(|socket| socket.peek_from(buf)).await
    }

    /// Polls to receive a datagram, which stays in the queue, and says from whom.
    ///
    /// # Errors
    ///
    /// As for [`peek_from`](UdpSocket::peek_from).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let peek = |socket: &Std| recv_from_into(socket, buf, RecvFlags::PEEK);
        self.io.poll_read(cx, peek).map_ok(|(_, sender)| sender)
    }

    /// Receives a datagram at once, which stays in the queue, and says from whom.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_read(|socket| socket.peek_from(buf))
    }

    /// Who has sent the next datagram.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.read_or_error(peek_sender).await
    }

    /// Polls for who has sent the next datagram.
    ///
    /// # Errors
    ///
    /// As for [`peek_sender`](UdpSocket::peek_sender).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.io.poll_read(cx, peek_sender)
    }

    /// Who has sent the next datagram, if there is one.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is none.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.io.try_read(peek_sender)
    }
}

fn peek_sender(socket: &Std) -> io::Result<SocketAddr> {
    let sender = SockRef::from(socket).peek_sender()?.as_socket();
    sender.ok_or_else(|| io::Error::other("sender not available"))
}
