//! Unix sockets of a simulation.

use std::io::{self, ErrorKind};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use rustix::net::SocketAddrUnix;

use crate::net::sockets::{self, Pair};
use crate::simulated::net::{
    Family, HostId, Name, Network, Result, SocketId, UnixName, with_network,
};

use super::{Socket, cut, made, register};

/// Connections that wait for a Unix listener, as with `std`.
const UNIX_BACKLOG: u32 = 128;

pub(in crate::net::sockets) fn unix_stream(
    host: HostId,
) -> io::Result<sockets::Socket<UnixStream>> {
    made(with_network(|net, _| {
        Ok(net.stream_socket(host, Family::Unix))
    }))
}

pub(in crate::net::sockets) fn unix_pair(host: HostId) -> io::Result<Pair<UnixStream>> {
    let [a, b] = with_network(|net, _| net.unix_pair(host))?.map(Socket::of);
    Ok((register(a)?, register(b)?))
}

pub(in crate::net::sockets) fn bind_unix(
    host: HostId,
    address: &UnixAddr,
) -> io::Result<sockets::Socket<UnixListener>> {
    let name = name_of_std(address);
    made(with_network(|net, _| {
        net.listen_unix(host, name, UNIX_BACKLOG)
    }))
}

pub(in crate::net::sockets) fn bind_unix_datagram(
    host: HostId,
    path: &Path,
) -> io::Result<sockets::Socket<UnixDatagram>> {
    let name = name_of_path(path)?;
    made(with_network(|net, _| net.bind_unix_datagrams(host, name)))
}

pub(in crate::net::sockets) fn unbound_unix_datagram(
    host: HostId,
) -> io::Result<sockets::Socket<UnixDatagram>> {
    made(with_network(|net, _| {
        net.bind_unix_datagrams(host, UnixName::Unnamed)
    }))
}

pub(in crate::net::sockets) fn unix_datagram_pair(host: HostId) -> io::Result<Pair<UnixDatagram>> {
    let [a, b] = with_network(|net, _| net.unix_datagram_pair(host))?.map(Socket::of);
    Ok((register(a)?, register(b)?))
}

impl<S> Socket<S> {
    fn unix(&self, name: impl FnOnce(&Network, SocketId) -> Result<Name>) -> io::Result<UnixAddr> {
        match self.with(|net, id, _| name(net, id))? {
            Name::Unix(name) => address_of(&name),
            Name::Ip(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

/// The addresses of sockets.
macro_rules! names {
    ($([$($S:ty),*] $get:ident = $name:ident;)*) => {
        $($(impl Socket<$S> {
            pub(in crate::net::sockets) fn $get(&self) -> io::Result<UnixAddr> {
                self.unix(Network::$name)
            }
        })*)*
    };
}

names! {
    [UnixStream, UnixListener, UnixDatagram] local_addr = local_name;
    [UnixStream, UnixDatagram] peer_addr = peer_name;
}

impl Socket<UnixStream> {
    pub(in crate::net::sockets) fn start_connect(
        &self,
        address: &SocketAddrUnix,
    ) -> io::Result<()> {
        let name = name_of(address);
        self.with(|net, id, _| net.connect_unix(id, &name))
    }
}

impl Socket<UnixListener> {
    pub(in crate::net::sockets) fn accept(
        &self,
    ) -> io::Result<(sockets::Socket<UnixStream>, UnixAddr)> {
        match self.with(|net, id, at| net.accept(id, at))? {
            (stream, Name::Unix(peer)) => Ok((Socket::of(stream), address_of(&peer)?)),
            (_, Name::Ip(_)) => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

impl Socket<UnixDatagram> {
    pub(in crate::net::sockets) fn connect(&self, path: &Path) -> io::Result<()> {
        let name = name_of_path(path)?;
        self.with(|net, id, _| net.connect_unix_datagrams(id, &name))
    }

    pub(in crate::net::sockets) fn send_to(&self, buf: &[u8], path: &Path) -> io::Result<usize> {
        let name = name_of_path(path)?;
        self.with(|net, id, _| net.send_unix_datagram(id, buf, Some(&name)))
    }

    pub(in crate::net::sockets) fn recv_from(
        &self,
        buf: &mut [u8],
    ) -> io::Result<(usize, UnixAddr)> {
        let (bytes, sender) = self.with(|net, id, _| net.receive_unix_datagram(id))?;
        Ok((cut(&bytes, buf), address_of(&sender)?))
    }
}

fn name_of_path(path: &Path) -> io::Result<UnixName> {
    Ok(name_of(&SocketAddrUnix::new(path)?))
}

fn name_of(address: &SocketAddrUnix) -> UnixName {
    use std::os::unix::ffi::OsStrExt;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.abstract_name() {
        return UnixName::Abstract(name.to_vec());
    }
    match address.path_bytes() {
        Some(path) => UnixName::Path(Path::new(std::ffi::OsStr::from_bytes(path)).into()),
        None => UnixName::Unnamed,
    }
}

fn name_of_std(address: &UnixAddr) -> UnixName {
    if let Some(path) = address.as_pathname() {
        return UnixName::Path(path.into());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;

        if let Some(name) = address.as_abstract_name() {
            return UnixName::Abstract(name.to_vec());
        }
    }
    UnixName::Unnamed
}

fn address_of(name: &UnixName) -> io::Result<UnixAddr> {
    match name {
        UnixName::Unnamed => UnixAddr::from_pathname(""),
        UnixName::Path(path) => UnixAddr::from_pathname(path),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        UnixName::Abstract(name) => {
            #[cfg(target_os = "android")]
            use std::os::android::net::SocketAddrExt;
            #[cfg(target_os = "linux")]
            use std::os::linux::net::SocketAddrExt;

            UnixAddr::from_abstract_name(name)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        UnixName::Abstract(_) => Err(ErrorKind::InvalidInput.into()),
    }
}
