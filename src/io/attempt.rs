//! Operations for adapters that count the task's budget by themselves.

use std::io;
use std::task::{Context, Poll};

use crate::reactor::Direction;

use super::{Async, OBJECT, Pollable};

impl<T: Pollable> Async<T> {
    /// [`poll_read_with`](Async::poll_read_with) for a byte stream. `drained` says whether a result
    /// proves that nothing is left to read: a read that got something, and less than it asked for.
    /// That saves the system call that would say "would block". If an end, an error or urgent data
    /// is due, it proves nothing, and `drained` is not believed.
    ///
    /// A read from a Unix socket proves nothing either: it also stops after a message that carries
    /// file descriptors.
    ///
    /// # Errors
    ///
    /// As for [`read_with`](Async::read_with).
    #[inline]
    pub fn poll_read_draining<R>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        self.poll_io(OBJECT, Direction::Read, cx, op, drained)
    }

    /// Runs a non-blocking read operation at once, unless it is known that it would block. An
    /// operation that would block clears the readiness. It is repeated if an event comes meanwhile.
    ///
    /// Takes no unit of the task's budget.
    ///
    /// # Errors
    ///
    /// The operation's own, and [`WouldBlock`](io::ErrorKind::WouldBlock) without an attempt.
    #[inline]
    pub fn try_read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.attempt(Direction::Read, op)
    }

    /// Runs a non-blocking write operation at once, as [`try_read_with`](Async::try_read_with)
    /// does.
    ///
    /// # Errors
    ///
    /// As for [`try_read_with`](Async::try_read_with).
    #[inline]
    pub fn try_write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.attempt(Direction::Write, op)
    }

    #[inline]
    fn attempt<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut ready = self.source.check(direction);
        while let Some(seen) = ready {
            let result = op(self.get_ref());
            if !(result.as_ref()).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return result;
            }
            self.source.clear_ready(direction, seen);
            // Still ready if an event has come since: there may be something now.
            ready = self.source.check(direction);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}
