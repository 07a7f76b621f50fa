//! Socket addresses: the types that convert to them, and the resolution of names.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::task::{JoinHandle, spawn_blocking};

/// What converts to socket addresses. Cannot be implemented outside.
pub trait ToSocketAddrs: sealed::ToSocketAddrsPriv {}

/// The addresses of a host.
///
/// # Errors
///
/// What the system's resolver says.
///
/// # Panics
///
/// Outside a runtime, if a name has to be resolved.
pub async fn lookup_host<T>(host: T) -> io::Result<impl Iterator<Item = SocketAddr>>
where
    T: ToSocketAddrs,
{
    to_socket_addrs(host).await
}

/// The addresses, whose names a thread for blocking work resolves.
pub(super) fn to_socket_addrs<T: ToSocketAddrs>(host: T) -> Lookup {
    host.to_socket_addrs(sealed::Internal)
}

/// Tries the addresses of `host` in turn. Returns the first success, or else the last error.
pub(super) async fn try_each<T, F>(
    host: impl ToSocketAddrs,
    attempt: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut failure = None;
    for address in to_socket_addrs(host).await? {
        match attempt(address).await {
            Ok(done) => return Ok(done),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "could not resolve to any address",
        )
    }))
}

mod sealed {
    /// Who cannot name it cannot call the method.
    #[allow(missing_debug_implementations, unreachable_pub)]
    pub struct Internal;

    #[doc(hidden)]
    #[allow(unreachable_pub)]
    pub trait ToSocketAddrsPriv {
        fn to_socket_addrs(&self, internal: Internal) -> super::Lookup;
    }
}
use sealed::{Internal, ToSocketAddrsPriv};

type Resolved = std::vec::IntoIter<SocketAddr>;

/// A lookup, done already unless there is a name.
#[derive(Debug)]
#[allow(unreachable_pub)]
pub enum Lookup {
    One(SocketAddr),
    Many(Resolved),
    Resolver(JoinHandle<io::Result<Resolved>>),
}

/// Addresses. One needs no allocation.
#[derive(Debug)]
#[allow(unreachable_pub)]
pub enum Addresses {
    One(std::option::IntoIter<SocketAddr>),
    Many(Resolved),
}

impl Future for Lookup {
    type Output = io::Result<Addresses>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut *self {
            Lookup::One(address) => Ok(Addresses::One(Some(*address).into_iter())),
            Lookup::Many(addresses) => Ok(Addresses::Many(std::mem::take(addresses))),
            Lookup::Resolver(task) => ready!(Pin::new(task).poll(cx))?.map(Addresses::Many),
        })
    }
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Addresses::One(address) => address.next(),
            Addresses::Many(addresses) => addresses.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Addresses::One(address) => address.size_hint(),
            Addresses::Many(addresses) => addresses.size_hint(),
        }
    }
}

/// Implements the trait for types that are one address without a lookup.
macro_rules! numeric {
    ($($Type:ty),*) => {$(
        impl ToSocketAddrs for $Type {}
        impl ToSocketAddrsPriv for $Type {
            fn to_socket_addrs(&self, _: Internal) -> Lookup {
                Lookup::One((*self).into())
            }
        }
    )*};
}
numeric!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: ToSocketAddrsPriv + ?Sized> ToSocketAddrsPriv for &T {
    fn to_socket_addrs(&self, _: Internal) -> Lookup {
        (**self).to_socket_addrs(Internal)
    }
}

impl ToSocketAddrs for &[SocketAddr] {}
impl ToSocketAddrsPriv for &[SocketAddr] {
    fn to_socket_addrs(&self, _: Internal) -> Lookup {
        Lookup::Many(Vec::from(*self).into_iter())
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl ToSocketAddrsPriv for (&str, u16) {
    fn to_socket_addrs(&self, _: Internal) -> Lookup {
        let (host, port) = *self;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Lookup::One((ip, port).into());
        }
        let host = host.to_owned();
        Lookup::Resolver(spawn_blocking(move || {
            std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))
        }))
    }
}

impl ToSocketAddrs for (String, u16) {}
impl ToSocketAddrsPriv for (String, u16) {
    fn to_socket_addrs(&self, _: Internal) -> Lookup {
        (self.0.as_str(), self.1).to_socket_addrs(Internal)
    }
}

impl ToSocketAddrs for str {}
impl ToSocketAddrsPriv for str {
    fn to_socket_addrs(&self, _: Internal) -> Lookup {
        if let Ok(address) = self.parse() {
            return Lookup::One(address);
        }
        let host = self.to_owned();
        Lookup::Resolver(spawn_blocking(move || {
            std::net::ToSocketAddrs::to_socket_addrs(&host)
        }))
    }
}

impl ToSocketAddrs for String {}
impl ToSocketAddrsPriv for String {
    fn to_socket_addrs(&self, _: Internal) -> Lookup {
        self.as_str().to_socket_addrs(Internal)
    }
}
