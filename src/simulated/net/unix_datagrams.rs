//! Unix datagrams: they arrive at once, or find the queue of their receiver full.

use std::io::ErrorKind;
use std::net::Shutdown;

use super::names::UnixName;
use super::socket::{Kind, UnixDatagrams};
use super::{HostId, Network, Readiness, Result, SocketId};

impl Network {
    pub(super) fn readiness_of_unix_datagrams(&self, datagrams: &UnixDatagrams) -> Readiness {
        let peer = datagrams
            .peer
            .as_ref()
            .and_then(|(peer, _)| self.sockets.get(peer));
        let is_full = match peer.map(|peer| &peer.kind) {
            Some(Kind::UnixDatagrams(peer)) => peer.is_full(),
            _ => false,
        };
        Readiness {
            readable: !datagrams.queue.is_empty() || datagrams.shut_for_reads,
            writable: !is_full || datagrams.was_told_of_room,
            read_closed: datagrams.shut_for_reads,
            closed: datagrams.shut_for_reads && datagrams.shut_for_writes,
            error: false,
        }
    }

    fn unix_datagrams(&mut self, id: SocketId) -> Result<&mut UnixDatagrams> {
        match &mut self.socket_mut(id)?.kind {
            Kind::UnixDatagrams(datagrams) => Ok(datagrams),
            _ => Err(ErrorKind::InvalidInput),
        }
    }

    /// A Unix datagram socket with a name, or without.
    pub(crate) fn bind_unix_datagrams(&mut self, host: HostId, name: UnixName) -> Result<SocketId> {
        let kind = Kind::UnixDatagrams(UnixDatagrams::new(name.clone()));
        self.add_unix(host, name, kind)
    }

    /// Two Unix datagram sockets that are connected to each other.
    pub(crate) fn unix_datagram_pair(&mut self, host: HostId) -> [SocketId; 2] {
        let new = || Kind::UnixDatagrams(UnixDatagrams::new(UnixName::Unnamed));
        let [a, b] = [(); 2].map(|()| self.add(host, new()));
        for (id, peer) in [(a, b), (b, a)] {
            if let Ok(datagrams) = self.unix_datagrams(id) {
                datagrams.peer = Some((peer, UnixName::Unnamed));
            }
        }
        [a, b]
    }

    fn named(&mut self, id: SocketId, name: &UnixName) -> Result<SocketId> {
        let host = self.socket(id)?.host;
        let found = self.unix_named(host, name)?;
        // A listener takes no datagrams.
        self.unix_datagrams(found)
            .map_err(|_| ErrorKind::InvalidInput)?;
        Ok(found)
    }

    /// Sets the peer of a Unix datagram socket.
    pub(crate) fn connect_unix_datagrams(&mut self, id: SocketId, to: &UnixName) -> Result<()> {
        let peer = self.named(id, to)?;
        self.unix_datagrams(id)?.peer = Some((peer, to.clone()));
        self.tell(id);
        Ok(())
    }

    /// Sends a datagram, to the peer if there is no other name.
    pub(crate) fn send_unix_datagram(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        to: Option<&UnixName>,
    ) -> Result<usize> {
        let sender = self.unix_datagrams(id)?;
        sender.was_told_of_room = false;
        if sender.shut_for_writes {
            return Err(ErrorKind::BrokenPipe);
        }
        let name = sender.local.clone();
        let peer = sender.peer.as_ref().map(|(peer, _)| *peer);
        let to = match to {
            Some(to) => self.named(id, to)?,
            None => peer.ok_or(ErrorKind::NotConnected)?,
        };
        let Ok(receiver) = self.unix_datagrams(to) else {
            return Err(ErrorKind::ConnectionRefused);
        };
        if receiver.shut_for_reads {
            return Err(ErrorKind::BrokenPipe);
        }
        if receiver.peer.is_some() && !receiver.is_peer(id) {
            return Err(ErrorKind::PermissionDenied);
        }
        if receiver.is_full() {
            if !receiver.waiting.contains(&id) {
                receiver.waiting.push(id);
            }
            return Err(ErrorKind::WouldBlock);
        }
        receiver.queue.push_back((bytes.to_vec(), name));
        self.tell(to);
        Ok(bytes.len())
    }

    /// Takes the next datagram and the name of its sender.
    pub(crate) fn receive_unix_datagram(&mut self, id: SocketId) -> Result<(Vec<u8>, UnixName)> {
        let datagrams = self.unix_datagrams(id)?;
        let was_full = datagrams.is_full();
        let Some(first) = datagrams.queue.pop_front() else {
            return match datagrams.shut_for_reads {
                true => Ok((Vec::new(), UnixName::Unnamed)),
                false => Err(ErrorKind::WouldBlock),
            };
        };
        if was_full {
            self.tell_senders(id);
        }
        Ok(first)
    }

    pub(super) fn shut_down_unix_datagrams(&mut self, id: SocketId, how: Shutdown) -> Result<()> {
        let datagrams = self.unix_datagrams(id)?;
        datagrams.shut_for_reads |= how != Shutdown::Write;
        datagrams.shut_for_writes |= how != Shutdown::Read;
        self.tell(id);
        self.tell_senders(id);
        Ok(())
    }

    /// A socket is about to be removed.
    pub(super) fn end_unix_datagrams(&mut self, id: SocketId) {
        self.tell_senders(id);
    }

    /// A send to this socket need not wait any more. That is told to the senders that have found
    /// its queue full, and to those that are connected to it: they may wait without having tried.
    fn tell_senders(&mut self, id: SocketId) {
        let Ok(receiver) = self.unix_datagrams(id) else {
            return;
        };
        let waiting = std::mem::take(&mut receiver.waiting);
        for sender in &waiting {
            if let Ok(sender) = self.unix_datagrams(*sender) {
                sender.was_told_of_room = true;
            }
        }
        let is_connected = |kind: &Kind| match kind {
            Kind::UnixDatagrams(datagrams) => datagrams.is_peer(id),
            _ => false,
        };
        let sockets = self.sockets.iter();
        let connected = sockets.filter(|(_, socket)| is_connected(&socket.kind));
        let connected: Vec<SocketId> = connected.map(|(id, _)| *id).collect();
        for sender in waiting.into_iter().chain(connected) {
            self.tell(sender);
        }
    }
}
