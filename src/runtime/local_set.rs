//! Tasks that are not `Send`: they belong to one `block_on` and run between the polls of its
//! future.
//!
//! # Guarantees
//!
//! Only the thread of the `block_on` polls and drops a local task. Any thread may wake it: the
//! task's schedule function owns the queue and wakes the `block_on`. When the `block_on` ends, its
//! thread cancels the tasks that have not finished.
//!
//! The tasks are those of a [`Queue`], which also ends them.

use std::cell::RefCell;
use std::future::Future;

use super::signal::Signal;
use crate::sync::Arc;
use crate::tasks::JoinHandle;
use crate::tasks::large::boxing;
use crate::tasks::queue::{Notify, Queue};

/// Local tasks that run before the future of the `block_on` is polled again, at most. A worker looks
/// into the global queue after as many polls.
const TURN: usize = 61;

impl Notify for Arc<Signal> {
    fn notify(&self) {
        self.nudge();
    }
}

type Signalled = Queue<Arc<Signal>>;

std::thread_local! {
    /// The queues of the `block_on`s of this thread, the innermost last.
    static FRAMES: RefCell<Vec<Arc<Signalled>>> = const { RefCell::new(Vec::new()) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept(Vec<Arc<Signalled>>);

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        FRAMES.with_borrow_mut(|frames| std::mem::swap(frames, &mut self.0));
    }
}

/// One `block_on` on this thread's stack.
pub(super) struct Frame {
    queue: Arc<Signalled>,
}

impl Frame {
    pub(super) fn queue(&self) -> Arc<Signalled> {
        self.queue.clone()
    }

    /// `runtime`: the one that the `block_on` is in.
    pub(super) fn enter(signal: Arc<Signal>, runtime: u16) -> Frame {
        let queue = Arc::new(Queue::new(signal, Some(runtime)));
        // The destructor of another thread-local may come here after `FRAMES` was destroyed: then
        // there is no `spawn_local`.
        let _ = FRAMES.try_with(|frames| frames.borrow_mut().push(queue.clone()));
        Frame { queue }
    }

    /// Runs some local tasks. `false`: there was none.
    pub(super) fn run_local_tasks(&self) -> bool {
        self.queue.run(TURN) > 0
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.queue.close();
        let _ = FRAMES.try_with(|frames| frames.borrow_mut().pop());
    }
}

/// Calls what runs tasks of other owners on this thread: they are in no `block_on` of it.
pub(super) fn outside_of_frames<R>(call: impl FnOnce() -> R) -> R {
    struct Restore(Vec<Arc<Signalled>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let frames = std::mem::take(&mut self.0);
            let _ = FRAMES.try_with(|place| place.replace(frames));
        }
    }

    let frames = FRAMES.try_with(RefCell::take).unwrap_or_default();
    let _restore = Restore(frames);
    call()
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
    let queue = FRAMES.try_with(|frames| frames.borrow().last().cloned());
    let queue = queue
        .ok()
        .flatten()
        .ok_or("no block_on is running on this thread that could poll the future")?;
    queue.spawn_local(future, bytes)
}
