//! [`JoinSet`]: many tasks, joined in the order in which they finish.
//!
//! A join costs the same however many tasks are in the set: the set polls no task that has not
//! finished.
//!
//! # How it works
//! 1. Each task has a reference to the [`Group`], which it shares with its set.
//! 2. A task finishes: its last poll puts its [`Completion`] into the group and wakes the task that
//!    waits for the set.
//! 3. `join_next` takes all completions from the group at once, and returns them one by one.
//! 4. A task that has to wait puts its entry into the group, so that the set can abort it. A task
//!    that finishes at its first poll never does.
//! 5. When the set detaches its tasks, or is dropped, it closes the group. Completions that arrive
//!    later are dropped.
//!
//! How it lifts its tasks is in [`lift`](mod@lift).
//!
//! No handle waits for a task of the set, so none is polled and none registers a waker with it. A
//! set adds to a task one reference to the group and one critical section, or two if the task
//! waits.
//!
//! # What it costs
//! 10,000 empty tasks, beside as many plain spawns and joins in the same run (two CPUs, 2026-11-29,
//! medians), take 1.09 times as long with two workers, and 1.23 times with one, where nothing is in
//! parallel. tokio's set takes 1.4 and 1.1 times as long as its own joins, which is four times the
//! time.
//!
//! The causes of this, with two workers: a task that spawns meets the tasks that finish on another
//! CPU in three places, and each of the following was worth 10 to 50 ns. (1) The joining task frees
//! a task's memory, which it has mostly allocated itself: a completion keeps its task's memory. (2)
//! A set counts the group's references up for many tasks at once ([`JoinSet::reference`]). (3) A
//! spawn reads nothing in the group. Earlier forms: a handle that is polled and a waker per slot
//! took 2.0 to 2.3 times as long; a queue of completions, but with an abort handle kept for each
//! task, 1.7.
//!
//! # What it does not do
//! It limits neither tasks nor results: results stay in the set until they are joined.

mod group;
mod lift;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::task::{Context, Poll, Waker};

use group::{Group, Place};
use lift::Level;

use crate::runtime::context;
use crate::runtime::spawn::{spawn_blocking_member_on, spawn_member_on};
use crate::sync::{Arc, Mutex};
use crate::tasks::large::boxing;
use crate::tasks::{
    AbortHandle, Entry, Id, JoinError, Listing, Membership, Outcome, Priority, budget,
};

/// A set of tasks with results of one type, joined in the order in which they finish.
///
/// Dropping the set aborts every task in it.
///
/// While a task awaits the set, the tasks in it have at least the class of that one: see
/// [`task::Priority`](crate::task::Priority).
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
    /// Number of tasks whose completion has not been returned.
    len: usize,
    /// Completions taken from the group and not yet returned. The lock is never taken. It makes the
    /// set `Sync` even if its results are not.
    taken: Mutex<VecDeque<Completion<T>>>,
    group: Arc<Group<Completion<T>, Entry>>,
    /// References for tasks to come; see [`JoinSet::reference`].
    references: Vec<Arc<Group<Completion<T>, Entry>>>,
    /// The place of tasks to come: the value of [`Group::place`], kept so that a spawn need not
    /// read the group.
    place: Place,
    level: Level,
}

/// The outcome of a task.
struct Completion<T> {
    id: Id,
    outcome: Outcome<T>,
    /// Keeps the task's memory until the completion is joined.
    _task: Waker,
}

/// A task's membership of the set.
struct Member<T> {
    place: Place,
    group: Arc<Group<Completion<T>, Entry>>,
}

impl<T: Send + 'static> Membership<T> for Member<T> {
    #[inline]
    fn is_aborted(&self) -> bool {
        self.group.is_aborted(self.place)
    }

    #[inline]
    fn wait(&mut self, entry: fn() -> Entry, lift: fn(Priority)) -> bool {
        self.group.wait(&mut self.place, entry, lift)
    }

    fn classed(&self) -> Listing {
        let group = self.group.clone();
        Listing {
            level: group.begin_classes(),
            list: Box::new(move |entry| group.list(entry, |entry: &Entry| entry.is_live())),
        }
    }

    #[inline]
    fn complete(self, id: Id, outcome: Outcome<T>, waker: &Waker) {
        let completion = Completion {
            id,
            outcome,
            _task: waker.clone(),
        };
        self.group.complete(self.place, completion);
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        let group = Arc::new(Group::new());
        JoinSet {
            len: 0,
            taken: Mutex::new(VecDeque::new()),
            place: group.place(),
            references: Vec::new(),
            level: Level::NONE,
            group,
        }
    }

    /// Number of tasks in the set: those that run and those whose results have not been taken.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set contains no task.
    pub fn is_empty(&self) -> bool {
        self.len == 0
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
        boxing!(F, future => spawn_member_on(shared, future, size_of::<F>(), member))
    }

    /// Runs a closure that may block, as [`spawn_blocking`](crate::spawn_blocking) does. After the
    /// closure has begun, aborting it has no effect.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = context::current_or_default();
        let member = self.join();
        boxing!(closure F, f => spawn_blocking_member_on(shared, f, size_of::<F>(), member))
    }

    /// Waits for the next task to finish and removes it from the set. `None` if the set is empty.
    ///
    /// If the task panicked or was aborted, returns a [`JoinError`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has removed no task.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Like [`join_next`](JoinSet::join_next), and also returns the id of the task; an error
    /// contains the id itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has removed no task.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let Completion { id, outcome, .. } = poll_fn(|cx| self.poll_next(cx)).await?;
        Some(outcome.into_result().map(|output| (id, output)))
    }

    /// The poll form of [`join_next`](JoinSet::join_next).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_next(cx)
            .map(|next| next.map(|completion| completion.outcome.into_result()))
    }

    /// Takes the result of a task that has finished, without waiting. `None` if no task has
    /// finished yet, or the set is empty.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let taken = self.taken.get_mut();
        if taken.is_empty() && !self.group.try_take(taken) {
            return None;
        }
        let next = self.next_taken();
        next.map(|completion| completion.outcome.into_result())
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
        self.group.abort(Entry::abort);
        self.place = self.group.place();
    }

    /// Aborts every task and waits until all of them have ended; their results are dropped.
    ///
    /// # Cancel safety
    ///
    /// The first poll aborts the tasks. If the future is dropped later, the tasks that are left
    /// stay in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Removes every task from the set and lets it run on.
    pub fn detach_all(&mut self) {
        let group = Arc::new(Group::new());
        self.place = group.place();
        self.references.clear();
        let left = mem::replace(&mut self.group, group);
        self.level.detach(&left);
        left.close();
        self.taken.get_mut().clear();
        self.len = 0;
    }

    /// Counts a task that is about to be spawned.
    fn join(&mut self) -> Member<T> {
        self.len += 1;
        Member {
            place: self.place,
            group: self.reference(),
        }
    }

    /// A reference to the group, for a task. Tasks that finish decrement the reference count, often
    /// on another CPU than the one that spawns. So this takes references for several tasks to come
    /// at once, for more if the set is larger, and the count's cache line moves between CPUs less
    /// often.
    fn reference(&mut self) -> Arc<Group<Completion<T>, Entry>> {
        self.references.pop().unwrap_or_else(|| {
            let more = (self.len / 4).min(64);
            self.references
                .extend((0..more).map(|_| self.group.clone()));
            self.group.clone()
        })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Completion<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let Poll::Ready(progress) = budget::poll_proceed(cx) else {
            return Poll::Pending;
        };
        let taken = self.taken.get_mut();
        if taken.is_empty() && !self.group.take(taken, cx) {
            if self.level.is_in_play(&self.group) {
                self.level.awaited(&self.group);
            }
            return Poll::Pending;
        }
        progress.made();
        Poll::Ready(self.next_taken())
    }

    fn next_taken(&mut self) -> Option<Completion<T>> {
        let next = self.taken.get_mut().pop_front()?;
        self.len -= 1;
        Some(next)
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
        self.group.close();
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
    use crate::sync::{Arc, thread};
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
        // Without this, a report of a stall would look up the task's name, under one of the locks.
        let builder = Builder::new().worker_threads(2);
        let runtime = builder.stall_threshold(Duration::MAX).build().unwrap();
        let runtime = Arc::new(runtime);
        // Both threads run the same code: a copy of it might have spawn sites of its own, which
        // would be new.
        let in_task = || {
            let runtime = runtime.clone();
            thread::spawn(move || runtime.block_on(runtime.spawn(use_a_set())).unwrap())
        };
        in_task().join().unwrap();
        let held = tasks::hold();
        let other = in_task();
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
