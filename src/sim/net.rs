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
//! - A packet takes 500 µs to another host, and sometimes up to three times as long; to its own
//!   host 10 µs, and sometimes up to twice as long. Writes are sometimes short, and bytes of one
//!   write sometimes arrive in two parts. All that is drawn from the seed, and shrunk as other
//!   choices are.
//! - [`between`] and [`everywhere`] change that: latency, losses, partitions. TCP delivers all
//!   bytes in their order, later if packets are lost. It fails with `TimedOut` when a partition
//!   lasts: a connect after 127 s, a write after 924 s, as on Linux. A socket that was closed
//!   behind a partition sends its bytes when the partition is healed within that time.
//! - A connect to an address that no host has fails after 3 s with `HostUnreachable`. One to a
//!   listener whose backlog stays full fails after 127 s with `TimedOut`.
//! - A peer that does not read blocks its writer, 128 KiB at the most in both buffers together.
//!   Closing a socket with unread bytes resets the connection.
//! - A Unix socket's path is a name on its host. There is no file.
//!
//! # What it does not do
//!
//! - A simulated socket has no file descriptor. So [`io::Async`](crate::io::Async) and the
//!   conversions from and to sockets of `std` fail with
//!   [`Unsupported`](std::io::ErrorKind::Unsupported) in a simulation; `as_fd`, `as_raw_fd`,
//!   `into_raw_fd` and `OwnedFd::from` of such a socket panic. Libraries that take descriptors,
//!   such as quinn, cannot be simulated.
//! - There is no multicast, no broadcast, and no limit of a link's throughput.
//! - The options for address reuse, keepalive, TTL, Nagle's algorithm and a linger time other than
//!   zero are kept, and change nothing. Sizes of buffers are taken as they are, not doubled.
//! - Errors have a kind, and no `raw_os_error`.
//! - A host gives 16,384 ports to sockets that ask for any, from 49,152 on, for TCP and UDP each.
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

mod links;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::runtime::{Handle, Runtime};
use crate::simulated::net::{HostId, NetworkId, with_network, with_network_of};
use crate::sync::Mutex;
use crate::tasks::JoinHandle;

pub use self::links::{Links, between, everywhere, loopback};

/// The processors of a host that is not asked for others: as many as a simulation has by default.
const PROCESSORS: usize = 2;

/// A host of the simulation, with a runtime of its own.
///
/// Dropping it is a [`crash`](Host::crash).
///
/// # Examples
///
/// ```
/// use executor::net::{TcpListener, TcpStream};
/// use executor::sim::{self, net::Host};
/// use std::io::ErrorKind;
///
/// async fn start(server: &Host) -> std::io::Result<()> {
///     let listener = server.spawn(TcpListener::bind("0.0.0.0:80")).await??;
///     server.spawn(async move { while listener.accept().await.is_ok() {} });
///     Ok(())
/// }
///
/// sim::check(10, || async {
///     let server = Host::new("server", [10, 0, 0, 2]).unwrap();
///     start(&server).await.unwrap();
///     assert!(TcpStream::connect("server:80").await.is_ok());
///
///     server.crash();
///     let refused = TcpStream::connect("server:80").await.unwrap_err();
///     assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
///
///     // Nothing of what ran before the crash runs again by itself.
///     server.restart().unwrap();
///     start(&server).await.unwrap();
///     assert!(TcpStream::connect("server:80").await.is_ok());
/// });
/// ```
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
    /// An IPv4 address that is mapped into IPv6 is taken for the IPv4 address. Hosts reach each
    /// other if both have an IPv4 address, as `main` has, or both an IPv6 address: a connection to
    /// a host of the other family fails with
    /// [`NetworkUnreachable`](io::ErrorKind::NetworkUnreachable).
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

    /// Stops the host: its connections are reset at once, its tasks are dropped at their next
    /// await, and its ports are free. Waits until its tasks and blocking jobs have ended, unless it
    /// is called by one of them.
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
    /// Outside of the simulation that the host was made in. When the runtime cannot be built, as
    /// with [`new`](Host::new); the host stays as it was after its crash.
    pub fn restart(&self) -> io::Result<()> {
        if self.runtime.lock().is_none() {
            let runtime = build(self.network, self.id, &self.name, self.processors)?;
            with_network_of(self.network, |net, _| net.start(self.id))?;
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
