//! The standard streams of the process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use real::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::blocking_stream::BlockingStream;

/// The process's standard input. A read that was begun ends only when there is input, so that a
/// runtime that is dropped waits for it.
#[derive(Debug)]
pub struct Stdin {
    stream: BlockingStream,
}

/// The process's standard output. See [`File`](crate::fs::File) for when a write is complete.
#[derive(Debug)]
pub struct Stdout {
    stream: BlockingStream,
}

/// The process's standard error. See [`File`](crate::fs::File) for when a write is complete.
#[derive(Debug)]
pub struct Stderr {
    stream: BlockingStream,
}

/// A handle for the process's standard input.
pub fn stdin() -> Stdin {
    Stdin {
        stream: BlockingStream::new(),
    }
}

/// A handle for the process's standard output.
pub fn stdout() -> Stdout {
    Stdout {
        stream: BlockingStream::new(),
    }
}

/// A handle for the process's standard error.
pub fn stderr() -> Stderr {
    Stderr {
        stream: BlockingStream::new(),
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_read(cx, buf, io::stdin())
    }
}

macro_rules! descriptor {
    ($type:ty, $std:path) => {
        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                $std().as_raw_fd()
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                // SAFETY: the standard library promises the same for its own handles: the
                // descriptor stays open as long as the process.
                unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
            }
        }
    };
}

macro_rules! output {
    ($type:ty, $std:path) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().stream.poll_write(cx, buf, $std())
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().stream.poll_flush(cx, $std())
            }

            fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    };
}

descriptor!(Stdin, io::stdin);
descriptor!(Stdout, io::stdout);
descriptor!(Stderr, io::stderr);
output!(Stdout, io::stdout);
output!(Stderr, io::stderr);
