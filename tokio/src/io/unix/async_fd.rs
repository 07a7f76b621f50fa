//! Readiness for any file descriptor.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use real::io::Interest;

use super::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError};
use crate::net::{Registration, translate};

/// An object with a file descriptor, registered with the runtime.
pub struct AsyncFd<T: AsRawFd> {
    pub(super) io: Registration<Object<T>>,
}

/// The object, and the descriptor that is registered. By the rule of [`AsyncFd::register`] the
/// object keeps it open, and goes on naming it.
pub(super) struct Object<T> {
    inner: T,
    fd: RawFd,
}

impl<T> AsFd for Object<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: whoever made the `AsyncFd` has promised that the descriptor is open as long as
        // the object is in it. It is not -1, which `register_with_interest` has refused.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Registers an object, which must be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// What the system says. The error has the object.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    ///
    /// # Safety
    ///
    /// The object's descriptor stays open and the same until the registration ends.
    #[inline]
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        // SAFETY: the caller keeps to the same rule.
        unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE | Interest::WRITABLE) }
    }

    /// Registers an object for some of the interests. Events of others come all the same here.
    ///
    /// # Errors
    ///
    /// As for [`register`](AsyncFd::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    ///
    /// # Safety
    ///
    /// As for [`register`](AsyncFd::register).
    #[track_caller]
    pub unsafe fn register_with_interest(
        inner: T,
        _interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        let fd = inner.as_raw_fd();
        if fd < 0 {
            let cause = io::Error::from_raw_os_error(libc::EBADF);
            return Err(AsyncFdRegisterError { inner, cause });
        }
        match Registration::try_new(Object { inner, fd }) {
            Ok(io) => Ok(AsyncFd { io }),
            Err(error) => {
                let (object, cause) = error.into_parts();
                Err(AsyncFdRegisterError {
                    inner: object.inner,
                    cause: translate(cause),
                })
            }
        }
    }

    /// Registers an object without a word about its descriptor.
    ///
    /// # Errors
    ///
    /// As for [`register`](AsyncFd::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[inline]
    #[track_caller]
    #[deprecated(
        note = "unsound due to lack of I/O safety; use `AsyncFd::register` instead (see https://github.com/tokio-rs/tokio/pull/8587)"
    )]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        // SAFETY: unsound, as its deprecation says; it is there since programs call it.
        unsafe { Ok(AsyncFd::register(inner)?) }
    }

    /// Registers an object without a word about its descriptor.
    ///
    /// # Errors
    ///
    /// As for [`register`](AsyncFd::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[inline]
    #[track_caller]
    #[deprecated(
        note = "unsound due to lack of I/O safety; use `AsyncFd::register_with_interest` instead (see https://github.com/tokio-rs/tokio/pull/8587)"
    )]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
        // SAFETY: unsound, as its deprecation says; it is there since programs call it.
        unsafe { Ok(AsyncFd::register_with_interest(inner, interest)?) }
    }

    /// Registers an object without a word about its descriptor.
    ///
    /// # Errors
    ///
    /// As for [`register`](AsyncFd::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[inline]
    #[track_caller]
    #[deprecated(
        note = "unsound due to lack of I/O safety; use `AsyncFd::register` instead (see https://github.com/tokio-rs/tokio/pull/8587)"
    )]
    pub fn try_new(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        // SAFETY: unsound, as its deprecation says; it is there since programs call it.
        unsafe { AsyncFd::register(inner) }
    }

    /// Registers an object without a word about its descriptor.
    ///
    /// # Errors
    ///
    /// As for [`register`](AsyncFd::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[inline]
    #[track_caller]
    #[deprecated(
        note = "unsound due to lack of I/O safety; use `AsyncFd::register_with_interest` instead (see https://github.com/tokio-rs/tokio/pull/8587)"
    )]
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        // SAFETY: unsound, as its deprecation says; it is there since programs call it.
        unsafe { AsyncFd::register_with_interest(inner, interest) }
    }

    /// The object.
    #[inline]
    pub fn get_ref(&self) -> &T {
        &self.io.get_ref().inner
    }

    /// The object, mutably.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: the descriptor is not exchanged: it stands beside the object, which is all that
        // is given away.
        unsafe { &mut self.io.get_mut().inner }
    }

    /// Ends the registration and returns the object.
    pub fn into_inner(self) -> T {
        self.io.take().inner
    }

    /// Polls until the object is readable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let polled = self.io.poll_seen(cx, Interest::READABLE);
        polled.map_ok(|seen| AsyncFdReadyGuard::new(self, seen))
    }

    /// Polls until the object is readable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let polled = self.io.poll_seen(cx, Interest::READABLE);
        polled.map_ok(|seen| AsyncFdReadyMutGuard::new(self, seen))
    }

    /// Polls until the object is writable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let polled = self.io.poll_seen(cx, Interest::WRITABLE);
        polled.map_ok(|seen| AsyncFdReadyGuard::new(self, seen))
    }

    /// Polls until the object is writable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let polled = self.io.poll_seen(cx, Interest::WRITABLE);
        polled.map_ok(|seen| AsyncFdReadyMutGuard::new(self, seen))
    }

    /// Waits until the object is ready for any of `interest`.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let seen = self.io.seen(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, seen))
    }

    /// Waits until the object is ready for any of `interest`.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let seen = self.io.seen(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, seen))
    }

    /// Waits until the object is readable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn readable<'a>(&'a self) -> io::Result<AsyncFdReadyGuard<'a, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until the object is readable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn readable_mut<'a>(&'a mut self) -> io::Result<AsyncFdReadyMutGuard<'a, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until the object is writable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn writable<'a>(&'a self) -> io::Result<AsyncFdReadyGuard<'a, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until the object is writable.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn writable_mut<'a>(&'a mut self) -> io::Result<AsyncFdReadyMutGuard<'a, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Makes the caller's attempts, and waits, until one would not block.
    ///
    /// # Errors
    ///
    /// The attempt's own, and one when the runtime has shut down.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let attempt = |object: &Object<T>| f(&object.inner);
        self.io.async_io(interest, attempt).await
    }

    /// Makes the caller's attempts, and waits, until one would not block.
    ///
    /// # Errors
    ///
    /// The attempt's own, and one when the runtime has shut down.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut seen = self.io.seen(interest).await?;
        loop {
            let coop = poll_fn(real::task::coop::poll_proceed).await;
            match f(self.get_mut()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    coop.made_progress();
                    return result;
                }
            }
            drop(coop);
            seen = self.io.seen_again(seen).await?;
        }
    }

    /// Makes the caller's attempt if the object is ready for it, and clears that readiness if it
    /// would block.
    ///
    /// # Errors
    ///
    /// The attempt's own, and `WouldBlock` without an attempt.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.try_io(interest, |object| f(&object.inner))
    }

    /// Makes the caller's attempt if the object is ready for it, and clears that readiness if it
    /// would block.
    ///
    /// # Errors
    ///
    /// The attempt's own, and `WouldBlock` without an attempt.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        f: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        // SAFETY: as in `get_mut`.
        self.io
            .try_io_mut(interest, |io| unsafe { f(&mut io.get_mut().inner) })
    }
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: AsRawFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: fmt::Debug + AsRawFd> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("inner", self.get_ref())
            .finish()
    }
}
