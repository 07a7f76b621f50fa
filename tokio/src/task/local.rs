//! Sets of tasks that need not be `Send`.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use executor::task::LocalTaskQueue;

use super::JoinHandle;
use crate::context;
use crate::coop::Budgeted;
use crate::runtime::shared::Tasks;
use crate::runtime::{Id, Runtime, local_queue};
use crate::simulated::{self, Place};

/// Tasks that a set polls before it gives way, as in the real tokio.
const TURN: usize = 61;

std::thread_local! {
    /// The sets that this thread is in, the innermost last.
    static ENTERED: RefCell<Vec<Rc<Set>>> = const { RefCell::new(Vec::new()) };
}

/// The sets that a simulated thread is in.
#[derive(Default)]
struct Kept(Vec<Rc<Set>>);

impl simulated::Kept for Kept {
    const PLACE: Place = Place::LocalSets;

    fn exchange(&mut self) {
        let _ = ENTERED.try_with(|entered| mem::swap(&mut *entered.borrow_mut(), &mut self.0));
    }
}

/// A set of tasks that are polled on one thread, by whoever polls the set.
pub struct LocalSet {
    set: Rc<Set>,
}

struct Set {
    queue: LocalTaskQueue,
    poller: Arc<Poller>,
    id: Id,
}

/// Whoever polls a set.
#[derive(Default)]
struct Poller {
    /// The waker of the last poll.
    waker: Mutex<Option<Waker>>,
    /// Whether tasks are being polled: then the poller looks at the queue once more when its turn
    /// is over. (`SeqCst` on both sides: a task is pushed before this is read, and this is cleared
    /// before the queue is read.)
    in_turn: AtomicBool,
}

impl Poller {
    fn notify(&self) {
        fence(Ordering::SeqCst);
        if !self.in_turn.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
        let waker = self.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn register(&self, cx: &Context<'_>) {
        if (self.lock().as_ref()).is_some_and(|waker| waker.will_wake(cx.waker())) {
            return;
        }
        // Neither cloned nor dropped under the lock: both may be foreign code.
        let waker = cx.waker().clone();
        let before = self.lock().replace(waker);
        drop(before);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spawns a task that need not be `Send` onto the [`LocalSet`] or the
/// [`LocalRuntime`](crate::runtime::LocalRuntime) that this thread is in.
///
/// # Panics
///
/// Outside of both, and in a local runtime on a thread that is not its own.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    if let Ok(handle) = context::current() {
        if let Tasks::Local(_, owner) = handle.shared().tasks {
            let queue = local_queue(handle.id()).filter(|_| owner == thread::current().id());
            let Some(queue) = queue else {
                panic!(
                    "Local tasks can only be spawned on a LocalRuntime from the thread the runtime \
                     was created on"
                );
            };
            return JoinHandle::new(queue.spawn_local(Budgeted::new(future)));
        }
    }
    match entered() {
        Some(set) => set.spawn(future),
        None => panic!(
            "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime`"
        ),
    }
}

fn entered() -> Option<Rc<Set>> {
    ENTERED
        .try_with(|entered| entered.borrow().last().cloned())
        .ok()
        .flatten()
}

/// A set that is entered until this is dropped.
pub struct LocalEnterGuard {
    /// Number of sets entered, with this one; 0 if the thread's locals were being destroyed.
    depth: usize,
    not_send: PhantomData<*const ()>,
}

impl LocalEnterGuard {
    fn new(set: Rc<Set>) -> LocalEnterGuard {
        let depth = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            entered.push(set);
            entered.len()
        });
        LocalEnterGuard {
            depth: depth.unwrap_or(0),
            not_send: PhantomData,
        }
    }
}

impl Drop for LocalEnterGuard {
    fn drop(&mut self) {
        if self.depth > 0 {
            let left = ENTERED.try_with(|entered| {
                let mut entered = entered.borrow_mut();
                let depth = entered.len().min(self.depth - 1);
                entered.split_off(depth)
            });
            // Outside the borrow: a set may be dropped with its last reference.
            drop(left);
        }
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish()
    }
}

impl Set {
    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        JoinHandle::new(self.queue.spawn_local(Budgeted::new(future)))
    }

    /// Polls up to [`TURN`] tasks. `true`: more are runnable.
    fn tick(&self) -> bool {
        self.poller.in_turn.store(true, Ordering::Relaxed);
        self.queue.run(TURN);
        self.poller.in_turn.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.queue.has_runnable()
    }
}

impl LocalSet {
    /// An empty set.
    pub fn new() -> LocalSet {
        simulated::keep::<Kept>();
        let poller = Arc::new(Poller::default());
        let notified = poller.clone();
        LocalSet {
            set: Rc::new(Set {
                queue: LocalTaskQueue::new(move || notified.notify()),
                poller,
                id: Id::next(),
            }),
        }
    }

    /// Makes [`spawn_local`] spawn onto this set, until the guard is dropped.
    pub fn enter(&self) -> LocalEnterGuard {
        LocalEnterGuard::new(self.set.clone())
    }

    /// Spawns a task onto the set. It runs when the set is polled.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.set.spawn(future)
    }

    /// Runs a future and the tasks of the set in `rt`, until the future is complete.
    #[track_caller]
    pub fn block_on<F>(&self, rt: &Runtime, future: F) -> F::Output
    where
        F: Future,
    {
        rt.block_on(self.run_until(future))
    }

    /// Runs a future and the tasks of the set, until the future is complete.
    pub async fn run_until<F>(&self, future: F) -> F::Output
    where
        F: Future,
    {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _entered = self.enter();
            self.set.poller.register(cx);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            if self.set.tick() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// The number of the set, which no runtime has.
    pub fn id(&self) -> Id {
        self.set.id
    }
}

/// Complete when all tasks of the set have ended.
impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _entered = self.enter();
        self.set.poller.register(cx);
        if self.set.tick() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.set.queue.num_alive_tasks() {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        let _entered = self.enter();
        self.set.queue.close();
    }
}

impl Default for LocalSet {
    fn default() -> LocalSet {
        LocalSet::new()
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").finish()
    }
}
