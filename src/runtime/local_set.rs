//! Tasks that are not `Send`: they belong to one `block_on` and run between the polls of its
//! future.
//!
//! # Guarantees
//!
//! Only the thread of the `block_on` polls and drops a local task. Any thread may wake it: the
//! task's schedule function owns the queue and wakes the `block_on`. When the `block_on` ends, its
//! thread cancels the tasks that have not finished.
//!
//! # Ending
//!
//! 1. The drop of [`Frame`] closes the registry of the set. This wakes every waiting task into the
//!    queue. A task that begins to wait later ends itself.
//! 2. It cancels the tasks in the queue until no task is alive. A remote thread may be between its
//!    wake and its push. Then the number of live tasks is not zero yet, and the push wakes this
//!    thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use concurrent_queue::ConcurrentQueue;
use pin_project_lite::pin_project;

use super::signal::Signal;
use crate::sync::Arc;
use crate::tasks::large::boxing;
use crate::tasks::registry::Registry;
use crate::tasks::{self, JoinHandle, Runnable};

/// Local tasks run in a row before the future is polled again. A worker looks into the global queue
/// after as many polls.
const TURN: usize = 61;

std::thread_local! {
    /// The sets of the `block_on`s of this thread, the innermost last.
    static FRAMES: RefCell<Vec<Rc<Set>>> = const { RefCell::new(Vec::new()) };
}

/// The local tasks of one `block_on`. The first of them leases the registry.
struct Set {
    queue: Arc<Queue>,
    registry: Cell<Option<&'static Registry>>,
    alive: Rc<Cell<usize>>,
}

pub(super) struct Queue {
    runnables: ConcurrentQueue<Runnable>,
    /// Wakes the `block_on`.
    signal: Arc<Signal>,
}

impl Queue {
    fn push(&self, runnable: Runnable) {
        match self.runnables.push(runnable) {
            Ok(()) => self.signal.nudge(),
            // The queue is unbounded and never closed.
            Err(refused) => drop(refused),
        }
    }
}

/// One `block_on` on this thread's stack.
pub(super) struct Frame {
    set: Rc<Set>,
}

impl Queue {
    pub(super) fn has_tasks(&self) -> bool {
        !self.runnables.is_empty()
    }
}

impl Frame {
    pub(super) fn queue(&self) -> Arc<Queue> {
        self.set.queue.clone()
    }

    pub(super) fn enter(signal: Arc<Signal>) -> Frame {
        let queue = Arc::new(Queue {
            runnables: ConcurrentQueue::unbounded(),
            signal,
        });
        let set = Rc::new(Set {
            queue,
            registry: Cell::new(None),
            alive: Rc::default(),
        });
        // The destructor of another thread-local may come here after `FRAMES` was destroyed: then
        // there is no `spawn_local`.
        let _ = FRAMES.try_with(|frames| frames.borrow_mut().push(set.clone()));
        Frame { set }
    }

    /// Runs some local tasks. `false`: there was none.
    pub(super) fn run_local_tasks(&self) -> bool {
        let mut any = false;
        for _ in 0..TURN {
            let Ok(runnable) = self.set.queue.runnables.pop() else {
                return any;
            };
            tasks::run(runnable);
            any = true;
        }
        any
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if let Some(registry) = self.set.registry.get() {
            registry.close();
            let queue = &self.set.queue;
            while self.set.alive.get() != 0 {
                // Before the pop: a push after the pop wakes this thread from `park`, even if an
                // earlier wake had set the signal.
                queue.signal.take();
                match queue.runnables.pop() {
                    Ok(runnable) => {
                        tasks::cancel(runnable);
                    }
                    Err(_) => queue.signal.park(),
                }
            }
            registry.release();
        }
        let _ = FRAMES.try_with(|frames| frames.borrow_mut().pop());
    }
}

/// Runs a future that need not be `Send` on this thread, between the polls of the innermost
/// `block_on`.
///
/// The future never leaves the thread. When the `block_on` returns, it cancels local tasks that
/// have not finished.
///
/// # Panics
///
/// Outside a `block_on` of this thread. A worker does not count: its tasks move between threads, so
/// nothing there could run the future.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let sum = executor::block_on(async {
///     let shared = Rc::new(5);
///     let local = executor::spawn_local({
///         let shared = shared.clone();
///         async move { *shared + 1 }
///     });
///     *shared + local.await.unwrap()
/// });
/// assert_eq!(sum, 11);
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let spawned = boxing!(F, future => try_spawn_local(future, size_of::<F>()));
    match spawned {
        Ok(handle) => handle,
        Err(reason) => panic!("spawn_local: {reason}"),
    }
}

/// Whether a `block_on` of this thread could run local tasks.
#[cfg(feature = "futures-task")]
pub(crate) fn in_block_on() -> bool {
    FRAMES
        .try_with(|frames| !frames.borrow().is_empty())
        .unwrap_or(false)
}

/// Like [`spawn_local`], but returns the reason if that is not possible. `bytes`: the size of the
/// future before it was boxed, if it was.
#[track_caller]
pub(crate) fn try_spawn_local<F>(
    future: F,
    bytes: usize,
) -> Result<JoinHandle<F::Output>, &'static str>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let set = FRAMES.try_with(|frames| frames.borrow().last().cloned());
    let set = set
        .ok()
        .flatten()
        .ok_or("no block_on is running on this thread that could poll the future")?;
    let registry = match set.registry.get() {
        Some(registry) => registry,
        None => {
            let registry = Registry::lease().ok_or("too many local task sets exist")?;
            set.registry.set(Some(registry));
            registry
        }
    };
    let alive = Alive::new(&set.alive);
    let queue = set.queue.clone();
    let (runnable, handle) = tasks::create_local(
        Counted {
            future,
            _alive: alive,
        },
        bytes,
        registry,
        move |runnable| queue.push(runnable),
    );
    runnable.schedule();
    Ok(handle)
}

pin_project! {
    /// A local future and its count. Not an `async` block: if the future panicked, that would drop
    /// it during the unwinding, and a second panic then would abort the process.
    struct Counted<F> {
        #[pin]
        future: F,
        _alive: Alive,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Counts one local task while it exists.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Alive {
        count.set(count.get() + 1);
        Alive(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
