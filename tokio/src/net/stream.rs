//! What TCP and Unix streams have in the same words, besides what all sockets have.

/// Reading, writing and splitting. `short_read_drains`: a read that got less than it asked for has
/// emptied the socket.
macro_rules! impl_stream {
    ($Stream:ident, $Std:ty, short_read_drains: $drains:literal) => {
        impl $Stream {
            /// Reads at once.
            ///
            /// # Errors
            ///
            /// What the system says; `WouldBlock` if there is nothing.
            pub fn try_read(&self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                use ::std::io::Read;
                self.io.try_read(|mut socket| socket.read(buf))
            }

            /// Reads into several buffers at once.
            ///
            /// # Errors
            ///
            /// As for `try_read`.
            pub fn try_read_vectored(
                &self,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                use ::std::io::Read;
                self.io.try_read(|mut socket| socket.read_vectored(bufs))
            }

            /// Reads into a buffer at once.
            ///
            /// # Errors
            ///
            /// As for `try_read`.
            #[cfg(feature = "io-util")]
            pub fn try_read_buf<B: ::bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> ::std::io::Result<usize> {
                use ::rustix::net::RecvFlags;
                use $crate::net::sys;
                self.io.try_read(|socket| {
                    sys::into_buf_mut(buf, |chunk| {
                        sys::recv_into(socket, chunk, RecvFlags::empty())
                    })
                })
            }

            /// Writes at once.
            ///
            /// # Errors
            ///
            /// What the system says; `WouldBlock` if there is no room.
            pub fn try_write(&self, buf: &[u8]) -> ::std::io::Result<usize> {
                self.io
                    .try_write(|socket| $crate::net::sys::send(socket, buf))
            }

            /// Writes several buffers at once.
            ///
            /// # Errors
            ///
            /// As for `try_write`.
            pub fn try_write_vectored(
                &self,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                let send = |socket: &$Std| $crate::net::sys::send_vectored(socket, bufs);
                self.io.try_write(send)
            }

            /// Splits it into halves that borrow it.
            pub fn split<'a>(&'a mut self) -> (ReadHalf<'a>, WriteHalf<'a>) {
                halves::split(self)
            }

            /// Splits it into halves for different tasks. Dropping the writing half shuts the
            /// sending side down.
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                halves::into_split(self)
            }

            #[inline]
            pub(super) fn poll_read_shared(
                &self,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut ::real::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.io.poll_read_buf::<$drains>(cx, buf, |socket, buf| {
                    $crate::net::sys::recv_into(socket, buf, ::rustix::net::RecvFlags::empty())
                })
            }

            #[inline]
            pub(super) fn poll_write_shared(
                &self,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.io.poll_send(cx, buf)
            }

            #[inline]
            pub(super) fn poll_write_vectored_shared(
                &self,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.io.poll_send_vectored(cx, bufs)
            }

            /// Ends sending. If the peer has gone already, that is no error.
            pub(super) fn end_sending(&self) -> ::std::io::Result<()> {
                match self.io.get_ref().shutdown(::std::net::Shutdown::Write) {
                    Err(error) if error.kind() == ::std::io::ErrorKind::NotConnected => Ok(()),
                    result => result,
                }
            }
        }

        impl AsRef<$Stream> for $Stream {
            fn as_ref(&self) -> &$Stream {
                self
            }
        }

        $crate::net::stream::impl_read!($Stream, |stream| stream);
        $crate::net::stream::impl_write!($Stream, |stream| stream, |_| {});
    };
}

/// `AsyncRead` of a stream or half. The closure finds the stream.
macro_rules! impl_read {
    ($Type:ty, |$this:ident| $stream:expr) => {
        impl ::real::io::AsyncRead for $Type {
            #[inline]
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut ::real::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $this = &*self;
                $stream.poll_read_shared(cx, buf)
            }
        }
    };
}

/// `AsyncWrite` of a stream or half. The last closure learns that sending has ended.
macro_rules! impl_write {
    (
        $Type:ty,
        |$this:ident| $stream:expr,
        |$ended:pat_param| $then:expr
    ) => {
        impl ::real::io::AsyncWrite for $Type {
            #[inline]
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $this = &*self;
                $stream.poll_write_shared(cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $this = &*self;
                $stream.poll_write_vectored_shared(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// Does nothing: there is no buffer but the system's.
            #[inline]
            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $this = &*self;
                let ended = $stream.end_sending();
                if ended.is_ok() {
                    let $ended = self.get_mut();
                    $then;
                }
                ::std::task::Poll::Ready(ended)
            }
        }
    };
}

/// The four halves of a stream.
macro_rules! impl_halves {
    ($Stream:ident, $Addr:ty) => {
        /// The reading half of a borrowed stream.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $Stream);

        /// The writing half of a borrowed stream.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $Stream);

        /// The reading half of a stream.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            inner: ::std::sync::Arc<$Stream>,
        }

        /// The writing half of a stream. Dropping it shuts the sending side down.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            inner: ::std::sync::Arc<$Stream>,
            shutdown_on_drop: bool,
        }

        pub(super) fn split(stream: &mut $Stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf(stream), WriteHalf(stream))
        }

        pub(super) fn into_split(stream: $Stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let inner = ::std::sync::Arc::new(stream);
            let read = OwnedReadHalf {
                inner: inner.clone(),
            };
            let write = OwnedWriteHalf {
                inner,
                shutdown_on_drop: true,
            };
            (read, write)
        }

        /// The two halves were not of one stream. The error has them.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl ::std::fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str("tried to reunite halves that are not from the same socket")
            }
        }

        impl ::std::error::Error for ReuniteError {}

        impl OwnedReadHalf {
            /// Puts the stream together again.
            ///
            /// # Errors
            ///
            /// If the halves are not of one stream.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
                if !::std::sync::Arc::ptr_eq(&self.inner, &other.inner) {
                    return Err(ReuniteError(self, other));
                }
                other.forget();
                Ok(::std::sync::Arc::try_unwrap(self.inner)
                    .unwrap_or_else(|_| unreachable!("a stream has two halves")))
            }
        }

        impl OwnedWriteHalf {
            /// Puts the stream together again.
            ///
            /// # Errors
            ///
            /// If the halves are not of one stream.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$Stream, ReuniteError> {
                other.reunite(self)
            }

            /// Drops the half without shutting the sending side down.
            pub fn forget(mut self) {
                self.shutdown_on_drop = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shutdown_on_drop {
                    // There is nobody to return an error to.
                    let _ = self.inner.end_sending();
                }
            }
        }

        $crate::net::stream::impl_read_half!(ReadHalf<'_>, $Stream, $Addr, |half| half.0);
        $crate::net::stream::impl_read_half!(OwnedReadHalf, $Stream, $Addr, |half| half.inner);
        $crate::net::stream::impl_write_half!(WriteHalf<'_>, $Stream, $Addr, |half| half.0, |_| {});
        $crate::net::stream::impl_write_half!(
            OwnedWriteHalf,
            $Stream,
            $Addr,
            |half| half.inner,
            |half| half.shutdown_on_drop = false
        );
    };
}

macro_rules! impl_read_half {
    ($Half:ty, $Stream:ident, $Addr:ty, |$this:ident| $stream:expr) => {
        impl $Half {
            /// Waits until the stream is ready for any of `interest`.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn ready(
                &self,
                interest: ::real::io::Interest,
            ) -> ::std::io::Result<::real::io::Ready> {
                let $this = self;
                $stream.ready(interest).await
            }

            /// Waits until the stream is readable.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn readable(&self) -> ::std::io::Result<()> {
                let $this = self;
                $stream.readable().await
            }

            /// Reads at once.
            ///
            /// # Errors
            ///
            /// What the system says; `WouldBlock` if there is nothing.
            pub fn try_read(&self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                let $this = self;
                $stream.try_read(buf)
            }

            /// Reads into several buffers at once.
            ///
            /// # Errors
            ///
            /// As for `try_read`.
            pub fn try_read_vectored(
                &self,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                let $this = self;
                $stream.try_read_vectored(bufs)
            }

            /// Reads into a buffer at once.
            ///
            /// # Errors
            ///
            /// As for `try_read`.
            #[cfg(feature = "io-util")]
            pub fn try_read_buf<B: ::bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> ::std::io::Result<usize> {
                let $this = self;
                $stream.try_read_buf(buf)
            }
        }

        $crate::net::stream::impl_half!($Half, $Stream, $Addr, |$this| $stream);
        $crate::net::stream::impl_read!($Half, |$this| $stream);
    };
}

macro_rules! impl_write_half {
    (
        $Half:ty, $Stream:ident, $Addr:ty,
        |$this:ident| $stream:expr,
        |$ended:pat_param| $then:expr
    ) => {
        impl $Half {
            /// Waits until the stream is ready for any of `interest`.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn ready(
                &self,
                interest: ::real::io::Interest,
            ) -> ::std::io::Result<::real::io::Ready> {
                let $this = self;
                $stream.ready(interest).await
            }

            /// Waits until the stream is writable.
            ///
            /// # Errors
            ///
            /// When the runtime has shut down.
            pub async fn writable(&self) -> ::std::io::Result<()> {
                let $this = self;
                $stream.writable().await
            }

            /// Writes at once.
            ///
            /// # Errors
            ///
            /// What the system says; `WouldBlock` if there is no room.
            pub fn try_write(&self, buf: &[u8]) -> ::std::io::Result<usize> {
                let $this = self;
                $stream.try_write(buf)
            }

            /// Writes several buffers at once.
            ///
            /// # Errors
            ///
            /// As for `try_write`.
            pub fn try_write_vectored(
                &self,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                let $this = self;
                $stream.try_write_vectored(bufs)
            }
        }

        $crate::net::stream::impl_half!($Half, $Stream, $Addr, |$this| $stream);
        $crate::net::stream::impl_write!($Half, |$this| $stream, |$ended| $then);
    };
}

macro_rules! impl_half {
    ($Half:ty, $Stream:ident, $Addr:ty, |$this:ident| $stream:expr) => {
        impl $Half {
            /// The address of the other end.
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn peer_addr(&self) -> ::std::io::Result<$Addr> {
                let $this = self;
                $stream.peer_addr()
            }

            /// The address of this end.
            ///
            /// # Errors
            ///
            /// What the system says.
            pub fn local_addr(&self) -> ::std::io::Result<$Addr> {
                let $this = self;
                $stream.local_addr()
            }
        }

        impl AsRef<$Stream> for $Half {
            fn as_ref(&self) -> &$Stream {
                let $this = self;
                &$stream
            }
        }
    };
}

pub(crate) use {
    impl_half, impl_halves, impl_read, impl_read_half, impl_stream, impl_write, impl_write_half,
};
