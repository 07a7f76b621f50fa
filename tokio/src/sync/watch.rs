//! A channel that keeps the last value alone: see tokio's documentation of the module of this name.
//!
//! It is the real tokio's. There, a receiver that waits stands in one of eight lists, which is drawn at
//! random, and a sender wakes them list by list. So that a simulation can be repeated, receivers that
//! wait in one stand in a list of ours (`Order`).

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
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

/// Receivers that wait in a simulation, in the order of their coming.
///
/// A receiver enters itself before it looks at the value, and a sender changes that before it calls
/// [`tell`](Order::tell). Both are on the one thread of the system that a simulation has.
#[derive(Default)]
struct Order {
    /// Empty: none has waited.
    waiting: OnceLock<Notify>,
    senders: AtomicUsize,
}

impl Order {
    /// `None`: this thread is in no simulation, and waits in the real lists.
    fn here(&self) -> Option<&Notify> {
        simulated::is_here().then(|| self.waiting.get_or_init(Notify::new))
    }

    fn tell(&self) {
        if let Some(waiting) = self.waiting.get() {
            waiting.notify_waiters();
        }
    }
}

/// A sender's. When the last is dropped, after the real sender, receivers are told.
struct Told(Arc<Order>);

impl Told {
    fn new(order: Arc<Order>) -> Told {
        // A count alone.
        order.senders.fetch_add(1, Ordering::Relaxed);
        Told(order)
    }
}

impl Clone for Told {
    fn clone(&self) -> Self {
        Told::new(self.0.clone())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // AcqRel: the last one tells after all real senders have gone.
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.tell();
        }
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
    order: Arc<Order>,
}

impl<T> Sender<T> {
    /// A channel without receivers, that has this value.
    pub fn new(init: T) -> Self {
        Sender {
            real: watch::Sender::new(init),
            told: Told::new(Arc::default()),
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
        match self.order.here() {
            Some(waiting) => cooperative(changed(&mut self.real, waiting)).await,
            None => self.real.changed().await,
        }
    }

    /// Waits for a value for which the closure says yes.
    ///
    /// # Errors
    ///
    /// If the present value is not such a one, and there is no sender.
    pub async fn wait_for(&mut self, f: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        let Some(waiting) = self.order.here() else {
            return self.real.wait_for(f).await;
        };
        if cooperative(found(&mut self.real, waiting, f)).await? {
            // The `Ref` is to say so.
            self.real.mark_changed();
        }
        // No other simulated thread has run since: it is the value that was found.
        unconstrained(self.real.wait_for(|_| true)).await
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

/// [`Receiver::changed`] of a receiver that stands in our list.
async fn changed<T>(real: &mut watch::Receiver<T>, waiting: &Notify) -> Result<(), RecvError> {
    loop {
        let told = waiting.notified();
        if let Some(changed) = at_once(real.changed()) {
            return changed;
        }
        told.await;
    }
}

/// Waits for a value for which `f` says yes, and returns whether it is there without a wait and was
/// not seen. As in the real tokio, `f` is called first for the present value, then for each that is
/// found to have changed.
async fn found<T>(
    real: &mut watch::Receiver<T>,
    waiting: &Notify,
    mut f: impl FnMut(&T) -> bool,
) -> Result<bool, RecvError> {
    let mut is_new = real.borrow().has_changed();
    loop {
        if let Some(found) = at_once(real.wait_for(&mut f)) {
            return found.map(|_| is_new);
        }
        changed(real, waiting).await?;
        is_new = false;
    }
}
