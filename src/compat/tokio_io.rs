//! tokio's I/O traits on our streams, their halves and [`Async`] (feature `tokio-io`).
//!
//! [`TcpStream`], [`UnixStream`], their owned halves and
//! [`Async`] are tokio's `AsyncRead` and `AsyncWrite`, without tokio's runtime. Reads of sockets go into
//! uninitialised memory, writes are vectored, and shutting down is `shutdown(Write)`. The traits of `futures` stay; where both
//! `AsyncReadExt`s are imported, call the one you mean by its path.
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
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::Async;
use crate::net::split::Shared;
use crate::net::stream::{self, Share, Socket};
use crate::net::unix::UnixStream;
use crate::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};

fn poll_read<S: Socket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: nothing is de-initialised: the socket's bytes are all that is written.
    let unfilled = unsafe { buf.unfilled_mut() };
    let read = ready!(stream::poll_read_uninit(io, cx, unfilled))?;
    // SAFETY: the call says that it has initialised as many bytes, from the start of the unfilled part.
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

            /// Ready at once: nothing is buffered here.
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
impl_read!([] UnixStream, |stream| stream.io());
impl_write!([] UnixStream, |stream| stream.io());
impl_read!([S: Shared] OwnedReadHalf<S>, |half| half.as_ref().io());
impl_write!([S: Shared] OwnedWriteHalf<S>, |half| half.as_ref().io());

impl<T: AsFd> AsyncRead for Async<T>
where
    for<'a> &'a T: Read,
{
    /// What the buffer has never held is cleared first: `T` may look at it.
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

/// As the `futures-io` traits do it, which stand beside these.
impl<T: AsFd> AsyncWrite for Async<T>
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
