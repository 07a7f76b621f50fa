//! The reactor: turns what the operating system says about file descriptors into wakers to wake.
//!
//! # What it guarantees
//!
//! - A waiter is woken after its fd became ready, or the runtime shut down; none is forgotten, however many wait on one
//!   fd and direction. Wakers that nobody takes back are few all the same (see `waiters.rs`).
//! - Wakers are handed out and never woken, cloned or dropped under one of the reactor's locks.
//! - An event never reaches an fd registered after it was generated: keys carry a generation (see `registry.rs`).
//! - An error of the operating system goes to the caller; an interrupted wait is an empty one.
//! - In a child made by `fork` an inherited reactor refuses whatever would touch the poller, which is its parent's too.
//!
//! # Protocol
//!
//! 1. [`Reactor::register`] adds an fd once, edge-triggered, for both directions. The new source counts as ready, so
//!    that the first operation tries its system call at once.
//! 2. An operation looks at the source's state word; if it is ready it makes its system call. "Would block" clears the
//!    readiness it had seen, and only if no event has come in since.
//! 3. Not ready: the task leaves its waker with the source (under the source's lock, looking at the state again).
//! 4. Whoever takes the one [`Driver`] waits for a batch of events. Under the registry's lock, taken once a batch, each
//!    event first sets the state word of its source and then takes the wakers left there (step 3 and this order make
//!    a lost wake-up impossible: one of the two sees the other).
//! 5. The wakers go to the caller, who wakes them after all locks are gone.
//! 6. Who wants to know whether an attempt is worth while, and makes it behind the reactor's back, asks the operating
//!    system as well. An error or a hang-up that it reports may stay up although the attempt would block, so that is
//!    told once for each event ([`Source::tell`]), and whoever was told waits for the next event
//!    ([`Source::poll_news_for`]). Else a loop of asking and trying would never wait.
//! 7. [`Reactor::close`] marks every source, takes all wakers, and refuses new registrations.
//!
//! # What it does not do
//!
//! It has no thread and knows no scheduler: its users decide who takes the driver, and for how long. It does not
//! own file descriptors; an owner deregisters before it closes.

mod event;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod poller;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "portable.rs"]
mod poller;
mod registry;
mod source;
mod state;
mod waiters;

use std::io;
use std::os::fd::BorrowedFd;
use std::task::Waker;
use std::time::Duration;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard};

use self::event::Event;
use self::poller::Poller;
use self::registry::{End, Registry};
use self::state::State;

pub(crate) use self::source::Source;
pub(crate) use self::state::{Direction, Readiness};
// An adapter names its own futures.
#[allow(unused_imports)]
pub(crate) use self::waiters::Name;
pub(crate) use self::waiters::{AsOwner, Handle, Owner};

/// The poller and its registrations; one per runtime.
pub(crate) struct Reactor {
    poller: Poller,
    /// Locked once per batch of events, per registration and per deregistration. A source's own lock may be taken
    /// under it, never the other way round.
    registry: Mutex<Registry>,
    /// The one driver, and the buffer that whoever holds it fills.
    driver: Mutex<Vec<Event>>,
    /// How many sources are registered. Written under the registry's lock; read without it by [`has_sources`], a hint
    /// that pairs with nothing.
    ///
    /// [`has_sources`]: Reactor::has_sources
    sources: AtomicUsize,
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor")
            .field("sources", &self.sources.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Arc<Reactor>> {
        Ok(Arc::new(Reactor {
            poller: Poller::new()?,
            registry: Mutex::new(Registry::default()),
            driver: Mutex::new(Vec::new()),
            sources: AtomicUsize::new(0),
        }))
    }

    /// Takes the one driver, unless another thread holds it.
    #[inline]
    pub(crate) fn try_driver(&self) -> Option<Driver<'_>> {
        let events = self.driver.try_lock()?;
        Some(Driver {
            reactor: self,
            events,
        })
    }

    /// Ends the wait of whoever holds the driver; if nobody does, the next wait ends at once.
    ///
    /// # Errors
    ///
    /// The operating system refuses, which means that it will for ever: whoever waits there is not reached.
    #[inline]
    pub(crate) fn notify(&self) -> io::Result<()> {
        self.poller.notify()
    }

    /// Whether anything is registered. A hint: the answer may be old.
    #[inline]
    pub(crate) fn has_sources(&self) -> bool {
        // Relaxed: decides only whether looking at the poller is worth its price.
        self.sources.load(Ordering::Relaxed) != 0
    }

    /// Whether anybody waits for a source, so that the kernel may have somebody to wake.
    pub(crate) fn has_waiters(&self) -> bool {
        self.registry.lock().iter().any(|state| state.has_waiters())
    }

    /// Ends all waiting for good: every waker left with a source goes to `wakers`, and from now on waiting on a source
    /// of this reactor, or registering one, is an error. What need not wait goes on working.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) {
        let mut registry = self.registry.lock();
        registry.end(End::Closed);
        for state in registry.iter() {
            state.close(wakers);
        }
    }

    /// Ends all waiting for good, as nobody can wait for events any more.
    pub(crate) fn fail(&self, wakers: &mut Vec<Waker>) {
        let mut registry = self.registry.lock();
        registry.end(End::Failed);
        for state in registry.iter() {
            state.fail(wakers);
        }
    }

    /// Registers an open, non-blocking fd.
    ///
    /// The caller keeps it open until the source is deregistered.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what cannot be waited on (a regular file), an error of its own once the reactor is closed,
    /// else what the operating system says (out of memory or of watches, registered already).
    pub(crate) fn register(this: &Arc<Reactor>, fd: BorrowedFd<'_>) -> io::Result<Source> {
        if this.poller.in_forked_child() {
            return Err(inherited());
        }
        let (key, state) = {
            let mut registry = this.registry.lock();
            match registry.ended() {
                None => {}
                Some(End::Closed) => return Err(closed()),
                Some(End::Failed) => return Err(failed()),
            }
            let entry = registry.insert(State::new())?;
            this.sources.store(registry.len(), Ordering::Relaxed);
            entry
        };
        // In the registry first: the poller may report the fd before `add` returns.
        if let Err(error) = this.poller.add(fd, key) {
            this.remove(key);
            return Err(unpollable(error));
        }
        Ok(Source::new(Arc::clone(this), key, state))
    }

    /// Takes a source out of the registry; events on their way to it are dropped from here on.
    fn remove(&self, key: usize) {
        let mut registry = self.registry.lock();
        registry.remove(key);
        self.sources.store(registry.len(), Ordering::Relaxed);
    }
}

/// The right to wait for events. At most one exists per reactor.
pub(crate) struct Driver<'a> {
    reactor: &'a Reactor,
    events: MutexGuard<'a, Vec<Event>>,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver<'_> {
    /// Waits for events and pushes the wakers they make ready; returns how many. `None` waits for ever, zero only
    /// looks. A wait ends early on [`Reactor::notify`] and on a signal, with `Ok(0)`.
    ///
    /// # Errors
    ///
    /// What the operating system says. No kind of error is known that passes; see [`Reactor::fail`].
    ///
    /// The caller wakes what it was given after it has dropped the driver, and looks at its queues again: a
    /// notification that came while this ran has been used up.
    pub(crate) fn poll(
        &mut self,
        timeout: Option<Duration>,
        wakers: &mut Vec<Waker>,
    ) -> io::Result<usize> {
        self.reactor.poller.wait(&mut self.events, timeout)?;
        if self.events.is_empty() {
            return Ok(0);
        }
        let before = wakers.len();
        let registry = self.reactor.registry.lock();
        for &event in self.events.iter() {
            if let Some(state) = registry.get(event.key) {
                state.deliver(&self.reactor.poller, event, wakers);
            }
        }
        Ok(wakers.len() - before)
    }
}

/// The error of waiting on, or registering with, a reactor that is closed.
fn closed() -> io::Error {
    io::Error::other("the runtime that registered this i/o source has shut down")
}

/// The error of waiting on, or registering with, a reactor whose poller has failed.
fn failed() -> io::Error {
    io::Error::other(
        "the runtime of this i/o source cannot wait for i/o any more: the operating system refuses its poller",
    )
}

/// The error of waiting on, or registering with, the reactor of another process.
fn inherited() -> io::Error {
    io::Error::other(
        "the runtime of this i/o source belongs to the process that this one was forked from; register it anew",
    )
}

/// Explains the one errno whose text misleads: `EPERM` means that this kind of file has no readiness.
fn unpollable(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this kind of file (a regular file or a directory) is always ready and cannot be waited on; use spawn_blocking",
    )
}

#[cfg(test)]
mod tests;
