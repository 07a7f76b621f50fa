//! Sockets of a simulation: numbers in its network.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::marker::PhantomData;
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::io::{Async, Pollable};
use crate::reactor::{Object, Simulated};
use crate::runtime::context;
use crate::simulated::net::{
    Family, HostId, Moment, Name, Network, Options, Result, SocketId, with_network,
};
use crate::sys::OwnedDescriptor;

#[cfg(unix)]
pub(super) mod unix;

/// A socket of a simulation, which does what `S` does. Dropping it closes it.
pub struct Socket<S> {
    id: SocketId,
    kind: PhantomData<fn() -> S>,
}

/// The host that the calling thread is on, if it is in a simulation.
pub(super) fn host() -> io::Result<Option<HostId>> {
    if !crate::simulated::is_here() {
        return Ok(None);
    }
    match context::reactor()?.host() {
        Some(host) if with_network(|net, _| net.has_crashed(host))? => {
            Err(ErrorKind::NetworkDown.into())
        }
        Some(host) => Ok(Some(host)),
        None => Err(io::Error::other(
            "the runtime of this thread is not one of the simulation",
        )),
    }
}

/// What a simulated resolver says; `None`: ask the real one.
pub(super) fn look_up(host: &str, port: u16) -> Option<io::Result<Vec<SocketAddr>>> {
    if !crate::simulated::is_here() {
        return None;
    }
    Some(with_network(|net, _| net.look_up(host)).and_then(|found| {
        let addresses = found.into_iter().flatten().map(|ip| (ip, port).into());
        let addresses: Vec<SocketAddr> = addresses.collect();
        match addresses.is_empty() {
            false => Ok(addresses),
            true => Err(io::Error::new(
                ErrorKind::NotFound,
                format!("no host of the simulation has the name {host:?}"),
            )),
        }
    }))
}

/// Registers a socket with the runtime of the calling thread.
pub(super) fn register<S>(socket: super::Socket<S>) -> io::Result<Async<super::Socket<S>>>
where
    super::Socket<S>: Pollable,
{
    Async::register(socket, &context::reactor()?)
}

pub(super) fn tcp_socket(
    host: HostId,
    address: &SocketAddr,
) -> io::Result<super::Socket<OwnedDescriptor>> {
    made(with_network(|net, _| {
        Ok(net.stream_socket(host, Family::of(address)))
    }))
}

pub(super) fn bind_udp(host: HostId, address: SocketAddr) -> io::Result<super::Socket<UdpSocket>> {
    made(with_network(|net, _| net.bind_datagrams(host, address)))
}

fn made<S>(made: io::Result<Result<SocketId>>) -> io::Result<super::Socket<S>> {
    Ok(Socket::of(made??))
}

impl<S> Socket<S> {
    fn of(id: SocketId) -> super::Socket<S> {
        super::Socket::Simulated(Socket {
            id,
            kind: PhantomData,
        })
    }

    /// The same socket, of another type.
    pub(super) fn retype<T>(self) -> Socket<T> {
        let id = self.id;
        // It is not closed.
        std::mem::forget(self);
        Socket {
            id,
            kind: PhantomData,
        }
    }

    pub(super) fn object(&self) -> Object<'_> {
        Object::Simulated(Simulated(self.id))
    }

    fn with<R>(
        &self,
        op: impl FnOnce(&mut Network, SocketId, &mut Moment<'_>) -> Result<R>,
    ) -> io::Result<R> {
        Ok(with_network(|net, at| op(net, self.id, at))??)
    }

    fn get<R>(&self, option: impl FnOnce(&Options) -> R) -> io::Result<R> {
        self.with(|net, id, _| Ok(option(net.options(id)?)))
    }

    fn set(&self, change: impl FnOnce(&mut Options)) -> io::Result<()> {
        self.with(|net, id, _| {
            change(net.options(id)?);
            Ok(())
        })
    }

    fn ip(&self, name: impl FnOnce(&Network, SocketId) -> Result<Name>) -> io::Result<SocketAddr> {
        match self.with(|net, id, _| name(net, id))? {
            Name::Ip(address) => Ok(address),
            Name::Unix(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.with(|net, id, at| Ok(net.take_error(id, at).map(io::Error::from)))
    }

    #[cold]
    pub(super) fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf.len(), false, |bytes| {
            buf[..bytes.len()].copy_from_slice(bytes)
        })
    }

    pub(super) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf.len(), true, |bytes| {
            buf[..bytes.len()].copy_from_slice(bytes)
        })
    }

    #[cfg(any(feature = "tokio-io", feature = "hyper"))]
    #[cold]
    pub(super) fn recv_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        self.receive(buf.len(), false, |bytes| {
            for (place, byte) in buf.iter_mut().zip(bytes) {
                place.write(*byte);
            }
        })
    }

    #[cold]
    pub(super) fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        self.receive(wanted, false, |mut bytes| {
            for buf in bufs {
                let (now, later) = bytes.split_at(buf.len().min(bytes.len()));
                buf[..now.len()].copy_from_slice(now);
                bytes = later;
            }
        })
    }

    /// Hands over at most so many bytes. Those of a datagram that are too many are lost.
    fn receive(&self, wanted: usize, peeks: bool, take: impl FnOnce(&[u8])) -> io::Result<usize> {
        let bytes = self.with(|net, id, at| net.receive(id, wanted, peeks, at))?;
        let count = bytes.len().min(wanted);
        take(&bytes[..count]);
        Ok(count)
    }

    #[cold]
    pub(super) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.with(|net, id, at| net.send(id, buf, at))
    }

    #[cold]
    pub(super) fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<&[u8]> = bufs.iter().map(|buf| &**buf).collect();
        self.send(&all.concat())
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.with(|net, id, at| net.shut_down(id, how, at))
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        // An error: the simulation is over, and so is its network.
        let _ = with_network(|net, at| net.close(self.id, at));
    }
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Simulated").field(&self.id).finish()
    }
}

/// A getter and a setter for each option.
macro_rules! options {
    ($([$($S:ty),*] $get:ident, $set:ident: $Value:ty = $option:ident;)*) => {
        $($(impl Socket<$S> {
            pub(super) fn $get(&self) -> io::Result<$Value> {
                self.get(|options| options.$option)
            }

            pub(super) fn $set(&self, value: $Value) -> io::Result<()> {
                self.set(|options| options.$option = value)
            }
        })*)*
    };
}

options! {
    [OwnedDescriptor] reuseaddr, set_reuseaddr: bool = reuse_address;
    [OwnedDescriptor] reuseport, set_reuseport: bool = reuse_port;
    [OwnedDescriptor] keepalive, set_keepalive: bool = keepalive;
    [OwnedDescriptor, TcpStream] nodelay, set_nodelay: bool = nodelay;
    [OwnedDescriptor] send_buffer_size, set_send_buffer_size: usize = send_buffer;
    [OwnedDescriptor] recv_buffer_size, set_recv_buffer_size: usize = receive_buffer;
    [TcpStream] linger, set_linger: Option<Duration> = linger;
    [TcpStream, TcpListener, UdpSocket] ttl, set_ttl: u32 = ttl;
    [UdpSocket] broadcast, set_broadcast: bool = broadcast;
    [UdpSocket] multicast_loop_v4, set_multicast_loop_v4: bool = multicast_loop;
    [UdpSocket] multicast_loop_v6, set_multicast_loop_v6: bool = multicast_loop;
    [UdpSocket] multicast_ttl_v4, set_multicast_ttl_v4: u32 = multicast_ttl;
}

/// The addresses of sockets.
macro_rules! names {
    ($([$($S:ty),*] $get:ident = $name:ident;)*) => {
        $($(impl Socket<$S> {
            pub(super) fn $get(&self) -> io::Result<SocketAddr> {
                self.ip(Network::$name)
            }
        })*)*
    };
}

names! {
    [OwnedDescriptor, TcpStream, TcpListener, UdpSocket] local_addr = local_name;
    [TcpStream, UdpSocket] peer_addr = peer_name;
}

impl Socket<OwnedDescriptor> {
    pub(super) fn bind(&self, address: &SocketAddr) -> io::Result<()> {
        self.with(|net, id, _| net.bind(id, *address))
    }

    pub(super) fn listen(&self, backlog: u32) -> io::Result<()> {
        self.with(|net, id, _| net.listen(id, backlog))
    }
}

impl Socket<TcpStream> {
    pub(super) fn start_connect(&self, address: &SocketAddr) -> io::Result<()> {
        self.with(|net, id, at| net.connect(id, *address, at))
    }
}

impl Socket<TcpListener> {
    pub(super) fn accept(&self) -> io::Result<(super::Socket<TcpStream>, SocketAddr)> {
        match self.with(|net, id, at| net.accept(id, at))? {
            (stream, Name::Ip(peer)) => Ok((Socket::of(stream), peer)),
            (_, Name::Unix(_)) => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

impl Socket<UdpSocket> {
    pub(super) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.with(|net, id, _| net.connect_datagrams(id, address))
    }

    pub(super) fn send_to(&self, buf: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.with(|net, id, at| net.send_datagram(id, buf, Some(address), at))
    }

    pub(super) fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (bytes, sender) = self.with(|net, id, at| net.receive_datagram(id, false, at))?;
        Ok((cut(&bytes, buf), sender))
    }

    pub(super) fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (bytes, sender) = self.with(|net, id, at| net.receive_datagram(id, true, at))?;
        Ok((cut(&bytes, buf), sender))
    }

    pub(super) fn join_multicast_v4(&self, _: &Ipv4Addr, _: &Ipv4Addr) -> io::Result<()> {
        no_multicast()
    }

    pub(super) fn leave_multicast_v4(&self, _: &Ipv4Addr, _: &Ipv4Addr) -> io::Result<()> {
        no_multicast()
    }

    pub(super) fn join_multicast_v6(&self, _: &Ipv6Addr, _: u32) -> io::Result<()> {
        no_multicast()
    }

    pub(super) fn leave_multicast_v6(&self, _: &Ipv6Addr, _: u32) -> io::Result<()> {
        no_multicast()
    }
}

fn no_multicast() -> io::Result<()> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "the network of a simulation has no multicast",
    ))
}

/// Copies a datagram as far as it fits.
fn cut(bytes: &[u8], buf: &mut [u8]) -> usize {
    let count = bytes.len().min(buf.len());
    buf[..count].copy_from_slice(&bytes[..count]);
    count
}
