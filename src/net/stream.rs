//! What TCP and Unix streams have in common.
//!
//! A stream is a [`Share`] of one registered socket; its clones and halves are further shares of
//! that socket. The operations are written once, for any [`StreamSocket`]. The macro at the end
//! adds them to both public types.

use std::io::{self, IoSlice, IoSliceMut};
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::ops::Deref;
use std::task::{Context, Poll};

use crate::io::Async;
use crate::reactor::{AsOwner, Direction, Handle, Owner};
use crate::sync::Arc;
use crate::sys::AsDescriptor;

use super::sockets::Socket;
pub(crate) use super::sockets::StreamSocket;

/// One handle of a socket: a stream, a clone of it, or a half. It owns the wakers of tasks that
/// wait by polling it, and removes them when it is dropped.
pub struct Share<S: AsDescriptor> {
    io: Arc<Async<Socket<S>>>,
    handle: Handle,
}

impl<S: AsDescriptor> Share<S> {
    pub(super) fn new(io: Async<Socket<S>>) -> Share<S> {
        Share {
            io: Arc::new(io),
            handle: Handle::OBJECT,
        }
    }

    /// Whether both are handles of one socket.
    pub(super) fn is_of(&self, other: &Share<S>) -> bool {
        Arc::ptr_eq(&self.io, &other.io)
    }

    /// The standard socket, or an error if other handles share it.
    pub(super) fn into_std(self) -> io::Result<S> {
        let io = Arc::clone(&self.io);
        drop(self);
        match Arc::try_unwrap(io) {
            Ok(io) => io.into_inner()?.into_system(),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the socket is shared with clones or halves of its stream",
            )),
        }
    }
}

impl<S: AsDescriptor> AsOwner for &Share<S> {
    #[inline]
    fn as_owner(&mut self) -> Owner<'_> {
        Owner::Handle(self.handle)
    }
}

impl<S: AsDescriptor> std::fmt::Debug for Share<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").finish_non_exhaustive()
    }
}

impl<S: AsDescriptor> Clone for Share<S> {
    fn clone(&self) -> Share<S> {
        Share {
            io: Arc::clone(&self.io),
            handle: self.io.new_handle(),
        }
    }
}

impl<S: AsDescriptor> Drop for Share<S> {
    fn drop(&mut self) {
        // The last handle's wakers are dropped with the socket.
        if Arc::strong_count(&self.io) > 1 {
            self.io.remove_handle(self.handle);
        }
    }
}

impl<S: AsDescriptor> Deref for Share<S> {
    type Target = Async<Socket<S>>;

    #[inline]
    fn deref(&self) -> &Async<Socket<S>> {
        &self.io
    }
}

/// Polls an operation on the socket of a [`Share`]. Its expression is there twice: for a socket of
/// the system, and for any other, so that the first has no branch in it.
macro_rules! poll {
    ($io:expr, $direction:ident, $cx:expr, |$socket:ident| $op:expr, $drained:expr) => {
        match $io.get_ref().system() {
            Some($socket) => $io.poll_source($io, Direction::$direction, $cx, || $op, $drained),
            None => seldom(move || {
                $io.poll_io($io, Direction::$direction, $cx, |$socket| $op, $drained)
            }),
        }
    };
}

#[cold]
#[inline(never)]
fn seldom<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Whether a read of `S` that got so much of what it `wanted` has emptied the socket.
#[inline]
fn drained<S: StreamSocket>(wanted: usize) -> impl Fn(&usize) -> bool {
    move |&read| S::SHORT_READ_DRAINS && read > 0 && read < wanted
}

#[inline]
pub(super) fn poll_read<S: StreamSocket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    let drained = drained::<S>(buf.len());
    poll!(io, Read, cx, |socket| socket.recv(buf), drained)
}

/// Reads into an uninitialised buffer. `Ready(Ok(n))` means that its first `n` bytes are
/// initialised.
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
#[inline]
pub(crate) fn poll_read_uninit<S: StreamSocket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> Poll<io::Result<usize>> {
    let drained = drained::<S>(buf.len());
    poll!(io, Read, cx, |socket| socket.recv_uninit(buf), drained)
}

#[inline]
pub(super) fn poll_read_vectored<S: StreamSocket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>> {
    let drained = drained::<S>(bufs.iter().map(|buf| buf.len()).sum());
    poll!(io, Read, cx, |socket| socket.recv_vectored(bufs), drained)
}

#[inline]
pub(crate) fn poll_write<S: StreamSocket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    buf: &[u8],
) -> Poll<io::Result<usize>> {
    poll!(io, Write, cx, |socket| socket.send(buf), |_| false)
}

#[inline]
pub(crate) fn poll_write_vectored<S: StreamSocket>(
    io: &Share<S>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    poll!(io, Write, cx, |socket| socket.send_vectored(bufs), |_| {
        false
    })
}

/// Closes a stream by shutting its sending side down. If the peer has gone already, that is no
/// error.
pub(crate) fn close<S: StreamSocket>(io: &Async<Socket<S>>) -> io::Result<()> {
    match io.get_ref().shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

/// Waits for the outcome of a connect in progress.
pub(super) async fn finish_connect<S: StreamSocket>(
    io: &Async<Socket<S>>,
    take_error: impl Fn(&Socket<S>) -> io::Result<Option<io::Error>>,
) -> io::Result<()> {
    io.writable().await?;
    match take_error(io.get_ref())? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Adds the operations above to a stream type: a struct with the one field `io: Share<$Std>`.
macro_rules! impl_stream {
    ($Stream:ident, $Std:ty) => {
        impl $Stream {
            pub(super) fn from_async(
                io: $crate::io::Async<$crate::net::sockets::Socket<$Std>>,
            ) -> $Stream {
                $Stream {
                    io: $crate::net::stream::Share::new(io),
                }
            }

            /// Waits until there is something to read, or the end of the stream.
            ///
            /// # Errors
            ///
            /// When it would have to wait and the runtime that registered the socket has shut down.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it reads nothing.
            pub async fn readable(&self) -> ::std::io::Result<()> {
                self.io.readable().await
            }

            /// Waits until there is room to write.
            ///
            /// # Errors
            ///
            /// When it would have to wait and the runtime that registered the socket has shut down.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it writes nothing.
            pub async fn writable(&self) -> ::std::io::Result<()> {
                self.io.writable().await
            }

            /// Shuts down the reading side, the writing side or both, for all clones and halves of
            /// the stream.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn shutdown(&self, how: ::std::net::Shutdown) -> ::std::io::Result<()> {
                self.io.get_ref().shutdown(how)
            }

            /// Takes the error that is pending on the socket, if there is one.
            ///
            /// # Errors
            ///
            /// When the operating system cannot tell.
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                self.io.get_ref().take_error()
            }

            /// Splits the stream into two halves for different tasks.
            ///
            /// Dropping the writing half shuts the sending side down, so that the peer sees the
            /// end; see [`OwnedWriteHalf`](crate::net::OwnedWriteHalf).
            pub fn into_split(
                self,
            ) -> (
                $crate::net::OwnedReadHalf<$Stream>,
                $crate::net::OwnedWriteHalf<$Stream>,
            ) {
                $crate::net::split::split(self)
            }

            /// Returns the standard socket, still in non-blocking mode.
            ///
            /// # Errors
            ///
            /// [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) while a clone or a half shares
            /// the socket. [`Unsupported`](std::io::ErrorKind::Unsupported) in a simulation.
            pub fn into_std(self) -> ::std::io::Result<$Std> {
                self.io.into_std()
            }
        }

        impl $crate::net::split::Shared for $Stream {
            type Socket = $Std;

            fn io(&self) -> &$crate::net::stream::Share<$Std> {
                &self.io
            }
        }

        $crate::net::traits::impl_read!([] $Stream, |stream| &stream.io);
        $crate::net::traits::impl_read!([] &$Stream, |stream| &stream.io);
        $crate::net::traits::impl_write!([] $Stream, |stream| &stream.io);
        $crate::net::traits::impl_write!([] &$Stream, |stream| &stream.io);
        $crate::net::traits::impl_descriptor!([] $Stream, |stream| stream.io.get_ref());

        /// Sets the socket to non-blocking mode and registers it with the runtime of the calling
        /// thread.
        impl TryFrom<$Std> for $Stream {
            type Error = ::std::io::Error;

            fn try_from(socket: $Std) -> ::std::io::Result<$Stream> {
                $crate::net::sockets::Socket::register(socket).map($Stream::from_async)
            }
        }

        /// The same as `into_std`.
        impl TryFrom<$Stream> for $Std {
            type Error = ::std::io::Error;

            fn try_from(stream: $Stream) -> ::std::io::Result<$Std> {
                stream.into_std()
            }
        }
    };
}

pub(super) use impl_stream;
