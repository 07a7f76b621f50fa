//! Channels with many senders: see tokio's documentation of the module of this name.
//!
//! They are the real tokio's. Types of ours are around receivers, for what blocks
//! ([`Receiver::blocking_recv`]), and around the senders of bounded channels, also since
//! [`Sender::send_timeout`] would wait for a timer of a real runtime.

use std::fmt;
use std::future::Future;

#[doc(inline)]
pub use real::sync::mpsc::{Permit, PermitIterator, UnboundedSender, WeakUnboundedSender, error};
pub use receiver::{Receiver, UnboundedReceiver};

use self::error::{SendError, TrySendError};
use super::blocking;
use real::sync::mpsc as real_mpsc;

mod receiver;

/// A channel for at most `buffer` values.
///
/// # Panics
///
/// If `buffer` is zero, or more than a semaphore can count.
#[track_caller]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, real) = real_mpsc::channel(buffer);
    (Sender { real: sender }, Receiver { real })
}

/// A channel for any number of values.
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (sender, real) = real_mpsc::unbounded_channel();
    (sender, UnboundedReceiver { real })
}

/// Sends values to a [`Receiver`].
pub struct Sender<T> {
    real: real_mpsc::Sender<T>,
}

/// A [`Sender`] that does not keep the channel open.
pub struct WeakSender<T> {
    real: real_mpsc::WeakSender<T>,
}

/// Room for one value, with the sender that reserved it.
pub struct OwnedPermit<T> {
    real: real_mpsc::OwnedPermit<T>,
}

impl<T> Sender<T> {
    /// Waits for room, and sends.
    ///
    /// # Errors
    ///
    /// When the receiver has gone or is closed.
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        self.real.send(value)
    }

    /// Waits until the receiver has gone or is closed.
    pub fn closed(&self) -> impl Future<Output = ()> {
        self.real.closed()
    }

    /// Sends, if there is room.
    ///
    /// # Errors
    ///
    /// When there is none, and when the receiver has gone or is closed.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.real.try_send(message)
    }

    /// Waits for room for at most `timeout`, and sends.
    ///
    /// # Errors
    ///
    /// When the time is up, and when the receiver has gone or is closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and in one without timers.
    #[cfg(feature = "time")]
    pub async fn send_timeout(
        &self,
        value: T,
        timeout: crate::time::Duration,
    ) -> Result<(), error::SendTimeoutError<T>> {
        match crate::time::timeout(timeout, self.real.reserve()).await {
            Ok(Ok(permit)) => {
                permit.send(value);
                Ok(())
            }
            Ok(Err(_)) => Err(error::SendTimeoutError::Closed(value)),
            Err(_) => Err(error::SendTimeoutError::Timeout(value)),
        }
    }

    /// Blocks the thread until there is room, and sends.
    ///
    /// # Errors
    ///
    /// When the receiver has gone or is closed.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        blocking::wait(
            (&self.real, value),
            |(real, value)| real.send(value),
            |(real, value)| real.blocking_send(value),
        )
    }

    /// Whether the receiver has gone or is closed.
    pub fn is_closed(&self) -> bool {
        self.real.is_closed()
    }

    /// Waits for room, and reserves it.
    ///
    /// # Errors
    ///
    /// When the receiver has gone or is closed.
    pub fn reserve(&self) -> impl Future<Output = Result<Permit<'_, T>, SendError<()>>> {
        self.real.reserve()
    }

    /// Waits for room for `n` values, and reserves it.
    ///
    /// # Errors
    ///
    /// When the receiver has gone or is closed.
    pub fn reserve_many(
        &self,
        n: usize,
    ) -> impl Future<Output = Result<PermitIterator<'_, T>, SendError<()>>> {
        self.real.reserve_many(n)
    }

    /// Waits for room, and reserves it together with this sender.
    ///
    /// # Errors
    ///
    /// When the receiver has gone or is closed.
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        let real = self.real.reserve_owned().await?;
        Ok(OwnedPermit { real })
    }

    /// Reserves room, if there is any.
    ///
    /// # Errors
    ///
    /// When there is none, and when the receiver has gone or is closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.real.try_reserve()
    }

    /// Reserves room for `n` values, if there is that much.
    ///
    /// # Errors
    ///
    /// When there is not, and when the receiver has gone or is closed.
    pub fn try_reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        self.real.try_reserve_many(n)
    }

    /// Reserves room together with this sender, if there is any.
    ///
    /// # Errors
    ///
    /// When there is none, and when the receiver has gone or is closed. The error has the sender.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Sender<T>>> {
        match self.real.try_reserve_owned() {
            Ok(real) => Ok(OwnedPermit { real }),
            Err(TrySendError::Full(real)) => Err(TrySendError::Full(Sender { real })),
            Err(TrySendError::Closed(real)) => Err(TrySendError::Closed(Sender { real })),
        }
    }

    /// Whether both send to the same receiver.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.real.same_channel(&other.real)
    }

    /// For how many values there is room at present.
    pub fn capacity(&self) -> usize {
        self.real.capacity()
    }

    /// A sender that does not keep the channel open.
    #[must_use = "Downgrade creates a WeakSender without destroying the original non-weak sender."]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender {
            real: self.real.downgrade(),
        }
    }

    /// For how many values there is room in all.
    pub fn max_capacity(&self) -> usize {
        self.real.max_capacity()
    }

    /// The number of senders.
    pub fn strong_count(&self) -> usize {
        self.real.strong_count()
    }

    /// The number of senders that do not keep the channel open.
    pub fn weak_count(&self) -> usize {
        self.real.weak_count()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender {
            real: self.real.clone(),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}

impl<T> WeakSender<T> {
    /// A sender, if the channel is still open.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.real.upgrade().map(|real| Sender { real })
    }

    /// The number of senders.
    pub fn strong_count(&self) -> usize {
        self.real.strong_count()
    }

    /// The number of senders that do not keep the channel open.
    pub fn weak_count(&self) -> usize {
        self.real.weak_count()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        WeakSender {
            real: self.real.clone(),
        }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}

impl<T> OwnedPermit<T> {
    /// Sends a value into the room reserved. Returns the sender.
    pub fn send(self, value: T) -> Sender<T> {
        Sender {
            real: self.real.send(value),
        }
    }

    /// Gives the room back. Returns the sender.
    pub fn release(self) -> Sender<T> {
        Sender {
            real: self.real.release(),
        }
    }

    /// Whether both are for the same receiver.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.real.same_channel(&other.real)
    }

    /// Whether it is for the receiver of `sender`.
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.real.same_channel_as_sender(&sender.real)
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
