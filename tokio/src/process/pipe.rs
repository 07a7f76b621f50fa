//! The parent's end of a pipe to or from a child.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};

use executor::io::Async;
use real::io::ReadBuf;
use real::task::coop::poll_proceed;

use crate::context;
use crate::runtime::ShutDown;

/// As much as a pipe holds, usually. More room than that would be initialized in vain.
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Pipe {
    io: Async<File>,
}

impl Pipe {
    /// Makes a pipe asynchronous.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and if the builder of the runtime has not enabled I/O.
    #[track_caller]
    pub(super) fn new(fd: OwnedFd) -> io::Result<Pipe> {
        let runtime = context::expect_io();
        let _entered = runtime.shared().executor().enter();
        let io = Async::new(File::from(fd)).map_err(from_reactor)?;
        Ok(Pipe { io })
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let progress = ready!(poll_proceed(cx));
        let room = buf.initialize_unfilled_to(buf.remaining().min(CHUNK));
        let result = ready!(self.io.poll_read_with(cx, |mut file| file.read(room)));
        progress.made_progress();
        buf.advance(result.map_err(from_reactor)?);
        Poll::Ready(Ok(()))
    }

    /// Reads into `bytes` until there is nothing more to come.
    pub(super) fn poll_read_to_end(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        loop {
            let progress = ready!(poll_proceed(cx));
            // If the pipe is empty before the end, what was read is in `bytes` nevertheless.
            let read = |file: &File| file.take(CHUNK as u64).read_to_end(bytes);
            let result = ready!(self.io.poll_read_with(cx, read));
            progress.made_progress();
            if result.map_err(from_reactor)? < CHUNK {
                return Poll::Ready(Ok(()));
            }
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let progress = ready!(poll_proceed(cx));
        let result = ready!(self.io.poll_write_with(cx, |mut file| file.write(buf)));
        progress.made_progress();
        Poll::Ready(result.map_err(from_reactor))
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = ready!(poll_proceed(cx));
        let write = |mut file: &File| file.write_vectored(bufs);
        let result = ready!(self.io.poll_write_with(cx, write));
        progress.made_progress();
        Poll::Ready(result.map_err(from_reactor))
    }

    /// The descriptor, in blocking mode.
    pub(super) fn into_fd(self) -> io::Result<OwnedFd> {
        let fd = OwnedFd::from(self.io.into_inner()?);
        // SAFETY: the call changes the flags of a descriptor that is ours, and no memory.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        if flags < 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = flags & !libc::O_NONBLOCK;
        // SAFETY: as above.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(fd)
    }
}

impl AsRawFd for Pipe {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// An error of [`Async`]. Those that are not the operating system's say that the runtime has shut
/// down, or name a misuse by their kind.
pub(super) fn from_reactor(error: io::Error) -> io::Error {
    if error.raw_os_error().is_none() && error.kind() == io::ErrorKind::Other {
        return io::Error::other(ShutDown);
    }
    error
}
