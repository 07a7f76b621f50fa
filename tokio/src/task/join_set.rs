//! Many tasks, joined in the order in which they end.
//!
//! # Protocol
//!
//! 1. A task of the set carries a [`Notice`], which is dropped with its future. That puts the
//!    task's key into the set's list and wakes whoever waits for the set.
//! 2. A join takes the first key and polls that task's handle. A future is dropped a moment before
//!    its handle has the result, and a panic may come between. So the handle may say "pending". Then
//!    the poll has left the caller's waker with it, and the key goes back into the list.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use real::task::coop::{has_budget_remaining, unconstrained};

use super::{AbortHandle, Id, JoinError, JoinHandle, LocalSet};
use crate::context;
use crate::runtime::Handle;

/// A set of tasks, joined in the order in which they end. Dropping it aborts them.
pub struct JoinSet<T> {
    tasks: BTreeMap<u64, JoinHandle<T>>,
    next: u64,
    ended: Arc<Ended>,
}

/// The tasks that have ended and are not joined.
#[derive(Default)]
struct Ended(Mutex<List>);

#[derive(Default)]
struct List {
    keys: VecDeque<u64>,
    waker: Option<Waker>,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Step 1.
struct Notice {
    key: u64,
    ended: Arc<Ended>,
}

impl Drop for Notice {
    fn drop(&mut self) {
        let waker = {
            let mut list = self.ended.lock();
            list.keys.push_back(self.key);
            list.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pin_project! {
    /// A future and its notice, which is dropped after it.
    struct Noticed<F> {
        #[pin]
        future: F,
        _notice: Notice,
    }
}

impl<F: Future> Future for Noticed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            tasks: BTreeMap::new(),
            next: 0,
            ended: Arc::default(),
        }
    }

    /// The number of tasks in the set.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is in the set.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    fn notice(&mut self) -> Notice {
        self.next += 1;
        Notice {
            key: self.next,
            ended: self.ended.clone(),
        }
    }

    fn noticed<F>(&mut self, future: F) -> Noticed<F> {
        Noticed {
            future,
            _notice: self.notice(),
        }
    }

    fn insert(&mut self, task: JoinHandle<T>) -> AbortHandle {
        let abort = task.abort_handle();
        self.tasks.insert(self.next, task);
        abort
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task onto the runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let handle = context::expect_current();
        let task = handle.spawn(self.noticed(task));
        self.insert(task)
    }

    /// Spawns a task onto a runtime.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let task = handle.spawn(self.noticed(task));
        self.insert(task)
    }

    /// Spawns a task that need not be `Send`, as [`spawn_local`](super::spawn_local) does.
    ///
    /// # Panics
    ///
    /// As that function does.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let task = super::spawn_local(self.noticed(task));
        self.insert(task)
    }

    /// Spawns a task that need not be `Send` onto a set of such tasks.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let task = local_set.spawn_local(self.noticed(task));
        self.insert(task)
    }

    /// Runs a closure that may block, on the runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let handle = context::expect_current();
        self.spawn_blocking_on(f, &handle)
    }

    /// Runs a closure that may block, on a runtime.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let notice = self.notice();
        let task = handle.spawn_blocking(move || {
            let _notice = notice;
            f()
        });
        self.insert(task)
    }

    /// Waits for the next task that ends. `None` if the set is empty.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Like [`join_next`](JoinSet::join_next), with the id of the task.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// The result of a task that has ended, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id().map(without_id)
    }

    /// Like [`try_join_next`](JoinSet::try_join_next), with the id of the task.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let mut cx = Context::from_waker(Waker::noop());
        let count = self.ended.lock().keys.len();
        for _ in 0..count {
            if let Poll::Ready(result) = self.poll_first(&mut cx, true)? {
                return Some(result);
            }
        }
        None
    }

    /// Aborts all tasks and waits for their end.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Waits for all tasks, and returns their outputs in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If one of them fails, after which all others are aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut output = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(value) => output.push(value),
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => std::panic::resume_unwind(payload),
                    Err(error) => panic!("{error}"),
                },
            }
        }
        output
    }

    /// Asks all tasks to stop. They stay in the set.
    pub fn abort_all(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }

    /// Removes all tasks from the set and lets them run on.
    pub fn detach_all(&mut self) {
        self.tasks.clear();
        self.ended = Arc::default();
    }

    /// The poll form of [`join_next`](JoinSet::join_next).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        let result = ready!(self.poll_join_next_with_id(cx));
        Poll::Ready(result.map(without_id))
    }

    /// The poll form of [`join_next_with_id`](JoinSet::join_next_with_id).
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let count = {
            // Neither cloned nor dropped under the lock: both may be foreign code.
            let waker = cx.waker().clone();
            let mut list = self.ended.lock();
            let before = list.waker.replace(waker);
            let count = list.keys.len();
            drop(list);
            drop(before);
            count
        };
        for _ in 0..count {
            match self.poll_first(cx, false) {
                Some(Poll::Ready(result)) => return Poll::Ready(Some(result)),
                Some(Poll::Pending) if !has_budget_remaining() => break,
                Some(Poll::Pending) | None => {}
            }
        }
        Poll::Pending
    }

    /// Step 2. `None`: the list is empty. `at_once`: without a budget.
    fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        at_once: bool,
    ) -> Option<Poll<Result<(Id, T), JoinError>>> {
        let key = self.ended.lock().keys.pop_front()?;
        let task = self.tasks.get_mut(&key)?;
        let id = task.id();
        let polled = match at_once {
            true => Pin::new(&mut unconstrained(&mut *task)).poll(cx),
            false => Pin::new(&mut *task).poll(cx),
        };
        match polled {
            Poll::Ready(result) => {
                self.tasks.remove(&key);
                Some(Poll::Ready(result.map(|output| (id, output))))
            }
            Poll::Pending => {
                self.ended.lock().keys.push_front(key);
                Some(Poll::Pending)
            }
        }
    }
}

fn without_id<T>(result: Result<(Id, T), JoinError>) -> Result<T, JoinError> {
    result.map(|(_, output)| output)
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Spawns each future onto the runtime that this thread is in.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(iter: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        set.extend(iter);
        set
    }
}

/// Spawns each future onto the runtime that this thread is in.
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, iter: I) {
        iter.into_iter().for_each(|task| drop(self.spawn(task)));
    }
}
