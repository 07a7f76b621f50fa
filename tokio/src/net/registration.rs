//! A standard socket registered with the runtime: what all types of this module share.
//!
//! The executor knows two things about an object. *Whether an attempt is worth while*: operations
//! go by that, as the executor's own sockets do, so that a new socket's first one is made at once.
//! And *the flags of events*, as tokio has them: `ready`, the `poll_*_ready`, `try_io` and
//! `async_io` go by those. An operation that would block clears both for its direction, and `try_io`
//! and `async_io` clear the flags that they saw.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use executor::io::{Async, Ready as Flags, RegisterError, Seen};
use real::io::{Interest, ReadBuf, Ready};
use real::task::coop::{cooperative, poll_proceed};

use super::sys;
use crate::context;
use crate::runtime::ShutDown;

const IO_DISABLED: &str = "A Tokio 1.x context was found, but IO is disabled. \
                           Call `enable_io` on the runtime builder to enable IO.";

pub(crate) struct Registration<S: AsFd> {
    io: Async<S>,
}

impl<S: AsFd> Registration<S> {
    /// Registers a socket in non-blocking mode with the runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub(crate) fn new(socket: S) -> io::Result<Registration<S>> {
        Registration::try_new(socket).map_err(|error| translate(error.into()))
    }

    /// The same; the error has the socket.
    #[track_caller]
    pub(crate) fn try_new(socket: S) -> Result<Registration<S>, RegisterError<S>> {
        // The thread has entered the runtime's executor too, which is where the socket goes.
        if !context::expect_current().shared().io {
            panic!("{IO_DISABLED}");
        }
        Async::from_nonblocking(socket).map(|io| Registration { io })
    }

    #[inline]
    pub(crate) fn get_ref(&self) -> &S {
        self.io.get_ref()
    }

    /// # Safety
    ///
    /// The caller must not exchange the socket or its descriptor.
    pub(crate) unsafe fn get_mut(&mut self) -> &mut S {
        // SAFETY: the caller keeps to the same rule.
        unsafe { self.io.get_mut() }
    }

    /// Ends the registration.
    pub(crate) fn into_inner(self) -> io::Result<S> {
        self.io.into_inner()
    }

    /// Ends the registration even if the system does not know it.
    pub(crate) fn take(self) -> S {
        self.io.take().0
    }

    /// Raises flags that are known to be right.
    pub(crate) fn assume_ready(&self, flags: Flags) {
        self.io.assume_ready(flags);
    }

    /// Lets the first operations wait for an event, too.
    pub(crate) fn assume_idle(&self) {
        self.io.assume_idle();
    }

    pub(crate) fn clear(&self, seen: Seen) {
        self.io.clear(seen);
    }

    /// Waits until a flag is up. The future does not borrow the socket, which need not be `Sync`.
    pub(crate) fn seen(&self, interest: Interest) -> impl Future<Output = io::Result<Seen>> {
        let ready = self.io.ready(flags_of(interest));
        async move { ready.await.map_err(translate) }
    }

    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(from_flags(self.seen(interest).await?.flags()))
    }

    #[inline]
    pub(crate) fn poll_seen(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<Seen>> {
        let coop = ready!(poll_proceed(cx));
        let seen = ready!(self.io.poll_ready(cx, flags_of(interest))).map_err(translate)?;
        coop.made_progress();
        Poll::Ready(Ok(seen))
    }

    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        self.poll_seen(cx, interest).map_ok(drop)
    }

    /// Waits for the outcome of a connect in progress. `take_error` is that of the socket.
    pub(crate) async fn connected(
        &self,
        take_error: impl Fn(&S) -> io::Result<Option<io::Error>>,
    ) -> io::Result<()> {
        poll_fn(|cx| self.poll_ready(cx, Interest::WRITABLE)).await?;
        match take_error(self.get_ref())? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Makes the user's attempt if a flag is up.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = self.seen_now(interest)?;
        let result = f(self.get_ref());
        if would_block(&result) {
            self.io.clear(seen);
        }
        result
    }

    /// The same for an attempt that changes the socket.
    pub(crate) fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        f: impl FnOnce(&mut Registration<S>) -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = self.seen_now(interest)?;
        let result = f(self);
        if would_block(&result) {
            self.io.clear(seen);
        }
        result
    }

    fn seen_now(&self, interest: Interest) -> io::Result<Seen> {
        let seen = self.io.seen(flags_of(interest));
        if seen.flags().is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(seen)
    }

    /// Makes the user's attempts until one does not block. A direction that is closed is tried once
    /// for each event.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut seen = self.seen(interest).await?;
        loop {
            let coop = poll_fn(poll_proceed).await;
            let result = f(self.get_ref());
            if !would_block(&result) {
                coop.made_progress();
                return result;
            }
            drop(coop);
            seen = self.seen_again(seen).await?;
        }
    }

    /// After an attempt that would block: clears what was seen, and waits for the next event.
    pub(crate) fn seen_again(&self, seen: Seen) -> impl Future<Output = io::Result<Seen>> {
        self.io.clear(seen);
        let ready = self.io.ready_again(seen);
        async move { ready.await.map_err(translate) }
    }

    /// Runs a read operation until it does not block.
    pub(crate) async fn read<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        cooperative(self.io.read_with(op)).await.map_err(translate)
    }

    /// Runs a read operation that also fetches errors until it does not block: then there is no
    /// error either.
    pub(crate) async fn read_or_error<R>(
        &self,
        mut op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let op = |socket: &S| {
            let error = self.io.seen(Flags::ERROR);
            let result = op(socket);
            if would_block(&result) && !error.flags().is_empty() {
                self.io.clear(error);
            }
            result
        };
        self.read(op).await
    }

    /// Runs a write operation until it does not block.
    pub(crate) async fn write<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        cooperative(self.io.write_with(op)).await.map_err(translate)
    }

    #[inline]
    pub(crate) fn poll_read<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let coop = ready!(poll_proceed(cx));
        let result = ready!(self.io.poll_read_with(cx, op));
        coop.made_progress();
        Poll::Ready(result.map_err(translate))
    }

    #[inline]
    pub(crate) fn poll_write<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let coop = ready!(poll_proceed(cx));
        let result = ready!(self.io.poll_write_with(cx, op));
        coop.made_progress();
        Poll::Ready(result.map_err(translate))
    }

    /// Reads into a buffer. `SHORT_READ_DRAINS`: a read that got less than it asked for has emptied
    /// the socket.
    #[inline]
    pub(crate) fn poll_read_buf<const SHORT_READ_DRAINS: bool>(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        mut read: impl FnMut(&S, &mut ReadBuf<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<()>> {
        let wanted = buf.remaining();
        let coop = ready!(poll_proceed(cx));
        let drained = |&read: &usize| SHORT_READ_DRAINS && read > 0 && read < wanted;
        let op = |socket: &S| read(socket, buf);
        let result = ready!(self.io.poll_read_draining(cx, op, drained));
        coop.made_progress();
        Poll::Ready(result.map(drop).map_err(translate))
    }

    #[inline]
    pub(crate) fn try_read<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.io.try_read_with(op)
    }

    #[inline]
    pub(crate) fn try_write<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.io.try_write_with(op)
    }

    #[inline]
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, |socket| sys::send(socket, buf))
    }

    #[inline]
    pub(crate) fn poll_send_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, |socket| sys::send_vectored(socket, bufs))
    }
}

fn would_block<R>(result: &io::Result<R>) -> bool {
    (result.as_ref()).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The flags that end a wait for `interest`.
#[inline]
fn flags_of(interest: Interest) -> Flags {
    let mut flags = Flags::EMPTY;
    if interest.is_readable() {
        flags |= Flags::READABLE | Flags::READ_CLOSED;
    }
    if interest.is_writable() {
        flags |= Flags::WRITABLE | Flags::WRITE_CLOSED;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if interest.is_priority() {
        flags |= Flags::PRIORITY | Flags::READ_CLOSED;
    }
    if interest.is_error() {
        flags |= Flags::ERROR;
    }
    flags
}

/// Each flag under both names.
const NAMES: &[(Flags, Ready)] = &[
    (Flags::READABLE, Ready::READABLE),
    (Flags::WRITABLE, Ready::WRITABLE),
    (Flags::READ_CLOSED, Ready::READ_CLOSED),
    (Flags::WRITE_CLOSED, Ready::WRITE_CLOSED),
    (Flags::ERROR, Ready::ERROR),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    (Flags::PRIORITY, Ready::PRIORITY),
];

pub(crate) fn from_flags(flags: Flags) -> Ready {
    let found = NAMES.iter().filter(|(flag, _)| flags.contains(*flag));
    found.fold(Ready::EMPTY, |ready, (_, name)| ready | *name)
}

pub(crate) fn to_flags(ready: Ready) -> Flags {
    let found = NAMES.iter().filter(|(_, name)| ready & *name == *name);
    found.fold(Flags::EMPTY, |flags, (flag, _)| flags | *flag)
}

/// Of an error that the executor's runtime has shut down, the one of ours.
#[inline]
pub(crate) fn translate(error: io::Error) -> io::Error {
    if executor::io::is_shutdown(&error) {
        return io::Error::other(ShutDown);
    }
    error
}

/// The state of a wait is whole between any two steps.
impl<S: AsFd> UnwindSafe for Registration<S> {}
impl<S: AsFd> RefUnwindSafe for Registration<S> {}

impl<S: AsFd + fmt::Debug> fmt::Debug for Registration<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get_ref().fmt(f)
    }
}

impl<S: AsFd> AsRawFd for Registration<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<S: AsFd> AsFd for Registration<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}
