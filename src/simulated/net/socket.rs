//! What a socket is, whatever it is for.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use super::agenda::{Key, PollerId};
use super::links::Route;
use super::names::{Family, Name, Protocol, UnixName};
use super::{HostId, Readiness, SocketId};

/// What a program can set. Most of it changes nothing here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) keepalive: bool,
    pub(crate) nodelay: bool,
    /// Zero: closing resets the connection.
    pub(crate) linger: Option<Duration>,
    /// Together with the peer's `receive_buffer`, how many bytes may be under way.
    pub(crate) send_buffer: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) ttl: u32,
    pub(crate) broadcast: bool,
    pub(crate) multicast_loop: bool,
    pub(crate) multicast_ttl: u32,
}

impl Options {
    /// Linux begins with similar sizes, and lets them grow.
    const BUFFER: usize = 64 << 10;

    pub(super) fn new() -> Options {
        Options {
            reuse_address: false,
            reuse_port: false,
            keepalive: false,
            nodelay: false,
            linger: None,
            send_buffer: Options::BUFFER,
            receive_buffer: Options::BUFFER,
            ttl: 64,
            broadcast: false,
            multicast_loop: true,
            multicast_ttl: 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Registration {
    pub(super) poller: PollerId,
    pub(super) key: usize,
    pub(super) has_news: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Fresh(Fresh),
    Listener(Listener),
    Stream(Stream),
    Datagrams(Datagrams),
    UnixDatagrams(UnixDatagrams),
}

/// A stream socket that is neither connected nor listens.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) family: Family,
    pub(super) local: Option<SocketAddr>,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) host: HostId,
    pub(super) options: Options,
    pub(super) registration: Option<Registration>,
    /// What it has of its host's ports.
    pub(super) port: Option<(Protocol, u16)>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) local: Name,
    pub(super) family: Family,
    pub(super) backlog: usize,
    /// The ends of connections that nobody has accepted yet.
    pub(super) pending: VecDeque<SocketId>,
}

impl Listener {
    pub(super) fn new(local: Name, family: Family, backlog: u32) -> Listener {
        Listener {
            local,
            family,
            // Linux lets one more wait than was asked for.
            backlog: backlog as usize + 1,
            pending: VecDeque::new(),
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) local: Name,
    pub(super) remote: Name,
    pub(super) state: State,
    /// The way to the peer.
    pub(super) route: Route,
    /// What has arrived and was not read.
    pub(super) incoming: VecDeque<u8>,
    /// The peer sends nothing more.
    pub(super) has_ended: bool,
    pub(super) shut_for_reads: bool,
    pub(super) shut_for_writes: bool,
    pub(super) error: Option<ErrorKind>,
    /// Bytes sent of which the peer has not said that it has read them.
    pub(super) under_way: usize,
    /// A write has found no room.
    pub(super) is_blocked: bool,
    /// When the last packet that was sent arrives; no later one arrives before.
    pub(super) sent_until: Duration,
    /// When it stops to wait for the peer.
    pub(super) gives_up: Option<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Open { peer: SocketId },
    Broken,
}

impl Stream {
    pub(super) fn connecting(local: Name, remote: Name, route: Route) -> Stream {
        Stream {
            local,
            remote,
            state: State::Connecting,
            route,
            incoming: VecDeque::new(),
            has_ended: false,
            shut_for_reads: false,
            shut_for_writes: false,
            error: None,
            under_way: 0,
            is_blocked: false,
            sent_until: Duration::ZERO,
            gives_up: None,
        }
    }

    pub(super) fn open(local: Name, remote: Name, route: Route, peer: SocketId) -> Stream {
        let mut stream = Stream::connecting(local, remote, route);
        stream.accepted_by(peer);
        stream
    }

    pub(super) fn accepted_by(&mut self, peer: SocketId) {
        self.state = State::Open { peer };
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    pub(super) fn is_unix(&self) -> bool {
        matches!(self.local, Name::Unix(_))
    }

    /// A Unix stream keeps its peer's name when the peer has closed.
    pub(super) fn peer_name(&self) -> Option<Name> {
        let has_peer = matches!(self.state, State::Open { .. }) || self.is_unix();
        has_peer.then(|| self.remote.clone())
    }

    /// A peer that sends to a TCP socket after both directions were shut down is told that nobody
    /// takes what it sends.
    pub(super) fn resets_bytes(&self) -> bool {
        let is_shut = self.shut_for_reads && self.shut_for_writes;
        is_shut && !self.is_broken() && !self.is_unix()
    }

    /// The end of TCP is the last thing that a read tells, also if an error follows it.
    pub(super) fn has_ended_for_good(&self) -> bool {
        self.has_ended && !self.is_unix()
    }

    /// As `tcp_poll` says.
    pub(super) fn readiness(&self) -> Readiness {
        if self.is_connecting() {
            return Readiness::default();
        }
        let broken = self.is_broken();
        let no_reads = self.has_ended || self.shut_for_reads || broken;
        Readiness {
            readable: !self.incoming.is_empty() || no_reads,
            writable: !self.is_blocked || self.shut_for_writes || broken,
            read_closed: no_reads,
            closed: no_reads && self.shut_for_writes || broken,
            error: self.error.is_some(),
        }
    }
}

/// A UDP socket.
#[derive(Debug)]
pub(super) struct Datagrams {
    pub(super) local: SocketAddr,
    pub(super) peer: Option<SocketAddr>,
    pub(super) queue: VecDeque<(Vec<u8>, SocketAddr)>,
    pub(super) queued: usize,
    pub(super) error: Option<ErrorKind>,
}

impl Datagrams {
    pub(super) fn readiness(&self) -> Readiness {
        Readiness {
            readable: !self.queue.is_empty(),
            writable: true,
            error: self.error.is_some(),
            ..Readiness::default()
        }
    }
}

/// A Unix datagram socket.
#[derive(Debug)]
pub(super) struct UnixDatagrams {
    pub(super) local: UnixName,
    pub(super) peer: Option<(SocketId, UnixName)>,
    pub(super) queue: VecDeque<(Vec<u8>, UnixName)>,
    /// Senders that have found the queue full.
    pub(super) waiting: Vec<SocketId>,
    pub(super) shut_for_reads: bool,
    pub(super) shut_for_writes: bool,
    /// A queue that it has found full has room again, and it has not tried since then. So it is
    /// writable, whatever the queue of its peer says: it may wait for another one's.
    pub(super) was_told_of_room: bool,
}

impl UnixDatagrams {
    /// Datagrams that may wait to be received, as on Linux.
    const QUEUE: usize = 10;

    pub(super) fn new(local: UnixName) -> UnixDatagrams {
        UnixDatagrams {
            local,
            peer: None,
            queue: VecDeque::new(),
            waiting: Vec::new(),
            shut_for_reads: false,
            shut_for_writes: false,
            was_told_of_room: false,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= UnixDatagrams::QUEUE
    }

    pub(super) fn is_peer(&self, id: SocketId) -> bool {
        self.peer.as_ref().is_some_and(|(peer, _)| *peer == id)
    }

    pub(super) fn peer_name(&self) -> Option<UnixName> {
        self.peer.as_ref().map(|(_, name)| name.clone())
    }
}
