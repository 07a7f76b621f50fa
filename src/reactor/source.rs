//! The handle on a registration, held by whoever owns the fd.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use crate::sync::Arc;

use super::Reactor;
use super::state::{Direction, Readiness, State};
use super::waiters::{Handle, Name, Owner, wake};

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

    /// Ready, or the task's waker is left here, as polled through the object itself.
    #[cfg_attr(not(test), allow(dead_code, reason = "for tests and models"))]
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.poll_ready_for(Owner::Handle(Handle::OBJECT), direction, cx)
    }

    /// Whether `direction` is worth a try.
    #[inline]
    pub(crate) fn check(&self, direction: Direction) -> Option<Readiness> {
        self.state.check(direction)
    }

    /// Ready, or the task's waker is left here until the next event, or until its owner takes it back.
    #[inline]
    pub(crate) fn poll_ready_for(
        &self,
        owner: Owner<'_>,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.state
            .poll_ready(&self.reactor.poller, self.key, direction, owner, cx)
    }

    /// For somebody who has `seen` flags that [`Source::tell`] knew: ready with the next event.
    pub(crate) fn poll_news_for(
        &self,
        owner: Owner<'_>,
        direction: Direction,
        seen: Readiness,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let poller = &self.reactor.poller;
        (self.state).poll_news(poller, self.key, direction, seen, owner, cx)
    }

    /// Whether nobody was told yet of the flags that were `seen`. From now on somebody was.
    pub(crate) fn tell(&self, direction: Direction, seen: Readiness) -> bool {
        self.state.tell(direction, seen)
    }

    /// One more handle, with waiters of its own. It is removed before the source.
    pub(crate) fn new_handle(&self) -> Handle {
        self.state.new_handle()
    }

    pub(crate) fn remove_handle(&self, handle: Handle) {
        if !self.reactor.poller.in_forked_child() {
            drop(self.state.remove_handle(handle));
        }
    }

    /// Takes the waiter of a future back.
    pub(crate) fn remove_waiter(&self, direction: Direction, name: Name) {
        if !self.reactor.poller.in_forked_child() {
            drop(self.state.remove_waiter(direction, name));
        }
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
        if !self.registered || self.reactor.poller.in_forked_child() {
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
        if self.registered && !self.reactor.poller.in_forked_child() {
            self.unregister();
        }
    }
}

/// One future's wait for one direction; see [`Source::waiting`].
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    source: &'a Source,
    direction: Direction,
    /// The name of its entry, once it has waited.
    name: Option<Name>,
}

impl Waiting<'_> {
    /// As the owner of its entry.
    #[inline]
    pub(crate) fn owner(&mut self) -> Owner<'_> {
        Owner::Future(&mut self.name)
    }

    #[cfg_attr(not(test), allow(dead_code, reason = "for tests and models"))]
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let owner = Owner::Future(&mut self.name);
        self.source.poll_ready_for(owner, self.direction, cx)
    }
}

impl Drop for Waiting<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(name) = self.name {
            self.source.remove_waiter(self.direction, name);
        }
    }
}
