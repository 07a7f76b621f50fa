//! Pipes: see tokio's documentation of the module of this name.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use executor::io::Ready as Flags;
use real::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use rustix::fs::{FileType, OFlags};

use crate::net::macros::impl_fd;
use crate::net::{Registration, sys};

/// A new pipe.
///
/// # Errors
///
/// What the system says.
///
/// # Panics
///
/// Outside a runtime, or if its builder has not enabled I/O.
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    #[cfg(not(target_vendor = "apple"))]
    let (read, write) = {
        use rustix::pipe::PipeFlags;
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?
    };
    #[cfg(target_vendor = "apple")]
    let (read, write) = {
        let ends = rustix::pipe::pipe()?;
        for end in [&ends.0, &ends.1] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        ends
    };
    let sender = Sender {
        io: Registration::new(write)?,
    };
    let receiver = Receiver {
        io: Registration::new(read)?,
    };
    // It has room.
    sender.io.assume_ready(Flags::WRITABLE);
    Ok((sender, receiver))
}

/// How to open a FIFO.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    read_write: bool,
    unchecked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Sender,
    Receiver,
}

impl OpenOptions {
    /// Options that are all off.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens for reading and writing, so that the other end need not be open.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn read_write(&mut self, value: bool) -> &mut Self {
        self.read_write = value;
        self
    }

    /// Does not check that the file is a FIFO.
    pub fn unchecked(&mut self, value: bool) -> &mut Self {
        self.unchecked = value;
        self
    }

    /// Opens the reading end.
    ///
    /// # Errors
    ///
    /// What the system says; `InvalidInput` if it is no FIFO.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        Receiver::from_file_unchecked(self.open(path.as_ref(), End::Receiver)?)
    }

    /// Opens the writing end.
    ///
    /// # Errors
    ///
    /// What the system says; `InvalidInput` if it is no FIFO.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        Sender::from_file_unchecked(self.open(path.as_ref(), End::Sender)?)
    }

    fn open(&self, path: &Path, end: End) -> io::Result<File> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let both = self.read_write;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let both = false;
        let file = std::fs::OpenOptions::new()
            .read(both || end == End::Receiver)
            .write(both || end == End::Sender)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        if !self.unchecked {
            check_pipe(&file)?;
        }
        Ok(file)
    }
}

/// The writing end of a pipe.
pub struct Sender {
    io: Registration<OwnedFd>,
}

/// The reading end of a pipe.
pub struct Receiver {
    io: Registration<OwnedFd>,
}

/// What both ends have.
macro_rules! impl_end {
    ($End:ident, $interest:expr, $other_mode:expr, $refusal:literal, $poll_ready:ident) => {
        impl $End {
            /// An end from a file, which is set to non-blocking mode.
            ///
            /// # Errors
            ///
            /// What the system says; `InvalidInput` if it is no pipe or the other end.
            ///
            /// # Panics
            ///
            /// Outside a runtime, or if its builder has not enabled I/O.
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<$End> {
                $End::from_owned_fd(file.into())
            }

            /// An end from a descriptor, which is set to non-blocking mode.
            ///
            /// # Errors
            ///
            /// As for `from_file`.
            ///
            /// # Panics
            ///
            /// Outside a runtime, or if its builder has not enabled I/O.
            #[track_caller]
            pub fn from_owned_fd(owned_fd: OwnedFd) -> io::Result<$End> {
                check_pipe(&owned_fd)?;
                let flags = rustix::fs::fcntl_getfl(&owned_fd)?;
                if flags & OFlags::ACCMODE == $other_mode {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, $refusal));
                }
                if !flags.contains(OFlags::NONBLOCK) {
                    rustix::fs::fcntl_setfl(&owned_fd, flags | OFlags::NONBLOCK)?;
                }
                $End::from_owned_fd_unchecked(owned_fd)
            }

            /// An end from a file that is a pipe in non-blocking mode.
            ///
            /// # Errors
            ///
            /// What the system says.
            ///
            /// # Panics
            ///
            /// Outside a runtime, or if its builder has not enabled I/O.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<$End> {
                $End::from_owned_fd_unchecked(file.into())
            }

            /// An end from a descriptor of a pipe in non-blocking mode.
            ///
            /// # Errors
            ///
            /// What the system says.
            ///
            /// # Panics
            ///
            /// Outside a runtime, or if its builder has not enabled I/O.
            #[track_caller]
            pub fn from_owned_fd_unchecked(owned_fd: OwnedFd) -> io::Result<$End> {
                let io = Registration::new(owned_fd)?;
                // A read from a FIFO that nobody has opened for writing yet would find the end.
                io.assume_idle();
                Ok($End { io })
            }

            /// Waits until the pipe is ready for any of `interest`.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.io.ready(interest).await
            }

            /// Polls until the end can be used.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub fn $poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, $interest)
            }

            /// Makes the caller's attempt if the pipe is ready, and clears that readiness if it
            /// would block.
            ///
            /// # Errors
            ///
            /// The attempt's own, and `WouldBlock` without an attempt.
            pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.io.try_io($interest, |_| f())
            }

            /// The descriptor, in blocking mode.
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                let flags = rustix::fs::fcntl_getfl(&fd)?;
                rustix::fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK)?;
                Ok(fd)
            }

            /// The descriptor, still in non-blocking mode.
            ///
            /// # Errors
            ///
            /// When the system fails to end the registration.
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                self.io.into_inner()
            }
        }

        impl_fd!($End);
    };
}

impl_end!(
    Sender,
    Interest::WRITABLE,
    OFlags::RDONLY,
    "not in O_WRONLY or O_RDWR access mode",
    poll_write_ready
);
impl_end!(
    Receiver,
    Interest::READABLE,
    OFlags::WRONLY,
    "not in O_RDONLY or O_RDWR access mode",
    poll_read_ready
);

impl Sender {
    /// Waits until there is room, or nobody reads any more.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await?;
        Ok(())
    }

    /// Writes at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is no room.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.try_write(|pipe| Ok(rustix::io::write(pipe, buf)?))
    }

    /// Writes several buffers at once.
    ///
    /// # Errors
    ///
    /// As for [`try_write`](Sender::try_write).
    pub fn try_write_vectored(&self, buf: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.io.try_write(|pipe| Ok(rustix::io::writev(pipe, buf)?))
    }
}

impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |pipe: &OwnedFd| Ok(rustix::io::write(pipe, buf)?);
        self.io.poll_write(cx, write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |pipe: &OwnedFd| Ok(rustix::io::writev(pipe, bufs)?);
        self.io.poll_write(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Receiver {
    /// Waits until there is something to read, or nobody writes any more.
    ///
    /// # Errors
    ///
    /// When the runtime has shut down.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await?;
        Ok(())
    }

    /// Reads at once.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if there is nothing.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .try_read(|pipe| Ok(rustix::io::read(pipe, &mut *buf)?))
    }

    /// Reads into several buffers at once.
    ///
    /// # Errors
    ///
    /// As for [`try_read`](Receiver::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.try_read(|pipe| Ok(rustix::io::readv(pipe, bufs)?))
    }

    /// Reads into a buffer at once.
    ///
    /// # Errors
    ///
    /// As for [`try_read`](Receiver::try_read).
    #[cfg(feature = "io-util")]
    pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let read = |pipe: &OwnedFd| sys::into_buf_mut(buf, |chunk| sys::read_into(pipe, chunk));
        self.io.try_read(read)
    }
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A read from a pipe of packets stops after each.
        self.io
            .poll_read_buf::<false>(cx, buf, |pipe, buf| sys::read_into(pipe, buf))
    }
}

fn check_pipe(fd: impl AsFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"));
    }
    Ok(())
}
