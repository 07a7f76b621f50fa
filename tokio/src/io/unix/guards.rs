//! Readiness that a caller was told of, and has to clear when it finds it used up.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use executor::io::{Ready as Flags, Seen};
use real::io::Ready;

use super::{AsyncFd, TryIoError};
use crate::net::{from_flags, to_flags};

/// The readiness of an [`AsyncFd`] at one moment.
#[must_use = "You must explicitly choose whether to clear the readiness state by calling a method on ReadyGuard"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    async_fd: &'a AsyncFd<T>,
    /// `None` once it is cleared.
    seen: Option<Seen>,
}

/// The readiness of an [`AsyncFd`] at one moment, with the right to change the object.
#[must_use = "You must explicitly choose whether to clear the readiness state by calling a method on ReadyGuard"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    async_fd: &'a mut AsyncFd<T>,
    /// `None` once it is cleared.
    seen: Option<Seen>,
}

/// What both guards have.
macro_rules! impl_guard {
    ($Guard:ident, $Reference:ty, $name:literal) => {
        impl<'a, T: AsRawFd> $Guard<'a, T> {
            pub(super) fn new(async_fd: $Reference, seen: Seen) -> Self {
                let seen = Some(seen);
                $Guard { async_fd, seen }
            }

            /// Clears the readiness, unless an event has come since.
            pub fn clear_ready(&mut self) {
                if let Some(seen) = self.seen.take() {
                    self.async_fd.io.clear(seen);
                }
            }

            /// Clears a part of the readiness, unless an event has come since.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                if let Some(seen) = self.seen.take() {
                    let cleared = to_flags(ready);
                    self.async_fd.io.clear(seen.only(cleared));
                    let left = seen.flags() - cleared;
                    self.seen = (left != Flags::EMPTY).then(|| seen.only(left));
                }
            }

            /// Keeps the readiness, which the guard does anyway.
            pub fn retain_ready(&mut self) {}

            /// What the object was ready for, and was not cleared by this guard.
            pub fn ready(&self) -> Ready {
                (self.seen).map_or(Ready::EMPTY, |seen| from_flags(seen.flags()))
            }
        }

        impl<T: fmt::Debug + AsRawFd> fmt::Debug for $Guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name)
                    .field("async_fd", &self.async_fd)
                    .finish()
            }
        }
    };
}
impl_guard!(AsyncFdReadyGuard, &'a AsyncFd<T>, "ReadyGuard");
impl_guard!(AsyncFdReadyMutGuard, &'a mut AsyncFd<T>, "MutReadyGuard");

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    /// Makes the caller's attempt, and clears the readiness if it would block.
    ///
    /// # Errors
    ///
    /// If it would block. The attempt's own errors are inside.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match f(self.async_fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            result => Ok(result),
        }
    }

    /// The registered object.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.async_fd
    }

    /// The object.
    pub fn get_inner(&self) -> &'a T {
        self.async_fd.get_ref()
    }
}

impl<T: AsRawFd> AsyncFdReadyMutGuard<'_, T> {
    /// Makes the caller's attempt, and clears the readiness if it would block.
    ///
    /// # Errors
    ///
    /// If it would block. The attempt's own errors are inside.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match f(self.async_fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            result => Ok(result),
        }
    }

    /// The registered object.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.async_fd
    }

    /// The registered object, mutably.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.async_fd
    }

    /// The object.
    pub fn get_inner(&self) -> &T {
        self.async_fd.get_ref()
    }

    /// The object, mutably.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.async_fd.get_mut()
    }
}
