//! UDP.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use super::links::Route;
use super::names::{Family, Protocol, written_for};
use super::packets::{Datagram, Packet};
use super::socket::{Datagrams, Kind};
use super::{HostId, Moment, Network, Result, SocketId};

/// The largest datagram.
const LARGEST: usize = 65_507;
/// Bytes that may wait to be received; what comes beyond is lost. Linux has this default.
const QUEUE: usize = 212_992;
/// What a datagram takes of that beside its bytes, about as on Linux. So empty ones fill it, too.
const OVERHEAD: usize = 768;

impl Network {
    /// A UDP socket with this address.
    pub(crate) fn bind_datagrams(&mut self, host: HostId, address: SocketAddr) -> Result<SocketId> {
        let kind = Kind::Datagrams(Datagrams {
            local: address,
            peer: None,
            queue: VecDeque::new(),
            queued: 0,
            error: None,
        });
        let id = self.add(host, kind);
        match self.take_port(Protocol::Udp, id, address) {
            Ok(local) => {
                self.datagrams(id)?.local = local;
                Ok(id)
            }
            Err(error) => {
                self.remove(id);
                Err(error)
            }
        }
    }

    fn datagrams(&mut self, id: SocketId) -> Result<&mut Datagrams> {
        match &mut self.socket_mut(id)?.kind {
            Kind::Datagrams(datagrams) => Ok(datagrams),
            _ => Err(ErrorKind::InvalidInput),
        }
    }

    /// Sets the peer of a UDP socket.
    pub(crate) fn connect_datagrams(&mut self, id: SocketId, to: SocketAddr) -> Result<()> {
        let host = self.socket(id)?.host;
        let local = self.datagrams(id)?.local;
        if Family::of(&local) != Family::of(&to) {
            return Err(ErrorKind::InvalidInput);
        }
        let (source, to) = self.ends(host, local.ip(), to)?;
        let datagrams = self.datagrams(id)?;
        datagrams.peer = Some(to);
        let local = (source, local.port()).into();
        datagrams.local = written_for(Family::of(&to), local);
        Ok(())
    }

    /// Sends a datagram, to the peer if there is no other address.
    pub(crate) fn send_datagram(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        to: Option<SocketAddr>,
        at: &mut Moment<'_>,
    ) -> Result<usize> {
        self.advance(at);
        let host = self.socket(id)?.host;
        let may_broadcast = self.socket(id)?.options.broadcast;
        let datagrams = self.datagrams(id)?;
        if let Some(error) = datagrams.error.take() {
            return Err(error);
        }
        let local = datagrams.local;
        let to = to.or(datagrams.peer).ok_or(ErrorKind::NotConnected)?;
        if Family::of(&local) != Family::of(&to) || bytes.len() > LARGEST || to.port() == 0 {
            return Err(ErrorKind::InvalidInput);
        }
        match to.ip() {
            IpAddr::V4(ip) if ip.is_broadcast() && !may_broadcast => {
                return Err(ErrorKind::PermissionDenied);
            }
            IpAddr::V4(ip) if ip.is_broadcast() => return Err(ErrorKind::Unsupported),
            ip if ip.is_multicast() => return Err(ErrorKind::Unsupported),
            _ => {}
        }
        let (source, to) = self.ends(host, local.ip(), to)?;
        // Nobody has the address: the datagram is lost.
        if let Some(target) = self.host_at(host, to.ip()) {
            let route = Route {
                from: host,
                to: target,
            };
            let datagram = Datagram {
                from: id,
                sender: (source, local.port()).into(),
                to,
                bytes: bytes.to_vec(),
            };
            self.send_unreliable(route, Packet::Datagram(datagram), at);
        }
        Ok(bytes.len())
    }

    pub(super) fn datagram_arrives(
        &mut self,
        route: Route,
        datagram: Datagram,
        at: &mut Moment<'_>,
    ) {
        let Datagram {
            from,
            sender,
            to,
            bytes,
        } = datagram;
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        let mut receiver = None;
        for id in self.owners(route.to, Protocol::Udp, to) {
            let peer = self.datagrams(id).ok().map(|datagrams| datagrams.peer);
            match peer {
                Some(Some(peer)) if canonical(peer) == canonical(sender) => {
                    receiver = Some(id);
                    break;
                }
                Some(None) => receiver = receiver.or(Some(id)),
                Some(Some(_)) | None => {}
            }
        }
        let Some(id) = receiver else {
            let is_connected = self.datagrams(from).is_ok_and(|from| from.peer.is_some());
            if is_connected {
                self.send_unreliable(route.back(), Packet::Unreachable { to: from }, at);
            }
            return;
        };
        if let Ok(datagrams) = self.datagrams(id) {
            let size = bytes.len() + OVERHEAD;
            if datagrams.queued + size <= QUEUE {
                datagrams.queued += size;
                let sender = written_for(Family::of(&datagrams.local), sender);
                datagrams.queue.push_back((bytes, sender));
                self.tell(id);
            }
        }
    }

    /// Takes the next datagram and its sender, or only looks at it.
    pub(crate) fn receive_datagram(
        &mut self,
        id: SocketId,
        peeks: bool,
        at: &mut Moment<'_>,
    ) -> Result<(Vec<u8>, SocketAddr)> {
        self.advance(at);
        let datagrams = self.datagrams(id)?;
        if let Some(error) = datagrams.error.take() {
            return Err(error);
        }
        if peeks {
            let first = datagrams.queue.front().cloned();
            return first.ok_or(ErrorKind::WouldBlock);
        }
        let first = datagrams.queue.pop_front().ok_or(ErrorKind::WouldBlock)?;
        datagrams.queued -= first.0.len() + OVERHEAD;
        Ok(first)
    }
}
