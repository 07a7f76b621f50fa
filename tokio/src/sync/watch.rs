//! A channel that keeps the last value alone: see tokio's documentation of the module of this name.
//!
//! It is the real tokio's. There, a receiver that waits stands in one of eight lists, which is drawn at
//! random, and a sender wakes them list by list. So that a simulation can be repeated, all receivers
//! of a channel that is made in one stand in a list of ours.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use real::sync::{Notify, watch};
use real::task::coop::{cooperative, unconstrained};

use self::error::{RecvError, SendError};
use crate::simulated;

#[doc(inline)]
pub use real::sync::watch::{Ref, error};

/// A channel that has this value.
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(init);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// Receivers that wait, in the order of their coming. `None`: they stand in the real lists.
///
/// A receiver enters itself before it looks at the value, and a sender changes that before it calls
/// [`tell`](Order::tell).
#[derive(Clone)]
struct Order(Option<Arc<Notify>>);

impl Order {
    fn tell(&self) {
        if let Some(waiting) = &self.0 {
            waiting.notify_waiters();
        }
    }
}

/// A sender's. A sender that is dropped tells receivers, after the real one has gone.
#[derive(Clone)]
struct Told(Order);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// The output of a future that is ready at its first poll.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(unconstrained(future)).poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Changes the value.
pub struct Sender<T> {
    // Dropped before what tells receivers of that.
    real: watch::Sender<T>,
    told: Told,
}

/// Sees the value, and waits for another one.
pub struct Receiver<T> {
    real: watch::Receiver<T>,
    order: Order,
}

impl<T> Sender<T> {
    /// A channel without receivers, that has this value.
    pub fn new(init: T) -> Self {
        let is_ours = simulated::is_here();
        Sender {
            real: watch::Sender::new(init),
            told: Told(Order(is_ours.then(Arc::default))),
        }
    }

    /// Another value.
    ///
    /// # Errors
    ///
    /// If there is no receiver. Then the value stays as it is.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.real.send(value)?;
        self.tell();
        Ok(())
    }

    /// Changes the value, and tells receivers, if there are any.
    pub fn send_modify<F>(&self, modify: F)
    where
        F: FnOnce(&mut T),
    {
        self.real.send_modify(modify);
        self.tell();
    }

    /// Tells receivers only if the closure says that it has changed the value. Returns that.
    pub fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let is_modified = self.real.send_if_modified(modify);
        if is_modified {
            self.tell();
        }
        is_modified
    }

    /// Another value, also if there is no receiver. Returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        let before = self.real.send_replace(value);
        self.tell();
        before
    }

    fn tell(&self) {
        self.told.0.tell();
    }

    /// The value. It cannot be changed while it is borrowed.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.real.borrow()
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.real.is_closed()
    }

    /// Waits until there is no receiver.
    pub fn closed(&self) -> impl Future<Output = ()> {
        self.real.closed()
    }

    /// A receiver that has seen the present value.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver {
            real: self.real.subscribe(),
            order: self.told.0.clone(),
        }
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        self.real.receiver_count()
    }

    /// The number of senders.
    pub fn sender_count(&self) -> usize {
        self.real.sender_count()
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.real.same_channel(&other.real)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender {
            real: self.real.clone(),
            told: self.told.clone(),
        }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Sender::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}

impl<T> Receiver<T> {
    /// The value. It cannot be changed while it is borrowed.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.real.borrow()
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.real.borrow_and_update()
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    ///
    /// If there is no sender.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        self.real.has_changed()
    }

    /// Whether there is no sender.
    pub fn is_closed(&self) -> bool {
        self.real.is_closed()
    }

    /// The value counts as not seen.
    pub fn mark_changed(&mut self) {
        self.real.mark_changed();
    }

    /// The value counts as seen.
    pub fn mark_unchanged(&mut self) {
        self.real.mark_unchanged();
    }

    /// Waits for a value that was not seen, which then counts as seen.
    ///
    /// # Errors
    ///
    /// If there is no such value, and no sender.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        let Some(waiting) = &self.order.0 else {
            return self.real.changed().await;
        };
        let changed = async {
            loop {
                let told = waiting.notified();
                if let Some(changed) = at_once(self.real.changed()) {
                    return changed;
                }
                told.await;
            }
        };
        cooperative(changed).await
    }

    /// Waits for a value for which the closure says yes.
    ///
    /// # Errors
    ///
    /// If the present value is not such a one, and there is no sender.
    pub async fn wait_for(&mut self, f: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        let Some(waiting) = self.order.0.clone() else {
            return self.real.wait_for(f).await;
        };
        self.wait_in_order(&waiting, f).await?;
        // No other simulated thread has run since.
        unconstrained(self.real.wait_for(|_| true)).await
    }

    async fn wait_in_order(
        &mut self,
        waiting: &Notify,
        mut f: impl FnMut(&T) -> bool,
    ) -> Result<(), RecvError> {
        let found = async {
            loop {
                let told = waiting.notified();
                let is_new = self.real.borrow().has_changed();
                let found = at_once(self.real.wait_for(&mut f)).map(|found| found.map(drop));
                if let Some(found) = found {
                    return found.map(|()| is_new);
                }
                told.await;
            }
        };
        if cooperative(found).await? {
            // The `Ref` is to say so.
            self.real.mark_changed();
        }
        Ok(())
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.real.same_channel(&other.real)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver {
            real: self.real.clone(),
            order: self.order.clone(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
