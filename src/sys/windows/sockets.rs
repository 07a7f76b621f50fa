//! The calls of sockets that `std` lacks or makes in another way.
//!
//! New sockets are not inherited by child processes, and non-blocking before anybody sees them.
//! No write raises a signal on this system.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::RecvFlags;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{AsDescriptor, OwnedDescriptor, borrow};

/// Whether [`TcpListener::bind`](crate::net::TcpListener::bind) sets `SO_REUSEADDR`. Here a server
/// restarts at once without it, and with it another program could take its port away.
pub(crate) const LISTENERS_REUSE_ADDRESSES: bool = false;

/// A new TCP socket for addresses like this one.
pub(crate) fn tcp(address: &SocketAddr) -> io::Result<OwnedDescriptor> {
    let socket = Socket::new(
        Domain::for_address(*address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

pub(crate) fn bind(socket: &OwnedDescriptor, address: &SocketAddr) -> io::Result<()> {
    SockRef::from(socket).bind(&(*address).into())
}

pub(crate) fn listen(socket: &OwnedDescriptor, backlog: i32) -> io::Result<()> {
    SockRef::from(socket).listen(backlog)
}

pub(crate) fn local_addr(socket: &OwnedDescriptor) -> io::Result<SocketAddr> {
    let address = SockRef::from(socket).local_addr()?;
    // It was made for such addresses.
    (address.as_socket()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Accepts a connection, whose socket is non-blocking.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}

/// Starts to connect. `Ok` may mean "in progress": the socket becomes writable when the outcome is
/// known.
pub(crate) fn start_connect(socket: &impl AsDescriptor, address: &SocketAddr) -> io::Result<()> {
    match SockRef::from(socket).connect(&(*address).into()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}

#[inline]
pub(crate) fn send(socket: &impl AsDescriptor, buf: &[u8]) -> io::Result<usize> {
    SockRef::from(socket).send(buf)
}

pub(crate) fn send_vectored(socket: &impl AsDescriptor, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    SockRef::from(socket).send_vectored(bufs)
}

#[inline]
pub(crate) fn recv(socket: &impl AsDescriptor, buf: &mut [u8]) -> io::Result<usize> {
    (&*SockRef::from(socket)).read(buf)
}

/// Like [`recv`]; as many bytes as it returns are initialised.
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
pub(crate) fn recv_uninit(
    socket: &impl AsDescriptor,
    buf: &mut [std::mem::MaybeUninit<u8>],
) -> io::Result<usize> {
    SockRef::from(socket).recv(buf)
}

pub(crate) fn peek(socket: &impl AsDescriptor, buf: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(borrow(socket), buf, RecvFlags::PEEK)?;
    Ok(len)
}

pub(crate) fn recv_vectored(
    socket: &impl AsDescriptor,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    (&*SockRef::from(socket)).read_vectored(bufs)
}

/// Options of sockets: a getter and a setter, and what `socket2` calls them.
macro_rules! options {
    ($($get:ident, $set:ident: $Value:ty = $os_get:ident, $os_set:ident;)*) => {$(
        pub(crate) fn $get(socket: &impl AsDescriptor) -> io::Result<$Value> {
            SockRef::from(socket).$os_get()
        }

        pub(crate) fn $set(socket: &impl AsDescriptor, value: $Value) -> io::Result<()> {
            SockRef::from(socket).$os_set(value)
        }
    )*};
}

options! {
    reuseaddr, set_reuseaddr: bool = reuse_address, set_reuse_address;
    keepalive, set_keepalive: bool = keepalive, set_keepalive;
    nodelay, set_nodelay: bool = tcp_nodelay, set_tcp_nodelay;
    linger, set_linger: Option<Duration> = linger, set_linger;
    send_buffer_size, set_send_buffer_size: usize = send_buffer_size, set_send_buffer_size;
    recv_buffer_size, set_recv_buffer_size: usize = recv_buffer_size, set_recv_buffer_size;
}

/// There is no such option here.
pub(crate) fn reuseport(_: &impl AsDescriptor) -> io::Result<bool> {
    Ok(false)
}

/// There is no such option here.
pub(crate) fn set_reuseport(_: &impl AsDescriptor, value: bool) -> io::Result<()> {
    match value {
        false => Ok(()),
        true => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "Windows has no SO_REUSEPORT",
        )),
    }
}
