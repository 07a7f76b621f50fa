//! Hosts: their names, addresses and ports.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::links::{Link, Pair};
use super::names::{Protocol, UnixName};
use super::{HostId, Moment, Network, Result, SocketId};

/// The host that a simulation begins with.
pub(crate) const MAIN: HostId = HostId(0);

/// The first port that is given to those who ask for any.
const FIRST_FREE: u16 = 49_152;

#[derive(Debug)]
pub(super) struct Host {
    name: String,
    addresses: Vec<IpAddr>,
    /// Who has which port. Several do if their addresses differ, or if all allow it.
    pub(super) ports: BTreeMap<(Protocol, u16), Vec<(IpAddr, SocketId)>>,
    /// Who has which name; `None`: nobody any more.
    pub(super) unix: BTreeMap<UnixName, Option<SocketId>>,
    next_port: u16,
    pub(super) has_crashed: bool,
}

impl Host {
    pub(super) fn main() -> Host {
        Host::new("main", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)))
    }

    fn new(name: &str, address: IpAddr) -> Host {
        Host {
            name: name.to_owned(),
            addresses: vec![address],
            ports: BTreeMap::new(),
            unix: BTreeMap::new(),
            next_port: FIRST_FREE,
            has_crashed: false,
        }
    }

    fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }
}

impl Network {
    /// Adds a host.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is a host of that name or address, `InvalidInput` if no host can
    /// have them. The text names which of the two it is.
    pub(crate) fn add_host(&mut self, name: &str, ip: IpAddr) -> io::Result<HostId> {
        let ip = ip.to_canonical();
        let fails = |kind, text| Err(io::Error::new(kind, text));
        if name.is_empty() || name == "localhost" || name.parse::<IpAddr>().is_ok() {
            let text = format!("no host can have the name {name:?}");
            return fails(ErrorKind::InvalidInput, text);
        }
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            let text = format!("no host can have the address {ip}");
            return fails(ErrorKind::InvalidInput, text);
        }
        if self.host_named(name).is_some() {
            let text = format!("there is a host of the name {name:?}");
            return fails(ErrorKind::AlreadyExists, text);
        }
        if self.hosts.iter().any(|host| host.has(ip)) {
            let text = format!("there is a host of the address {ip}");
            return fails(ErrorKind::AlreadyExists, text);
        }
        self.hosts.push(Host::new(name, ip));
        Ok(HostId(self.hosts.len() as u32 - 1))
    }

    /// Gives back the name and the address of a host that could not be started.
    pub(crate) fn forget_host(&mut self, host: HostId) {
        let host = &mut self.hosts[host.0 as usize];
        host.name.clear();
        host.addresses.clear();
    }

    /// A host that has crashed has sockets again.
    pub(crate) fn start(&mut self, host: HostId) {
        self.hosts[host.0 as usize].has_crashed = false;
    }

    pub(crate) fn has_crashed(&self, host: HostId) -> bool {
        self.hosts[host.0 as usize].has_crashed
    }

    pub(crate) fn host_addresses(&self, host: HostId) -> &[IpAddr] {
        &self.hosts[host.0 as usize].addresses
    }

    /// The host of this name. Those that were forgotten have none.
    pub(crate) fn host_named(&self, name: &str) -> Option<HostId> {
        let is_named = |host: &Host| !name.is_empty() && host.name == name;
        let index = self.hosts.iter().position(is_named);
        index.map(|index| HostId(index as u32))
    }

    /// The addresses of a name.
    pub(crate) fn look_up(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Ok(ip) = name.parse() {
            return Some(vec![ip]);
        }
        if name == "localhost" {
            return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let host = self.host_named(name)?;
        Some(self.host_addresses(host).to_vec())
    }

    /// The host that is reached by an address from this one. A loopback address, and the
    /// unspecified one, reach the host itself.
    pub(super) fn host_at(&self, from: HostId, ip: IpAddr) -> Option<HostId> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(from);
        }
        let index = self
            .hosts
            .iter()
            .position(|host| host.addresses.contains(&ip));
        index.map(|index| HostId(index as u32))
    }

    /// The address by which a host reaches another one.
    fn source_ip(&self, from: HostId, to: IpAddr) -> Result<IpAddr> {
        let to = to.to_canonical();
        if to.is_loopback() || to.is_unspecified() {
            return Ok(loopback_of(to));
        }
        let own = self.host_addresses(from);
        let same_family = own.iter().find(|own| own.is_ipv4() == to.is_ipv4());
        same_family.copied().ok_or(ErrorKind::NetworkUnreachable)
    }

    /// The address that something is sent from, and where it goes, if its socket has this address.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable` if the host has no address of that family, and `InvalidInput` if a
    /// loopback address is to reach another host.
    pub(super) fn ends(
        &self,
        host: HostId,
        local: IpAddr,
        to: SocketAddr,
    ) -> Result<(IpAddr, SocketAddr)> {
        let source = match local.is_unspecified() {
            true => self.source_ip(host, to.ip())?,
            false => local,
        };
        let leaves = self.host_at(host, to.ip()) != Some(host);
        if leaves && source.to_canonical().is_loopback() {
            return Err(ErrorKind::InvalidInput);
        }
        let to = match to.ip().is_unspecified() {
            true => (source, to.port()).into(),
            false => to,
        };
        Ok((source, to))
    }

    /// Changes links. Those to the host itself are that of the pair of a host with itself.
    pub(crate) fn change_links(&mut self, pair: Pair, change: impl Fn(&mut Link)) {
        self.links.change(pair, change);
    }

    /// Cuts links. What is under way on them is not delivered before they are healed. A host always
    /// reaches itself.
    pub(crate) fn partition(&mut self, pair: Pair, at: &mut Moment<'_>) {
        self.advance(at);
        if !matches!(pair, Pair::Of(a, b) if a == b) {
            self.links.change(pair, |link| link.is_partitioned = true);
        }
        self.hold_all(at);
    }

    /// Mends links. What they have held back is sent again.
    pub(crate) fn heal(&mut self, pair: Pair, at: &mut Moment<'_>) {
        self.advance(at);
        self.links.change(pair, |link| link.is_partitioned = false);
        self.release(at);
    }

    /// Takes a port. Returns the address with its number.
    pub(super) fn take_port(
        &mut self,
        protocol: Protocol,
        id: SocketId,
        address: SocketAddr,
    ) -> Result<SocketAddr> {
        let socket = self.socket(id)?;
        let shares = socket.options.reuse_port;
        let sockets = &self.sockets;
        let host = &self.hosts[socket.host.0 as usize];
        if !address.ip().is_unspecified() && !host.has(address.ip()) {
            return Err(ErrorKind::AddrNotAvailable);
        }
        let is_free = |port: u16| {
            let owners = host.ports.get(&(protocol, port)).into_iter().flatten();
            owners.into_iter().all(|(ip, owner)| {
                let both_share = shares && sockets[owner].options.reuse_port;
                both_share || !overlap(*ip, address.ip())
            })
        };
        let port = match address.port() {
            0 => {
                let from_next = (host.next_port..=u16::MAX).chain(FIRST_FREE..host.next_port);
                let is_unused = |port: &u16| !host.ports.contains_key(&(protocol, *port));
                let found = from_next.clone().find(is_unused);
                let found = found.or_else(|| from_next.clone().find(|port| is_free(*port)));
                found.ok_or(ErrorKind::AddrInUse)?
            }
            port if is_free(port) => port,
            _ => return Err(ErrorKind::AddrInUse),
        };
        let host = socket.host;
        let host = &mut self.hosts[host.0 as usize];
        if address.port() == 0 {
            host.next_port = port.checked_add(1).unwrap_or(FIRST_FREE);
        }
        let owners = host.ports.entry((protocol, port)).or_default();
        owners.push((address.ip(), id));
        let socket = self.socket_mut(id)?;
        socket.port = Some((protocol, port));
        Ok(SocketAddr::new(address.ip(), port))
    }

    /// Gives a port back.
    pub(super) fn free_port(&mut self, host: HostId, protocol: Protocol, port: u16, id: SocketId) {
        let ports = &mut self.hosts[host.0 as usize].ports;
        if let Some(owners) = ports.get_mut(&(protocol, port)) {
            owners.retain(|(_, owner)| *owner != id);
            if owners.is_empty() {
                ports.remove(&(protocol, port));
            }
        }
    }

    /// Those who have the port of an address, the ones that have its very IP address first.
    pub(super) fn owners(&self, host: HostId, protocol: Protocol, to: SocketAddr) -> Vec<SocketId> {
        let owners = self.hosts[host.0 as usize]
            .ports
            .get(&(protocol, to.port()));
        let to = to.ip().to_canonical();
        let exact = |ip: IpAddr| ip.to_canonical() == to;
        let any = |ip: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || to.is_ipv4());
        let mut found = Vec::new();
        for matches in [&exact as &dyn Fn(IpAddr) -> bool, &any] {
            let owners = owners.into_iter().flatten();
            found.extend(owners.filter(|(ip, _)| matches(*ip)).map(|(_, id)| *id));
        }
        found
    }
}

/// Whether two sockets that have one port at these addresses are in each other's way.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    let any = |a: IpAddr, b: IpAddr| a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    a == b || any(a, b) || any(b, a)
}

fn loopback_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() => ip.into(),
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}
