//! tokio's I/O traits for this crate's streams, their halves and [`Async`] (feature `tokio-io`).
//!
//! [`TcpStream`], [`UnixStream`], their owned halves and [`Async`] implement tokio's `AsyncRead`
//! and `AsyncWrite`, without tokio's runtime. Reads of sockets fill uninitialised memory, writes
//! are vectored, and shutting down calls `shutdown(Write)`. The traits of `futures` are implemented
//! as well. If both traits `AsyncReadExt` are imported, call the one you mean by its path.
//!
//! ```
//! use executor::net::{TcpListener, TcpStream};
//! use tokio::io::{AsyncRead, AsyncWrite};
//!
//! /// What a library over tokio's traits asks for.
//! fn accepts(_: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {}
//!
//! # fn main() -> std::io::Result<()> {
//! executor::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     accepts(TcpStream::connect(listener.local_addr()?).await?);
//!     Ok(())
//! })
//! # }
//! ```

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::Async;
use crate::net::split::Shared;
use crate::net::stream::{self, Share, StreamSocket};
#[cfg(unix)]
use crate::net::unix::UnixStream;
use crate::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use crate::sys::AsDescriptor;

fn poll_read<S: StreamSocket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: the call de-initialises nothing, since it writes nothing but bytes from the socket.
    let unfilled = unsafe { buf.unfilled_mut() };
    let read = ready!(stream::poll_read_uninit(io, cx, unfilled))?;
    // SAFETY: `poll_read_uninit` has initialised the first `read` bytes of the unfilled part.
    unsafe { buf.assume_init(read) };
    buf.advance(read);
    Poll::Ready(Ok(()))
}

macro_rules! impl_read {
    ([$($G:tt)*] $Type:ty, |$this:ident| $io:expr) => {
        impl<$($G)*> AsyncRead for $Type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                poll_read($io, cx, buf)
            }
        }
    };
}

macro_rules! impl_write {
    ([$($G:tt)*] $Type:ty, |$this:ident| $io:expr) => {
        impl<$($G)*> AsyncWrite for $Type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                stream::poll_write($io, cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                stream::poll_write_vectored($io, cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// Ready at once: the stream has no buffer.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts the sending side down.
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                Poll::Ready(stream::close($io))
            }
        }
    };
}

impl_read!([] TcpStream, |stream| stream.io());
impl_write!([] TcpStream, |stream| stream.io());
#[cfg(unix)]
impl_read!([] UnixStream, |stream| stream.io());
#[cfg(unix)]
impl_write!([] UnixStream, |stream| stream.io());
impl_read!([S: Shared] OwnedReadHalf<S>, |half| half.as_ref().io());
impl_write!([S: Shared] OwnedWriteHalf<S>, |half| half.as_ref().io());

impl<T: AsDescriptor> AsyncRead for Async<T>
where
    for<'a> &'a T: Read,
{
    /// Clears the uninitialised part of the buffer first, since `T` may read it.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfilled = buf.initialize_unfilled();
        let read = ready!(self.poll_read_with(cx, |mut io| io.read(unfilled)))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// Does what the `futures-io` impls do.
impl<T: AsDescriptor> AsyncWrite for Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        futures_io::AsyncWrite::poll_write(self, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        futures_io::AsyncWrite::poll_write_vectored(self, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures_io::AsyncWrite::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures_io::AsyncWrite::poll_close(self, cx)
    }
}
