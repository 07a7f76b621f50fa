//! A worker's bed: where it waits and is handed a core.
//!
//! A thread's `park` token makes an unpark that comes first count, so there is no window between looking and sleeping.

use std::fmt;
use std::time::Duration;

use super::netpoll::Netpoll;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, Thread};

pub(crate) struct Sleeper<C> {
    thread: Thread,
    /// The core this worker was woken with. Given and taken under the lock of `Idle`.
    gift: Mutex<Option<C>>,
    /// The worker waits in the netpoller's seat and not in bed. Written by the worker before it lies down, read by
    /// whoever was handed this sleeper by `Idle`; the lock of `Idle` lies in between, so `Relaxed` suffices. A value
    /// that is out of date belongs to a worker that is up already.
    seated: AtomicBool,
    netpoll: Netpoll,
}

impl<C> Sleeper<C> {
    /// The bed of the calling thread.
    pub(crate) fn of_this_thread(netpoll: Netpoll) -> Sleeper<C> {
        Sleeper {
            thread: thread::current(),
            gift: Mutex::new(None),
            seated: AtomicBool::new(false),
            netpoll,
        }
    }

    pub(super) fn give(&self, core: C) {
        *self.gift.lock() = Some(core);
    }

    pub(super) fn take_gift(&self) -> Option<C> {
        self.gift.lock().take()
    }

    pub(crate) fn has_gift(&self) -> bool {
        self.gift.lock().is_some()
    }

    pub(super) fn set_seated(&self, seated: bool) {
        self.seated.store(seated, Ordering::Relaxed);
    }

    /// Wakes the worker, wherever it waits. An unpark that comes before the wait ends the wait at once.
    pub(crate) fn unpark(&self) {
        if self.seated.load(Ordering::Relaxed) {
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

impl<C> fmt::Debug for Sleeper<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper")
            .field("thread", &self.thread.id())
            .finish_non_exhaustive()
    }
}
