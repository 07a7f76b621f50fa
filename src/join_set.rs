//! [`JoinSet`]: many tasks, joined in the order in which they finish.
//!
//! It guarantees that a join costs the same however many tasks are in the set: nothing is polled without a reason.
//!
//! # How it works
//! 1. Each task gets a slot. The slot has what the set needs to abort the task; the task has the slot's number and the set's
//!    [`Completions`].
//! 2. The task finishes: its last poll puts its outcome and the number there, and wakes the task that waits for the set.
//! 3. `join_next` takes all that is there at once, and gives it out one by one; a slot is vacant when its outcome is given out.
//! 4. The set lets its tasks go, or ends: it closes the completions, and what comes there later is dropped.
//!
//! No task has a handle that waits for it, so that none is polled, and none is told its waker: what a set adds to a task is a
//! reference to the completions and one critical section. The memory of a task is free when it has finished, not when it is
//! joined.
//!
//! # What it does not do
//! It bounds nothing, neither tasks nor results: results stay in the set until they are joined.

mod completions;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::task::{Context, Poll};

use completions::Completions;

use crate::runtime::context;
use crate::runtime::spawn::{spawn_blocking_delivering_on, spawn_delivering_on};
use crate::sync::{Arc, Mutex};
use crate::tasks::large::boxing;
use crate::tasks::{AbortHandle, Deliver, Id, JoinError, Outcome, budget};

/// A set of tasks with results of one type, joined in the order in which they finish.
///
/// Dropping the set aborts every task in it.
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
    /// Tasks whose outcome has not been given out. A task's number is its index.
    slots: Vec<Option<AbortHandle>>,
    /// Numbers of slots without a task.
    vacant: Vec<usize>,
    /// What was taken out of `completions` and has not been given out. The lock is never taken: it makes a set of results that
    /// are not `Sync` shareable nevertheless.
    taken: Mutex<VecDeque<(usize, Outcome<T>)>>,
    completions: Arc<Completions<Outcome<T>>>,
}

/// What a task came to.
type Finished<T> = (Id, Result<T, JoinError>);

/// What a task of the set knows of it.
struct Membership<T> {
    slot: usize,
    completions: Arc<Completions<Outcome<T>>>,
}

impl<T: Send + 'static> Deliver<T> for Membership<T> {
    #[inline]
    fn deliver(self, outcome: Outcome<T>) {
        self.completions.push(self.slot, outcome);
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            slots: Vec::new(),
            vacant: Vec::new(),
            taken: Mutex::new(VecDeque::new()),
            completions: Arc::new(Completions::new()),
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
        let member = self.join();
        let slot = member.slot;
        let abort =
            boxing!(F, future => spawn_delivering_on(shared, future, size_of::<F>(), member));
        self.slots[slot] = Some(abort.clone());
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
        let member = self.join();
        let slot = member.slot;
        let abort = boxing!(closure F, f => spawn_blocking_delivering_on(shared, f, size_of::<F>(), member));
        self.slots[slot] = Some(abort.clone());
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
        let taken = self.taken.get_mut();
        if taken.is_empty() && !self.completions.try_take(taken) {
            return None;
        }
        self.next_taken().map(|(_, result)| result)
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
        self.slots.iter().flatten().for_each(AbortHandle::abort);
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
        let completions = mem::replace(&mut self.completions, Arc::new(Completions::new()));
        completions.close();
        self.slots.clear();
        self.vacant.clear();
        self.taken.get_mut().clear();
    }

    /// A slot for a task that is about to be spawned. The caller puts its handle there.
    fn join(&mut self) -> Membership<T> {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        Membership {
            slot,
            completions: self.completions.clone(),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let Poll::Ready(progress) = budget::poll_proceed(cx) else {
            return Poll::Pending;
        };
        let taken = self.taken.get_mut();
        if taken.is_empty() && !self.completions.take(taken, cx) {
            return Poll::Pending;
        }
        progress.made();
        Poll::Ready(self.next_taken())
    }

    fn next_taken(&mut self) -> Option<Finished<T>> {
        let (slot, outcome) = self.taken.get_mut().pop_front()?;
        let abort = self.slots[slot].take()?;
        self.vacant.push(slot);
        Some((abort.id(), outcome.into_result()))
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
        self.completions.close();
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
