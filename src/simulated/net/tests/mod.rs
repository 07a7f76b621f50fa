mod datagrams;
mod faults;
mod order;
mod pollers;
mod streams;
mod unix;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::rng::Rng;

/// A network with its clock, and the answers that it gets: those of a seed, or 0 to everything.
pub(super) struct World {
    pub(super) net: Network,
    pub(super) now: Duration,
    random: Option<Rng>,
    pub(super) poller: PollerId,
    pub(super) woken: Arc<Woken>,
}

#[derive(Default)]
pub(super) struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl World {
    /// Nothing unusual happens.
    pub(super) fn new() -> World {
        let mut net = Network::new();
        let woken = Arc::new(Woken::default());
        let poller = net.add_poller(Arc::clone(&woken) as Arc<dyn Wake>);
        World {
            net,
            now: Duration::ZERO,
            random: None,
            poller,
            woken,
        }
    }

    pub(super) fn random(seed: u64) -> World {
        World {
            random: Some(Rng::new(seed, 0)),
            ..World::new()
        }
    }

    /// Runs an operation now.
    pub(super) fn at<R>(&mut self, op: impl FnOnce(&mut Network, &mut Moment<'_>) -> R) -> R {
        let random = &self.random;
        // As `simulated::choose` draws.
        let mut choose = |n: u32, rarity: u32| match random {
            Some(random) if n > 1 && random.below(rarity) == 0 => 1 + random.below(n - 1),
            _ => 0,
        };
        let result = op(&mut self.net, &mut Moment::new(self.now, &mut choose));
        self.net.take_wakes().iter().for_each(|wake| wake.wake());
        result
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.at(|net, at| net.advance(at));
    }

    /// When the next event happens.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.net.agenda.events().next().map(|(key, _)| key.0)
    }

    /// Goes to the next event. `false`: there is none.
    pub(super) fn step(&mut self) -> bool {
        let Some(due) = self.next_due() else {
            return false;
        };
        self.now = self.now.max(due);
        self.at(|net, at| net.advance(at));
        true
    }

    pub(super) fn host(&mut self, name: &str, ip: [u8; 4]) -> HostId {
        self.net.add_host(name, IpAddr::from(ip)).expect("a host")
    }

    pub(super) fn listen(&mut self, host: HostId, address: &str, backlog: u32) -> SocketId {
        let address: SocketAddr = address.parse().expect("an address");
        let id = self.net.stream_socket(host, Family::of(&address));
        self.net.bind(id, address).expect("a free address");
        self.net.listen(id, backlog).expect("a bound socket");
        id
    }

    /// Begins to connect.
    pub(super) fn connect(&mut self, host: HostId, address: &str) -> SocketId {
        let address: SocketAddr = address.parse().expect("an address");
        let id = self.net.stream_socket(host, Family::of(&address));
        self.at(|net, at| net.connect(id, address, at))
            .expect("it begins");
        id
    }

    pub(super) fn accept(&mut self, listener: SocketId) -> Result<SocketId> {
        self.at(|net, at| net.accept(listener, at))
            .map(|(id, _)| id)
    }

    /// A connection between two hosts.
    pub(super) fn connected(&mut self, from: HostId, to: HostId) -> [SocketId; 2] {
        let ip = self.net.host_addresses(to)[0];
        let listener = self.listen(to, "0.0.0.0:0", 1);
        let Name::Ip(address) = self.net.local_name(listener).expect("a listener") else {
            panic!("no IP address");
        };
        let near = self.connect(from, &format!("{ip}:{}", address.port()));
        while self.step() {}
        let far = self.accept(listener).expect("a connection");
        self.at(|net, at| net.close(listener, at));
        [near, far]
    }

    pub(super) fn write(&mut self, id: SocketId, bytes: &[u8]) -> Result<usize> {
        self.at(|net, at| net.write(id, bytes, at))
    }

    pub(super) fn read(&mut self, id: SocketId) -> Result<Vec<u8>> {
        self.at(|net, at| net.read(id, 1 << 20, false, at))
    }

    pub(super) fn close(&mut self, id: SocketId) {
        self.at(|net, at| net.close(id, at));
    }

    pub(super) fn register(&mut self, id: SocketId, key: usize) {
        self.net.register(id, self.poller, key).expect("a socket");
    }

    /// The keys of the sockets that have news.
    pub(super) fn news(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.net.take_news(self.poller))
            .map(|news| news.key)
            .collect()
    }

    pub(super) fn error(&mut self, id: SocketId) -> Option<ErrorKind> {
        self.at(|net, at| net.take_error(id, at))
    }
}
