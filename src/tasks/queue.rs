//! A queue of tasks that somebody runs: tasks that belong to no scheduler.
//!
//! # Guarantees
//!
//! - One thread at a time polls and drops the tasks of a queue. Any thread may spawn or wake them.
//! - When [`Queue::close`] has returned, no future of the queue exists any more, nor will there be
//!   one. Each was dropped once.
//!
//! # Protocol
//!
//! 1. A spawn counts the task ([`Queue::alive`]), then asks whether the queue is closed. If so, it
//!    cancels the task where it is. Otherwise it pushes the task, as each wake does.
//! 2. A push appends the runnable, then calls [`Notify::notify`], which makes the owner run the
//!    queue, then tells [`Queue::changed`], for which only a closing thread waits.
//! 3. The future of a task is dropped: its count goes down, and `changed` is told.
//! 4. [`Queue::close`] marks the queue and takes the right to run it. If a thread runs it, the
//!    closing thread waits until that has let it go.
//! 5. Then it closes the registry, which wakes every waiting task into the queue; a task that begins
//!    to wait later ends itself. It cancels what is in the queue until no task is alive. A remote
//!    thread may be between its wake and its push, or between its count and its push: then the count
//!    is not zero yet, and step 2 or 3 ends the wait.
//! 6. A task of the queue that closes it cannot wait for itself. The [`Queue::run`] that polls it
//!    sees the mark after the poll, and does step 5. So does one that sees the mark of another
//!    thread, which then finds little left.
//!
//! Twice, each of two sides writes and then reads what the other has written, with a fence
//! (`SeqCst`) between:
//!
//! | steps 1 and 4 | steps 4 and 4 |
//! |---|---|
//! | a spawn counts, then reads `closed` | `run` lets the queue go, then reads `closed` |
//! | `close` sets `closed`, then reads the count | `close` sets `closed`, then tries to take the queue |
//!
//! So either a spawn sees "closed", or the closing thread sees its count; and either the closing
//! thread takes the queue, or it is told when it is free. Nothing is left behind in a queue that
//! nobody runs, and nobody waits for ever.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_task::{Builder, ScheduleInfo, WithInfo};
use concurrent_queue::ConcurrentQueue;
use event_listener::{Event, Listener, listener};
use pin_project_lite::pin_project;

use super::contain::{Contained, Schedule, classed, spawn_site_of};
use super::observe::{Kind, Observed, observed};
use super::registry::{Registry, thread_number};
use super::{Id, JoinHandle, Meta, Runnable, cancel, current};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{Arc, Mutex};

/// How the owner of a queue learns that there is something to run.
pub(crate) trait Notify: Send + Sync + 'static {
    fn notify(&self);
}

impl Notify for Box<dyn Fn() + Send + Sync> {
    fn notify(&self) {
        self();
    }
}

pub(crate) struct Queue<N> {
    runnables: ConcurrentQueue<Runnable>,
    /// Tasks whose future exists. [`Alive`] adds and subtracts: its release pairs with the acquire of
    /// `drain`. Others read it as a figure.
    alive: AtomicUsize,
    /// Set once by `close`. Read by each spawn, by `run` after each poll, and when the queue is let
    /// go. Relaxed: the fences order it.
    closed: AtomicBool,
    /// The number of the thread that has the right to run the queue, or zero: see [`Running`]. Its
    /// release pairs with the acquire of the next thread, which then may touch the tasks.
    runner: AtomicU64,
    /// Told of each push, of each task that ended, and when a closed queue is let go. Only a closing
    /// thread waits for it.
    changed: Event,
    /// Leased by the first spawn, released by `drain`.
    registry: Mutex<Option<&'static Registry>>,
    /// The runtime that the tasks are listed with.
    runtime: Option<u16>,
    notify: N,
}

impl<N: Notify> Queue<N> {
    /// `runtime`: the one that the tasks are listed with.
    pub(crate) fn new(notify: N, runtime: Option<u16>) -> Queue<N> {
        Queue {
            runnables: ConcurrentQueue::unbounded(),
            alive: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            runner: AtomicU64::new(0),
            changed: Event::default(),
            registry: Mutex::new(None),
            runtime,
            notify,
        }
    }

    /// Number of tasks that are runnable.
    pub(crate) fn len(&self) -> usize {
        self.runnables.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runnables.is_empty()
    }

    /// Number of tasks whose future exists.
    pub(crate) fn num_alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Step 2.
    fn push(&self, runnable: Runnable) {
        match self.runnables.push(runnable) {
            Ok(()) => {
                self.notify.notify();
                self.tell();
            }
            // The queue is unbounded and never closed.
            Err(refused) => drop(refused),
        }
    }

    /// Ends the waits of closing threads. All of them: one may wait for the queue, another for tasks.
    fn tell(&self) {
        self.changed.notify(usize::MAX);
    }

    fn registry(&self) -> Result<&'static Registry, &'static str> {
        let mut registry = self.registry.lock();
        match *registry {
            Some(registry) => Ok(registry),
            None => {
                let leased = Registry::lease_for(self.runtime).ok_or(TOO_MANY)?;
                *registry = Some(leased);
                Ok(leased)
            }
        }
    }

    /// Polls at most `limit` tasks. Returns how many. 0 if the queue is being run already.
    pub(crate) fn run(&self, limit: usize) -> usize {
        if self.is_empty() {
            return 0;
        }
        let Ok(running) = Running::begin(self) else {
            return 0;
        };
        for polled in 0..limit {
            let Ok(runnable) = self.runnables.pop() else {
                return polled;
            };
            current::run_within(runnable);
            if self.is_closed() {
                running.drain();
                return polled + 1;
            }
        }
        limit
    }

    /// Step 4. Called by a task of the queue itself, it leaves the rest to the `run` that polls this
    /// task.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // Pairs with the fence of a spawn, and with that in the drop of `Running`.
        fence(Ordering::SeqCst);
        loop {
            listener!(self.changed => change);
            match Running::begin(self) {
                Ok(running) => return running.drain(),
                Err(runner) if runner == thread_number() => return,
                Err(_) => wait(change),
            }
        }
    }
}

/// Waits for a listener.
fn wait(change: impl Listener + Unpin) {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        crate::sync::thread::wait_for(change, || None);
        return;
    }
    #[cfg(not(target_family = "wasm"))]
    change.wait();
    #[cfg(target_family = "wasm")]
    crate::sync::thread::wait_for(change, || None);
}

/// The right to run a queue.
struct Running<'a, N: Notify>(&'a Queue<N>);

impl<N: Notify> Running<'_, N> {
    /// The error is the number of the thread that runs the queue.
    fn begin(queue: &Queue<N>) -> Result<Running<'_, N>, u64> {
        // Relaxed failure: the fence in `close` comes before, and `run` may fail for an old number.
        (queue.runner)
            .compare_exchange(0, thread_number(), Ordering::Acquire, Ordering::Relaxed)
            .map(|_| Running(queue))
    }

    /// Step 5.
    fn drain(&self) {
        let queue = self.0;
        let registry = *queue.registry.lock();
        if let Some(registry) = registry {
            registry.close();
        }
        loop {
            listener!(queue.changed => change);
            if let Ok(runnable) = queue.runnables.pop() {
                cancel(runnable);
            } else if queue.alive.load(Ordering::Acquire) == 0 {
                break;
            } else {
                wait(change);
            }
        }
        let registry = queue.registry.lock().take();
        if let Some(registry) = registry {
            registry.release();
        }
    }
}

impl<N: Notify> Drop for Running<'_, N> {
    fn drop(&mut self) {
        self.0.runner.store(0, Ordering::Release);
        // Pairs with the fence in `close`: step 4.
        fence(Ordering::SeqCst);
        if self.0.is_closed() {
            self.0.tell();
        }
    }
}

/// Step 1, for [`create_queued`] or [`create_local`].
macro_rules! spawn_with {
    ($create:path, $queue:expr, $future:expr, $bytes:expr) => {{
        let queue: &Arc<Queue<N>> = $queue;
        let counted = Counted {
            future: $future,
            _alive: Alive::new(queue),
        };
        // Pairs with the fence in `close`: step 1.
        fence(Ordering::SeqCst);
        if queue.is_closed() {
            // A registry of its own: that of the queue has been given back.
            let registry = Registry::lease().ok_or(TOO_MANY)?;
            let (runnable, handle) = $create(counted, $bytes, registry, drop);
            cancel(runnable);
            registry.release();
            Ok(handle)
        } else {
            let owned = queue.clone();
            let push = move |runnable| owned.push(runnable);
            let (runnable, handle) = $create(counted, $bytes, queue.registry()?, push);
            runnable.schedule();
            Ok(handle)
        }
    }};
}

const TOO_MANY: &str = "too many runtimes and task queues exist";

impl<N: Notify> Queue<N> {
    /// Spawns a task that must be polled and dropped on this thread. `bytes`: the size of the future
    /// before it was boxed, if it was.
    ///
    /// # Errors
    ///
    /// The reason, when there are too many registries.
    #[track_caller]
    pub(crate) fn spawn_local<F>(
        self: &Arc<Self>,
        future: F,
        bytes: usize,
    ) -> Result<JoinHandle<F::Output>, &'static str>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_with!(create_local, self, future, bytes)
    }

    /// Spawns a task that any thread may poll.
    ///
    /// # Panics
    ///
    /// When there are too many registries.
    #[track_caller]
    pub(crate) fn spawn<F>(self: &Arc<Self>, future: F, bytes: usize) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.try_spawn(future, bytes) {
            Ok(handle) => handle,
            Err(reason) => panic!("{reason}"),
        }
    }

    #[track_caller]
    fn try_spawn<F>(
        self: &Arc<Self>,
        future: F,
        bytes: usize,
    ) -> Result<JoinHandle<F::Output>, &'static str>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn_with!(create_queued, self, future, bytes)
    }
}

/// For tasks of a queue, which counts them itself; the closure that queues them is the schedule
/// function.
enum Queued {}

impl Schedule for Queued {
    fn schedule(_: Runnable, _: ScheduleInfo) {}
    fn finished(_: &Meta) {}
}

/// [`schedule`] with a closure.
fn schedule_with<S: Fn(Runnable)>(
    schedule: S,
) -> WithInfo<impl Fn(async_task::Runnable<Meta>, ScheduleInfo)> {
    WithInfo(move |runnable, info: ScheduleInfo| {
        if info.woken_while_running {
            current::task_is_gone();
        }
        schedule(Runnable::new(runnable));
    })
}

/// For [`create_queued`] and [`create_local`].
macro_rules! create_with {
    ($spawn:ident, $kind:expr, $future:expr, $bytes:expr, $registry:expr, $schedule:expr) => {{
        let meta = Meta::new(Id::next(), spawn_site_of($registry), 0);
        let future = observed($future, $kind, $bytes, Some(meta.id()), None);
        let (runnable, task) = Builder::new().metadata(meta).$spawn(
            move |_| Contained::<Observed<F>, Queued>::new(future),
            schedule_with($schedule),
        );
        (classed::<Queued>(runnable), JoinHandle::new(task))
    }};
}

/// A task that any thread may poll, and that `schedule` queues.
#[track_caller]
fn create_queued<F, S>(
    future: F,
    bytes: usize,
    registry: &Registry,
    schedule: S,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(Runnable) + Send + Sync + 'static,
{
    create_with!(spawn, Kind::Task, future, bytes, registry, schedule)
}

/// A task that must be polled and dropped on the thread that creates it, and that `schedule`
/// queues.
#[track_caller]
fn create_local<F, S>(
    future: F,
    bytes: usize,
    registry: &Registry,
    schedule: S,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
    S: Fn(Runnable) + Send + Sync + 'static,
{
    create_with!(spawn_local, Kind::Local, future, bytes, registry, schedule)
}

pin_project! {
    /// A future and its count. Not an `async` block: if the future panicked, that would drop it
    /// during the unwinding, and a second panic then would abort the process.
    struct Counted<F, N: Notify> {
        #[pin]
        future: F,
        _alive: Alive<N>,
    }
}

impl<F: Future, N: Notify> Future for Counted<F, N> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Counts one task while it exists.
struct Alive<N: Notify>(Arc<Queue<N>>);

impl<N: Notify> Alive<N> {
    fn new(queue: &Arc<Queue<N>>) -> Alive<N> {
        queue.alive.fetch_add(1, Ordering::Relaxed);
        Alive(queue.clone())
    }
}

impl<N: Notify> Drop for Alive<N> {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Release);
        self.0.tell();
    }
}

#[cfg(test)]
mod tests;
