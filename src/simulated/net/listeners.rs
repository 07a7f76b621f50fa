//! Listeners, and how connections begin.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use super::links::Route;
use super::names::{Family, Name, Protocol, UnixName, written_for};
use super::packets::Packet;
use super::socket::{Fresh, Kind, Listener, Stream};
use super::{HostId, Moment, Network, Result, SocketId};

/// An address that no host has is known to be wrong after this time, as on a local network.
const NO_HOST: Duration = Duration::from_secs(3);
/// When a connection that found the queue full is asked for again; then after twice the time.
const RETRY: Duration = Duration::from_secs(1);
/// It is asked for so many times more.
const RETRIES: u32 = 6;

impl Network {
    fn fresh(&self, id: SocketId) -> Result<&Fresh> {
        match &self.socket(id)?.kind {
            Kind::Fresh(fresh) => Ok(fresh),
            _ => Err(ErrorKind::InvalidInput),
        }
    }

    /// Gives a TCP socket its address.
    pub(crate) fn bind(&mut self, id: SocketId, address: SocketAddr) -> Result<()> {
        let fresh = self.fresh(id)?;
        if fresh.local.is_some() || fresh.family != Family::of(&address) {
            return Err(ErrorKind::InvalidInput);
        }
        let local = Some(self.take_port(Protocol::Tcp, id, address)?);
        let family = Family::of(&address);
        self.socket_mut(id)?.kind = Kind::Fresh(Fresh { family, local });
        Ok(())
    }

    /// Makes a TCP socket a listener.
    pub(crate) fn listen(&mut self, id: SocketId, backlog: u32) -> Result<()> {
        let family = self.fresh(id)?.family;
        let local = match self.fresh(id)?.local {
            Some(local) => local,
            None => self.take_port(Protocol::Tcp, id, family.unspecified())?,
        };
        let listener = Listener::new(Name::Ip(local), family, backlog);
        self.socket_mut(id)?.kind = Kind::Listener(listener);
        Ok(())
    }

    /// Begins to connect a TCP socket. It becomes writable when the outcome is known.
    pub(crate) fn connect(
        &mut self,
        id: SocketId,
        to: SocketAddr,
        at: &mut Moment<'_>,
    ) -> Result<()> {
        self.advance(at);
        let host = self.socket(id)?.host;
        let fresh = self.fresh(id)?;
        let family = fresh.family;
        if family != Family::of(&to) {
            return Err(ErrorKind::InvalidInput);
        }
        let bound = fresh.local.unwrap_or(family.unspecified());
        let (ip, to) = self.ends(host, bound.ip(), to)?;
        let port = match bound.port() {
            0 => {
                let any = written_for(family, (ip, 0).into());
                self.take_port(Protocol::Tcp, id, any)?.port()
            }
            port => port,
        };
        let local = Name::Ip(written_for(family, (ip, port).into()));
        let target = self.host_at(host, to.ip());
        let route = Route {
            from: host,
            to: target.unwrap_or(host),
        };
        let stream = Stream::connecting(local, Name::Ip(to), route);
        self.socket_mut(id)?.kind = Kind::Stream(stream);
        match target {
            Some(_) => {
                let packet = Packet::Connect {
                    from: id,
                    to,
                    tries: 0,
                };
                self.transmit(id, route, packet, at);
            }
            None => self.give_up_after(id, NO_HOST, ErrorKind::HostUnreachable, at),
        }
        Ok(())
    }

    pub(super) fn connect_arrives(
        &mut self,
        route: Route,
        from: SocketId,
        to: SocketAddr,
        tries: u32,
        at: &mut Moment<'_>,
    ) {
        let Some(client) = self.stream(from).ok().and_then(|client| client.local.ip()) else {
            return;
        };
        let back = route.back();
        let is_listener = |id: &SocketId| {
            let socket = self.sockets.get(id);
            matches!(socket.map(|socket| &socket.kind), Some(Kind::Listener(_)))
        };
        let mut found = self.owners(route.to, Protocol::Tcp, to);
        found.retain(is_listener);
        let Some(&first) = found.first() else {
            self.transmit(from, back, Packet::Refused { to: from }, at);
            return;
        };
        let id = match found.len() {
            1 => first,
            // They share the port.
            count => found[at.choose(count as u32, 2) as usize],
        };
        let listener = self.listener(id);
        let Some((family, _)) = listener.filter(|(_, is_full)| !is_full) else {
            let pause = RETRY * 2u32.pow(tries);
            if tries == RETRIES {
                self.give_up_after(from, pause, ErrorKind::TimedOut, at);
            } else {
                let tries = tries + 1;
                self.schedule(at.after(pause), route, Packet::Connect { from, to, tries });
            }
            return;
        };
        let local = Name::Ip(written_for(family, to));
        let remote = Name::Ip(written_for(family, client));
        let end = self.add_end(id, Stream::open(local, remote, back, from));
        self.transmit(
            end,
            back,
            Packet::Accepted {
                from: end,
                to: from,
            },
            at,
        );
    }

    /// The family of a listener, and whether its queue is full.
    fn listener(&self, id: SocketId) -> Option<(Family, bool)> {
        match &self.sockets.get(&id)?.kind {
            Kind::Listener(listener) => {
                Some((listener.family, listener.pending.len() >= listener.backlog))
            }
            _ => None,
        }
    }

    /// Puts the end of a connection into the queue of its listener, whose options it inherits.
    fn add_end(&mut self, listener: SocketId, stream: Stream) -> SocketId {
        let end = self.add(stream.route.from, Kind::Stream(stream));
        if let Some(socket) = self.sockets.get_mut(&listener) {
            let options = socket.options;
            if let Kind::Listener(listener) = &mut socket.kind {
                listener.pending.push_back(end);
            }
            if let Some(socket) = self.sockets.get_mut(&end) {
                socket.options = options;
            }
        }
        self.tell(listener);
        end
    }

    /// Takes the next connection of a listener.
    pub(crate) fn accept(&mut self, id: SocketId, at: &mut Moment<'_>) -> Result<(SocketId, Name)> {
        self.advance(at);
        let Kind::Listener(listener) = &mut self.socket_mut(id)?.kind else {
            return Err(ErrorKind::InvalidInput);
        };
        let end = listener.pending.pop_front().ok_or(ErrorKind::WouldBlock)?;
        let peer = self.stream(end)?.remote.clone();
        Ok((end, peer))
    }

    /// A listener is about to be removed.
    pub(super) fn end_listener(&mut self, id: SocketId, at: &mut Moment<'_>) {
        let pending = match self.sockets.get_mut(&id).map(|socket| &mut socket.kind) {
            Some(Kind::Listener(listener)) => std::mem::take(&mut listener.pending),
            _ => return,
        };
        for end in pending {
            self.end_stream(end, true, at);
            self.remove(end);
        }
    }

    /// A Unix listener. When it is closed, who connects to its name is refused, as with a file that
    /// is left behind. The name can be taken again, since there is no file to be removed.
    pub(crate) fn listen_unix(
        &mut self,
        host: HostId,
        name: UnixName,
        backlog: u32,
    ) -> Result<SocketId> {
        let listener = Listener::new(Name::Unix(name.clone()), Family::Unix, backlog);
        self.add_unix(host, name, Kind::Listener(listener))
    }

    /// A Unix socket with this name.
    pub(super) fn add_unix(
        &mut self,
        host: HostId,
        name: UnixName,
        kind: Kind,
    ) -> Result<SocketId> {
        let owner = self.hosts[host.0 as usize].unix.get(&name);
        if owner.is_some_and(|owner| owner.is_some()) {
            return Err(ErrorKind::AddrInUse);
        }
        let id = self.add(host, kind);
        if name != UnixName::Unnamed {
            self.hosts[host.0 as usize].unix.insert(name, Some(id));
        }
        Ok(id)
    }

    pub(super) fn unix_named(&self, host: HostId, name: &UnixName) -> Result<SocketId> {
        let owner = self.hosts[host.0 as usize].unix.get(name);
        let unknown = match name {
            UnixName::Path(_) => ErrorKind::NotFound,
            // There is no file that could be missing.
            UnixName::Abstract(_) | UnixName::Unnamed => ErrorKind::ConnectionRefused,
        };
        owner.ok_or(unknown)?.ok_or(ErrorKind::ConnectionRefused)
    }

    /// Connects a Unix socket. `WouldBlock`: the listener's queue is full.
    pub(crate) fn connect_unix(&mut self, id: SocketId, to: &UnixName) -> Result<()> {
        self.fresh(id)?;
        let host = self.socket(id)?.host;
        let listener = self.unix_named(host, to)?;
        let (_, is_full) = self
            .listener(listener)
            .ok_or(ErrorKind::ConnectionRefused)?;
        if is_full {
            return Err(ErrorKind::WouldBlock);
        }
        let route = Route::within(host);
        let [near, far] = [UnixName::Unnamed, to.clone()].map(Name::Unix);
        let end = self.add_end(listener, Stream::open(far.clone(), near.clone(), route, id));
        self.socket_mut(id)?.kind = Kind::Stream(Stream::open(near, far, route, end));
        Ok(())
    }

    /// Two Unix sockets that are connected to each other.
    pub(crate) fn unix_pair(&mut self, host: HostId) -> [SocketId; 2] {
        let route = Route::within(host);
        let unnamed = || Name::Unix(UnixName::Unnamed);
        let a = self.stream_socket(host, Family::Unix);
        let b = self.add(
            host,
            Kind::Stream(Stream::open(unnamed(), unnamed(), route, a)),
        );
        if let Some(socket) = self.sockets.get_mut(&a) {
            socket.kind = Kind::Stream(Stream::open(unnamed(), unnamed(), route, b));
        }
        [a, b]
    }
}
