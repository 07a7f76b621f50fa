//! The wait itself on systems without epoll: whatever `polling` uses there.
//!
//! 1. Where the system has edge-triggered mode (kqueue on macOS and the BSDs), a source is
//!    registered once for both directions, as with epoll.
//! 2. Elsewhere (Windows) a source is armed for one event. It is armed for both directions when it
//!    is registered, so that the first event tells all that is ready by then. After that,
//!    [`rearm`](Poller::rearm) arms it for the directions that have waiters: when one is stored,
//!    and after each event. The system looks at the state of the socket whenever it is armed. So no
//!    readiness is lost between an attempt that would block and the wait that follows, and a short
//!    read proves that a stream is empty without an attempt that would block.
//!
//! On Windows `polling` asks for urgent data with each read, and tells it as data. While nobody takes
//! it (`MSG_OOB`), whoever waits for other data is woken again and again. The end of a stream is told
//! as data, too, so there [`Ready::READ_CLOSED`] comes from a broken connection alone.
//!
//! `--cfg executor_portable` puts this poller in the place of epoll on Linux, in edge-triggered mode
//! or, with `--cfg executor_portable="oneshot"` besides, in the other: so the tests of sockets check
//! both there (`ci/portable.sh`).

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use polling::PollMode;

use crate::sync::Mutex;
use crate::sync::fork::Birth;
use crate::sys::{self, BorrowedDescriptor, RawDescriptor};

use super::event::Event;
use super::ready::Ready;

/// The same as with epoll, see `poller.rs`.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).unwrap();

pub(super) struct Poller {
    inner: polling::Poller,
    /// Only the thread that holds the driver locks it, so it is never contended.
    buffer: Mutex<polling::Events>,
    /// Whether the system has edge-triggered mode.
    edge: bool,
    /// One-shot mode: the descriptor of each key, for `rearm`.
    armed: Mutex<HashMap<usize, RawDescriptor>>,
    birth: Birth,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let inner = polling::Poller::new()?;
        Ok(Poller {
            edge: inner.supports_edge() && !cfg!(executor_portable = "oneshot"),
            inner,
            buffer: Mutex::new(polling::Events::with_capacity(BATCH)),
            armed: Mutex::default(),
            birth: Birth::here(),
        })
    }

    /// Whether this poller was made by the process that this one was forked from.
    pub(super) fn in_forked_child(&self) -> bool {
        self.birth.in_forked_child()
    }

    pub(super) fn add(&self, descriptor: BorrowedDescriptor<'_>, key: usize) -> io::Result<()> {
        let raw = sys::raw(descriptor);
        let mode = if self.edge {
            PollMode::Edge
        } else {
            self.armed.lock().insert(key, raw);
            PollMode::Oneshot
        };
        // SAFETY: the caller of `Reactor::register` keeps the descriptor open until the source is
        // deregistered, and deregistering deletes it here first.
        let added = unsafe { (self.inner).add_with_mode(raw, polling::Event::all(key), mode) };
        if added.is_err() {
            self.armed.lock().remove(&key);
        }
        added
    }

    pub(super) fn delete(&self, key: usize, descriptor: BorrowedDescriptor<'_>) -> io::Result<()> {
        if !self.edge {
            self.armed.lock().remove(&key);
        }
        self.inner.delete(descriptor)
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
        // SAFETY: a descriptor is in the map from `add` to `delete`, and open that long (see
        // `add`). This thread holds the lock, so `delete` cannot run in between.
        let descriptor = unsafe { BorrowedDescriptor::borrow_raw(raw) };
        let interest = polling::Event::new(key, read, write);
        (self.inner).modify_with_mode(descriptor, interest, PollMode::Oneshot)
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        self.inner.notify()
    }

    /// Waits, and puts what happened into `events`, which stays empty after a timeout or a
    /// notification.
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
            // `polling` does not report the end of a stream on every system, so reads go on until
            // they would block. One-shot mode tells of what is left when it is armed again.
            more: self.edge,
            flags: flags(&event),
        }));
        Ok(())
    }
}

/// The flags for those who ask for them, as far as `polling` reports them.
fn flags(event: &polling::Event) -> Ready {
    let flag = |set: bool, ready: Ready| if set { ready } else { Ready::EMPTY };
    let closed = event.is_interrupt();
    flag(event.readable, Ready::READABLE)
        | flag(event.writable, Ready::WRITABLE)
        | flag(closed && event.readable, Ready::READ_CLOSED)
        | flag(closed && event.writable, Ready::WRITE_CLOSED)
        | flag(event.is_err() == Some(true), Ready::ERROR)
        | flag(event.is_priority(), Ready::PRIORITY)
}
