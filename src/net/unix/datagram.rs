//! Unix datagram sockets.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram};
use std::path::Path;

use crate::io::{Async, Pollable, level};
use crate::net::{sockets, traits};
use crate::reactor::Direction;
use crate::sys::Level;
use crate::tasks::budget::consume_budget;

/// A Unix datagram socket.
///
/// All methods take `&self`: share it through an `Arc` to send and receive in different tasks.
///
/// # Examples
///
/// ```
/// use executor::net::unix::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let (a, b) = UnixDatagram::pair()?;
///     a.send(b"hello").await?;
///     let mut buf = [0; 16];
///     let len = b.recv(&mut buf).await?;
///     assert_eq!(&buf[..len], b"hello");
///     Ok(())
/// })
/// # }
/// ```
pub struct UnixDatagram {
    io: Async<sockets::Socket<StdUnixDatagram>>,
}

traits::impl_owner!(UnixDatagram, StdUnixDatagram);

impl UnixDatagram {
    /// A socket bound to `path`. This creates a socket file there.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as [`AddrInUse`](io::ErrorKind::AddrInUse) if the file
    /// exists already.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let io = sockets::bind_unix_datagram(path.as_ref())?;
        Ok(UnixDatagram { io })
    }

    /// A socket without an address.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left.
    pub fn unbound() -> io::Result<UnixDatagram> {
        let io = sockets::unbound_unix_datagram()?;
        Ok(UnixDatagram { io })
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = sockets::unix_datagram_pair()?;
        Ok((UnixDatagram { io: a }, UnixDatagram { io: b }))
    }

    /// Sets the peer: [`send`](UnixDatagram::send) sends to it, and the socket receives only
    /// datagrams from it.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.io.get_ref().connect(path.as_ref())
    }

    /// Sends a datagram to the socket at `path`. Waits while the queue of that socket is full.
    /// Returns the number of bytes sent.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is sent as a whole or not at all.
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        if self.io.get_ref().is_told_of_room() {
            return self.io.write_with(|socket| socket.send_to(buf, path)).await;
        }
        loop {
            // An attempt takes a unit of the budget, as operations do that may wait.
            consume_budget().await;
            match self.io.get_ref().send_to(buf, path) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => return result,
            }
            if level(self.io.get_ref().object(), Direction::Write)? == Level::Idle {
                self.io.writable().await?;
            } else {
                // This socket has room, so the queue of the other socket is full. The system does
                // not report to this socket when that queue has room, but it does to a socket that
                // is connected to the other one.
                let probe = StdUnixDatagram::unbound()?;
                probe.connect(path)?;
                Async::new(probe)?.writable().await?;
            }
        }
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

    /// Sends a datagram to the peer set by [`connect`](UnixDatagram::connect) or
    /// [`pair`](UnixDatagram::pair). Returns the number of bytes sent.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is sent as a whole or not at all.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.write_with(|socket| socket.send(buf)).await
    }

    /// Receives a datagram. Bytes that do not fit into `buf` are lost.
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

    /// Shuts down receiving, sending or both.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }
}
