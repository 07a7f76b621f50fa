//! The sockets themselves, behind one interface: those of the system ([`sys`](crate::sys)), and those
//! of a simulation (`simulated.rs`, feature `sim`), which have no descriptor.
//!
//! No other module of `net` knows which of them it has. No operation waits: what would have to is
//! [`WouldBlock`](io::ErrorKind::WouldBlock), and the reactor knows when to try again. A new socket
//! is of the system, unless the thread that makes it is in a simulation. Without the feature there
//! is one variant, and nothing of this costs an instruction. With it, a write and a read of a stream
//! take 24 instructions more, of 112 beside the system calls: the look at the variant, and what the
//! compiler makes of a second path (2026-11-30, rustc 1.95, `ci/instructions.sh read_write`). Other
//! forms were dearer: the look at each attempt, or within the system call.

mod stream_socket;

#[cfg(feature = "sim")]
mod simulated;

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::io::{Async, Pollable};
use crate::reactor::Object;
use crate::sys::{self, AsDescriptor, BorrowedDescriptor, OwnedDescriptor, sockets as system};

pub(crate) use self::stream_socket::StreamSocket;

/// A socket of the system of type `S`, or a socket of a simulation that is used as one.
pub enum Socket<S> {
    System(S),
    #[cfg(feature = "sim")]
    Simulated(simulated::Socket<S>),
}

/// One expression for each variant.
macro_rules! on {
    ($socket:expr, |$system:ident| $of_system:expr, |$simulated:ident| $of_simulated:expr) => {
        match $socket {
            Socket::System($system) => $of_system,
            #[cfg(feature = "sim")]
            Socket::Simulated($simulated) => $of_simulated,
        }
    };
}

/// In a simulation, returns a new socket of it from the function; `host` is the host of the calling
/// thread there.
macro_rules! simulate {
    (|$host:ident| $socket:expr) => {
        #[cfg(feature = "sim")]
        if let Some($host) = simulated::host()? {
            return Ok($socket?);
        }
    };
}

/// Methods that have one name and form in both.
macro_rules! both {
    ($S:ty { $(fn $name:ident(&self $(, $arg:ident: $Arg:ty)*) -> $Output:ty;)* }) => {
        impl Socket<$S> {$(
            #[inline]
            pub(crate) fn $name(&self $(, $arg: $Arg)*) -> io::Result<$Output> {
                on!(self, |socket| socket.$name($($arg),*), |socket| socket.$name($($arg),*))
            }
        )*}
    };
}

/// Two registered sockets.
#[cfg(unix)]
type Pair<S> = (Async<Socket<S>>, Async<Socket<S>>);

// The macros above are used there, too.
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use self::unix::{
    bind_unix, bind_unix_datagram, unbound_unix_datagram, unix_datagram_pair, unix_pair,
    unix_stream,
};

impl<S: AsDescriptor> Socket<S> {
    /// Sets a socket of the system to non-blocking mode and registers it with the runtime of the
    /// calling thread.
    pub(super) fn register(socket: S) -> io::Result<Async<Socket<S>>> {
        sys::set_nonblocking(sys::borrow(&socket))?;
        let reactor = crate::runtime::context::reactor()?;
        Async::register(Socket::System(socket), &reactor)
    }

    /// The descriptor. Panics if there is none.
    #[cfg_attr(feature = "sim", track_caller)]
    pub(super) fn descriptor(&self) -> BorrowedDescriptor<'_> {
        on!(self, |socket| sys::borrow(socket), |_socket| {
            no_descriptor()
        })
    }

    #[inline]
    pub(super) fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        on!(self, |socket| Calls(socket).recv(buf), |socket| socket
            .recv(buf))
    }

    /// Like [`recv`](Socket::recv); as many bytes as it returns are initialised.
    #[cfg(any(feature = "tokio-io", feature = "hyper"))]
    #[inline]
    pub(super) fn recv_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        on!(self, |socket| Calls(socket).recv_uninit(buf), |socket| {
            socket.recv_uninit(buf)
        })
    }

    #[inline]
    pub(super) fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        on!(self, |socket| Calls(socket).recv_vectored(bufs), |socket| {
            socket.recv_vectored(bufs)
        })
    }

    pub(super) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        on!(self, |socket| system::peek(socket, buf), |socket| socket
            .peek(buf))
    }

    #[inline]
    pub(super) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        on!(self, |socket| Calls(socket).send(buf), |socket| socket
            .send(buf))
    }

    #[inline]
    pub(super) fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        on!(self, |socket| Calls(socket).send_vectored(bufs), |socket| {
            socket.send_vectored(bufs)
        })
    }
}

/// The system calls of a socket. Their names are those of the operations of [`Socket`].
pub(super) struct Calls<'a, S>(&'a S);

impl<S: AsDescriptor> Calls<'_, S> {
    #[inline]
    pub(super) fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        system::recv(self.0, buf)
    }

    #[cfg(any(feature = "tokio-io", feature = "hyper"))]
    #[inline]
    pub(super) fn recv_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        system::recv_uninit(self.0, buf)
    }

    #[inline]
    pub(super) fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        system::recv_vectored(self.0, bufs)
    }

    #[inline]
    pub(super) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        system::send(self.0, buf)
    }

    #[inline]
    pub(super) fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        system::send_vectored(self.0, bufs)
    }
}

impl<S: StreamSocket> Socket<S> {
    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        on!(self, |socket| socket.shut_down(how), |socket| socket
            .shutdown(how))
    }
}

impl<S> Socket<S> {
    /// The socket of the system, for those who look once and then do without a branch.
    #[inline]
    pub(super) fn system(&self) -> Option<Calls<'_, S>> {
        on!(self, |socket| Some(Calls(socket)), |_socket| None)
    }

    /// The same socket, of another type.
    pub(super) fn map<T>(self, of_system: impl FnOnce(S) -> T) -> Socket<T> {
        on!(self, |socket| Socket::System(of_system(socket)), |socket| {
            Socket::Simulated(socket.retype())
        })
    }

    /// The socket of the system.
    ///
    /// # Errors
    ///
    /// `Unsupported` if it is one of a simulation.
    pub(super) fn into_system(self) -> io::Result<S> {
        on!(self, |socket| Ok(socket), |_socket| Err(io::Error::new(
            io::ErrorKind::Unsupported,
            NO_DESCRIPTOR
        )))
    }

    /// The same for those who cannot return an error. Panics instead.
    #[cfg_attr(feature = "sim", track_caller)]
    pub(super) fn expect_system(self) -> S {
        on!(self, |socket| socket, |_socket| no_descriptor())
    }
}

#[cfg(feature = "sim")]
const NO_DESCRIPTOR: &str = "a socket of a simulation has no file descriptor";

#[cfg(feature = "sim")]
#[cold]
#[track_caller]
fn no_descriptor() -> ! {
    panic!("{NO_DESCRIPTOR}")
}

impl<S: AsDescriptor> Pollable for Socket<S> {
    #[inline]
    fn object(&self) -> Object<'_> {
        on!(self, |socket| socket.object(), |socket| socket.object())
    }
}

impl<S: fmt::Debug> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on!(self, |socket| socket.fmt(f), |socket| socket.fmt(f))
    }
}

/// A new TCP socket for addresses like this one.
pub(super) fn tcp_socket(address: &SocketAddr) -> io::Result<Socket<OwnedDescriptor>> {
    simulate!(|host| simulated::tcp_socket(host, address));
    system::tcp(address).map(Socket::System)
}

impl Socket<OwnedDescriptor> {
    pub(super) fn bind(&self, address: &SocketAddr) -> io::Result<()> {
        on!(self, |socket| system::bind(socket, address), |socket| {
            socket.bind(address)
        })
    }

    pub(super) fn listen(self, backlog: u32) -> io::Result<Socket<TcpListener>> {
        on!(
            &self,
            |socket| system::listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX))?,
            |socket| socket.listen(backlog)?
        );
        Ok(self.map(TcpListener::from))
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        on!(self, |socket| system::local_addr(socket), |socket| {
            socket.local_addr()
        })
    }
}

/// Options of sockets that are not connected yet: a getter and a setter.
macro_rules! options {
    ($($get:ident, $set:ident: $Value:ty;)*) => {
        impl Socket<OwnedDescriptor> {$(
            pub(super) fn $get(&self) -> io::Result<$Value> {
                on!(self, |socket| system::$get(socket), |socket| socket.$get())
            }

            pub(super) fn $set(&self, value: $Value) -> io::Result<()> {
                on!(self, |socket| system::$set(socket, value), |socket| socket.$set(value))
            }
        )*}
    };
}

options! {
    reuseaddr, set_reuseaddr: bool;
    reuseport, set_reuseport: bool;
    keepalive, set_keepalive: bool;
    nodelay, set_nodelay: bool;
    send_buffer_size, set_send_buffer_size: usize;
    recv_buffer_size, set_recv_buffer_size: usize;
}

both!(TcpStream {
    fn take_error(&self) -> Option<io::Error>;
    fn local_addr(&self) -> SocketAddr;
    fn peer_addr(&self) -> SocketAddr;
    fn nodelay(&self) -> bool;
    fn set_nodelay(&self, nodelay: bool) -> ();
    fn ttl(&self) -> u32;
    fn set_ttl(&self, hops: u32) -> ();
});

impl Socket<TcpStream> {
    /// Starts to connect. `Ok` may mean "in progress": the socket becomes writable when the outcome
    /// is known.
    pub(super) fn start_connect(&self, address: &SocketAddr) -> io::Result<()> {
        on!(
            self,
            |socket| system::start_connect(socket, address),
            |socket| { socket.start_connect(address) }
        )
    }

    pub(super) fn linger(&self) -> io::Result<Option<Duration>> {
        on!(self, |socket| system::linger(socket), |socket| socket
            .linger())
    }

    pub(super) fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        on!(
            self,
            |socket| system::set_linger(socket, linger),
            |socket| socket.set_linger(linger)
        )
    }
}

both!(TcpListener {
    fn take_error(&self) -> Option<io::Error>;
    fn local_addr(&self) -> SocketAddr;
    fn ttl(&self) -> u32;
    fn set_ttl(&self, hops: u32) -> ();
});

impl Socket<TcpListener> {
    /// Accepts a connection. Returns its peer, too.
    pub(super) fn accept(&self) -> io::Result<(Socket<TcpStream>, SocketAddr)> {
        on!(
            self,
            |socket| {
                let (stream, peer) = system::accept(socket)?;
                Ok((Socket::System(stream), peer))
            },
            |socket| socket.accept()
        )
    }
}

/// A UDP socket, bound to an address and registered with the runtime of the calling thread.
pub(super) fn bind_udp(address: SocketAddr) -> io::Result<Async<Socket<UdpSocket>>> {
    simulate!(|host| simulated::bind_udp(host, address).and_then(simulated::register));
    Socket::register(UdpSocket::bind(address)?)
}

both!(UdpSocket {
    fn take_error(&self) -> Option<io::Error>;
    fn connect(&self, address: SocketAddr) -> ();
    fn send_to(&self, buf: &[u8], address: SocketAddr) -> usize;
    fn recv_from(&self, buf: &mut [u8]) -> (usize, SocketAddr);
    fn peek_from(&self, buf: &mut [u8]) -> (usize, SocketAddr);
    fn local_addr(&self) -> SocketAddr;
    fn peer_addr(&self) -> SocketAddr;
    fn broadcast(&self) -> bool;
    fn set_broadcast(&self, on: bool) -> ();
    fn ttl(&self) -> u32;
    fn set_ttl(&self, hops: u32) -> ();
    fn multicast_loop_v4(&self) -> bool;
    fn set_multicast_loop_v4(&self, on: bool) -> ();
    fn multicast_loop_v6(&self) -> bool;
    fn set_multicast_loop_v6(&self, on: bool) -> ();
    fn multicast_ttl_v4(&self) -> u32;
    fn set_multicast_ttl_v4(&self, hops: u32) -> ();
    fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
    fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
});

/// Looks a name up, which may block.
pub(super) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    #[cfg(feature = "sim")]
    if let Some(found) = simulated::look_up(host, port) {
        return found;
    }
    std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map(Vec::from_iter)
}
