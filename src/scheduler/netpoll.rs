//! The netpoller's driver, as the scheduler sees it.
//!
//! With feature `net` the driver is the reactor's: whoever holds it waits for I/O. Without, it is
//! only the place where one idle worker waits with the timeout of the earliest timer, so that the
//! rest of the scheduler has one story.
//!
//! # A poller that fails
//!
//! It does when its descriptors are closed under it, as a program does that makes a daemon of
//! itself by closing all from the third on. An error of the wait does not pass then, and whoever
//! waits already is not reached any more:
//!
//! 1. Who gets an error from the wait, `PATIENCE` times in a row, or from a notification, calls the
//!    poller *lost*, once and for good, and says so on standard error.
//! 2. A notification that fails interrupts all waits of the process, as the one with the driver can
//!    be ended in no other way; a timed wait ends by itself, soon after its time.
//! 3. Whoever takes the driver from then on ends all waiting for I/O with an error, and waits in a
//!    `Parker`, where notifications come from now on. One that still went to the poller is made up
//!    for by the length of a wait there, `NAP` at most.
//!
//! So tasks and timers go on, sockets report errors, and no thread spins. What is not made up for:
//! a notification that was written and had not arrived when the descriptors were closed. The next
//! one finds out.

#[cfg(feature = "net")]
pub(crate) use with_reactor::{Driver, Netpoll};
#[cfg(not(feature = "net"))]
pub(crate) use without_reactor::{Driver, Netpoll};

#[cfg(feature = "net")]
mod with_reactor {
    use std::io;
    use std::task::Waker;
    use std::time::Duration;

    use super::parker::Parker;
    use crate::reactor::{self, Reactor};
    use crate::scheduler::monitor::probe;
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
        /// Waits that have failed in a row. Written by who holds the driver.
        failures: AtomicU32,
        /// Set once; read before each wait and notification, and pairs with nothing: see step 3.
        is_lost: AtomicBool,
        /// Whether the reactor has been told. Only who holds the driver uses it.
        has_failed: AtomicBool,
        parker: Parker,
    }

    /// The right to wait.
    pub(crate) struct Driver<'a> {
        driver: reactor::Driver<'a>,
        netpoll: &'a Inner,
    }

    impl Netpoll {
        pub(crate) fn new() -> io::Result<Netpoll> {
            Ok(Netpoll(Arc::new(Inner {
                reactor: Reactor::new()?,
                failures: AtomicU32::new(0),
                is_lost: AtomicBool::new(false),
                has_failed: AtomicBool::new(false),
                parker: Parker::default(),
            })))
        }

        pub(crate) fn reactor(&self) -> &Arc<Reactor> {
            &self.0.reactor
        }

        /// `None` when somebody else holds it.
        #[inline]
        pub(crate) fn try_driver(&self) -> Option<Driver<'_>> {
            let driver = self.0.reactor.try_driver()?;
            Some(Driver {
                driver,
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

        /// Ends the wait of whoever holds the driver.
        pub(crate) fn notify(&self) {
            if self.0.is_lost() {
                self.0.parker.notify();
            } else if let Err(error) = self.0.reactor.notify() {
                self.0.lose(&error);
                self.0.parker.notify();
                probe::interrupt_all_waits();
            }
        }

        pub(crate) fn close(&self, wakers: &mut Vec<Waker>) {
            self.0.reactor.close(wakers);
        }
    }

    impl Driver<'_> {
        /// Looks (zero), or waits for at most `timeout` (`None`: for ever). Wakers of what is ready
        /// are appended.
        pub(crate) fn poll(&mut self, timeout: Option<Duration>, wakers: &mut Vec<Waker>) -> usize {
            let netpoll = self.netpoll;
            if !netpoll.is_lost() {
                match self.driver.poll(timeout, wakers) {
                    Ok(count) => {
                        if netpoll.failures.load(Ordering::Relaxed) != 0 {
                            netpoll.failures.store(0, Ordering::Relaxed);
                        }
                        return count;
                    }
                    Err(error) => netpoll.failed(&error),
                }
            }
            let before = wakers.len();
            if netpoll.is_lost() && !netpoll.has_failed.swap(true, Ordering::Relaxed) {
                netpoll.reactor.fail(wakers);
            }
            if wakers.len() == before {
                netpoll
                    .parker
                    .wait(Some(timeout.map_or(NAP, |timeout| timeout.min(NAP))));
            }
            wakers.len() - before
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

#[cfg(not(feature = "net"))]
mod without_reactor {
    use std::io;
    use std::task::Waker;
    use std::time::Duration;

    use super::parker::Parker;
    use crate::sync::{Arc, Mutex, MutexGuard};

    #[derive(Clone)]
    pub(crate) struct Netpoll(Arc<Inner>);

    #[derive(Default)]
    struct Inner {
        driver: Mutex<()>,
        parker: Parker,
    }

    pub(crate) struct Driver<'a> {
        inner: &'a Inner,
        _taken: MutexGuard<'a, ()>,
    }

    impl Netpoll {
        pub(crate) fn new() -> io::Result<Netpoll> {
            Ok(Netpoll(Arc::default()))
        }

        pub(crate) fn try_driver(&self) -> Option<Driver<'_>> {
            let taken = self.0.driver.try_lock()?;
            Some(Driver {
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
            self.0.parker.notify();
        }

        pub(crate) fn close(&self, _: &mut Vec<Waker>) {}
    }

    impl Driver<'_> {
        pub(crate) fn poll(&mut self, timeout: Option<Duration>, _: &mut Vec<Waker>) -> usize {
            self.inner.parker.wait(timeout);
            0
        }
    }
}

mod parker {
    use std::time::Duration;

    use crate::sync::{Condvar, Mutex};

    /// Where one thread waits until it is notified; a notification that comes first counts.
    #[derive(Default)]
    pub(super) struct Parker {
        notified: Mutex<bool>,
        changed: Condvar,
    }

    impl Parker {
        pub(super) fn notify(&self) {
            *self.notified.lock() = true;
            self.changed.notify_one();
        }

        pub(super) fn wait(&self, timeout: Option<Duration>) {
            let mut notified = self.notified.lock();
            if !*notified && timeout != Some(Duration::ZERO) {
                notified = match timeout {
                    None => self.changed.wait(notified),
                    Some(timeout) => self.changed.wait_timeout(notified, timeout),
                };
            }
            *notified = false;
        }
    }
}
