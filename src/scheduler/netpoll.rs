//! The netpoller's one seat, as the scheduler sees it.
//!
//! With feature `net` the seat is the reactor's: who sits in it waits for I/O. Without, it is only the place where one
//! idle worker waits with the timeout of the earliest timer, so that the rest of the scheduler has one story.

#[cfg(all(feature = "net", unix))]
pub(crate) use with_reactor::{Netpoll, Seat};
#[cfg(not(all(feature = "net", unix)))]
pub(crate) use without_reactor::{Netpoll, Seat};

#[cfg(all(feature = "net", unix))]
mod with_reactor {
    use std::io;
    use std::task::Waker;
    use std::time::Duration;

    use crate::reactor::{self, Reactor};
    use crate::sync::Arc;

    #[derive(Clone)]
    pub(crate) struct Netpoll(Arc<Reactor>);

    /// The right to wait.
    pub(crate) struct Seat<'a>(reactor::Seat<'a>);

    impl Netpoll {
        pub(crate) fn new() -> io::Result<Netpoll> {
            Ok(Netpoll(Reactor::new()?))
        }

        pub(crate) fn reactor(&self) -> &Arc<Reactor> {
            &self.0
        }

        /// `None` when somebody sits in it.
        #[inline]
        pub(crate) fn try_seat(&self) -> Option<Seat<'_>> {
            self.0.try_seat().map(Seat)
        }

        /// Whether there is anything to look for.
        #[inline]
        pub(crate) fn has_sources(&self) -> bool {
            self.0.has_sources()
        }

        /// Whether anybody waits for a source.
        pub(crate) fn has_waiters(&self) -> bool {
            self.0.has_waiters()
        }

        /// Ends the wait of whoever sits in the seat.
        pub(crate) fn notify(&self) {
            self.0.notify();
        }

        pub(crate) fn close(&self, ready: &mut Vec<Waker>) {
            self.0.close(ready);
        }
    }

    impl Seat<'_> {
        /// Looks (zero), or waits for at most `timeout` (`None`: for ever). Wakers of what is ready are appended.
        ///
        /// An error of the system call is as good as nothing being ready: the reactor's sources and timers are looked
        /// at again soon in any case, and no task could do anything about it.
        pub(crate) fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Waker>) -> usize {
            self.0.poll(timeout, ready).unwrap_or(0)
        }
    }
}

#[cfg(not(all(feature = "net", unix)))]
mod without_reactor {
    use std::io;
    use std::task::Waker;
    use std::time::Duration;

    use crate::sync::{Arc, Condvar, Mutex, MutexGuard};

    #[derive(Clone)]
    pub(crate) struct Netpoll(Arc<Inner>);

    #[derive(Default)]
    struct Inner {
        seat: Mutex<()>,
        notified: Mutex<bool>,
        changed: Condvar,
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
            *self.0.notified.lock() = true;
            self.0.changed.notify_one();
        }

        pub(crate) fn close(&self, _: &mut Vec<Waker>) {}
    }

    impl Seat<'_> {
        pub(crate) fn poll(&mut self, timeout: Option<Duration>, _: &mut Vec<Waker>) -> usize {
            let mut notified = self.inner.notified.lock();
            if !*notified && timeout != Some(Duration::ZERO) {
                notified = match timeout {
                    None => self.inner.changed.wait(notified),
                    Some(timeout) => self.inner.changed.wait_timeout(notified, timeout).0,
                };
            }
            *notified = false;
            0
        }
    }
}
