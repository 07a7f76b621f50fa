//! The network of a simulation: hosts, links, and sockets that exist in memory alone.
//!
//! It has no thread, no waker and no clock. Whoever calls it says what time it is and answers its
//! questions of chance ([`Moment`]), and afterwards wakes those whom it names
//! ([`Network::take_wakes`]).
//!
//! # What it guarantees
//!
//! - The same calls with the same answers have the same results. An answer of 0 to each question
//!   makes a network that loses, doubles and delays nothing but what its links were set up for.
//! - A stream delivers all bytes in their order, however late, or it breaks with an error.
//! - The readiness of a socket is that of Linux ([`Readiness`]), and so are its edges: a socket
//!   with a registration has *news* whenever something has come, whether or not it was ready.
//!
//! # Protocol
//!
//! 1. An operation first lets everything happen that is due ([`Network::advance`]).
//! 2. What it sends is a [`Packet`](packets::Packet) on a [`Route`](links::Route). The link says
//!    how long that takes, and the packet becomes an [`Event`] of the agenda. A link that is
//!    partitioned holds packets of streams back until it is healed, and loses all others.
//! 3. An event that happens changes a socket, and gives it news. The poller of its registration
//!    takes them ([`Network::take_news`]) with the readiness of that moment, as `epoll` does.
//! 4. A poller that waits asks until when ([`Network::begin_wait`]). It is woken when there are
//!    news for it, or when something is due earlier.
//!
//! # What it does not do
//!
//! Segments, windows and acknowledgements of TCP exist as far as a program can notice them. There
//! is no fragmentation, no multicast, no `TIME_WAIT`, and no limit of a link's throughput.

mod agenda;
mod datagrams;
mod here;
mod hosts;
mod links;
mod listeners;
mod names;
mod packets;
mod socket;
mod sockets;
mod streams;
mod unix_datagrams;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use self::agenda::Agenda;
use self::hosts::Host;
use self::links::Links;
use self::packets::{Event, Held};
use self::socket::{Kind, Registration, Socket};

pub(crate) use self::agenda::{PollerId, Wake};
pub(crate) use self::here::{with_network, with_network_of};
pub(crate) use self::hosts::MAIN;
pub(crate) use self::links::{Link, Pair, Rate};
pub(crate) use self::names::{Family, Name, UnixName};
pub(crate) use self::socket::Options;

/// What an operation fails with.
pub(crate) type Result<T> = std::result::Result<T, ErrorKind>;

/// A network. No other one of the process has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NetworkId(u32);

/// A host of the network. Whoever keeps it beyond the simulation keeps the [`NetworkId`], too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(u32);

/// A socket. No other one ever gets its number, neither in this network nor in another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId {
    network: NetworkId,
    number: u64,
}

/// Only what is the same in each run.
impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.number, f)
    }
}

/// When something is done, and who answers the questions of chance that come up.
pub(crate) struct Moment<'a> {
    pub(crate) now: Duration,
    /// Takes the number of answers, and in how many cases one answer is another than 0.
    choose: &'a mut dyn FnMut(u32, u32) -> u32,
}

impl<'a> Moment<'a> {
    pub(crate) fn new(now: Duration, choose: &'a mut dyn FnMut(u32, u32) -> u32) -> Moment<'a> {
        Moment { now, choose }
    }

    /// An answer below `n`. The rarity is 2 at least: what happens always is no question.
    fn choose(&mut self, n: u32, rarity: u32) -> u32 {
        debug_assert!(rarity >= 2, "an answer that is not rare");
        (self.choose)(n, rarity)
    }

    /// The time after a while. A while without end is over at the end of all time.
    fn after(&self, time: Duration) -> Duration {
        self.now.saturating_add(time)
    }
}

/// What a socket is ready for, in the words of `epoll`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// A read does not block (`EPOLLIN`).
    pub(crate) readable: bool,
    /// A write does not block (`EPOLLOUT`).
    pub(crate) writable: bool,
    /// Nothing comes any more (`EPOLLRDHUP`).
    pub(crate) read_closed: bool,
    /// Nothing comes, and nothing can be sent (`EPOLLHUP`).
    pub(crate) closed: bool,
    /// An error is to be fetched (`EPOLLERR`).
    pub(crate) error: bool,
}

/// News of a registered socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// What it was registered with.
    pub(crate) key: usize,
    pub(crate) readiness: Readiness,
}

/// The network of one simulation.
#[derive(Debug)]
pub(crate) struct Network {
    id: NetworkId,
    hosts: Vec<Host>,
    /// Where the next poller is.
    host_of_next_poller: HostId,
    sockets: BTreeMap<SocketId, Socket>,
    sockets_made: u64,
    links: Links,
    agenda: Agenda,
    /// What partitions hold back, in the order in which it was sent.
    held: Vec<Held>,
}

impl Network {
    /// A network with one host, [`MAIN`].
    pub(crate) fn new() -> Network {
        // Relaxed: only the number counts.
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        Network {
            id: NetworkId(NUMBERS.fetch_add(1, Ordering::Relaxed)),
            hosts: vec![Host::main()],
            host_of_next_poller: MAIN,
            sockets: BTreeMap::new(),
            sockets_made: 0,
            links: Links::new(),
            agenda: Agenda::new(),
            held: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> NetworkId {
        self.id
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, at: &mut Moment<'_>) {
        let now = at.now;
        while let Some((due, event)) = self.agenda.take_due(now) {
            // What follows from it does not depend on who has looked when.
            at.now = due;
            self.happen(event, at);
        }
        at.now = now;
    }

    /// The pollers whose wait is to end because of what was done. To be called after each
    /// operation.
    pub(crate) fn take_wakes(&mut self) -> Vec<Arc<dyn Wake>> {
        self.agenda.take_wakes()
    }

    /// A poller, on the host that was set last.
    pub(crate) fn add_poller(&mut self, wake: Arc<dyn Wake>) -> PollerId {
        self.agenda.add_poller(self.host_of_next_poller, wake)
    }

    /// Pollers that are made from now on are on this host.
    pub(crate) fn set_host_of_next_poller(&mut self, host: HostId) -> HostId {
        std::mem::replace(&mut self.host_of_next_poller, host)
    }

    pub(crate) fn host_of(&self, poller: PollerId) -> Option<HostId> {
        self.agenda.host_of(poller)
    }

    pub(crate) fn remove_poller(&mut self, poller: PollerId) {
        self.agenda.remove_poller(poller);
        for socket in self.sockets.values_mut() {
            let is_there = |registration: &Registration| registration.poller == poller;
            socket.registration = socket.registration.filter(|found| !is_there(found));
        }
    }

    /// Registers a socket. If it is ready, that is news.
    pub(crate) fn register(&mut self, id: SocketId, poller: PollerId, key: usize) -> Result<()> {
        let socket = self.socket_mut(id)?;
        if socket.registration.is_some() {
            return Err(ErrorKind::AlreadyExists);
        }
        socket.registration = Some(Registration {
            poller,
            key,
            has_news: false,
        });
        if self.readiness(id) != Readiness::default() {
            self.tell(id);
        }
        Ok(())
    }

    pub(crate) fn deregister(&mut self, id: SocketId) {
        let registration = self
            .sockets
            .get_mut(&id)
            .and_then(|socket| socket.registration.take());
        if let Some(Registration { poller, .. }) = registration {
            self.agenda.forget_news(poller, id);
            self.agenda
                .disown_events_of(poller, |event| event.concerns(id));
        }
    }

    /// The next news of a poller.
    pub(crate) fn take_news(&mut self, poller: PollerId) -> Option<News> {
        loop {
            let id = self.agenda.take_news(poller)?;
            let readiness = self.readiness(id);
            let socket = self.sockets.get_mut(&id);
            let Some(registration) = socket.and_then(|socket| socket.registration.as_mut()) else {
                continue;
            };
            registration.has_news = false;
            if readiness != Readiness::default() {
                let key = registration.key;
                return Some(News { key, readiness });
            }
        }
    }

    /// A poller is about to wait, at most until the given time. Returns when it should look.
    pub(crate) fn begin_wait(
        &mut self,
        poller: PollerId,
        until: Option<Duration>,
    ) -> Option<Duration> {
        self.agenda.begin_wait(poller, until)
    }

    pub(crate) fn end_wait(&mut self, poller: PollerId) {
        self.agenda.end_wait(poller);
    }

    /// What a socket is ready for.
    pub(crate) fn readiness(&self, id: SocketId) -> Readiness {
        match self.sockets.get(&id).map(|socket| &socket.kind) {
            None | Some(Kind::Fresh(_)) => Readiness::default(),
            Some(Kind::Listener(listener)) => Readiness {
                readable: !listener.pending.is_empty(),
                ..Readiness::default()
            },
            Some(Kind::Stream(stream)) => stream.readiness(),
            Some(Kind::Datagrams(datagrams)) => datagrams.readiness(),
            Some(Kind::UnixDatagrams(datagrams)) => self.readiness_of_unix_datagrams(datagrams),
        }
    }

    /// Something has come to a socket.
    fn tell(&mut self, id: SocketId) {
        let registration = self
            .sockets
            .get_mut(&id)
            .and_then(|socket| socket.registration.as_mut());
        if let Some(registration) = registration {
            if !std::mem::replace(&mut registration.has_news, true) {
                let poller = registration.poller;
                self.agenda.add_news(poller, id);
            }
        }
    }
}
