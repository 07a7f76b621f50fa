//! Receivers, of which only those calls are ours that block.

use std::fmt;
use std::task::{Context, Poll};

use super::error::TryRecvError;
use super::real_mpsc;
use crate::sync::blocking;

macro_rules! receiver {
    ($(#[$attr:meta])* $name:ident) => {
        $(#[$attr])*
        pub struct $name<T> {
            pub(super) real: real_mpsc::$name<T>,
        }

        impl<T> $name<T> {
            /// Waits for the next value. `None`: there is none, and there is no sender, or the
            /// channel is closed.
            pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
                self.real.recv()
            }

            /// Waits for values, and appends at most `limit` of them to `buffer`. Returns how many:
            /// zero if there are none, and there is no sender, or the channel is closed.
            pub fn recv_many(
                &mut self,
                buffer: &mut Vec<T>,
                limit: usize,
            ) -> impl Future<Output = usize> {
                self.real.recv_many(buffer, limit)
            }

            /// The next value, if there is one.
            ///
            /// # Errors
            ///
            /// If there is none.
            pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
                self.real.try_recv()
            }

            /// Blocks the thread until there is a value. Otherwise like [`recv`](Self::recv).
            #[track_caller]
            pub fn blocking_recv(&mut self) -> Option<T> {
                let real = &mut self.real;
                blocking::wait(real, |real| real.recv(), |real| real.blocking_recv())
            }

            /// Blocks the thread until there are values. Otherwise like
            /// [`recv_many`](Self::recv_many).
            #[track_caller]
            pub fn blocking_recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
                blocking::wait(
                    (&mut self.real, buffer),
                    |(real, buffer)| real.recv_many(buffer, limit),
                    |(real, buffer)| real.blocking_recv_many(buffer, limit),
                )
            }

            /// From now on nothing can be sent. What was sent can still be received.
            pub fn close(&mut self) {
                self.real.close();
            }

            /// Whether it is closed, or there is no sender.
            pub fn is_closed(&self) -> bool {
                self.real.is_closed()
            }

            /// Whether there is no value.
            pub fn is_empty(&self) -> bool {
                self.real.is_empty()
            }

            /// The number of values that are there.
            pub fn len(&self) -> usize {
                self.real.len()
            }

            /// The poll form of [`recv`](Self::recv).
            pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
                self.real.poll_recv(cx)
            }

            /// The poll form of [`recv_many`](Self::recv_many).
            pub fn poll_recv_many(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut Vec<T>,
                limit: usize,
            ) -> Poll<usize> {
                self.real.poll_recv_many(cx, buffer, limit)
            }

            /// The number of senders.
            pub fn sender_strong_count(&self) -> usize {
                self.real.sender_strong_count()
            }

            /// The number of senders that do not keep the channel open.
            pub fn sender_weak_count(&self) -> usize {
                self.real.sender_weak_count()
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.real.fmt(f)
            }
        }
    };
}

receiver! {
    /// Receives what a [`Sender`](super::Sender) sends.
    Receiver
}
receiver! {
    /// Receives what an [`UnboundedSender`](super::UnboundedSender) sends.
    UnboundedReceiver
}

impl<T> Receiver<T> {
    /// For how many values there is room at present.
    pub fn capacity(&self) -> usize {
        self.real.capacity()
    }

    /// For how many values there is room in all.
    pub fn max_capacity(&self) -> usize {
        self.real.max_capacity()
    }
}
