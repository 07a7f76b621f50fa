//! A registration, held by the owner of the fd.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use crate::sync::Arc;

use super::Reactor;
use super::object::Object;
use super::ready::Ready;
use super::state::{Direction, Readiness, Seen, State};
use super::waiters::{Handle, Name, Owner, wake};

/// One fd's registration with a reactor. It does not own the fd.
///
/// Dropping it removes the source from the reactor, but not the fd from the poller.
/// [`Source::deregister`] does both; call it before the drop.
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

    /// The reactor that the source is registered with.
    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// [`Source::poll_ready_for`] with the object itself as the owner.
    #[cfg_attr(not(test), allow(dead_code, reason = "for tests and models"))]
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.poll_ready_for(Owner::Handle(Handle::OBJECT), direction, cx)
    }

    /// The readiness, if an operation in `direction` is worth an attempt.
    #[inline]
    pub(crate) fn check(&self, direction: Direction) -> Option<Readiness> {
        self.state.check(direction)
    }

    /// Returns the readiness, or stores the task's waker until the next event, or until `owner`
    /// removes it.
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

    /// For a caller to which [`Source::tell`] has said `false` for `seen`: ready with the next
    /// event.
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

    /// Whether the flags `seen` are news in `direction`. From now on they are not.
    pub(crate) fn tell(&self, direction: Direction, seen: Readiness) -> bool {
        self.state.tell(direction, seen)
    }

    /// The flags of `of` that are up.
    #[inline]
    pub(crate) fn seen(&self, of: Ready) -> Seen {
        self.state.seen(of)
    }

    /// Returns the flags of `of` that are up, or stores the task's waker as
    /// [`Source::poll_ready_for`] does. With `since`, the flags of a closed direction count only if
    /// an event has come after it.
    ///
    /// The error of a reactor that is closed comes even if flags are up.
    #[inline]
    pub(crate) fn poll_seen_for(
        &self,
        owner: Owner<'_>,
        of: Ready,
        since: Option<Seen>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Seen>> {
        let poller = &self.reactor.poller;
        (self.state).poll_seen(poller, self.key, of, since, owner, cx)
    }

    /// Clears the flags `seen`, except those of a closed direction. Does nothing if an event came
    /// after they were seen.
    #[inline]
    pub(crate) fn clear_seen(&self, seen: Seen) {
        self.state.clear_flags(seen);
    }

    #[cfg(test)]
    pub(crate) fn has_waiters(&self) -> bool {
        self.state.has_waiters()
    }

    /// Raises flags of which no event has told yet. Nobody who waits for them is woken.
    pub(crate) fn assume(&self, flags: Ready) {
        self.state.assume(flags);
    }

    /// A waiter for flags that removes its wakers when it is dropped.
    #[inline]
    pub(crate) fn waiting_for_flags(&self) -> WaitingForFlags<'_> {
        WaitingForFlags {
            source: self,
            name: None,
        }
    }

    /// Adds a handle with waiters of its own. The caller removes it before the source.
    pub(crate) fn new_handle(&self) -> Handle {
        self.state.new_handle()
    }

    pub(crate) fn remove_handle(&self, handle: Handle) {
        if !self.reactor.poller.in_forked_child() {
            drop(self.state.remove_handle(handle));
        }
    }

    /// Removes the waiter of a future.
    pub(crate) fn remove_waiter(&self, direction: Direction, name: Name) {
        if !self.reactor.poller.in_forked_child() {
            drop(self.state.remove_waiter(direction, name));
        }
    }

    /// A waiter that removes its waker when it is dropped.
    #[inline]
    pub(crate) fn waiting(&self, direction: Direction) -> Waiting<'_> {
        Waiting {
            source: self,
            direction,
            name: None,
        }
    }

    /// Clears the readiness after an operation would have blocked. Does nothing if an event came
    /// after `seen` was read.
    #[inline]
    pub(crate) fn clear_ready(&self, direction: Direction, seen: Readiness) {
        self.state.clear(direction, seen);
    }

    /// Clears the readiness after a read of a byte stream got less than it asked for. That means
    /// the same as "would block", unless an end, an error or urgent data is due.
    #[inline]
    pub(crate) fn clear_after_short_read(&self, seen: Readiness) {
        self.state.clear_after_short_read(seen);
    }

    /// Clears the readiness that a new source begins with, unless an event has come.
    pub(crate) fn assume_idle(&self) {
        for direction in [Direction::Read, Direction::Write] {
            self.state.clear(direction, Readiness::FIRST);
        }
    }

    /// Ends the registration and wakes the tasks that still wait. `object` must be the one that was
    /// registered.
    ///
    /// # Errors
    ///
    /// What the operating system says; the registration is over all the same.
    pub(crate) fn deregister<'a>(&mut self, object: impl Into<Object<'a>>) -> io::Result<()> {
        if !self.registered || self.reactor.poller.in_forked_child() {
            return Ok(());
        }
        let deleted = (self.reactor.poller).delete(self.key, object.into());
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
    /// This future as the owner of its entry.
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

/// One future's wait for flags, which may be one for both directions; see
/// [`Source::waiting_for_flags`].
#[derive(Debug)]
pub(crate) struct WaitingForFlags<'a> {
    source: &'a Source,
    /// The name of its entries, once it has waited.
    name: Option<Name>,
}

impl WaitingForFlags<'_> {
    /// This future as the owner of its entries.
    #[inline]
    pub(crate) fn owner(&mut self) -> Owner<'_> {
        Owner::Future(&mut self.name)
    }
}

impl Drop for WaitingForFlags<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(name) = self.name {
            if !self.source.reactor.poller.in_forked_child() {
                drop(self.source.state.remove_waiter_of_flags(name));
            }
        }
    }
}
