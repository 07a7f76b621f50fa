//! A worker that waits, as others see it: how to wake it, and the core that it is handed.
//!
//! A thread's `park` token makes an unpark that comes first count, so there is no window between
//! looking and sleeping.

use std::fmt;
use std::time::Duration;

use crate::scheduler::netpoll::Netpoll;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, Thread};

pub(crate) struct ParkedWorker<C> {
    thread: Thread,
    /// The core this worker was woken with. Given and taken under the lock of `Idle`.
    handed: Mutex<Option<C>>,
    /// The worker waits with the driver and not parked. Written by the worker before it parks, read
    /// by whoever was handed this parked worker by `Idle`; the lock of `Idle` lies in between, so
    /// `Relaxed` suffices. A value that is out of date belongs to a worker that is up already.
    with_driver: AtomicBool,
    netpoll: Netpoll,
}

impl<C> ParkedWorker<C> {
    /// For the calling thread.
    pub(crate) fn of_this_thread(netpoll: Netpoll) -> ParkedWorker<C> {
        ParkedWorker {
            thread: thread::current(),
            handed: Mutex::new(None),
            with_driver: AtomicBool::new(false),
            netpoll,
        }
    }

    pub(crate) fn hand(&self, core: C) {
        *self.handed.lock() = Some(core);
    }

    pub(crate) fn take_handed(&self) -> Option<C> {
        self.handed.lock().take()
    }

    pub(crate) fn has_handed(&self) -> bool {
        self.handed.lock().is_some()
    }

    pub(crate) fn set_with_driver(&self, with_driver: bool) {
        self.with_driver.store(with_driver, Ordering::Relaxed);
    }

    /// Wakes the worker, wherever it waits. An unpark that comes before the wait ends the wait at
    /// once.
    pub(crate) fn unpark(&self) {
        if self.with_driver.load(Ordering::Relaxed) {
            self.netpoll.notify();
        } else {
            self.thread.unpark();
        }
    }

    /// Waits for an unpark, at most `timeout`. May return early.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        match timeout {
            None => thread::park(),
            Some(timeout) => thread::park_timeout(timeout),
        }
    }
}

impl<C> fmt::Debug for ParkedWorker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedWorker")
            .field("thread", &self.thread.id())
            .finish_non_exhaustive()
    }
}
