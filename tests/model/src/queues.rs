//! Queues in place of those of `crossbeam_deque` and `concurrent_queue`, for the checkers do not know theirs.
//!
//! They promise less. A push releases what was written before it, and a pop acquires that; nothing else is ordered, and
//! whoever looks may see a queue as it was some time ago. So who must see a push needs a fence of its own, or a lock.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex as PlainMutex;

use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A bit of `tail`.
const CLOSED: usize = 1 << 31;

pub(crate) struct Queue<T> {
    /// Items pushed so far, and [`CLOSED`].
    tail: AtomicUsize,
    /// Items taken so far.
    head: AtomicUsize,
    /// The items from `head` to `tail`. Touched right after the operation on `tail` or `head` that decides, and before
    /// the thread's next modelled operation; so for a checker the two are one step, and the lock orders nothing.
    items: PlainMutex<VecDeque<T>>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        Queue {
            tail: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
            items: PlainMutex::new(VecDeque::new()),
        }
    }

    fn with_items<R>(&self, f: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        f(&mut self.items.lock().expect("nobody panics with it"))
    }

    /// Gives the item back when the queue is closed.
    fn try_push(&self, item: T) -> Result<(), T> {
        let pushed = self
            .tail
            .fetch_update(Ordering::Release, Ordering::Relaxed, |tail| {
                (tail & CLOSED == 0).then_some(tail + 1)
            });
        match pushed {
            Ok(_) => {
                self.with_items(|items| items.push_back(item));
                Ok(())
            }
            Err(_) => Err(item),
        }
    }

    /// Into a queue that nobody closes. One operation and not a load before it: see `fetch_update` in [`crate::sync`].
    pub(crate) fn push(&self, item: T) {
        let tail = self.tail.fetch_add(1, Ordering::Release);
        self.with_items(|items| items.push_back(item));
        assert!(tail & CLOSED == 0, "only pools close their queues");
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.take(|_| 1).pop_front()
    }

    /// Takes some of the oldest items; how many, of so many.
    fn take(&self, number: impl Fn(usize) -> usize) -> VecDeque<T> {
        let tail = self.tail.load(Ordering::Acquire) & !CLOSED;
        let mut head = self.head.load(Ordering::Relaxed);
        while head < tail {
            let taken = number(tail - head);
            match self.head.compare_exchange(
                head,
                head + taken,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return self.with_items(|items| items.drain(..taken).collect()),
                Err(now) => head = now,
            }
        }
        VecDeque::new()
    }

    /// Takes so many of the oldest items; the first is returned, the others are in the thief's queue afterwards.
    fn move_to(&self, thief: &Worker<T>, number: impl Fn(usize) -> usize) -> Option<T> {
        let mut taken = self.take(number);
        let first = taken.pop_front();
        taken.into_iter().for_each(|item| thief.push(item));
        first
    }

    pub(crate) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Relaxed) & !CLOSED;
        tail.saturating_sub(head)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// In place of `crossbeam_deque::Worker`.
#[derive(Debug)]
pub(crate) struct Worker<T>(Arc<Queue<T>>);

impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Worker<T> {
        Worker(Arc::new(Queue::new()))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// In place of `crossbeam_deque::Steal`. Nothing has to be tried again.
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    #[expect(dead_code, reason = "the real queues have it")]
    Retry,
}

impl<T> From<Option<T>> for Steal<T> {
    fn from(item: Option<T>) -> Steal<T> {
        item.map_or(Steal::Empty, Steal::Success)
    }
}

/// In place of `crossbeam_deque::Injector`.
#[derive(Debug)]
pub(crate) struct Injector<T>(Queue<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Injector<T> {
        Injector(Queue::new())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.pop().into()
    }

    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        thief: &Worker<T>,
        limit: usize,
    ) -> Steal<T> {
        self.0.move_to(thief, |len| len.min(limit)).into()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// In place of `crossbeam_deque::Stealer`.
#[derive(Debug)]
pub(crate) struct Stealer<T>(Arc<Queue<T>>);

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.pop().into()
    }

    /// One item, and then up to half of the rest into the thief's queue.
    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        thief: &Worker<T>,
        limit: usize,
    ) -> Steal<T> {
        if Arc::ptr_eq(&self.0, &thief.0) {
            return Steal::Empty;
        }
        self.0
            .move_to(thief, |len| len.div_ceil(2).min(limit))
            .into()
    }
}

/// In place of `concurrent_queue::ConcurrentQueue`.
pub(crate) struct ConcurrentQueue<T>(Queue<T>);

/// The queue is closed; here is what was not pushed.
pub(crate) struct PushError<T>(T);

impl<T> PushError<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

/// There is nothing.
pub(crate) struct PopError;

impl<T> ConcurrentQueue<T> {
    pub(crate) fn unbounded() -> ConcurrentQueue<T> {
        ConcurrentQueue(Queue::new())
    }

    pub(crate) fn push(&self, item: T) -> Result<(), PushError<T>> {
        self.0.try_push(item).map_err(PushError)
    }

    pub(crate) fn pop(&self) -> Result<T, PopError> {
        self.0.pop().ok_or(PopError)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn close(&self) {
        self.0.tail.fetch_or(CLOSED, Ordering::AcqRel);
    }
}
