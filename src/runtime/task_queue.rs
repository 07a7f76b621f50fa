//! Tasks that run where somebody runs their queue: for threads that have a loop of their own.
//!
//! # Protocol
//!
//! 1. A spawn counts the task ([`Core::alive`]), then asks whether the queue is closed. If so, it
//!    cancels the task where it is. Otherwise it pushes the task, as each wake does.
//! 2. A push appends the runnable, then calls `notify`, which makes the owner run the queue, then
//!    tells [`Core::changed`], for which only a closing thread waits.
//! 3. The future of a task is dropped: its count goes down, and `changed` is told.
//! 4. [`Core::close`] closes the registry, which wakes every waiting task into the queue; a task
//!    that begins to wait later ends itself. Then it cancels what is in the queue until no task is
//!    alive. A remote thread may be between its wake and its push, or in a poll: then the count is
//!    not zero yet, and step 2 or 3 ends the wait.
//!
//! Between steps 1 and 4 each side writes and then reads what the other has written (the count and
//! `closed`, `SeqCst` on both sides): either the spawn sees "closed", or the closing thread sees
//! the count. Nothing is left behind in a queue that nobody runs.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use concurrent_queue::ConcurrentQueue;
use event_listener::{Event, Listener, listener};
use pin_project_lite::pin_project;

use super::signal::Signal;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::tasks::large::boxing;
use crate::tasks::registry::{Registry, thread_number};
use crate::tasks::{self, JoinHandle, Runnable};

/// Runnables that one `run` polls at most before it returns to its caller, where nothing else is
/// asked for. A worker looks into the global queue after as many polls.
pub(super) const TURN: usize = 61;

/// How the owner of a queue learns that there is something to run.
pub(super) enum Notify {
    /// The owner is in a `block_on`.
    Signal(Arc<Signal>),
    Call(Box<dyn Fn() + Send + Sync>),
}

/// A queue and its tasks.
pub(super) struct Core {
    runnables: ConcurrentQueue<Runnable>,
    /// Tasks whose future exists. Written by `Counted` (spawn and drop), read by `close`.
    alive: AtomicUsize,
    /// Written by `close`; read by each spawn, and by `run` after each poll.
    closed: AtomicBool,
    /// Whether a thread is in `run` or `drain`, and its number, which only that thread compares
    /// with its own.
    is_running: AtomicBool,
    runner: AtomicU64,
    /// Told of each push and of each task that ended. Only a closing thread waits for it.
    changed: Event,
    /// Leased by the first spawn, released by `close`.
    registry: Mutex<Option<&'static Registry>>,
    notify: Notify,
}

impl Core {
    pub(super) fn new(notify: Notify) -> Core {
        Core {
            runnables: ConcurrentQueue::unbounded(),
            alive: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
            runner: AtomicU64::new(0),
            changed: Event::new(),
            registry: Mutex::new(None),
            notify,
        }
    }

    pub(super) fn has_tasks(&self) -> bool {
        !self.runnables.is_empty()
    }

    fn push(&self, runnable: Runnable) {
        match self.runnables.push(runnable) {
            Ok(()) => {
                match &self.notify {
                    Notify::Signal(signal) => signal.nudge(),
                    Notify::Call(call) => call(),
                }
                self.changed.notify(1);
            }
            // The queue is unbounded and never closed.
            Err(refused) => drop(refused),
        }
    }

    fn registry(&self) -> Result<&'static Registry, &'static str> {
        let mut registry = self.registry.lock();
        match *registry {
            Some(registry) => Ok(registry),
            None => {
                let leased = Registry::lease().ok_or(TOO_MANY)?;
                *registry = Some(leased);
                Ok(leased)
            }
        }
    }
}

impl Core {
    /// Polls at most `limit` tasks. Returns how many. 0 if the queue is being run already.
    pub(super) fn run(&self, limit: usize) -> usize {
        let Some(running) = Running::begin(self) else {
            return 0;
        };
        for polled in 0..limit {
            let Ok(runnable) = self.runnables.pop() else {
                return polled;
            };
            tasks::run(runnable);
            if self.closed.load(Ordering::Relaxed) {
                running.drain();
                return polled + 1;
            }
        }
        limit
    }

    /// Step 4, by whichever thread may run the queue.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        loop {
            listener!(self.changed => change);
            if let Some(running) = Running::begin(self) {
                return running.drain();
            }
            if self.runner.load(Ordering::Relaxed) == thread_number() {
                // A task of the queue has called this: `run` goes on with it.
                return;
            }
            change.wait();
        }
    }
}

/// The right to run a queue.
struct Running<'a>(&'a Core);

impl Running<'_> {
    fn begin(core: &Core) -> Option<Running<'_>> {
        if core.is_running.swap(true, Ordering::SeqCst) {
            return None;
        }
        core.runner.store(thread_number(), Ordering::Relaxed);
        Some(Running(core))
    }

    /// Cancels everything.
    fn drain(&self) {
        let core = self.0;
        if let Some(registry) = *core.registry.lock() {
            registry.close();
        }
        loop {
            listener!(core.changed => change);
            if let Ok(runnable) = core.runnables.pop() {
                tasks::cancel(runnable);
            } else if core.alive.load(Ordering::SeqCst) == 0 {
                break;
            } else {
                change.wait();
            }
        }
        let registry = core.registry.lock().take();
        if let Some(registry) = registry {
            registry.release();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.runner.store(0, Ordering::Relaxed);
        self.0.is_running.store(false, Ordering::SeqCst);
        if self.0.closed.load(Ordering::SeqCst) {
            self.0.changed.notify(usize::MAX);
        }
    }
}

/// Step 1, for [`tasks::create_queued`] or [`tasks::create_local`].
macro_rules! spawn_with {
    ($create:path, $core:expr, $future:expr, $bytes:expr) => {{
        let core: &Arc<Core> = $core;
        let counted = Counted {
            future: $future,
            _alive: Alive::new(core),
        };
        if core.closed.load(Ordering::SeqCst) {
            // A registry of its own: that of the queue has been given back.
            let registry = Registry::lease().ok_or(TOO_MANY)?;
            let (runnable, handle) = $create(counted, $bytes, registry, drop);
            tasks::cancel(runnable);
            registry.release();
            Ok(handle)
        } else {
            let queue = core.clone();
            let push = move |runnable| queue.push(runnable);
            let (runnable, handle) = $create(counted, $bytes, core.registry()?, push);
            runnable.schedule();
            Ok(handle)
        }
    }};
}

const TOO_MANY: &str = "too many runtimes and task queues exist";

/// Spawns a task that must be polled and dropped on this thread. `bytes`: the size of the future
/// before it was boxed, if it was.
#[track_caller]
pub(super) fn spawn_local_on<F>(
    core: &Arc<Core>,
    future: F,
    bytes: usize,
) -> Result<JoinHandle<F::Output>, &'static str>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_with!(tasks::create_local, core, future, bytes)
}

#[track_caller]
fn spawn_queued_on<F>(
    core: &Arc<Core>,
    future: F,
    bytes: usize,
) -> Result<JoinHandle<F::Output>, &'static str>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_with!(tasks::create_queued, core, future, bytes)
}

#[track_caller]
fn spawn<F>(core: &Arc<Core>, future: F, bytes: usize) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match spawn_queued_on(core, future, bytes) {
        Ok(handle) => handle,
        Err(reason) => panic!("{reason}"),
    }
}

pin_project! {
    /// A future and its count. Not an `async` block: if the future panicked, that would drop it
    /// during the unwinding, and a second panic then would abort the process.
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

/// Counts one task while it exists.
struct Alive(Arc<Core>);

impl Alive {
    fn new(core: &Arc<Core>) -> Alive {
        core.alive.fetch_add(1, Ordering::SeqCst);
        Alive(core.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify(1);
    }
}

/// Tasks for a thread that has a loop of its own: that of a window system, of a game, of another
/// library. They run when the thread calls [`run`](TaskQueue::run), and nowhere else.
///
/// Timers and sockets that the tasks wait for belong to the runtime that the thread is in, and
/// wake the tasks from its threads.
///
/// Dropping the queue [closes](TaskQueue::close) it.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// let (wake, woken) = mpsc::channel();
/// let queue = executor::task::TaskQueue::new(move || drop(wake.send(())));
/// let task = queue.spawn(async {
///     executor::time::sleep(Duration::from_millis(1)).await;
///     "done"
/// });
/// while !task.is_finished() {
///     woken.recv().unwrap();
///     queue.run(usize::MAX);
/// }
/// assert_eq!(executor::block_on(task).unwrap(), "done");
/// ```
pub struct TaskQueue {
    core: Arc<Core>,
}

impl TaskQueue {
    /// An empty queue. `notify` is called when a task becomes runnable, on the thread that wakes or
    /// spawns it, also on the one that runs the queue. It must neither block nor panic nor run the
    /// queue: its purpose is to make another piece of code do so.
    pub fn new(notify: impl Fn() + Send + Sync + 'static) -> TaskQueue {
        TaskQueue {
            core: Arc::new(Core::new(Notify::Call(Box::new(notify)))),
        }
    }

    /// Spawns a task onto the queue.
    ///
    /// If the queue is closed, the task is cancelled before its first poll.
    ///
    /// # Panics
    ///
    /// When 16,384 runtimes and queues exist.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        boxing!(F, future => spawn(&self.core, future, size_of::<F>()))
    }

    /// A handle that spawns onto the queue from any thread.
    pub fn spawner(&self) -> TaskSpawner {
        TaskSpawner {
            core: self.core.clone(),
        }
    }

    /// Polls tasks that are runnable, at most `limit` of them, each with a budget of its own.
    /// Returns how many polls that were: less than `limit` when no task is left.
    ///
    /// One thread at a time runs a queue. 0 for another one, and for a task of the queue itself.
    pub fn run(&self, limit: usize) -> usize {
        self.core.run(limit)
    }

    /// Whether a task is runnable.
    pub fn has_runnable(&self) -> bool {
        self.core.has_tasks()
    }

    /// Number of tasks that have not ended.
    pub fn num_alive_tasks(&self) -> usize {
        self.core.alive.load(Ordering::Relaxed)
    }

    /// Cancels all tasks and waits for their end. Tasks spawned later are cancelled at once.
    ///
    /// Waits until another thread that runs the queue has returned. Called by a task of the queue
    /// itself, it leaves that to the [`run`](TaskQueue::run) that polls this task.
    pub fn close(&self) {
        self.core.close();
    }
}

impl Drop for TaskQueue {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for TaskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskQueue")
            .field("alive", &self.num_alive_tasks())
            .finish_non_exhaustive()
    }
}

/// Spawns onto a [`TaskQueue`] or a [`LocalTaskQueue`], from any thread.
#[derive(Clone)]
pub struct TaskSpawner {
    core: Arc<Core>,
}

impl TaskSpawner {
    /// Like [`TaskQueue::spawn`].
    ///
    /// # Panics
    ///
    /// When 16,384 runtimes and queues exist.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        boxing!(F, future => spawn(&self.core, future, size_of::<F>()))
    }

    /// Like [`TaskQueue::num_alive_tasks`].
    pub fn num_alive_tasks(&self) -> usize {
        self.core.alive.load(Ordering::Relaxed)
    }

    /// Number of tasks that are runnable.
    pub fn num_runnable_tasks(&self) -> usize {
        self.core.runnables.len()
    }

    /// Whether the queue is closed, or about to be.
    pub fn is_closed(&self) -> bool {
        self.core.closed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for TaskSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSpawner").finish_non_exhaustive()
    }
}

/// A [`TaskQueue`] that stays on its thread, so that its tasks need not be `Send`.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// let queue = executor::task::LocalTaskQueue::new(|| ());
/// let count = Rc::new(Cell::new(0));
/// let (ours, theirs) = (count.clone(), count);
/// queue.spawn_local(async move { theirs.set(1) });
/// queue.run(usize::MAX);
/// assert_eq!(ours.get(), 1);
/// ```
#[derive(Debug)]
pub struct LocalTaskQueue {
    queue: TaskQueue,
    not_send: PhantomData<*const ()>,
}

impl LocalTaskQueue {
    /// Like [`TaskQueue::new`].
    pub fn new(notify: impl Fn() + Send + Sync + 'static) -> LocalTaskQueue {
        LocalTaskQueue {
            queue: TaskQueue::new(notify),
            not_send: PhantomData,
        }
    }

    /// Spawns a task onto the queue. If the queue is closed, the task is cancelled before its first
    /// poll.
    ///
    /// # Panics
    ///
    /// When 16,384 runtimes and queues exist.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let core = &self.queue.core;
        match boxing!(F, future => spawn_local_on(core, future, size_of::<F>())) {
            Ok(handle) => handle,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// A handle that spawns tasks that are `Send` onto the queue, from any thread.
    pub fn spawner(&self) -> TaskSpawner {
        self.queue.spawner()
    }

    /// Like [`TaskQueue::run`].
    pub fn run(&self, limit: usize) -> usize {
        self.queue.run(limit)
    }

    /// Like [`TaskQueue::has_runnable`].
    pub fn has_runnable(&self) -> bool {
        self.queue.has_runnable()
    }

    /// Like [`TaskQueue::num_alive_tasks`].
    pub fn num_alive_tasks(&self) -> usize {
        self.queue.num_alive_tasks()
    }

    /// Like [`TaskQueue::close`].
    pub fn close(&self) {
        self.queue.close();
    }
}
