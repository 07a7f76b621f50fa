//! Trait impls that every socket type has, as macros: each takes `[generics] Type` and an
//! expression for its [`Async`].
//!
//! [`Async`]: crate::io::Async

/// `AsyncRead` for a stream, a reference to one, or a half.
macro_rules! impl_read {
    ([$($G:tt)*] $Type:ty, |$this:ident| $io:expr) => {
        impl<$($G)*> ::futures_io::AsyncRead for $Type {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $this = self.get_mut();
                $crate::net::stream::poll_read($io, cx, buf)
            }

            fn poll_read_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $this = self.get_mut();
                $crate::net::stream::poll_read_vectored($io, cx, bufs)
            }
        }
    };
}

/// `AsyncWrite` for a stream, a reference to one, or a half.
macro_rules! impl_write {
    ([$($G:tt)*] $Type:ty, |$this:ident| $io:expr) => {
        impl<$($G)*> ::futures_io::AsyncWrite for $Type {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $this = self.get_mut();
                $crate::net::stream::poll_write($io, cx, buf)
            }

            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $this = self.get_mut();
                $crate::net::stream::poll_write_vectored($io, cx, bufs)
            }

            /// Ready at once: a stream has no buffer.
            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            /// Shuts the sending side down.
            fn poll_close(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $this = self.get_mut();
                ::std::task::Poll::Ready($crate::net::stream::close($io))
            }
        }
    };
}

/// The traits of what has a descriptor, from an expression for the `sockets::Socket`.
macro_rules! impl_descriptor {
    ([$($G:tt)*] $Type:ty, |$this:ident| $socket:expr) => {
        $crate::sys::impl_descriptor!(
            [$($G)*] $Type,
            /// # Panics
            ///
            /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
            |$this| $socket.descriptor()
        );
    };
}

/// What sockets that cannot be shared have besides: `Debug`, conversions from and to the standard
/// type, and to its descriptor. The type is a struct with the one field
/// `io: Async<sockets::Socket<$Std>>`.
macro_rules! impl_owner {
    ($Type:ident, $Std:ty) => {
        impl $Type {
            /// Returns the standard socket, still in non-blocking mode.
            ///
            /// # Errors
            ///
            /// When the operating system fails to end the registration. The socket is then closed.
            /// [`Unsupported`](std::io::ErrorKind::Unsupported) in a simulation.
            pub fn into_std(self) -> ::std::io::Result<$Std> {
                self.io.into_inner()?.into_system()
            }

            /// Takes the error that is pending on the socket, if there is one.
            ///
            /// # Errors
            ///
            /// When the operating system cannot tell.
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                self.io.get_ref().take_error()
            }
        }

        impl ::std::fmt::Debug for $Type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(self.io.get_ref(), f)
            }
        }

        /// Sets the socket to non-blocking mode and registers it with the runtime of the calling
        /// thread.
        impl TryFrom<$Std> for $Type {
            type Error = ::std::io::Error;

            fn try_from(socket: $Std) -> ::std::io::Result<$Type> {
                $crate::net::sockets::Socket::register(socket).map(|io| $Type { io })
            }
        }

        /// The same as `into_std`.
        impl TryFrom<$Type> for $Std {
            type Error = ::std::io::Error;

            fn try_from(socket: $Type) -> ::std::io::Result<$Std> {
                socket.into_std()
            }
        }

        $crate::sys::impl_owned_descriptor!(
            $Type,
            /// # Panics
            ///
            /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
            // The registration is over even if the operating system returned an error.
            |socket| socket.io.take().0.expect_system().into()
        );

        $crate::net::traits::impl_descriptor!([] $Type, |socket| socket.io.get_ref());
    };
}

pub(super) use {impl_descriptor, impl_owner, impl_read, impl_write};
