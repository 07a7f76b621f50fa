//! The handle on a registration, held by whoever owns the fd.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use crate::sync::Arc;

use super::Reactor;
use super::state::{Direction, Readiness, State};
use super::waiters::Name;

/// One fd's registration with a reactor. Does not own the fd.
///
/// Dropping it ends the registration as far as events are concerned; [`Source::deregister`] also tells the operating
/// system, and goes first.
pub(crate) struct Source {
    reactor: Arc<Reactor>,
    key: usize,
    state: Arc<State>,
    registered: bool,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("key", &format_args!("{:#x}", self.key))
            .finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new(reactor: Arc<Reactor>, key: usize, state: Arc<State>) -> Source {
        Source {
            reactor,
            key,
            state,
            registered: true,
        }
    }

    /// The reactor it is registered with.
    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Ready, or the task's waker is left here until the next event. Such a waiter is anonymous: it stays until then
    /// even if its task loses interest. A future uses [`Source::waiting`] instead.
    #[inline]
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.state
            .poll_ready(&self.reactor.poller, self.key, direction, None, cx)
    }

    /// A waiter that takes its waker back when it is dropped.
    #[inline]
    pub(crate) fn waiting(&self, direction: Direction) -> Waiting<'_> {
        Waiting {
            source: self,
            direction,
            name: None,
        }
    }

    /// The operation would have blocked. Does nothing if an event came after what it had `seen`.
    #[inline]
    pub(crate) fn clear_ready(&self, direction: Direction, seen: Readiness) {
        self.state.clear(direction, seen);
    }

    /// A read of a byte stream got less than it asked for: as good as "would block" unless more than data is due.
    #[inline]
    pub(crate) fn clear_after_short_read(&self, seen: Readiness) {
        self.state.clear_after_short_read(seen);
    }

    /// Ends the registration and wakes whoever still waits. `fd` is the one that was registered.
    ///
    /// # Errors
    ///
    /// What the operating system says; the registration is over all the same.
    pub(crate) fn deregister(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if !self.registered || self.reactor.poller.is_inherited() {
            return Ok(());
        }
        let deleted = self.reactor.poller.delete(fd);
        self.unregister();
        deleted
    }

    fn unregister(&mut self) {
        self.registered = false;
        self.reactor.remove(self.key);
        let mut left = Vec::new();
        self.state.take_waiters(&mut left);
        left.into_iter().for_each(wake);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if self.registered && !self.reactor.poller.is_inherited() {
            self.unregister();
        }
    }
}

/// Wakes a foreign waker. One that panics must not keep the others asleep, nor the socket from closing.
fn wake(waker: Waker) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // Its destructor is foreign, too, and may panic again; what comes out of that is not dropped.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
    }
}

/// One future's wait for one direction; see [`Source::waiting`].
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    source: &'a Source,
    direction: Direction,
    /// Its name in the list of waiters, once it has been there.
    name: Option<Name>,
}

impl Waiting<'_> {
    #[inline]
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let source = self.source;
        source.state.poll_ready(
            &source.reactor.poller,
            source.key,
            self.direction,
            Some(&mut self.name),
            cx,
        )
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let name = self
            .name
            .filter(|_| !self.source.reactor.poller.is_inherited());
        if let Some(name) = name {
            drop(self.source.state.remove_waiter(self.direction, name));
        }
    }
}
