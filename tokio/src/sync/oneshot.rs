//! Channels for one value: see tokio's documentation of the module of this name.
//!
//! They are the real tokio's. Only the receiver is a type of ours around it, for
//! [`Receiver::blocking_recv`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use real::sync::oneshot;

use self::error::{RecvError, TryRecvError};
use super::blocking;

#[doc(inline)]
pub use real::sync::oneshot::{Sender, error};

/// A channel for one value.
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, real) = oneshot::channel();
    (sender, Receiver { real })
}

/// Waits for the value.
pub struct Receiver<T> {
    real: oneshot::Receiver<T>,
}

impl<T> Receiver<T> {
    /// From now on the value cannot be sent. One that was sent can still be received.
    pub fn close(&mut self) {
        self.real.close();
    }

    /// Whether the value was received, or it is known that none will come.
    pub fn is_terminated(&self) -> bool {
        self.real.is_terminated()
    }

    /// Whether there is no value at present.
    pub fn is_empty(&self) -> bool {
        self.real.is_empty()
    }

    /// The value, if it is there.
    ///
    /// # Errors
    ///
    /// If it is not there, or was received, or the sender has gone without it.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.real.try_recv()
    }

    /// Blocks the thread until the value is there.
    ///
    /// # Errors
    ///
    /// If the sender has gone without it.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        blocking::wait(self.real, |real| real, oneshot::Receiver::blocking_recv)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.real).poll(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
