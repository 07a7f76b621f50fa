//! [`JoinSet`]: many tasks, joined in the order in which they finish.
//!
//! It guarantees that a join costs the same however many tasks are in the set: no handle is polled without a reason.
//!
//! # How it works
//! 1. Each task gets a slot, and the slot a waker of its own ([`Entry`]) that knows the slot's number. The number of a new
//!    task goes onto the *ready list* at once, so that its handle is polled a first time and learns the waker.
//! 2. The task finishes: its waker puts the number on the ready list (once, however often it is woken) and wakes
//!    the task that waits for the set.
//! 3. `join_next` takes numbers off the list and polls these handles alone. It leaves its own waker behind only under the
//!    lock that guards the list, having seen it empty: a push comes before that look or finds the waker.
//! 4. A finished task gives its slot, number and waker to the next. A late wake by the previous owner costs one poll
//!    for nothing.
//!
//! # What it does not do
//! It bounds nothing, neither tasks nor results: results stay with their tasks until they are joined.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};

use crate::runtime::context;
use crate::runtime::spawn::{spawn_abortable_on, spawn_blocking_abortable_on};
use crate::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::AcqRel},
};
use crate::tasks::large::boxing;
use crate::tasks::{AbortHandle, Id, JoinError, JoinHandle, budget, contained, discard};

/// A set of tasks with results of one type, joined in the order in which they finish.
///
/// Dropping the set aborts every task in it. Tasks that had finished before the set was looked at for the first time since
/// their spawning come in the order of spawning.
///
/// # Examples
///
/// ```
/// use executor::task::JoinSet;
///
/// executor::block_on(async {
///     let mut set = JoinSet::new();
///     for n in 0..10 {
///         set.spawn(async move { n * n });
///     }
///     let mut sum = 0;
///     while let Some(result) = set.join_next().await {
///         sum += result?;
///     }
///     assert_eq!(sum, 285);
///     Ok::<_, executor::JoinError>(())
/// })
/// .unwrap();
/// ```
#[must_use = "dropping a JoinSet aborts its tasks"]
pub struct JoinSet<T> {
    slots: Vec<Slot<T>>,
    /// Numbers of slots without a task.
    vacant: Vec<usize>,
    shared: Arc<Shared>,
}

/// What a task came to.
type Finished<T> = (Id, Result<T, JoinError>);

struct Slot<T> {
    handle: Option<JoinHandle<T>>,
    entry: Arc<Entry>,
    /// `entry` as a waker.
    waker: Waker,
}

struct Shared {
    list: Mutex<List>,
}

struct List {
    /// Numbers of slots whose handle is to be polled.
    ready: VecDeque<usize>,
    /// Whoever saw the list empty. It is cloned and dropped outside the lock: it is foreign code.
    waiter: Option<Waker>,
}

struct Entry {
    number: usize,
    /// The number is on the ready list. Set by whoever pushes it, cleared by the set before it polls the handle; both
    /// are AcqRel swaps, so a wake that finds it set is seen by the poll that follows the clearing.
    listed: AtomicBool,
    shared: Arc<Shared>,
}

impl Entry {
    /// Puts the number on the list; returns whom to wake.
    fn list(&self) -> Option<Waker> {
        if self.listed.swap(true, AcqRel) {
            return None;
        }
        let mut list = self.shared.list.lock();
        list.ready.push_back(self.number);
        list.waiter.take()
    }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waiter) = self.list() {
            wake(waiter);
        }
    }
}

/// Whoever waits may have a waker that throws. The task that ends here is not the one to bear that: `async-task` would end the
/// process; nor is who polls or drops the set: a number taken off the list would be lost.
fn wake(waiter: Waker) {
    contained(|| waiter.wake());
}

impl Shared {
    /// The next number; or leaves the caller's waker behind.
    fn next_ready(&self, cx: &mut Context<'_>) -> Option<usize> {
        {
            let mut list = self.list.lock();
            let number = list.ready.pop_front();
            let known = |waiter: &Waker| waiter.will_wake(cx.waker());
            if number.is_some() || list.waiter.as_ref().is_some_and(known) {
                return number;
            }
        }
        let mine = cx.waker().clone();
        let mut list = self.list.lock();
        let number = list.ready.pop_front();
        let unused = if number.is_some() {
            Some(mine)
        } else {
            list.waiter.replace(mine)
        };
        drop(list);
        discard(unused);
        number
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            slots: Vec::new(),
            vacant: Vec::new(),
            shared: Arc::new(Shared {
                list: Mutex::new(List {
                    ready: VecDeque::new(),
                    waiter: None,
                }),
            }),
        }
    }

    /// How many tasks are in the set: those that run and those whose results have not been taken.
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Whether the set holds no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Spawns a task on the current runtime, as [`spawn`](crate::spawn) does.
    ///
    /// # Examples
    ///
    /// ```
    /// executor::block_on(async {
    ///     let mut set = executor::task::JoinSet::new();
    ///     let stuck = set.spawn(std::future::pending::<()>());
    ///     stuck.abort();
    ///     assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let shared = context::current_or_default();
        let (handle, abort) =
            boxing!(F, future => spawn_abortable_on(shared, future, size_of::<F>()));
        self.insert(handle);
        abort
    }

    /// Runs a closure that may block, as [`spawn_blocking`](crate::spawn_blocking) does. Once it has begun, aborting it
    /// has no effect.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = context::current_or_default();
        let (handle, abort) =
            boxing!(closure F, f => spawn_blocking_abortable_on(shared, f, size_of::<F>()));
        self.insert(handle);
        abort
    }

    /// Waits for the next task to finish and takes it out of the set. `None` when the set is empty.
    ///
    /// A task that panicked or was aborted gives a [`JoinError`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no result.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](JoinSet::join_next), with the id of the task; an error carries the id itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no result.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let (id, result) = poll_fn(|cx| self.poll_next(cx)).await?;
        Some(result.map(|output| (id, output)))
    }

    /// The poll of [`join_next`](JoinSet::join_next).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_next(cx)
            .map(|next| next.map(|(_, result)| result))
    }

    /// Takes the result of a task that has finished, without waiting. `None` when there is none yet, or the set is empty.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let look = poll_fn(|_| {
            let next = self.take_finished(|shared| shared.list.lock().ready.pop_front());
            Poll::Ready(next.map(|(_, result)| result))
        });
        // Without a budget: `None` must not mean that this task has done much already.
        match pin!(budget::unconstrained(look)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }

    /// Aborts every task. They stay in the set until they are joined.
    ///
    /// # Examples
    ///
    /// ```
    /// executor::block_on(async {
    ///     let mut set = executor::task::JoinSet::new();
    ///     set.spawn(std::future::pending::<()>());
    ///     set.abort_all();
    ///     assert_eq!(set.len(), 1);
    ///     assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    ///     assert!(set.is_empty());
    /// });
    /// ```
    pub fn abort_all(&mut self) {
        self.handles().for_each(|handle| handle.abort());
    }

    /// Aborts every task and waits until all of them have ended; their results are dropped.
    ///
    /// # Cancel safety
    ///
    /// The tasks are aborted at the first poll. Dropped later, the future leaves the remaining ones in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Takes every task out of the set and lets it run on.
    pub fn detach_all(&mut self) {
        self.vacant.clear();
        for slot in &mut self.slots {
            self.vacant.push(slot.entry.number);
            // Numbers that are still listed are skipped when they are taken off.
            slot.handle = None;
        }
        self.forget_waiter();
    }

    fn handles(&self) -> impl Iterator<Item = &JoinHandle<T>> {
        self.slots.iter().filter_map(|slot| slot.handle.as_ref())
    }

    /// The waiter may be the task that owns this set: kept, each would keep the other alive.
    fn forget_waiter(&self) {
        let waiter = self.shared.list.lock().waiter.take();
        discard(waiter);
    }

    fn insert(&mut self, handle: JoinHandle<T>) {
        let number = self.vacant.pop().unwrap_or_else(|| self.add_slot());
        let slot = &mut self.slots[number];
        slot.handle = Some(handle);
        // Whoever polled the set before must poll again: the new handle does not know its waker yet.
        if let Some(waiter) = slot.entry.list() {
            wake(waiter);
        }
    }

    fn add_slot(&mut self) -> usize {
        let number = self.slots.len();
        let entry = Arc::new(Entry {
            number,
            listed: AtomicBool::new(false),
            shared: self.shared.clone(),
        });
        self.slots.push(Slot {
            handle: None,
            waker: Waker::from(entry.clone()),
            entry,
        });
        number
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        // Looked at here, for a handle that meets an empty budget would list itself again and again.
        if budget::is_exhausted() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.take_finished(|shared| shared.next_ready(cx)) {
            Some(finished) => Poll::Ready(Some(finished)),
            None => Poll::Pending,
        }
    }

    /// Polls the handles that `next` names until one of them has finished.
    fn take_finished(
        &mut self,
        mut next: impl FnMut(&Shared) -> Option<usize>,
    ) -> Option<Finished<T>> {
        loop {
            let number = next(&self.shared)?;
            let slot = &mut self.slots[number];
            slot.entry.listed.swap(false, AcqRel);
            let Some(handle) = &mut slot.handle else {
                continue;
            };
            let id = handle.id();
            let polled = Pin::new(handle).poll(&mut Context::from_waker(&slot.waker));
            if let Poll::Ready(result) = polled {
                slot.handle = None;
                self.vacant.push(number);
                return Some((id, result));
            }
        }
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
        self.forget_waiter();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Spawns each future on the current runtime.
impl<F> Extend<F> for JoinSet<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

/// Spawns each future on the current runtime.
impl<F> FromIterator<F> for JoinSet<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<F::Output> {
        let mut set = JoinSet::new();
        set.extend(futures);
        set
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::{Duration, Instant};

    use super::JoinSet;
    use crate::runtime::Builder;
    use crate::sync::thread;
    use crate::tasks::{self, yield_now};

    /// Spawns, joins and aborts.
    async fn use_a_set() {
        let mut set = JoinSet::new();
        let mut aborts = Vec::new();
        for _ in 0..10 {
            set.spawn(yield_now());
            aborts.push(set.spawn(pending()));
        }
        yield_now().await;
        aborts.iter().for_each(|abort| abort.abort());
        while set.join_next().await.is_some() {}
        assert!(aborts.iter().all(|abort| abort.is_finished()));
    }

    #[test]
    fn neither_a_spawn_nor_a_join_nor_an_abort_waits_for_a_lock_of_the_whole_process() {
        // A report of a stall looks the task's name up, under one of the locks.
        let builder = Builder::new().worker_threads(2);
        let runtime = builder.stall_threshold(Duration::MAX).build().unwrap();
        let in_task = move || runtime.block_on(runtime.spawn(use_a_set())).unwrap();
        in_task();
        let held = tasks::hold();
        let other = thread::spawn(in_task);
        let begin = Instant::now();
        while !other.is_finished() && begin.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        let has_finished = other.is_finished();
        drop(held);
        other.join().unwrap();
        assert!(has_finished);
    }
}
