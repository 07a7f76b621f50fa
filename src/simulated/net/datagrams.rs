//! UDP.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use super::links::Route;
use super::names::{Family, Protocol, written_for};
use super::packets::Packet;
use super::socket::{Datagrams, Kind};
use super::{HostId, Moment, Network, Result, SocketId};

/// The largest datagram.
const LARGEST: usize = 65_507;
/// Bytes that may wait to be received; what comes beyond is lost. Linux has this default.
const QUEUE: usize = 212_992;

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
        let source = self.source_ip(host, to.ip())?;
        let datagrams = self.datagrams(id)?;
        datagrams.peer = Some(to);
        if local.ip().is_unspecified() {
            let local = (source, local.port()).into();
            datagrams.local = written_for(Family::of(&to), local);
        }
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
        let source = match local.ip().is_unspecified() {
            true => self.source_ip(host, to.ip())?,
            false => local.ip(),
        };
        // Nobody has the address: the datagram is lost.
        if let Some(target) = self.host_at(host, to.ip()) {
            let route = Route {
                from: host,
                to: target,
            };
            let to = match to.ip().is_unspecified() {
                true => (source, to.port()).into(),
                false => to,
            };
            let packet = Packet::Datagram {
                from: id,
                sender: (source, local.port()).into(),
                to,
                bytes: bytes.to_vec(),
            };
            self.send_unreliable(route, packet, at);
        }
        Ok(bytes.len())
    }

    pub(super) fn datagram_arrives(
        &mut self,
        route: Route,
        from: SocketId,
        sender: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
        at: &mut Moment<'_>,
    ) {
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
                let back = Route {
                    from: route.to,
                    to: route.from,
                };
                self.send_unreliable(back, Packet::Unreachable { to: from }, at);
            }
            return;
        };
        if let Ok(datagrams) = self.datagrams(id) {
            if datagrams.queued + bytes.len() <= QUEUE {
                datagrams.queued += bytes.len();
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
        datagrams.queued -= first.0.len();
        Ok(first)
    }
}
