//! The calls of sockets that `std` lacks or makes in another way.
//!
//! Sends never raise `SIGPIPE`; with `std`, vectored ones do. New sockets are close-on-exec and
//! non-blocking from the start, without a second call where the system allows that.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketType, sockopt,
};

use super::{AsDescriptor, OwnedDescriptor};

/// Whether [`TcpListener::bind`](crate::net::TcpListener::bind) sets `SO_REUSEADDR`, as with `std`.
/// Without it a server could not restart at once.
pub(crate) const LISTENERS_REUSE_ADDRESSES: bool = true;

/// On these systems, `socket` and `accept` take the flags in the same call.
#[cfg(not(target_vendor = "apple"))]
const SOCKET_FLAGS: rustix::net::SocketFlags =
    rustix::net::SocketFlags::CLOEXEC.union(rustix::net::SocketFlags::NONBLOCK);

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// Apple's sockets have an option for it instead, which `std` and [`prepare`] set.
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::empty();

/// Up to this many bytes are copied into one buffer before they are sent. `send` is cheaper than
/// `sendmsg`, which first fetches a header and the list of slices. hyper's "hello world" takes 4 %
/// less CPU in all (medians of 15 rounds).
const FLAT: usize = 512;

/// A new TCP socket for addresses like this one.
pub(crate) fn tcp(address: &SocketAddr) -> io::Result<OwnedDescriptor> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    stream(family)
}

/// A new Unix stream socket.
pub(crate) fn unix_stream() -> io::Result<UnixStream> {
    stream(AddressFamily::UNIX).map(UnixStream::from)
}

fn stream(family: AddressFamily) -> io::Result<OwnedDescriptor> {
    #[cfg(not(target_vendor = "apple"))]
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SOCKET_FLAGS, None)?;
    #[cfg(target_vendor = "apple")]
    let socket = prepare(rustix::net::socket(family, SocketType::STREAM, None)?)?;
    Ok(socket)
}

pub(crate) fn bind(socket: &OwnedDescriptor, address: &SocketAddr) -> io::Result<()> {
    Ok(rustix::net::bind(socket, address)?)
}

pub(crate) fn listen(socket: &OwnedDescriptor, backlog: i32) -> io::Result<()> {
    Ok(rustix::net::listen(socket, backlog)?)
}

pub(crate) fn local_addr(socket: &OwnedDescriptor) -> io::Result<SocketAddr> {
    Ok(rustix::net::getsockname(socket)?.try_into()?)
}

/// Accepts a connection, whose socket is close-on-exec and non-blocking.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    #[cfg(not(target_vendor = "apple"))]
    let (socket, peer) = rustix::net::acceptfrom_with(listener, SOCKET_FLAGS)?;
    #[cfg(target_vendor = "apple")]
    let (socket, peer) = {
        let (socket, peer) = rustix::net::acceptfrom(listener)?;
        (prepare(socket)?, peer)
    };
    let stream = TcpStream::from(socket);
    let peer = match peer.map(SocketAddr::try_from) {
        Some(Ok(peer)) => peer,
        // Some systems omit the address of a peer that has gone already.
        _ => stream.peer_addr()?,
    };
    Ok((stream, peer))
}

#[cfg(target_vendor = "apple")]
fn prepare(socket: OwnedDescriptor) -> io::Result<OwnedDescriptor> {
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::net::sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

/// Starts to connect. `Ok` may mean "in progress": the socket becomes writable when the outcome is
/// known.
pub(crate) fn start_connect(socket: &impl AsDescriptor, address: &SocketAddr) -> io::Result<()> {
    connect(socket, address)
}

/// The same for a Unix socket. [`WouldBlock`](io::ErrorKind::WouldBlock) means that the listener's
/// queue is full.
pub(crate) fn start_connect_unix(
    socket: &impl AsDescriptor,
    address: &SocketAddrUnix,
) -> io::Result<()> {
    connect(socket, address)
}

fn connect(socket: &impl AsDescriptor, address: &impl SocketAddrArg) -> io::Result<()> {
    use rustix::io::Errno;
    loop {
        match rustix::net::connect(socket, address) {
            // Repeating the call shows whether the interrupted attempt continues by itself.
            Err(Errno::INTR) => {}
            Ok(()) | Err(Errno::INPROGRESS | Errno::ALREADY | Errno::ISCONN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn send(socket: &impl AsDescriptor, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, SEND_FLAGS)?)
}

pub(crate) fn send_vectored(socket: &impl AsDescriptor, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let len: usize = bufs.iter().map(|buf| buf.len()).sum();
    if len <= FLAT {
        let mut flat = [0; FLAT];
        let mut filled = 0;
        for buf in bufs {
            flat[filled..filled + buf.len()].copy_from_slice(buf);
            filled += buf.len();
        }
        return send(socket, &flat[..len]);
    }
    // The most that one call takes on every system; a longer list becomes a short write.
    const MAX_SLICES: usize = 1024;
    let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
    let mut control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(
        socket,
        bufs,
        &mut control,
        SEND_FLAGS,
    )?)
}

pub(crate) fn recv(socket: &impl AsDescriptor, buf: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(socket, buf, RecvFlags::empty())?;
    Ok(len)
}

/// Like [`recv`]; as many bytes as it returns are initialised.
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
pub(crate) fn recv_uninit(
    socket: &impl AsDescriptor,
    buf: &mut [std::mem::MaybeUninit<u8>],
) -> io::Result<usize> {
    let ((read, _), _) = rustix::net::recv(socket, buf, RecvFlags::empty())?;
    Ok(read.len())
}

pub(crate) fn peek(socket: &impl AsDescriptor, buf: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(socket, buf, RecvFlags::PEEK)?;
    Ok(len)
}

pub(crate) fn recv_vectored(
    socket: &impl AsDescriptor,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    Ok(rustix::io::readv(socket, bufs)?)
}

/// Options of sockets: a getter and a setter, and what `rustix` calls them.
macro_rules! options {
    ($($get:ident, $set:ident: $Value:ty = $os_get:ident, $os_set:ident;)*) => {$(
        pub(crate) fn $get(socket: &impl AsDescriptor) -> io::Result<$Value> {
            Ok(sockopt::$os_get(socket)?)
        }

        pub(crate) fn $set(socket: &impl AsDescriptor, value: $Value) -> io::Result<()> {
            Ok(sockopt::$os_set(socket, value)?)
        }
    )*};
}

options! {
    reuseaddr, set_reuseaddr: bool = socket_reuseaddr, set_socket_reuseaddr;
    reuseport, set_reuseport: bool = socket_reuseport, set_socket_reuseport;
    keepalive, set_keepalive: bool = socket_keepalive, set_socket_keepalive;
    nodelay, set_nodelay: bool = tcp_nodelay, set_tcp_nodelay;
    linger, set_linger: Option<Duration> = socket_linger, set_socket_linger;
    send_buffer_size, set_send_buffer_size: usize = socket_send_buffer_size, set_socket_send_buffer_size;
    recv_buffer_size, set_recv_buffer_size: usize = socket_recv_buffer_size, set_socket_recv_buffer_size;
}
