//! The two halves of a stream, for two tasks.

use std::error::Error;
use std::fmt;
use std::io;

use super::stream::{self, Share, StreamSocket};
use super::tcp_stream::TcpStream;

/// A stream that clones and halves may share.
pub trait Shared: Unpin {
    type Socket: StreamSocket;

    fn io(&self) -> &Share<Self::Socket>;
}

/// The reading half of a stream, made by `into_split`.
///
/// Dropping it closes nothing; the other half still works.
pub struct OwnedReadHalf<S: Shared = TcpStream> {
    stream: S,
}

/// The writing half of a stream, made by `into_split`.
///
/// Dropping it shuts the sending side down, so that the peer reads the end of the stream, even
/// while clones of the stream exist. [`forget`](OwnedWriteHalf::forget) drops it without that.
pub struct OwnedWriteHalf<S: Shared = TcpStream> {
    /// `None` once `forget` has taken it.
    stream: Option<S>,
}

/// The error of reuniting halves of different streams. It contains both halves.
pub struct ReuniteError<S: Shared = TcpStream>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

pub(super) fn split<S: Shared + Clone>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let read = OwnedReadHalf {
        stream: stream.clone(),
    };
    let stream = Some(stream);
    (read, OwnedWriteHalf { stream })
}

impl<S: Shared> OwnedReadHalf<S> {
    /// Joins the two halves of one stream again.
    ///
    /// # Errors
    ///
    /// If the halves belong to different streams, the error returns them.
    pub fn reunite(self, write: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !self.stream.io().is_of(write.as_ref().io()) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        Ok(self.stream)
    }
}

/// The whole stream, for its addresses, options and `readable`.
impl<S: Shared> AsRef<S> for OwnedReadHalf<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: Shared> OwnedWriteHalf<S> {
    /// Joins the two halves of one stream again.
    ///
    /// # Errors
    ///
    /// If the halves belong to different streams, the error returns them.
    pub fn reunite(self, read: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        read.reunite(self)
    }

    /// Drops the half and leaves the sending side open.
    pub fn forget(mut self) {
        self.stream = None;
    }
}

/// The whole stream, for its addresses, options and `writable`.
impl<S: Shared> AsRef<S> for OwnedWriteHalf<S> {
    fn as_ref(&self) -> &S {
        match &self.stream {
            Some(stream) => stream,
            None => unreachable!("taken out only by forget, which owns it"),
        }
    }
}

impl<S: Shared> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // The error means that the connection is broken, and then there is nothing to shut
            // down.
            let _ = stream::close(stream.io());
        }
    }
}

super::traits::impl_read!([S: Shared] OwnedReadHalf<S>, |half| half.stream.io());
super::traits::impl_read!([S: Shared] &OwnedReadHalf<S>, |half| half.stream.io());
super::traits::impl_write!([S: Shared] OwnedWriteHalf<S>, |half| half.as_ref().io());
super::traits::impl_write!([S: Shared] &OwnedWriteHalf<S>, |half| half.as_ref().io());

impl<S: Shared + fmt::Debug> fmt::Debug for OwnedReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedReadHalf").field(&self.stream).finish()
    }
}

impl<S: Shared + fmt::Debug> fmt::Debug for OwnedWriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWriteHalf")
            .field(self.as_ref())
            .finish()
    }
}

impl<S: Shared + fmt::Debug> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReuniteError")
            .field(&self.0)
            .field(&self.1)
            .finish()
    }
}

impl<S: Shared> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves belong to different streams")
    }
}

impl<S: Shared + fmt::Debug> Error for ReuniteError<S> {}

impl<S: Shared> From<ReuniteError<S>> for io::Error {
    fn from(error: ReuniteError<S>) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
    }
}
