//! Unix sockets, likewise. Only Unix has them: `std` has no types for those of Windows.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use rustix::net::SocketAddrUnix;

use crate::io::Async;
use crate::sys::sockets as system;

#[cfg(feature = "sim")]
use super::simulated::{self, unix as simulated_unix};
use super::stream_socket::StreamSocket;
use super::{Pair, Socket};

impl StreamSocket for UnixStream {
    const SHORT_READ_DRAINS: bool = false;

    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

/// A new Unix stream socket.
pub(in crate::net) fn unix_stream() -> io::Result<Socket<UnixStream>> {
    simulate!(|host| simulated_unix::unix_stream(host));
    system::unix_stream().map(Socket::System)
}

/// Two Unix streams that are connected to each other, registered. Not inlined: that would leave
/// fewer registers to the rest of its caller, which would be slower.
#[inline(never)]
pub(in crate::net) fn unix_pair() -> io::Result<Pair<UnixStream>> {
    simulate!(|host| simulated_unix::unix_pair(host));
    let (a, b) = UnixStream::pair()?;
    Ok((Socket::register(a)?, Socket::register(b)?))
}

both!(UnixStream {
    fn take_error(&self) -> Option<io::Error>;
    fn local_addr(&self) -> UnixAddr;
    fn peer_addr(&self) -> UnixAddr;
});

impl Socket<UnixStream> {
    /// Starts to connect. [`WouldBlock`](io::ErrorKind::WouldBlock) means that the listener's queue
    /// is full.
    pub(in crate::net) fn start_connect(&self, address: &SocketAddrUnix) -> io::Result<()> {
        on!(
            self,
            |socket| system::start_connect_unix(socket, address),
            |socket| { socket.start_connect(address) }
        )
    }
}

/// A Unix listener, registered.
pub(in crate::net) fn bind_unix(address: &UnixAddr) -> io::Result<Async<Socket<UnixListener>>> {
    simulate!(|host| simulated_unix::bind_unix(host, address).and_then(simulated::register));
    Socket::register(UnixListener::bind_addr(address)?)
}

both!(UnixListener {
    fn take_error(&self) -> Option<io::Error>;
    fn local_addr(&self) -> UnixAddr;
});

impl Socket<UnixListener> {
    /// Accepts a connection. Returns its peer, too.
    pub(in crate::net) fn accept(&self) -> io::Result<(Socket<UnixStream>, UnixAddr)> {
        on!(
            self,
            |socket| {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Socket::System(stream), peer))
            },
            |socket| socket.accept()
        )
    }
}

/// A Unix datagram socket with an address, registered.
pub(in crate::net) fn bind_unix_datagram(path: &Path) -> io::Result<Async<Socket<UnixDatagram>>> {
    simulate!(|host| simulated_unix::bind_unix_datagram(host, path).and_then(simulated::register));
    Socket::register(UnixDatagram::bind(path)?)
}

/// A Unix datagram socket without an address, registered.
pub(in crate::net) fn unbound_unix_datagram() -> io::Result<Async<Socket<UnixDatagram>>> {
    simulate!(|host| simulated_unix::unbound_unix_datagram(host).and_then(simulated::register));
    Socket::register(UnixDatagram::unbound()?)
}

/// Two Unix datagram sockets that are connected to each other, registered.
pub(in crate::net) fn unix_datagram_pair() -> io::Result<Pair<UnixDatagram>> {
    simulate!(|host| simulated_unix::unix_datagram_pair(host));
    let (a, b) = UnixDatagram::pair()?;
    Ok((Socket::register(a)?, Socket::register(b)?))
}

both!(UnixDatagram {
    fn take_error(&self) -> Option<io::Error>;
    fn connect(&self, path: &Path) -> ();
    fn send_to(&self, buf: &[u8], path: &Path) -> usize;
    fn recv_from(&self, buf: &mut [u8]) -> (usize, UnixAddr);
    fn shutdown(&self, how: Shutdown) -> ();
    fn local_addr(&self) -> UnixAddr;
    fn peer_addr(&self) -> UnixAddr;
});

impl Socket<UnixDatagram> {
    /// Whether a sender that finds the queue of another socket full is told when it has room. The
    /// system does not tell.
    pub(in crate::net) fn is_told_of_room(&self) -> bool {
        on!(self, |_socket| false, |_socket| true)
    }
}
