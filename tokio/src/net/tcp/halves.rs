//! The halves of a TCP stream.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use real::io::ReadBuf;

use super::TcpStream;
use crate::net::stream::impl_halves;

impl_halves!(TcpStream, SocketAddr);

macro_rules! impl_peek {
    ($($Half:ty),*) => {$(
        impl $Half {
            /// Receives without taking the data off the queue.
            ///
            /// # Errors
            ///
            /// What the system says, or that the runtime has shut down.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let mut buf = ReadBuf::new(buf);
                poll_fn(|cx| self.poll_peek(cx, &mut buf)).await
            }

            /// Polls to receive without taking the data off the queue.
            ///
            /// # Errors
            ///
            /// As for `peek`.
            pub fn poll_peek(
                &mut self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.as_ref().poll_peek(cx, buf)
            }
        }
    )*};
}
impl_peek!(ReadHalf<'_>, OwnedReadHalf);
