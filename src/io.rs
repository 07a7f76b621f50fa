//! [`Async`]: readiness for any file descriptor, on Windows for any socket.
//!
//! Every operation of this module and of `net` has one shape, `Async::poll_io`:
//!
//! 1. Take a unit of the task's budget.
//! 2. Wait until the source is worth an attempt. A new source is.
//! 3. Make the system call. If it was interrupted, repeat step 3. If it would block, clear the
//!    readiness that step 2 saw and go to step 2, which now stores the waker. Any other result,
//!    success or error, goes to the caller.
//!
//! An error never leads back to the wait. So the caller sees an error that persists (no descriptors
//! or memory left) each time.

mod attempt;
mod flags;
mod level;
mod register;
mod traits;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::reactor::{AsOwner, Direction, Handle, Owner, Reactor, Readiness, Source};
use crate::sync::Arc;
use crate::sys::{self, AsDescriptor, Level};
use crate::tasks::budget;

pub use self::flags::Seen;
pub(crate) use self::level::level;
pub use self::register::{RegisterError, is_shutdown};
pub use crate::reactor::{Pollable, Ready};

/// An I/O object in non-blocking mode, registered with the reactor of a runtime.
///
/// It makes any pollable file descriptor asynchronous: pipes, sockets, timers, `inotify` instances,
/// terminals, the descriptors of a C library. On Windows only sockets can be waited on, so there it
/// takes what is `AsSocket` in place of `AsFd`. An operation first makes an attempt, and waits only
/// if that would block.
///
/// Several tasks may wait for one object in each direction. All of them are woken when it becomes
/// ready. The object works on the runtime that registered it, and any thread may poll it. After
/// that runtime has shut down, operations that need not wait still work, and one that would wait is
/// an error.
///
/// When the future of an `async` method is dropped, it removes its waker. The `poll_*` methods and
/// the traits have no such drop, so the object keeps the wakers of the last sixteen tasks that
/// waited through them in each direction. One more task takes the entry of another, which is woken
/// and so polls again. No task is forgotten, but if more than sixteen tasks poll one object at a
/// time, they keep each other awake. Use the `async` methods then.
///
/// Two ways to wait without an operation: [`readable`](Async::readable) asks the operating system
/// what is ready, and [`ready`](Async::ready) returns what events have told.
///
/// `Async<T>` and `&Async<T>` implement [`AsyncRead`] and [`AsyncWrite`] if `&T` implements
/// [`io::Read`] or [`io::Write`]. [`File`](std::fs::File), into which any `OwnedFd` converts, and
/// the standard sockets do.
///
/// [`AsyncRead`]: futures_io::AsyncRead
/// [`AsyncWrite`]: futures_io::AsyncWrite
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let (a, mut b) = UnixStream::pair()?;
///     let a = executor::io::Async::new(a)?;
///     b.write_all(b"hello")?;
///
///     let mut buf = [0; 16];
///     let n = a.read_with(|mut socket| socket.read(&mut buf)).await?;
///     assert_eq!(&buf[..n], b"hello");
///     Ok(())
/// })
/// # }
/// ```
pub struct Async<T: Pollable> {
    source: Source,
    /// `None` only while [`Async::into_inner`] or the destructor runs.
    io: Option<T>,
}

impl<T: Pollable> Async<T> {
    /// Sets `io` to non-blocking mode and registers it with the runtime of the calling thread, or
    /// with the default runtime if the thread is in none.
    ///
    /// The file descriptor of `io` must stay the same while it is in the `Async`, and must not be
    /// registered a second time.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a regular file or a directory, which cannot
    /// be waited on, and for any descriptor in a simulation;
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) for a descriptor that is registered; an error
    /// if the runtime has shut down; otherwise what the operating system says.
    pub fn new(io: T) -> io::Result<Async<T>>
    where
        T: AsDescriptor,
    {
        sys::set_nonblocking(sys::borrow(&io))?;
        Async::register(io, &crate::runtime::context::reactor()?)
    }

    /// Registers an object that is in non-blocking mode already, with a given reactor.
    pub(crate) fn register(io: T, reactor: &Arc<Reactor>) -> io::Result<Async<T>> {
        Ok(Async {
            source: Reactor::register(reactor, io.object())?,
            io: Some(io),
        })
    }

    /// The reactor that the object is registered with.
    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        self.source.reactor()
    }

    /// The I/O object.
    ///
    /// Its non-blocking methods may be called directly. Do not switch it to blocking mode.
    #[inline]
    pub fn get_ref(&self) -> &T {
        match &self.io {
            Some(io) => io,
            None => unreachable!("taken out by into_inner or drop, which own it"),
        }
    }

    /// The I/O object, mutably.
    ///
    /// # Safety
    ///
    /// The caller must not replace or drop the object, nor exchange its file descriptor: the
    /// registration belongs to the descriptor it was made with.
    pub unsafe fn get_mut(&mut self) -> &mut T {
        match &mut self.io {
            Some(io) => io,
            None => unreachable!("taken out by into_inner or drop, which own it"),
        }
    }

    /// Ends the registration and returns the I/O object, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// When the operating system fails to end the registration. The object is then closed.
    pub fn into_inner(self) -> io::Result<T> {
        let (io, deregistered) = self.take();
        deregistered.map(|()| io)
    }

    /// Like [`Async::into_inner`], but returns the object even if the operating system fails.
    pub fn take(mut self) -> (T, io::Result<()>) {
        match self.io.take() {
            Some(io) => {
                let deregistered = self.source.deregister(io.object());
                (io, deregistered)
            }
            None => unreachable!("only this method and drop take it, and they own it"),
        }
    }

    /// Waits until the object can be read.
    ///
    /// It asks the operating system before it returns. Another task may still read the data first;
    /// [`read_with`](Async::read_with) handles that.
    ///
    /// If a socket reports an error, a hang-up or urgent data but has nothing to read, this method
    /// returns once per event that the system reports. Such a report may last while reads would
    /// block, for example that of an error queue that is never emptied.
    ///
    /// # Errors
    ///
    /// When it would have to wait and the runtime that registered the object has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.direction(Direction::Read).await
    }

    /// Waits until the object can be written to, or until a connection in progress is established
    /// or refused.
    ///
    /// If a socket reports an error or a hang-up but has no room, this method returns once per
    /// event that the system reports, as [`readable`](Async::readable) does.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Async::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.direction(Direction::Write).await
    }

    /// Polls until the object can be read; see [`readable`](Async::readable).
    ///
    /// Different tasks may poll; see [`Async`] for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Async::readable).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_direction(OBJECT, Direction::Read, &mut Asked::First, cx)
    }

    /// Polls until the object can be written to; see [`writable`](Async::writable).
    ///
    /// Different tasks may poll; see [`Async`] for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Async::readable).
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_direction(OBJECT, Direction::Write, &mut Asked::First, cx)
    }

    /// Runs a non-blocking read operation until it does not fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// The operation's own, and as for [`readable`](Async::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if the operation is: it is not called again after it has succeeded.
    pub async fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.run(Direction::Read, op).await
    }

    /// Runs a non-blocking write operation until it does not fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// The operation's own, and as for [`readable`](Async::readable).
    ///
    /// # Cancel safety
    ///
    /// As for [`read_with`](Async::read_with).
    pub async fn write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.run(Direction::Write, op).await
    }

    /// The poll form of [`read_with`](Async::read_with). Different tasks may poll; see [`Async`].
    ///
    /// # Errors
    ///
    /// As for [`read_with`](Async::read_with).
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io(OBJECT, Direction::Read, cx, op, |_| false)
    }

    /// The poll form of [`write_with`](Async::write_with). Different tasks may poll; see [`Async`].
    ///
    /// # Errors
    ///
    /// As for [`write_with`](Async::write_with).
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io(OBJECT, Direction::Write, cx, op, |_| false)
    }

    async fn run<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiting = self.source.waiting(direction);
        poll_fn(|cx| self.poll_io(waiting.owner(), direction, cx, &mut op, |_| false)).await
    }

    /// The shape of all operations (see the module's documentation). `owner` owns the waker that is
    /// stored for a wait. `drained` says whether a result proves that a byte stream has nothing
    /// left to read.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        owner: impl AsOwner,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let io = self.get_ref();
        self.poll_source(owner, direction, cx, || op(io), drained)
    }

    /// The same for a caller that knows the object already.
    #[inline]
    pub(crate) fn poll_source<R>(
        &self,
        mut owner: impl AsOwner,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let progress = ready!(budget::poll_proceed(cx));
        loop {
            let seen = match self.source.check(direction) {
                Some(seen) => seen,
                None => ready!((self.source).poll_ready_for(owner.as_owner(), direction, cx))?,
            };
            let result = loop {
                match op() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.source.clear_ready(direction, seen);
                }
                result => {
                    progress.made();
                    if result.as_ref().is_ok_and(drained) {
                        self.source.clear_after_short_read(seen);
                    }
                    return Poll::Ready(result);
                }
            }
        }
    }

    async fn direction(&self, direction: Direction) -> io::Result<()> {
        let mut waiting = self.source.waiting(direction);
        let mut asked = Asked::First;
        poll_fn(|cx| self.poll_direction(waiting.owner(), direction, &mut asked, cx)).await
    }

    /// Waits for readiness without an attempt. The state word only says that an attempt is worth
    /// while. Since no attempt follows here, this asks the operating system; otherwise a caller
    /// that reads by other means would be told "ready" for ever. For the same reason, flags that
    /// may persist are reported once per event.
    pub(crate) fn poll_direction(
        &self,
        mut owner: Owner<'_>,
        direction: Direction,
        asked: &mut Asked,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let progress = ready!(budget::poll_proceed(cx));
        loop {
            let owner = owner.reborrow();
            let polled = match *asked {
                Asked::First | Asked::Waits => self.source.poll_ready_for(owner, direction, cx),
                Asked::Saw(seen) => self.source.poll_news_for(owner, direction, seen, cx),
            };
            if polled.is_pending() && matches!(asked, Asked::First) {
                *asked = Asked::Waits;
            }
            let seen = ready!(polled)?;
            let ready = match level(self.get_ref().object(), direction) {
                Ok(Level::Idle) => {
                    self.source.clear_ready(direction, seen);
                    *asked = Asked::Waits;
                    continue;
                }
                Ok(Level::Flagged) => {
                    let is_first = self.source.tell(direction, seen);
                    if !is_first && !asked.is_older_than(seen) {
                        *asked = Asked::Saw(seen);
                        continue;
                    }
                    Ok(())
                }
                Ok(Level::Ready) => Ok(()),
                Err(error) => Err(error),
            };
            progress.made();
            return Poll::Ready(ready);
        }
    }

    /// Adds a handle of the object: see [`Owner`].
    pub(crate) fn new_handle(&self) -> Handle {
        self.source.new_handle()
    }

    pub(crate) fn remove_handle(&self, handle: Handle) {
        self.source.remove_handle(handle);
    }

    /// Removes the waiter of a future that has no owner any more.
    #[cfg(feature = "quinn-0-11")]
    pub(crate) fn remove_waiter(&self, direction: Direction, name: crate::reactor::Name) {
        self.source.remove_waiter(direction, name);
    }
}

/// What a call of [`Async::poll_direction`] knows so far. An event after that is news to it, even
/// if another caller was told of the event before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    First,
    /// Nothing was ready.
    Waits,
    /// There were flags, but another caller had been told of them.
    Saw(Readiness),
}

impl Asked {
    fn is_older_than(self, seen: Readiness) -> bool {
        match self {
            Asked::First => false,
            Asked::Waits => true,
            Asked::Saw(before) => seen.is_newer_than(before),
        }
    }
}

/// The owner of waiters that poll the object itself.
const OBJECT: Owner<'static> = Owner::Handle(Handle::OBJECT);

impl<T: Pollable> Drop for Async<T> {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            // Before the descriptor closes. There is no caller to return an error to, and the
            // registration is over anyway.
            let _ = self.source.deregister(io.object());
        }
    }
}

/// `io` is never pinned.
impl<T: Pollable> Unpin for Async<T> {}

impl<T: Pollable + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.get_ref()).finish()
    }
}

sys::impl_descriptor!([T: AsDescriptor] Async<T>, |io| sys::borrow(io.get_ref()));
