//! Sockets are made, asked and removed, whatever they are for.

use std::io::ErrorKind;

use super::names::{Family, Name, UnixName};
use super::socket::{Fresh, Kind, Options, Socket};
use super::{HostId, Moment, Network, Result, SocketId};

impl Network {
    /// A stream socket that is neither connected nor listens.
    pub(crate) fn stream_socket(&mut self, host: HostId, family: Family) -> SocketId {
        let local = None;
        self.add(host, Kind::Fresh(Fresh { family, local }))
    }

    pub(super) fn add(&mut self, host: HostId, kind: Kind) -> SocketId {
        self.sockets_made += 1;
        let id = SocketId {
            network: self.id,
            number: self.sockets_made,
        };
        let socket = Socket {
            host,
            options: Options::new(),
            registration: None,
            port: None,
            kind,
        };
        self.sockets.insert(id, socket);
        id
    }

    pub(super) fn socket(&self, id: SocketId) -> Result<&Socket> {
        self.sockets.get(&id).ok_or(ErrorKind::NotConnected)
    }

    pub(super) fn socket_mut(&mut self, id: SocketId) -> Result<&mut Socket> {
        self.sockets.get_mut(&id).ok_or(ErrorKind::NotConnected)
    }

    /// Whether the socket still is there: that of a host that has crashed is not.
    pub(crate) fn has(&self, id: SocketId) -> bool {
        self.sockets.contains_key(&id)
    }

    pub(crate) fn options(&mut self, id: SocketId) -> Result<&mut Options> {
        Ok(&mut self.socket_mut(id)?.options)
    }

    /// The address of a socket.
    pub(crate) fn local_name(&self, id: SocketId) -> Result<Name> {
        Ok(match &self.socket(id)?.kind {
            Kind::Fresh(fresh) if fresh.family == Family::Unix => Name::Unix(UnixName::Unnamed),
            Kind::Fresh(fresh) => Name::Ip(fresh.local.unwrap_or(fresh.family.unspecified())),
            Kind::Listener(listener) => listener.local.clone(),
            Kind::Stream(stream) => stream.local.clone(),
            Kind::Datagrams(datagrams) => Name::Ip(datagrams.local),
            Kind::UnixDatagrams(datagrams) => Name::Unix(datagrams.local.clone()),
        })
    }

    /// The address of a socket's peer.
    pub(crate) fn peer_name(&self, id: SocketId) -> Result<Name> {
        let name = match &self.socket(id)?.kind {
            Kind::Stream(stream) => stream.peer_name(),
            Kind::Datagrams(datagrams) => datagrams.peer.map(Name::Ip),
            Kind::UnixDatagrams(datagrams) => datagrams.peer_name().map(Name::Unix),
            Kind::Fresh(_) | Kind::Listener(_) => None,
        };
        name.ok_or(ErrorKind::NotConnected)
    }

    /// Takes the error that is pending on a socket.
    pub(crate) fn take_error(&mut self, id: SocketId, at: &mut Moment<'_>) -> Option<ErrorKind> {
        self.advance(at);
        match &mut self.sockets.get_mut(&id)?.kind {
            Kind::Stream(stream) => stream.error.take(),
            Kind::Datagrams(datagrams) => datagrams.error.take(),
            Kind::Fresh(_) | Kind::Listener(_) | Kind::UnixDatagrams(_) => None,
        }
    }

    /// Takes what a socket receives, or only looks at it: at most so many bytes of a stream, or a
    /// datagram.
    pub(crate) fn receive(
        &mut self,
        id: SocketId,
        wanted: usize,
        peeks: bool,
        at: &mut Moment<'_>,
    ) -> Result<Vec<u8>> {
        match self.socket(id)?.kind {
            Kind::Datagrams(_) => Ok(self.receive_datagram(id, peeks, at)?.0),
            Kind::UnixDatagrams(_) => Ok(self.receive_unix_datagram(id)?.0),
            _ => self.read(id, wanted, peeks, at),
        }
    }

    /// Sends bytes to the peer: as many as there is room for, or a datagram.
    pub(crate) fn send(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        at: &mut Moment<'_>,
    ) -> Result<usize> {
        match self.socket(id)?.kind {
            Kind::Datagrams(_) => self.send_datagram(id, bytes, None, at),
            Kind::UnixDatagrams(_) => self.send_unix_datagram(id, bytes, None),
            _ => self.write(id, bytes, at),
        }
    }

    /// Closes a socket. Does nothing if its host has crashed.
    pub(crate) fn close(&mut self, id: SocketId, at: &mut Moment<'_>) {
        self.advance(at);
        if !self.has(id) {
            return;
        }
        self.end_kind(id, false, at);
        self.remove(id);
    }

    /// Removes all sockets of a host; its connections are reset.
    pub(crate) fn crash(&mut self, host: HostId, at: &mut Moment<'_>) {
        self.advance(at);
        self.hosts[host.0 as usize].has_crashed = true;
        let sockets = self.sockets.iter();
        let own: Vec<SocketId> = (sockets.filter(|(_, socket)| socket.host == host))
            .map(|(id, _)| *id)
            .collect();
        for id in own {
            self.end_kind(id, true, at);
            self.remove(id);
        }
    }

    fn end_kind(&mut self, id: SocketId, resets: bool, at: &mut Moment<'_>) {
        match self.sockets.get(&id).map(|socket| &socket.kind) {
            Some(Kind::Listener(_)) => self.end_listener(id, at),
            Some(Kind::Stream(_)) => self.end_stream(id, resets, at),
            Some(Kind::UnixDatagrams(_)) => self.end_unix_datagrams(id),
            Some(Kind::Fresh(_) | Kind::Datagrams(_)) | None => {}
        }
    }

    /// Removes a socket, its registration and its address.
    pub(super) fn remove(&mut self, id: SocketId) {
        self.deregister(id);
        if let Some(socket) = self.sockets.remove(&id) {
            if let Some((protocol, port)) = socket.port {
                self.free_port(socket.host, protocol, port, id);
            }
            let name = match socket.kind {
                Kind::Listener(listener) => Some(listener.local),
                Kind::UnixDatagrams(datagrams) => Some(Name::Unix(datagrams.local)),
                Kind::Stream(stream) => {
                    if let Some(gives_up) = stream.gives_up {
                        self.leave_held(id, gives_up);
                    }
                    None
                }
                Kind::Fresh(_) | Kind::Datagrams(_) => None,
            };
            if let Some(Name::Unix(name)) = name {
                let names = &mut self.hosts[socket.host.0 as usize].unix;
                if let Some(owner) = names.get_mut(&name) {
                    *owner = None;
                }
            }
        }
    }
}
