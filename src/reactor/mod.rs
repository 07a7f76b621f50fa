//! The reactor: turns the events of file descriptors into wakers to wake.
//!
//! # What it guarantees
//!
//! - A waiter is woken after its fd becomes ready or the runtime shuts down, however many wait on
//!   one fd and direction. Wakers that are never removed stay few all the same (see `waiters.rs`).
//! - The reactor returns wakers to its caller. It never wakes, clones or drops one under one of its
//!   locks.
//! - An event never reaches an fd registered after the event was generated: keys carry a generation
//!   (see `registry.rs`).
//! - An error of the operating system goes to the caller. An interrupted wait counts as an empty
//!   one.
//! - In a child made by `fork`, an inherited reactor refuses every operation that would touch the
//!   poller, which the child shares with its parent.
//!
//! # Protocol
//!
//! 1. [`Reactor::register`] adds an fd once, edge-triggered, for both directions. The new source
//!    counts as ready, so that the first operation tries its system call at once.
//! 2. An operation reads the source's state word ([`Source::check`]). If the source is ready, the
//!    operation makes its system call. If that would block, [`Source::clear_ready`] clears the
//!    readiness, unless an event has come since the operation read the word.
//! 3. If the source is not ready, [`Source::poll_ready_for`] takes the source's lock, reads the
//!    word again, and stores the task's waker.
//! 4. The thread that holds the one [`Driver`] waits for a batch of events ([`Driver::poll`]). It
//!    takes the registry's lock once per batch. For each event it first sets the state word of the
//!    source, and then takes the wakers stored there. With this order and step 3 no wake-up is
//!    lost: either the operation sees the new word, or the driver sees the waker.
//! 5. `Driver::poll` returns the wakers to its caller, which wakes them after it has released all
//!    locks.
//! 6. A user that asks for readiness and makes its attempt outside the reactor asks the operating
//!    system as well (`io::Async::readable`). The system may go on reporting an error or a hang-up
//!    although the attempt would block, so such flags count once per event ([`Source::tell`]). A
//!    user that has been told waits for the next event ([`Source::poll_news_for`]). Otherwise a
//!    loop of asking and trying would never wait.
//! 7. A user that counts events by itself asks for flags ([`Ready`]) and not the operating system
//!    (`io::Async::ready`). The state word has a bit for each flag beside the readiness of step 2.
//!    Only an event sets such bits, or a user that knows better ([`Source::assume`]).
//!    - [`Source::seen`] and [`Source::poll_seen_for`] return the flags with the tick of the word
//!      ([`Seen`]), and [`Source::clear_seen`] clears the flags of that `Seen`, unless an event has
//!      come since. The flags of a closed direction are final. Clearing flags leaves the readiness
//!      of step 2 alone, since it proves nothing about a system call. "Would block" of step 2
//!      clears the flag of its direction too.
//!    - A waiter is stored in the list of the readers, of the writers, or of both, according to its
//!      flags: every event that sets one of them takes the wakers of that list (step 4 holds as it
//!      is). An event of another flag wakes the waiter for nothing; it looks, and waits again.
//!    - A user whose attempt would block although a direction is closed waits for the next event
//!      ([`Source::poll_seen_for`] with `since`), as final flags would return at once for ever.
//! 8. [`Reactor::close`] marks every source, takes all wakers, and refuses new registrations.
//!
//! # What it does not do
//!
//! It has no thread and knows no scheduler: its users decide which thread holds the driver, and for
//! how long. It does not own file descriptors; their owner deregisters before it closes one.
//!
//! # In a simulation
//!
//! Only the poller is another one (feature `sim`; `simulated.rs`): it watches sockets of the
//! simulation's network, which have no descriptors, and takes its events from there. All else is
//! the same code.

#[cfg(feature = "sim")]
mod either;
mod event;
mod object;
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(executor_portable)
))]
mod poller;
#[cfg(any(
    not(any(target_os = "linux", target_os = "android")),
    executor_portable
))]
#[path = "portable.rs"]
mod poller;
mod ready;
mod registry;
#[cfg(feature = "sim")]
mod simulated;
mod source;
mod state;
mod waiters;

use std::io;
use std::task::Waker;
use std::time::Duration;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard};

#[cfg(feature = "sim")]
use self::either::Poller;
use self::event::Event;
#[cfg(not(feature = "sim"))]
use self::poller::Poller;
use self::registry::{End, Registry};
use self::state::State;

pub(crate) use self::object::Object;
pub use self::object::Pollable;
#[cfg(feature = "sim")]
pub(crate) use self::object::Simulated;
pub use self::ready::Ready;
pub(crate) use self::source::Source;
pub(crate) use self::state::{Direction, Readiness, Seen};
// Public within the crate since an adapter has to name the futures it makes.
#[allow(unused_imports)]
pub(crate) use self::waiters::Name;
pub(crate) use self::waiters::{AsOwner, Handle, Owner};

/// The poller and its registrations; one per runtime.
pub(crate) struct Reactor {
    poller: Poller,
    /// Locked once per batch of events, per registration and per deregistration. A source's own
    /// lock may be taken under it, never the other way round.
    registry: Mutex<Registry>,
    /// The lock of this buffer is the right to wait: its holder is the driver, and fills the
    /// buffer.
    driver: Mutex<Vec<Event>>,
    /// Number of registered sources. [`register`] and `remove` write it under the registry's lock;
    /// [`has_sources`] reads it without the lock, as a hint. It pairs with nothing.
    ///
    /// [`register`]: Reactor::register
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

    /// Takes the driver, unless another thread holds it.
    #[inline]
    pub(crate) fn try_driver(&self) -> Option<Driver<'_>> {
        let events = self.driver.try_lock()?;
        Some(Driver {
            reactor: self,
            events,
        })
    }

    /// Ends the wait of the thread that holds the driver. If no thread waits, the next wait ends at
    /// once.
    ///
    /// # Errors
    ///
    /// What the operating system says. It will refuse for ever, so no notification reaches the
    /// thread that waits there.
    #[inline]
    pub(crate) fn notify(&self) -> io::Result<()> {
        self.poller.notify()
    }

    /// Whether any source is registered. A hint: the answer may be old.
    #[inline]
    pub(crate) fn has_sources(&self) -> bool {
        // Relaxed: it only decides whether a look at the poller is worth its cost.
        self.sources.load(Ordering::Relaxed) != 0
    }

    /// Whether any task waits for a source, so that an event may wake one.
    pub(crate) fn has_waiters(&self) -> bool {
        self.registry.lock().iter().any(|state| state.has_waiters())
    }

    /// Ends all waiting for good, because the runtime shuts down. Every stored waker goes to
    /// `wakers`. From now on, waiting on a source of this reactor, or registering one, is an error.
    /// Operations that need not wait still work.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) {
        let mut registry = self.registry.lock();
        registry.end(End::Closed);
        for state in registry.iter() {
            state.close(wakers);
        }
    }

    /// Ends all waiting for good, because the poller has failed: no thread can wait for events any
    /// more.
    pub(crate) fn fail(&self, wakers: &mut Vec<Waker>) {
        let mut registry = self.registry.lock();
        registry.end(End::Failed);
        for state in registry.iter() {
            state.fail(wakers);
        }
    }

    /// Registers an open, non-blocking fd, or a simulated socket.
    ///
    /// The caller keeps the fd open until the source is deregistered.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the fd cannot be waited on (a regular file, or any in a simulation). An
    /// error of this module if the reactor is closed, has failed, or belongs to the parent process.
    /// Otherwise what the operating system says (out of memory or of watches, registered already).
    pub(crate) fn register<'a>(
        this: &Arc<Reactor>,
        object: impl Into<Object<'a>>,
    ) -> io::Result<Source> {
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
        // The registry has the source before the poller does: the poller may report the fd before
        // `add` returns.
        if let Err(error) = this.poller.add(object.into(), key) {
            this.remove(key);
            return Err(unpollable(error));
        }
        Ok(Source::new(Arc::clone(this), key, state))
    }

    /// The host on which this reactor is, if it is one of a simulation.
    #[cfg(feature = "sim")]
    pub(crate) fn host(&self) -> Option<crate::simulated::net::HostId> {
        self.poller.host()
    }

    /// Removes a source from the registry. Events on their way to it are dropped from here on.
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
    /// Waits for events, pushes the wakers of the tasks that they make ready to `wakers`, and
    /// returns their number. A `timeout` of `None` waits for ever, zero only looks.
    /// [`Reactor::notify`] and a signal end the wait early, with `Ok(0)`.
    ///
    /// # Errors
    ///
    /// What the operating system says. No kind of error is known that passes; see
    /// [`Reactor::fail`].
    ///
    /// After this the caller drops the driver, wakes the wakers and looks at its queues again,
    /// since this call may have consumed a notification.
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
    io::Error::other(ShutDown(
        "the runtime that registered this i/o source has shut down",
    ))
}

/// What an error of a reactor that is closed wraps.
#[derive(Debug)]
pub(crate) struct ShutDown(pub(crate) &'static str);

impl std::fmt::Display for ShutDown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ShutDown {}

/// The error of waiting on, or registering with, a reactor whose poller has failed.
fn failed() -> io::Error {
    io::Error::other(
        "the runtime of this i/o source cannot wait for i/o any more: the operating system refuses its poller",
    )
}

/// The error of waiting on, or registering with, the reactor of the parent process.
fn inherited() -> io::Error {
    io::Error::other(
        "the runtime of this i/o source belongs to the process that this one was forked from; register it anew",
    )
}

/// Explains the one errno whose text misleads: `EPERM` means that this kind of file has no
/// readiness.
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
