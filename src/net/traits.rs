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

/// `AsFd` and `AsRawFd`, from an expression for the `sys::Socket`.
macro_rules! impl_fd {
    ([$($G:tt)*] $Type:ty, |$this:ident| $io:expr) => {
        impl<$($G)*> ::std::os::fd::AsFd for $Type {
            /// # Panics
            ///
            /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
            #[cfg_attr(feature = "sim", track_caller)]
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                let $this = self;
                $io.fd()
            }
        }

        impl<$($G)*> ::std::os::fd::AsRawFd for $Type {
            /// # Panics
            ///
            /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
            #[cfg_attr(feature = "sim", track_caller)]
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                let $this = self;
                ::std::os::fd::AsRawFd::as_raw_fd(&$io.fd())
            }
        }
    };
}

/// What sockets that cannot be shared have besides: `Debug`, conversions from and to the standard
/// type, `IntoRawFd`. The type is a struct with the one field `io: Async<sys::Socket<$Std>>`.
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
                $crate::net::sys::Socket::register(socket).map(|io| $Type { io })
            }
        }

        /// The same as `into_std`.
        impl TryFrom<$Type> for $Std {
            type Error = ::std::io::Error;

            fn try_from(socket: $Type) -> ::std::io::Result<$Std> {
                socket.into_std()
            }
        }

        impl From<$Type> for ::std::os::fd::OwnedFd {
            /// # Panics
            ///
            /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
            #[cfg_attr(feature = "sim", track_caller)]
            fn from(socket: $Type) -> ::std::os::fd::OwnedFd {
                // The registration is over even if the operating system returned an error.
                socket.io.take().0.expect_system().into()
            }
        }

        impl ::std::os::fd::IntoRawFd for $Type {
            /// # Panics
            ///
            /// If the socket is one of a simulation (feature `sim`), which has no descriptor.
            #[cfg_attr(feature = "sim", track_caller)]
            fn into_raw_fd(self) -> ::std::os::fd::RawFd {
                ::std::os::fd::IntoRawFd::into_raw_fd(::std::os::fd::OwnedFd::from(self))
            }
        }

        $crate::net::traits::impl_fd!([] $Type, |socket| socket.io.get_ref());
    };
}

pub(super) use {impl_fd, impl_owner, impl_read, impl_write};
