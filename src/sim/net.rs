//! The network of a simulation: hosts, and what happens between them.
//!
//! In a simulation the types of [`executor::net`](crate::net) are sockets of a network in memory.
//! It begins with one host, `main`, which has the addresses 10.0.0.1 and 127.0.0.1; the simulated
//! runtime is on it. A [`Host`] is another one, with a runtime of its own. Its tasks use the same
//! functions and types, and their sockets are on that host.
//!
//! # What it does
//!
//! - Names are those of hosts, and `localhost`: `TcpStream::connect("server:80")`.
//! - A packet takes 500 µs to another host, 10 µs to its own, and sometimes up to three times as
//!   long. Writes are sometimes short, and bytes of one write sometimes arrive in two parts. All
//!   that is drawn from the seed, and shrunk as other choices are.
//! - [`between`] and [`everywhere`] change that: latency, losses, partitions. TCP delivers all bytes
//!   in their order, later if packets are lost. It fails with `TimedOut` when a partition lasts: a
//!   connect after 127 s, a write after 924 s, as on Linux.
//! - A peer that does not read blocks its writer, 128 KiB at the most in both buffers together.
//!   Closing a socket with unread bytes resets the connection.
//! - A Unix socket's path is a name on its host. There is no file.
//!
//! # What it does not do
//!
//! A simulated socket has no file descriptor. So [`io::Async`](crate::io::Async) and the conversions
//! from sockets of `std` fail with [`Unsupported`](std::io::ErrorKind::Unsupported) in a simulation,
//! and `as_fd` of such a socket panics. Libraries that take descriptors, such as quinn, cannot be
//! simulated. There is no multicast, and no limit of a link's throughput.
//!
//! # Examples
//!
//! ```
//! use executor::net::{TcpListener, TcpStream};
//! use executor::sim::{self, net::Host};
//! use futures::io::{AsyncReadExt, AsyncWriteExt};
//! use std::time::Duration;
//!
//! let sim = sim::Builder::new().seed(7).build();
//! sim.run(async {
//!     let server = Host::new("server", [10, 0, 0, 2])?;
//!     server.spawn(async {
//!         let listener = TcpListener::bind("0.0.0.0:80").await?;
//!         loop {
//!             let (mut stream, _) = listener.accept().await?;
//!             stream.write_all(b"hello").await?;
//!         }
//!         # #[allow(unreachable_code)]
//!         std::io::Result::Ok(())
//!     });
//!     executor::time::sleep(Duration::from_millis(1)).await;
//!
//!     sim::net::between("main", "server").partition();
//!     let connects = TcpStream::connect("server:80");
//!     let late = executor::time::timeout(Duration::from_secs(10), connects).await;
//!     assert!(late.is_err());
//!
//!     sim::net::between("main", "server").heal();
//!     let mut text = String::new();
//!     let mut stream = TcpStream::connect("server:80").await?;
//!     stream.read_to_string(&mut text).await?;
//!     assert_eq!(text, "hello");
//!     std::io::Result::Ok(())
//! })
//! .unwrap()
//! .unwrap();
//! ```

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::runtime::{Handle, Runtime};
use crate::simulated::net::{
    HostId, Link, MAIN, NetworkId, Pair, Rate, with_network, with_network_of,
};
use crate::sync::Mutex;
use crate::tasks::JoinHandle;

/// The processors of a host that is not asked for others: as many as those of a simulation.
const PROCESSORS: usize = 2;

/// A host of the simulation, with a runtime of its own.
///
/// Dropping it is a [`crash`](Host::crash).
pub struct Host {
    name: String,
    ip: IpAddr,
    network: NetworkId,
    id: HostId,
    processors: usize,
    /// `None` after a crash.
    runtime: Mutex<Option<Runtime>>,
}

impl Host {
    /// A host with this name and address, and a runtime of two processors.
    ///
    /// An IPv4 address that is mapped into IPv6 is taken for the IPv4 address. Hosts reach each other
    /// if both addresses are of IPv4, or both of IPv6: to connect to a host of the other family fails
    /// with [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable). That of `main` is of IPv4.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is a host of that name or address,
    /// also one that has crashed; [`InvalidInput`](io::ErrorKind::InvalidInput) for a loopback,
    /// multicast or unspecified address, and for a name that is empty, `localhost` or an address.
    /// Outside of a simulation it is an error, too, and so it is when the runtime cannot be built:
    /// then the name and the address are free again.
    #[track_caller]
    pub fn new(name: &str, ip: impl Into<IpAddr>) -> io::Result<Host> {
        Host::with_processors(name, ip, PROCESSORS)
    }

    /// A host with this name and address, and a runtime of so many processors.
    ///
    /// # Errors
    ///
    /// As for [`new`](Host::new).
    ///
    /// # Panics
    ///
    /// If the number is zero.
    #[track_caller]
    pub fn with_processors(
        name: &str,
        ip: impl Into<IpAddr>,
        processors: usize,
    ) -> io::Result<Host> {
        assert!(processors > 0, "a host needs a processor");
        let ip = ip.into().to_canonical();
        let (network, id) = with_network(|net, _| (net.id(), net.add_host(name, ip)))?;
        let id = id?;
        let runtime = build(network, id, name, processors).inspect_err(|_| {
            // An error: there is no name to be given back.
            let _ = with_network_of(network, |net, _| net.forget_host(id));
        })?;
        Ok(Host {
            name: name.to_owned(),
            ip,
            network,
            id,
            processors,
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// A handle of its runtime.
    ///
    /// # Panics
    ///
    /// If it has crashed.
    #[must_use]
    pub fn handle(&self) -> Handle {
        let handle = self
            .runtime
            .lock()
            .as_ref()
            .map(|runtime| runtime.handle().clone());
        let Some(handle) = handle else {
            panic!("the host {:?} has crashed", self.name);
        };
        handle
    }

    /// Spawns a task on the host. If the host crashes, the task is cancelled.
    ///
    /// # Panics
    ///
    /// If it has crashed.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle().spawn(future)
    }

    /// Stops the host: its connections are reset at once, its tasks are dropped at their next await,
    /// and its ports are free. Waits until its tasks and blocking jobs have ended, unless it is
    /// called by one of them.
    ///
    /// Does nothing if it has crashed already. [`restart`](Host::restart) starts it again. Who
    /// connects meanwhile is refused.
    pub fn crash(&self) {
        let runtime = self.runtime.lock().take();
        if runtime.is_some() {
            // An error: the thread ends.
            let _ = RUNTIMES.try_with(|runtimes| {
                let is_own = |known: &Known| (known.network, known.host) == (self.network, self.id);
                runtimes.borrow_mut().retain(|known| !is_own(known));
            });
            // An error: the simulation is over, and so is its network.
            let _ = with_network_of(self.network, |net, at| net.crash(self.id, at));
        }
        drop(runtime);
    }

    /// Starts a host that has crashed, with a new runtime. Does nothing if it has not.
    ///
    /// # Errors
    ///
    /// Outside of the simulation that the host was made in; and when its runtime cannot be built, as
    /// with [`new`](Host::new).
    pub fn restart(&self) -> io::Result<()> {
        if self.runtime.lock().is_none() {
            with_network_of(self.network, |net, _| net.start(self.id))?;
            let runtime = build(self.network, self.id, &self.name, self.processors)?;
            *self.runtime.lock() = Some(runtime);
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.crash();
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("ip", &self.ip)
            .finish_non_exhaustive()
    }
}

std::thread_local! {
    /// The runtimes of the hosts of this thread's simulation, for a dump of their tasks.
    static RUNTIMES: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone)]
struct Known {
    network: NetworkId,
    host: HostId,
    name: String,
    runtime: Handle,
}

/// Writes down the tasks of all hosts but `main`. They may not answer in time.
pub(super) fn dump_hosts(within: Duration, text: &mut String) {
    // A dump waits, and other threads of the simulation run meanwhile.
    let runtimes = RUNTIMES.with_borrow(Clone::clone);
    for Known { name, runtime, .. } in runtimes {
        let dump = runtime.dump_stacks(within);
        if !dump.tasks().is_empty() {
            text.push_str(&format!("on host {name:?}:\n{dump}"));
        }
    }
}

/// A simulation begins. The last one may have left hosts that were never dropped.
pub(super) fn forget_hosts() {
    drop(RUNTIMES.take());
}

/// Its reactor asks the network where it is.
fn build(network: NetworkId, host: HostId, name: &str, processors: usize) -> io::Result<Runtime> {
    let before = with_network_of(network, |net, _| net.set_host_of_next_poller(host))?;
    let runtime = super::runtime::new(processors);
    with_network_of(network, |net, _| net.set_host_of_next_poller(before))?;
    let runtime = runtime?;
    let known = Known {
        network,
        host,
        name: name.to_owned(),
        runtime: runtime.handle().clone(),
    };
    RUNTIMES.with_borrow_mut(|runtimes| runtimes.push(known));
    Ok(runtime)
}

/// Links of the network, to be changed: made by [`between`], [`everywhere`] and [`loopback`].
///
/// # Examples
///
/// ```
/// use executor::sim::{self, net::Host};
/// use std::time::Duration;
///
/// sim::check(10, || async {
///     let _server = Host::new("server", [10, 0, 0, 2]).unwrap();
///     sim::net::between("main", "server")
///         .latency(Duration::from_millis(20)..=Duration::from_millis(80))
///         .loss(0.01);
/// });
/// ```
///
/// They are of the simulation that they were made in, and of no use in another one.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    network: NetworkId,
    pair: Pair,
}

/// The link between two hosts. That of a host with itself is the [`loopback`] of all.
///
/// # Panics
///
/// If there is no host of such a name, and outside of a simulation.
#[track_caller]
pub fn between(one: &str, other: &str) -> Links {
    Links::of(Pair::Of(id_of(one), id_of(other)))
}

/// The links between any two hosts, also between those that do not exist yet.
///
/// # Panics
///
/// Outside of a simulation.
#[must_use]
#[track_caller]
pub fn everywhere() -> Links {
    Links::of(Pair::All)
}

/// The way of a host to itself, which is never partitioned.
///
/// # Panics
///
/// Outside of a simulation.
#[must_use]
#[track_caller]
pub fn loopback() -> Links {
    Links::of(Pair::Of(MAIN, MAIN))
}

#[track_caller]
fn id_of(name: &str) -> HostId {
    match in_simulation(with_network(|net, _| net.host_named(name))) {
        Some(id) => id,
        None => panic!("there is no host {name:?}"),
    }
}

impl Links {
    #[track_caller]
    fn of(pair: Pair) -> Links {
        let network = in_simulation(with_network(|net, _| net.id()));
        Links { network, pair }
    }

    /// How long a packet takes: mostly the shortest of these times.
    ///
    /// # Panics
    ///
    /// If the range is empty, and outside of a simulation.
    #[track_caller]
    pub fn latency(self, range: RangeInclusive<Duration>) -> Links {
        assert!(!range.is_empty(), "the range of a latency is empty");
        let (shortest, longest) = range.into_inner();
        self.change(|link| (link.shortest, link.longest) = (shortest, longest))
    }

    /// How many packets are lost, as a part of all: 0 loses none, 1 loses all. Up to a half, it is
    /// rounded to one of a whole number of packets; beyond, to all but one of a whole number. A lost
    /// packet of TCP is sent again after 200 ms, then after twice the time, and so on; after six
    /// losses in a row it arrives.
    ///
    /// Which packets are lost is drawn from the seed, unless all are. A run that is repeated by its
    /// choices, or shrunk, loses as few as its choices say if the rate is a half or less, and as many
    /// otherwise.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1, and outside of a simulation.
    #[track_caller]
    pub fn loss(self, rate: f64) -> Links {
        let rate = rate_of(rate);
        self.change(|link| link.loss = rate)
    }

    /// How many UDP datagrams arrive twice, as a part of all. It is rounded as
    /// [`loss`](Links::loss) is.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1, and outside of a simulation.
    #[track_caller]
    pub fn duplication(self, rate: f64) -> Links {
        let rate = rate_of(rate);
        self.change(|link| link.duplication = rate)
    }

    /// Cuts the links. From now on nothing arrives, also of what is under way: datagrams are lost,
    /// and TCP waits until the links are healed or it gives up.
    ///
    /// # Panics
    ///
    /// Outside of a simulation.
    #[track_caller]
    pub fn partition(self) -> Links {
        in_simulation(with_network_of(self.network, |net, at| {
            net.partition(self.pair, at);
        }));
        self
    }

    /// Mends the links. TCP sends again what was lost, at once or within some hundreds of
    /// milliseconds.
    ///
    /// # Panics
    ///
    /// Outside of a simulation.
    #[track_caller]
    pub fn heal(self) -> Links {
        in_simulation(with_network_of(self.network, |net, at| {
            net.heal(self.pair, at);
        }));
        self
    }

    #[track_caller]
    fn change(self, change: impl Fn(&mut Link)) -> Links {
        in_simulation(with_network_of(self.network, |net, _| {
            net.change_links(self.pair, change);
        }));
        self
    }
}

#[track_caller]
fn in_simulation<T>(result: io::Result<T>) -> T {
    match result {
        Ok(result) => result,
        Err(error) => panic!("{error}, so there is no network to be changed"),
    }
}

#[track_caller]
fn rate_of(part: f64) -> Rate {
    assert!(
        (0.0..=1.0).contains(&part),
        "a rate must be between 0 and 1"
    );
    // At most what a `u32` holds: the cast saturates.
    let one_in = |part: f64| (1.0 / part).round() as u32;
    match part {
        0.0 => Rate::Never,
        1.0 => Rate::Always,
        part if part <= 0.5 => Rate::OneIn(one_in(part)),
        part => Rate::AllButOneIn(one_in(1.0 - part)),
    }
}
