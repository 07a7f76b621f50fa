//! What travels, and what happens when it arrives.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use super::agenda::{Key, PollerId};
use super::links::{RESEND, Route};
use super::names::Protocol;
use super::socket::Kind;
use super::{Moment, Network, SocketId};

/// A connection that is not answered fails after this time, as on Linux.
const CONNECTS_FOR: Duration = Duration::from_secs(127);
/// So does a connection whose peer does not acknowledge what was sent.
const RESENDS_FOR: Duration = Duration::from_secs(924);
/// It is not sent at once in one case of so many.
const RESENT_LATE: u32 = 4;

#[derive(Debug)]
pub(super) enum Packet {
    /// Asks for a connection.
    Connect {
        from: SocketId,
        to: SocketAddr,
        tries: u32,
    },
    /// The connection exists; `from` is its other end.
    Accepted {
        from: SocketId,
        to: SocketId,
    },
    Refused {
        to: SocketId,
    },
    Bytes {
        from: SocketId,
        to: SocketId,
        bytes: Vec<u8>,
    },
    /// No bytes follow.
    End {
        from: SocketId,
        to: SocketId,
    },
    /// The peer has read so many bytes.
    Room {
        to: SocketId,
        bytes: usize,
    },
    /// The connection is broken.
    Reset {
        to: SocketId,
    },
    /// The peer has closed a Unix socket.
    Gone {
        from: SocketId,
        to: SocketId,
    },
    Datagram(Datagram),
    /// Nobody has the port that a datagram was for.
    Unreachable {
        to: SocketId,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketId,
    pub(super) sender: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl Packet {
    fn to(&self) -> Option<SocketId> {
        match self {
            Packet::Connect { .. } | Packet::Datagram(_) => None,
            Packet::Accepted { to, .. }
            | Packet::Refused { to }
            | Packet::Bytes { to, .. }
            | Packet::End { to, .. }
            | Packet::Room { to, .. }
            | Packet::Reset { to }
            | Packet::Gone { to, .. }
            | Packet::Unreachable { to } => Some(*to),
        }
    }

    fn from(&self) -> Option<SocketId> {
        match self {
            Packet::Connect { from, .. }
            | Packet::Accepted { from, .. }
            | Packet::Bytes { from, .. }
            | Packet::End { from, .. }
            | Packet::Gone { from, .. }
            | Packet::Datagram(Datagram { from, .. }) => Some(*from),
            Packet::Refused { .. }
            | Packet::Room { .. }
            | Packet::Reset { .. }
            | Packet::Unreachable { .. } => None,
        }
    }

    /// Whether it is sent again until it arrives.
    fn is_reliable(&self) -> bool {
        !matches!(self, Packet::Datagram(_) | Packet::Unreachable { .. })
    }

    /// How long its sender waits for an acknowledgement before it gives up.
    fn patience(&self) -> Option<Duration> {
        match self {
            Packet::Connect { .. } => Some(CONNECTS_FOR),
            Packet::Bytes { .. } | Packet::End { .. } => Some(RESENDS_FOR),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Event {
    Arrives {
        route: Route,
        packet: Packet,
    },
    /// A stream socket has waited in vain.
    GivesUp {
        socket: SocketId,
        error: ErrorKind,
    },
}

impl Event {
    /// Whether it is about a socket.
    pub(super) fn concerns(&self, id: SocketId) -> bool {
        match self {
            Event::Arrives { packet, .. } => packet.to() == Some(id) || packet.from() == Some(id),
            Event::GivesUp { socket, .. } => *socket == id,
        }
    }
}

/// A packet that a partition holds back.
#[derive(Debug)]
pub(super) struct Held {
    route: Route,
    packet: Packet,
    /// Its sender has been closed, and would send it again until then. Nobody waits for that time.
    expires: Option<Duration>,
}

impl Network {
    /// Sends a packet of a stream socket, which arrives after what it has sent before.
    pub(super) fn transmit(
        &mut self,
        from: SocketId,
        route: Route,
        packet: Packet,
        at: &mut Moment<'_>,
    ) {
        self.transmit_later(from, route, packet, Duration::ZERO, at);
    }

    /// The same, with an additional delay.
    pub(super) fn transmit_later(
        &mut self,
        from: SocketId,
        route: Route,
        packet: Packet,
        delay: Duration,
        at: &mut Moment<'_>,
    ) {
        let link = self.links.get(route);
        let sender = self.stream_mut(from);
        let is_unix = sender.as_ref().is_ok_and(|sender| sender.is_unix());
        if link.is_partitioned && !is_unix {
            return self.hold(route, packet, at);
        }
        let latency = if is_unix {
            Duration::ZERO
        } else {
            link.reliable(at)
        };
        let mut due = at.after(delay).saturating_add(latency);
        if let Ok(sender) = self.stream_mut(from) {
            due = due.max(sender.sent_until);
            sender.sent_until = due;
        }
        if due <= at.now {
            self.arrive(route, packet, at);
        } else {
            self.schedule(due, route, packet);
        }
    }

    /// Answers a packet that came for a socket which is not there.
    fn answer(&mut self, route: Route, packet: Packet, at: &mut Moment<'_>) {
        let route = route.back();
        let link = self.links.get(route);
        if link.is_partitioned {
            return self.hold(route, packet, at);
        }
        let latency = link.reliable(at);
        self.schedule(at.after(latency), route, packet);
    }

    /// Sends a datagram, or an answer to one.
    pub(super) fn send_unreliable(&mut self, route: Route, packet: Packet, at: &mut Moment<'_>) {
        let link = self.links.get(route);
        if link.is_partitioned || link.loses(at) {
            return;
        }
        if let Packet::Datagram(datagram) = &packet {
            if link.doubles(at) {
                let copy = Packet::Datagram(datagram.clone());
                let latency = link.latency(at);
                self.schedule(at.after(latency), route, copy);
            }
        }
        let latency = link.latency(at);
        self.schedule(at.after(latency), route, packet);
    }

    pub(super) fn schedule(&mut self, due: Duration, route: Route, packet: Packet) -> Key {
        let owner = self.poller_for(&packet, route);
        (self.agenda).add(due, owner, Event::Arrives { route, packet })
    }

    /// Who is to wait for a packet: the poller of the receiver, or else that of the sender, which
    /// may get an answer.
    fn poller_for(&self, packet: &Packet, route: Route) -> Option<PollerId> {
        let poller_of = |id: &SocketId| Some(self.sockets.get(id)?.registration?.poller);
        let receiver = match packet {
            Packet::Datagram(Datagram { to, .. }) => {
                let owners = self.owners(route.to, Protocol::Udp, *to);
                owners.iter().find_map(poller_of)
            }
            _ => packet.to().as_ref().and_then(poller_of),
        };
        receiver.or_else(|| packet.from().as_ref().and_then(poller_of))
    }

    /// A stream socket will fail if nothing happens before.
    pub(super) fn give_up_after(
        &mut self,
        id: SocketId,
        time: Duration,
        error: ErrorKind,
        at: &Moment<'_>,
    ) {
        let owner = self.sockets.get(&id).and_then(|socket| socket.registration);
        let owner = owner.map(|registration| registration.poller);
        let Ok(stream) = self.stream_mut(id) else {
            return;
        };
        if stream.gives_up.is_none() {
            let event = Event::GivesUp { socket: id, error };
            let key = self.agenda.add(at.after(time), owner, event);
            if let Ok(stream) = self.stream_mut(id) {
                stream.gives_up = Some(key);
            }
        }
    }

    pub(super) fn do_not_give_up(&mut self, id: SocketId) {
        let key = self
            .stream_mut(id)
            .ok()
            .and_then(|stream| stream.gives_up.take());
        if let Some(key) = key {
            self.agenda.remove(key);
        }
    }

    fn hold(&mut self, route: Route, packet: Packet, at: &mut Moment<'_>) {
        let mut expires = None;
        if let (Some(from), Some(patience)) = (packet.from(), packet.patience()) {
            if self.has(from) {
                self.give_up_after(from, patience, ErrorKind::TimedOut, at);
            } else {
                expires = Some(at.after(patience));
            }
        }
        self.held.push(Held {
            route,
            packet,
            expires,
        });
    }

    /// Holds back what is under way on links that are partitioned.
    pub(super) fn hold_all(&mut self, at: &mut Moment<'_>) {
        let is_cut = |event: &Event| match event {
            Event::Arrives { route, .. } => self.links.get(*route).is_partitioned,
            Event::GivesUp { .. } => false,
        };
        let events = self.agenda.events();
        let cut: Vec<Key> = events
            .filter(|(_, event)| is_cut(event))
            .map(|(key, _)| key)
            .collect();
        for key in cut {
            if let Some(Event::Arrives { route, packet }) = self.agenda.remove(key) {
                if packet.is_reliable() {
                    self.hold(route, packet, at);
                }
            }
        }
    }

    /// Sends again what was held back on links that have been healed.
    pub(super) fn release(&mut self, at: &mut Moment<'_>) {
        let mut last_of: BTreeMap<SocketId, Duration> = BTreeMap::new();
        for held in std::mem::take(&mut self.held) {
            if held.expires.is_some_and(|expires| expires <= at.now) {
                continue;
            }
            let link = self.links.get(held.route);
            if link.is_partitioned {
                self.held.push(held);
                continue;
            }
            let Held { route, packet, .. } = held;
            let latency = link.reliable(at);
            let pause = RESEND * at.choose(8, RESENT_LATE);
            let mut due = at.after(latency).saturating_add(pause);
            if let Some(from) = packet.from() {
                let last = last_of.entry(from).or_default();
                due = due.max(*last);
                *last = due;
                if let Ok(stream) = self.stream_mut(from) {
                    stream.sent_until = due;
                }
                self.do_not_give_up(from);
            }
            self.schedule(due, route, packet);
        }
    }

    /// Drops what a socket has sent and what has not arrived.
    pub(super) fn drop_all_of(&mut self, from: SocketId) {
        self.drop_held(from);
        let is_of = |event: &Event| match event {
            Event::Arrives { packet, .. } => packet.from() == Some(from),
            Event::GivesUp { .. } => false,
        };
        let events = self.agenda.events();
        let sent: Vec<Key> = (events.filter(|(_, event)| is_of(event)))
            .map(|(key, _)| key)
            .collect();
        for key in sent {
            self.agenda.remove(key);
        }
    }

    /// Drops what is held back of a socket.
    fn drop_held(&mut self, from: SocketId) {
        self.held.retain(|held| held.packet.from() != Some(from));
    }

    /// A stream socket has been removed, which would have given up at this time. Its timer goes
    /// with it: nobody is told when the timer fires, so it must not keep a simulation going in
    /// which everybody else is asleep.
    pub(super) fn leave_held(&mut self, from: SocketId, gives_up: Key) {
        self.agenda.remove(gives_up);
        let left = (self.held.iter_mut()).filter(|held| held.packet.from() == Some(from));
        for held in left {
            held.expires = Some(gives_up.0);
        }
    }

    pub(super) fn happen(&mut self, event: Event, at: &mut Moment<'_>) {
        match event {
            Event::Arrives { route, packet } => self.arrive(route, packet, at),
            Event::GivesUp { socket, error } => {
                if let Ok(stream) = self.stream_mut(socket) {
                    stream.gives_up = None;
                    self.drop_held(socket);
                    self.break_stream(socket, Some(error));
                }
            }
        }
    }

    fn arrive(&mut self, route: Route, packet: Packet, at: &mut Moment<'_>) {
        match packet {
            Packet::Connect { from, to, tries } => self.connect_arrives(route, from, to, tries, at),
            Packet::Accepted { from, to } => match self.stream_mut(to) {
                Ok(stream) if stream.is_connecting() => {
                    stream.accepted_by(from);
                    self.do_not_give_up(to);
                    self.tell(to);
                }
                _ => self.answer(route, Packet::Reset { to: from }, at),
            },
            Packet::Refused { to } => {
                self.do_not_give_up(to);
                self.break_stream(to, Some(ErrorKind::ConnectionRefused));
            }
            Packet::Bytes { from, to, bytes } => match self.stream_mut(to) {
                Ok(stream) if stream.resets_bytes() => {
                    self.transmit(to, route.back(), Packet::Reset { to: from }, at);
                    self.break_stream(to, Some(ErrorKind::ConnectionReset));
                }
                Ok(stream) if !stream.is_broken() => {
                    stream.incoming.extend(bytes);
                    self.tell(to);
                }
                _ => self.answer(route, Packet::Reset { to: from }, at),
            },
            Packet::End { to, .. } => {
                if let Ok(stream) = self.stream_mut(to) {
                    stream.has_ended = true;
                    self.tell(to);
                }
            }
            Packet::Room { to, bytes } => self.room_arrives(to, bytes),
            Packet::Reset { to } => {
                let has_ended = (self.stream(to)).is_ok_and(|stream| stream.has_ended_for_good());
                let error = match has_ended {
                    true => ErrorKind::BrokenPipe,
                    false => ErrorKind::ConnectionReset,
                };
                self.break_stream(to, Some(error));
            }
            Packet::Gone { to, .. } => self.break_stream(to, None),
            Packet::Datagram(datagram) => self.datagram_arrives(route, datagram, at),
            Packet::Unreachable { to } => {
                if let Some(Kind::Datagrams(datagrams)) =
                    self.sockets.get_mut(&to).map(|socket| &mut socket.kind)
                {
                    datagrams.error = Some(ErrorKind::ConnectionRefused);
                    self.tell(to);
                }
            }
        }
    }
}
