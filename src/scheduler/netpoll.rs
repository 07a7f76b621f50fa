//! The netpoller's one seat, as the scheduler sees it.
//!
//! With feature `net` the seat is the reactor's: who sits in it waits for I/O. Without, it is only the place where one
//! idle worker waits with the timeout of the earliest timer, so that the rest of the scheduler has one story.
//!
//! # A poller that fails
//!
//! It does when its descriptors are closed under it, as a program does that makes a daemon of itself by closing all from
//! the third on. An error of the wait does not pass then, and whoever waits already is not reached any more:
//!
//! 1. Who gets an error from the wait, [`PATIENCE`] times in a row, or from a notification, calls the poller *lost*, once and
//!    for good, and says so on standard error.
//! 2. A notification that fails interrupts all waits of the process, as the one in the seat can be ended in no other way; a
//!    timed wait ends by itself, soon after its time.
//! 3. Whoever sits down from then on ends all waiting for I/O with an error, and waits in a [`Bed`], where notifications
//!    come from now on. One that still went to the poller is made up for by the length of a wait there, [`NAP`] at most.
//!
//! So tasks and timers go on, sockets report errors, and no thread spins. What is not made up for: a notification that was
//! written and had not arrived when the descriptors were closed. The next one finds out.

#[cfg(all(feature = "net", unix))]
pub(crate) use with_reactor::{Netpoll, Seat};
#[cfg(not(all(feature = "net", unix)))]
pub(crate) use without_reactor::{Netpoll, Seat};

#[cfg(all(feature = "net", unix))]
mod with_reactor {
    use std::io;
    use std::task::Waker;
    use std::time::Duration;

    use super::bed::Bed;
    use crate::reactor::{self, Reactor};
    use crate::scheduler::probe;
    use crate::stderr;
    use crate::sync::Arc;
    use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// A wait may fail so often in a row before the poller counts as lost.
    const PATIENCE: u32 = 3;
    /// Who waits without the poller looks so often whether it was missed.
    const NAP: Duration = Duration::from_millis(100);

    #[derive(Clone)]
    pub(crate) struct Netpoll(Arc<Inner>);

    struct Inner {
        reactor: Arc<Reactor>,
        /// Waits that have failed in a row. Written by who holds the seat.
        failures: AtomicU32,
        /// Set once; read before each wait and notification, and pairs with nothing: see step 3.
        is_lost: AtomicBool,
        /// Whether the reactor has been told. Only who holds the seat uses it.
        has_failed: AtomicBool,
        bed: Bed,
    }

    /// The right to wait.
    pub(crate) struct Seat<'a> {
        seat: reactor::Seat<'a>,
        netpoll: &'a Inner,
    }

    impl Netpoll {
        pub(crate) fn new() -> io::Result<Netpoll> {
            Ok(Netpoll(Arc::new(Inner {
                reactor: Reactor::new()?,
                failures: AtomicU32::new(0),
                is_lost: AtomicBool::new(false),
                has_failed: AtomicBool::new(false),
                bed: Bed::default(),
            })))
        }

        pub(crate) fn reactor(&self) -> &Arc<Reactor> {
            &self.0.reactor
        }

        /// `None` when somebody sits in it.
        #[inline]
        pub(crate) fn try_seat(&self) -> Option<Seat<'_>> {
            let seat = self.0.reactor.try_seat()?;
            Some(Seat {
                seat,
                netpoll: &self.0,
            })
        }

        /// Whether there is anything to look for.
        #[inline]
        pub(crate) fn has_sources(&self) -> bool {
            self.0.reactor.has_sources()
        }

        /// Whether anybody waits for a source.
        pub(crate) fn has_waiters(&self) -> bool {
            self.0.reactor.has_waiters()
        }

        /// Ends the wait of whoever sits in the seat.
        pub(crate) fn notify(&self) {
            if self.0.is_lost() {
                self.0.bed.notify();
            } else if let Err(error) = self.0.reactor.notify() {
                self.0.lose(&error);
                self.0.bed.notify();
                probe::interrupt_all_waits();
            }
        }

        pub(crate) fn close(&self, ready: &mut Vec<Waker>) {
            self.0.reactor.close(ready);
        }
    }

    impl Seat<'_> {
        /// Looks (zero), or waits for at most `timeout` (`None`: for ever). Wakers of what is ready are appended.
        pub(crate) fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Waker>) -> usize {
            let netpoll = self.netpoll;
            if !netpoll.is_lost() {
                match self.seat.poll(timeout, ready) {
                    Ok(count) => {
                        if netpoll.failures.load(Ordering::Relaxed) != 0 {
                            netpoll.failures.store(0, Ordering::Relaxed);
                        }
                        return count;
                    }
                    Err(error) => netpoll.failed(&error),
                }
            }
            let before = ready.len();
            if netpoll.is_lost() && !netpoll.has_failed.swap(true, Ordering::Relaxed) {
                netpoll.reactor.fail(ready);
            }
            if ready.len() == before {
                netpoll
                    .bed
                    .wait(Some(timeout.map_or(NAP, |timeout| timeout.min(NAP))));
            }
            ready.len() - before
        }
    }

    impl Inner {
        fn is_lost(&self) -> bool {
            self.is_lost.load(Ordering::Relaxed)
        }

        #[cold]
        fn failed(&self, error: &io::Error) {
            let failures = self.failures.load(Ordering::Relaxed) + 1;
            self.failures.store(failures, Ordering::Relaxed);
            if failures >= PATIENCE {
                self.lose(error);
            }
        }

        #[cold]
        fn lose(&self, error: &io::Error) {
            if !self.is_lost.swap(true, Ordering::Relaxed) {
                stderr::say(format_args!(
                    "waiting for i/o fails ({error}): have the runtime's descriptors been closed? Sockets report errors \
                     from now on; tasks and timers go on"
                ));
            }
        }
    }
}

#[cfg(not(all(feature = "net", unix)))]
mod without_reactor {
    use std::io;
    use std::task::Waker;
    use std::time::Duration;

    use super::bed::Bed;
    use crate::sync::{Arc, Mutex, MutexGuard};

    #[derive(Clone)]
    pub(crate) struct Netpoll(Arc<Inner>);

    #[derive(Default)]
    struct Inner {
        seat: Mutex<()>,
        bed: Bed,
    }

    pub(crate) struct Seat<'a> {
        inner: &'a Inner,
        _taken: MutexGuard<'a, ()>,
    }

    impl Netpoll {
        pub(crate) fn new() -> io::Result<Netpoll> {
            Ok(Netpoll(Arc::default()))
        }

        pub(crate) fn try_seat(&self) -> Option<Seat<'_>> {
            let taken = self.0.seat.try_lock()?;
            Some(Seat {
                inner: &self.0,
                _taken: taken,
            })
        }

        pub(crate) fn has_sources(&self) -> bool {
            false
        }

        pub(crate) fn has_waiters(&self) -> bool {
            false
        }

        pub(crate) fn notify(&self) {
            self.0.bed.notify();
        }

        pub(crate) fn close(&self, _: &mut Vec<Waker>) {}
    }

    impl Seat<'_> {
        pub(crate) fn poll(&mut self, timeout: Option<Duration>, _: &mut Vec<Waker>) -> usize {
            self.inner.bed.wait(timeout);
            0
        }
    }
}

mod bed {
    use std::time::Duration;

    use crate::sync::{Condvar, Mutex};

    /// Where one thread waits until it is notified; a notification that comes first counts.
    #[derive(Default)]
    pub(super) struct Bed {
        notified: Mutex<bool>,
        changed: Condvar,
    }

    impl Bed {
        pub(super) fn notify(&self) {
            *self.notified.lock() = true;
            self.changed.notify_one();
        }

        pub(super) fn wait(&self, timeout: Option<Duration>) {
            let mut notified = self.notified.lock();
            if !*notified && timeout != Some(Duration::ZERO) {
                notified = match timeout {
                    None => self.changed.wait(notified),
                    Some(timeout) => self.changed.wait_timeout(notified, timeout).0,
                };
            }
            *notified = false;
        }
    }
}
