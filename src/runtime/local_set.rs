//! Tasks that are not `Send`: they belong to one `block_on` and run between the polls of its future.
//!
//! # Guarantees
//!
//! A local task is polled and dropped on its thread only. It may be woken from any: its schedule function owns the queue
//! and wakes the `block_on`. When the `block_on` ends, tasks that have not finished are cancelled, there and then.
//!
//! # Ending
//!
//! 1. The set's registry is closed: every task that waits is woken into the queue, one that begins to wait ends itself.
//! 2. The queue is emptied by cancelling, until no task is alive. A remote thread may be between its wake and its push;
//!    the number of live tasks says so, and its push wakes us.

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

/// Local tasks run in a row before the future has its turn. The worker's figure for the same question.
const TURN: usize = 61;

std::thread_local! {
    /// The `block_on`s of this thread, the innermost last.
    static FRAMES: RefCell<Vec<Rc<Set>>> = const { RefCell::new(Vec::new()) };
}

/// The local tasks of one `block_on`. The registry is leased with the first of them.
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

/// The place of one `block_on` on this thread's stack.
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
        // A destructor of another thread-local may come here after this one is gone: then there is no `spawn_local`.
        let _ = FRAMES.try_with(|frames| frames.borrow_mut().push(set.clone()));
        Frame { set }
    }

    /// Runs some local tasks. False: there was none.
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
                // Before the look: a push that comes after it then wakes this thread, whatever woke it before.
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

/// Runs a future that need not be `Send` on this thread, between the polls of the innermost `block_on`.
///
/// It never leaves the thread. Tasks that have not finished when the `block_on` returns are cancelled.
///
/// # Panics
///
/// Outside a `block_on` of this thread: a task on a worker moves between threads, so nothing there could run it.
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

/// As [`spawn_local`], with the reason if that is not possible. `bytes`: the size of the future before it was boxed, if it was.
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
    /// A local future and its count. Not an `async` block: that would drop the future while a panic of it unwinds, and a
    /// second panic then would end the process.
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
