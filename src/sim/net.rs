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
use crate::simulated::net::{HostId, Link, MAIN, Pair, with_network};
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
    id: HostId,
    processors: usize,
    /// `None` after a crash.
    runtime: Mutex<Option<Runtime>>,
}

impl Host {
    /// A host with this name and address, and a runtime of two processors.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is a host of that name or address,
    /// also one that has crashed; [`InvalidInput`](io::ErrorKind::InvalidInput) for a loopback or
    /// multicast address. Outside of a simulation it is an error, too.
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
    pub fn with_processors(
        name: &str,
        ip: impl Into<IpAddr>,
        processors: usize,
    ) -> io::Result<Host> {
        let ip = ip.into();
        let id = with_network(|net, _| net.add_host(name, ip))??;
        let runtime = build(id, name, processors)?;
        Ok(Host {
            name: name.to_owned(),
            ip,
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
                runtimes.borrow_mut().retain(|(id, _, _)| *id != self.id);
            });
            // An error: the simulation is over, and so is its network.
            let _ = with_network(|net, at| net.crash(self.id, at));
        }
        drop(runtime);
    }

    /// Starts a host that has crashed, with a new runtime. Does nothing if it has not.
    ///
    /// # Errors
    ///
    /// Outside of a simulation.
    pub fn restart(&self) -> io::Result<()> {
        if self.runtime.lock().is_none() {
            with_network(|net, _| net.start(self.id))?;
            let runtime = build(self.id, &self.name, self.processors)?;
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
    static RUNTIMES: RefCell<Vec<(HostId, String, Handle)>> = const { RefCell::new(Vec::new()) };
}

/// Writes down the tasks of all hosts but `main`. They may not answer in time.
pub(super) fn dump_hosts(within: Duration, text: &mut String) {
    // A dump waits, and other threads of the simulation run meanwhile.
    let runtimes = RUNTIMES.with_borrow(Clone::clone);
    for (_, name, handle) in runtimes {
        let dump = handle.dump_stacks(within);
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
fn build(host: HostId, name: &str, processors: usize) -> io::Result<Runtime> {
    let before = with_network(|net, _| net.set_host_of_next_poller(host))?;
    let runtime = super::runtime::new(processors);
    with_network(|net, _| net.set_host_of_next_poller(before))?;
    let runtime = runtime?;
    let known = (host, name.to_owned(), runtime.handle().clone());
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
#[derive(Clone, Copy, Debug)]
pub struct Links(Pair);

/// The link between two hosts. That of a host with itself is the [`loopback`] of all.
///
/// # Panics
///
/// If there is no host of such a name, and outside of a simulation.
#[track_caller]
pub fn between(one: &str, other: &str) -> Links {
    Links(Pair::Of(id_of(one), id_of(other)))
}

/// The links between any two hosts, also between those that do not exist yet.
pub fn everywhere() -> Links {
    Links(Pair::All)
}

/// The way of a host to itself, which is never partitioned.
pub fn loopback() -> Links {
    Links(Pair::Of(MAIN, MAIN))
}

#[track_caller]
fn id_of(name: &str) -> HostId {
    match with_network(|net, _| net.host_named(name)) {
        Ok(Some(id)) => id,
        Ok(None) => panic!("there is no host {name:?}"),
        Err(_) => panic!("{OUTSIDE}"),
    }
}

const OUTSIDE: &str = "this thread is in no simulation, so there is no network to be changed";

impl Links {
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

    /// How many packets are lost, as a part of all. It is rounded to one of a whole number of them;
    /// zero loses none. A lost packet of TCP is sent again after 200 ms, then after twice the time,
    /// and so on; after six losses in a row it arrives.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1, and outside of a simulation.
    #[track_caller]
    pub fn loss(self, rate: f64) -> Links {
        let one_in = one_in(rate);
        self.change(|link| link.loses_one_in = one_in)
    }

    /// How many UDP datagrams arrive twice, as a part of all. It is rounded as
    /// [`loss`](Links::loss) is.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1, and outside of a simulation.
    #[track_caller]
    pub fn duplication(self, rate: f64) -> Links {
        let one_in = one_in(rate);
        self.change(|link| link.doubles_one_in = one_in)
    }

    /// Cuts the links. From now on nothing arrives, also of what is under way: datagrams are lost,
    /// and TCP waits until the links are healed or it gives up.
    ///
    /// # Panics
    ///
    /// Outside of a simulation.
    #[track_caller]
    pub fn partition(self) -> Links {
        in_simulation(with_network(|net, at| net.partition(self.0, at)));
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
        in_simulation(with_network(|net, at| net.heal(self.0, at)));
        self
    }

    #[track_caller]
    fn change(self, change: impl Fn(&mut Link)) -> Links {
        in_simulation(with_network(|net, _| net.change_links(self.0, change)));
        self
    }
}

#[track_caller]
fn in_simulation(result: io::Result<()>) {
    assert!(result.is_ok(), "{OUTSIDE}");
}

#[track_caller]
fn one_in(rate: f64) -> u32 {
    assert!(
        (0.0..=1.0).contains(&rate),
        "a rate must be between 0 and 1"
    );
    match rate {
        0.0 => 0,
        // At most what a `u32` holds: the cast saturates.
        rate => (1.0 / rate).round() as u32,
    }
}
