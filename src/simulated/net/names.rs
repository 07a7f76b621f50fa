//! Addresses of sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// What addresses a socket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
    Unix,
}

impl Family {
    pub(crate) fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }

    pub(super) fn unspecified(self) -> SocketAddr {
        let ip: IpAddr = match self {
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            Family::V4 | Family::Unix => Ipv4Addr::UNSPECIFIED.into(),
        };
        (ip, 0).into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// The address of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UnixName {
    Unnamed,
    Path(PathBuf),
    Abstract(Vec<u8>),
}

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Ip(SocketAddr),
    Unix(UnixName),
}

impl Name {
    pub(super) fn ip(&self) -> Option<SocketAddr> {
        match self {
            Name::Ip(address) => Some(*address),
            Name::Unix(_) => None,
        }
    }
}

/// An address as a socket of this family writes it: a dual-stack one maps IPv4 into IPv6.
pub(super) fn written_for(family: Family, address: SocketAddr) -> SocketAddr {
    match (family, address.ip().to_canonical()) {
        (Family::V6, IpAddr::V4(ip)) => (ip.to_ipv6_mapped(), address.port()).into(),
        (_, ip) => (ip, address.port()).into(),
    }
}
