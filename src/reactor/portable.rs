//! The wait itself, where there is no epoll: whatever `polling` uses there.
//!
//! Edge mode with both directions registered once where the system has it (kqueue); elsewhere one-shot interest that
//! is armed again for the directions that have waiters.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use polling::PollMode;

use crate::sync::Mutex;
use crate::sync::fork::Birth;

use super::event::Event;

/// As many as with epoll, see `poller.rs`.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).unwrap();

pub(super) struct Poller {
    inner: polling::Poller,
    /// Used by whoever holds the driver, hence never contended.
    buffer: Mutex<polling::Events>,
    /// Whether sources are armed once and for all.
    edge: bool,
    /// One-shot mode: the fd of each key, for arming it again.
    armed: Mutex<HashMap<usize, RawFd>>,
    birth: Birth,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let inner = polling::Poller::new()?;
        Ok(Poller {
            edge: inner.supports_edge(),
            inner,
            buffer: Mutex::new(polling::Events::with_capacity(BATCH)),
            armed: Mutex::default(),
            birth: Birth::here(),
        })
    }

    /// Whether it belongs to the process that this one was forked from.
    pub(super) fn in_forked_child(&self) -> bool {
        self.birth.in_forked_child()
    }

    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        let raw = fd.as_raw_fd();
        let (interest, mode) = if self.edge {
            (polling::Event::all(key), PollMode::Edge)
        } else {
            self.armed.lock().insert(key, raw);
            (polling::Event::none(key), PollMode::Oneshot)
        };
        // SAFETY: `Reactor::register` asks its caller to keep the fd open until the source is deregistered, which
        // deletes it here first.
        let added = unsafe { self.inner.add_with_mode(raw, interest, mode) };
        if added.is_err() {
            self.armed.lock().remove(&key);
        }
        added
    }

    pub(super) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if !self.edge {
            let raw = fd.as_raw_fd();
            self.armed.lock().retain(|_, armed| *armed != raw);
        }
        self.inner.delete(fd)
    }

    /// One-shot mode: asks for the next event in the given directions.
    pub(super) fn rearm(&self, key: usize, read: bool, write: bool) -> io::Result<()> {
        if self.edge {
            return Ok(());
        }
        let armed = self.armed.lock();
        let Some(&raw) = armed.get(&key) else {
            return Ok(());
        };
        // SAFETY: an fd is in the map from `add` to `delete`, and open that long (see `add`). The lock is held, so
        // that `delete` cannot come in between.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) };
        let interest = polling::Event::new(key, read, write);
        self.inner.modify_with_mode(fd, interest, PollMode::Oneshot)
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        self.inner.notify()
    }

    /// Puts what happened into `events`, which stays empty when the time is up or a notification came.
    pub(super) fn wait(
        &self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        let mut buffer = self.buffer.lock();
        buffer.clear();
        self.inner.wait(&mut buffer, timeout)?;
        events.extend(buffer.iter().map(|event| Event {
            key: event.key,
            read: event.readable,
            write: event.writable,
            // `polling` does not tell the end of a stream on every system: read until it would block.
            more: true,
        }));
        Ok(())
    }
}
