//! What several types have in the same words. Each is a struct with the one field
//! `io: Registration<$Std>`.

/// Making a socket from a standard one and back, and the traits of a descriptor.
macro_rules! impl_socket {
    ($Type:ident, $Std:ty) => {
        impl $Type {
            #[track_caller]
            pub(crate) fn register(socket: $Std) -> ::std::io::Result<$Type> {
                Ok($Type {
                    io: $crate::net::Registration::new(socket)?,
                })
            }

            /// Registers a standard socket, which must be in non-blocking mode.
            ///
            /// # Errors
            ///
            /// What the system says.
            ///
            /// # Panics
            ///
            /// Outside a runtime, if its builder has not enabled I/O, and in a debug build if the
            /// socket is in blocking mode.
            #[track_caller]
            pub fn from_std(socket: $Std) -> ::std::io::Result<$Type> {
                $crate::net::macros::check_nonblocking(&socket)?;
                $Type::register(socket)
            }

            /// The standard socket, still in non-blocking mode.
            ///
            /// # Errors
            ///
            /// When the system fails to end the registration.
            pub fn into_std(self) -> ::std::io::Result<$Std> {
                self.io.into_inner()
            }
        }

        impl TryFrom<$Std> for $Type {
            type Error = ::std::io::Error;

            fn try_from(socket: $Std) -> ::std::io::Result<$Type> {
                $Type::from_std(socket)
            }
        }

        $crate::net::macros::impl_fd!($Type);
    };
}

macro_rules! impl_fd {
    ($Type:ident) => {
        impl ::std::fmt::Debug for $Type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.io.fmt(f)
            }
        }

        impl ::std::os::fd::AsRawFd for $Type {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                self.io.as_raw_fd()
            }
        }

        impl ::std::os::fd::AsFd for $Type {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.io.as_fd()
            }
        }
    };
}

/// Waiting for readiness, and the user's own attempts.
macro_rules! impl_readiness {
    ($Type:ident, $poll_readable:ident, $poll_writable:ident) => {
        impl $Type {
            /// Waits until the socket is ready for any of `interest`.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn ready(
                &self,
                interest: ::real::io::Interest,
            ) -> ::std::io::Result<::real::io::Ready> {
                self.io.ready(interest).await
            }

            /// Waits until the socket is readable.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn readable(&self) -> ::std::io::Result<()> {
                self.ready(::real::io::Interest::READABLE).await?;
                Ok(())
            }

            /// Waits until the socket is writable.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn writable(&self) -> ::std::io::Result<()> {
                self.ready(::real::io::Interest::WRITABLE).await?;
                Ok(())
            }

            /// Polls until the socket is readable.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub fn $poll_readable(
                &self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, ::real::io::Interest::READABLE)
            }

            /// Polls until the socket is writable.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub fn $poll_writable(
                &self,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_ready(cx, ::real::io::Interest::WRITABLE)
            }

            /// Makes the caller's attempt if the socket is ready for it, and clears that readiness
            /// if it would block.
            ///
            /// # Errors
            ///
            /// The attempt's own, and `WouldBlock` without an attempt.
            pub fn try_io<R>(
                &self,
                interest: ::real::io::Interest,
                f: impl FnOnce() -> ::std::io::Result<R>,
            ) -> ::std::io::Result<R> {
                self.io.try_io(interest, |_| f())
            }

            /// Makes the caller's attempts, and waits, until one would not block.
            ///
            /// # Errors
            ///
            /// The attempt's own, and one when the runtime has shut down.
            pub async fn async_io<R>(
                &self,
                interest: ::real::io::Interest,
                mut f: impl FnMut() -> ::std::io::Result<R>,
            ) -> ::std::io::Result<R> {
                self.io.async_io(interest, |_| f()).await
            }

            /// Takes the error that is pending on the socket.
            ///
            /// # Errors
            ///
            /// When the system cannot tell.
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                self.io.get_ref().take_error()
            }
        }
    };
}

/// Pairs of an option's reading and setting, each `read, set: Type = read, set` of `socket2`.
macro_rules! impl_options {
    (
        $Type:ident, |$this:ident| $socket:expr;
        $($(#[$attribute:meta])* $get:ident, $set:ident: $Value:ty = $inner_get:ident, $inner_set:ident;)*
    ) => {
        impl $Type {$(
            $(#[$attribute])*
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn $get(&self) -> ::std::io::Result<$Value> {
                let $this = self;
                $socket.$inner_get()
            }

            $(#[$attribute])*
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn $set(&self, value: $Value) -> ::std::io::Result<()> {
                let $this = self;
                $socket.$inner_set(value)
            }
        )*}
    };
}

/// Options of IP that TCP and UDP sockets have.
macro_rules! impl_ip_options {
    ($Type:ident, |$this:ident| $socket:expr) => {
        $crate::net::macros::impl_options! {
            $Type, |$this| $socket;
            /// The traffic class of IPv6.
            #[cfg(any(
                target_os = "android",
                target_os = "dragonfly",
                target_os = "freebsd",
                target_os = "linux",
                target_os = "macos",
                target_os = "netbsd",
                target_os = "openbsd",
            ))]
            tclass_v6, set_tclass_v6: u32 = tclass_v6, set_tclass_v6;
            /// The type of service of IPv4.
            #[cfg(not(any(
                target_os = "redox",
                target_os = "solaris",
                target_os = "illumos",
                target_os = "haiku",
            )))]
            tos_v4, set_tos_v4: u32 = tos_v4, set_tos_v4;
            /// The old name.
            #[deprecated(
                note = "`tos` related methods have been renamed `tos_v4` since they are IPv4-specific."
            )]
            #[doc(hidden)]
            #[cfg(not(any(
                target_os = "redox",
                target_os = "solaris",
                target_os = "illumos",
                target_os = "haiku",
            )))]
            tos, set_tos: u32 = tos_v4, set_tos_v4;
        }

        #[cfg(any(target_os = "android", target_os = "linux"))]
        impl $Type {
            /// The network interface that it is bound to.
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn device(&self) -> ::std::io::Result<Option<Vec<u8>>> {
                let $this = self;
                $socket.device()
            }

            /// Binds it to a network interface.
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn bind_device(&self, interface: Option<&[u8]>) -> ::std::io::Result<()> {
                let $this = self;
                $socket.bind_device(interface)
            }
        }
    };
}

pub(crate) use {impl_fd, impl_ip_options, impl_options, impl_readiness, impl_socket};

#[track_caller]
pub(crate) fn check_nonblocking(socket: impl std::os::fd::AsFd) -> std::io::Result<()> {
    if cfg!(debug_assertions) && !cfg!(tokio_allow_from_blocking_fd) {
        let flags = rustix::fs::fcntl_getfl(socket)?;
        assert!(
            flags.contains(rustix::fs::OFlags::NONBLOCK),
            "Registering a blocking socket with the tokio runtime is unsupported. \
            If you wish to do anyways, please add `--cfg tokio_allow_from_blocking_fd` to your \
            RUSTFLAGS. See github.com/tokio-rs/tokio/issues/7172 for details."
        );
    }
    Ok(())
}
