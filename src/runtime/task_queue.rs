//! Queues of tasks for threads that have a loop of their own: the public side of
//! [`tasks::queue`](crate::tasks::queue).

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use super::context;
use crate::sync::Arc;
use crate::tasks::JoinHandle;
use crate::tasks::large::boxing;
use crate::tasks::queue::Queue;

type Called = Queue<Box<dyn Fn() + Send + Sync>>;

/// Tasks for a thread that has a loop of its own: that of a window system, of a game, of another
/// library. They run when the thread calls [`run`](TaskQueue::run), and nowhere else.
///
/// Timers and sockets that the tasks wait for belong to the runtime that the thread is in, and
/// wake the tasks from its threads. Task dumps list the tasks with the runtime that the thread was
/// in that made the queue.
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
    queue: Arc<Called>,
}

impl TaskQueue {
    /// An empty queue. `notify` is called when a task becomes runnable, on the thread that wakes or
    /// spawns it, also on the one that runs the queue. It must neither block nor panic nor run the
    /// queue: its purpose is to make another piece of code do so.
    pub fn new(notify: impl Fn() + Send + Sync + 'static) -> TaskQueue {
        let runtime = context::current().map(|shared| shared.registry.index());
        TaskQueue {
            queue: Arc::new(Queue::new(Box::new(notify), runtime)),
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
        boxing!(F, future => self.queue.spawn(future, size_of::<F>()))
    }

    /// A handle that spawns onto the queue from any thread.
    pub fn spawner(&self) -> TaskSpawner {
        TaskSpawner {
            queue: self.queue.clone(),
        }
    }

    /// Polls tasks that are runnable, at most `limit` of them, each with a budget of its own.
    /// Returns how many polls that were: less than `limit` when no task is left.
    ///
    /// One thread at a time runs a queue. 0 for another one, and for a task of the queue itself. If
    /// several threads share a queue, each asks [`has_runnable`](TaskQueue::has_runnable) when it is
    /// done: a task may have become runnable while another thread could not run it.
    pub fn run(&self, limit: usize) -> usize {
        self.queue.run(limit)
    }

    /// Whether a task is runnable.
    pub fn has_runnable(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Number of tasks that have not ended.
    pub fn num_alive_tasks(&self) -> usize {
        self.queue.num_alive()
    }

    /// Cancels all tasks and waits for their end. Tasks spawned later are cancelled at once.
    ///
    /// Waits until another thread that runs the queue has returned. Called by a task of the queue
    /// itself, it leaves that to the [`run`](TaskQueue::run) that polls this task.
    pub fn close(&self) {
        self.queue.close();
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
    queue: Arc<Called>,
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
        boxing!(F, future => self.queue.spawn(future, size_of::<F>()))
    }

    /// Like [`TaskQueue::num_alive_tasks`].
    pub fn num_alive_tasks(&self) -> usize {
        self.queue.num_alive()
    }

    /// Number of tasks that are runnable.
    pub fn num_runnable_tasks(&self) -> usize {
        self.queue.len()
    }

    /// Whether the queue is closed, or about to be.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
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
        let queue = &self.queue.queue;
        match boxing!(F, future => queue.spawn_local(future, size_of::<F>())) {
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
