//! Accepting TCP connections.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use executor::io::Ready as Flags;
use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use crate::net::addr::{ToSocketAddrs, try_each};
use crate::net::macros::impl_socket;
use crate::net::{Registration, sys};

type Std = std::net::TcpListener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A TCP socket that accepts connections.
pub struct TcpListener {
    io: Registration<Std>,
}

impl_socket!(TcpListener, Std);

impl TcpListener {
    /// A listener at an address. The first of several that works is taken.
    ///
    /// # Errors
    ///
    /// Of the last address that was tried.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        try_each(addr, |addr| async move { TcpListener::bind_to(addr) }).await
    }

    fn bind_to(addr: SocketAddr) -> io::Result<TcpListener> {
        let kind = Type::STREAM.nonblocking();
        let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::register(socket.into())
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// What the system says, or that the runtime has shut down.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.io.read(|listener| sys::accept(listener)).await?;
        accepted(socket.into(), peer)
    }

    /// Polls for the next connection.
    ///
    /// # Errors
    ///
    /// As for [`accept`](TcpListener::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let polled = self.io.poll_read(cx, |listener| sys::accept(listener));
        polled.map(|result| result.and_then(|(socket, peer)| accepted(socket.into(), peer)))
    }

    /// The address that it listens at.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
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

fn accepted(
    socket: std::net::TcpStream,
    peer: Option<rustix::net::SocketAddrAny>,
) -> io::Result<(TcpStream, SocketAddr)> {
    let peer = sys::ip(peer)?;
    let stream = TcpStream::register(socket)?;
    // A peer that has connected often writes at once.
    stream.assume_ready(Flags::READABLE | Flags::WRITABLE);
    Ok((stream, peer))
}
