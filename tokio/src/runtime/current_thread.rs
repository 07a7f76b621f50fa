//! Runtimes for one thread: their tasks run inside `block_on`, on its thread.
//!
//! # Protocol
//!
//! 1. Each `block_on` of the runtime is a *driver*. Drivers stand in a list, in the order in which
//!    they came.
//! 2. A task becomes runnable: it is in the queue, and the first driver is woken. If a driver is in
//!    its turn at that moment, nothing is done: it looks at the queue once more when the turn is
//!    over. (`SeqCst` on both sides: the task is pushed before `in_turn` is read, and `in_turn` is
//!    cleared before the queue is read.)
//! 3. A driver that is woken polls its future if that was woken, then up to [`TURN`] tasks. The
//!    queue lets one thread at a time run it. A driver that finds it taken waits for its future.
//! 4. A driver leaves: it wakes the next one, which may have been passed over.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use executor::task::{LocalTaskQueue, TaskQueue, TaskSpawner};

use crate::coop;

/// Tasks that a driver polls before it polls its future again, as in the real tokio.
const TURN: usize = 61;

/// The tasks of a runtime for one thread, and whoever runs them.
pub(crate) struct CurrentThread {
    queue: TaskQueue,
    drivers: Arc<Drivers>,
}

/// The `block_on`s of a runtime.
#[derive(Default)]
pub(super) struct Drivers {
    list: Mutex<List>,
    /// Whether a driver polls tasks. See step 2.
    in_turn: AtomicBool,
}

#[derive(Default)]
struct List {
    /// Wakers of the drivers, with their numbers.
    wakers: VecDeque<(u64, Waker)>,
    next: u64,
}

/// What a driver runs.
pub(super) trait Queue {
    fn run(&self, limit: usize) -> usize;
    fn has_runnable(&self) -> bool;
}

impl Queue for TaskQueue {
    fn run(&self, limit: usize) -> usize {
        TaskQueue::run(self, limit)
    }

    fn has_runnable(&self) -> bool {
        TaskQueue::has_runnable(self)
    }
}

impl Queue for LocalTaskQueue {
    fn run(&self, limit: usize) -> usize {
        LocalTaskQueue::run(self, limit)
    }

    fn has_runnable(&self) -> bool {
        LocalTaskQueue::has_runnable(self)
    }
}

impl Drivers {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Step 2.
    pub(super) fn notify(&self) {
        fence(Ordering::SeqCst);
        if !self.in_turn.load(Ordering::Relaxed) {
            self.wake_first();
        }
    }

    fn wake_first(&self) {
        let first = self.list().wakers.front().map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }

    /// Runs `queue` and polls `future`, until that is complete.
    pub(super) async fn drive<F: Future>(&self, queue: &impl Queue, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut driver: Option<Driver<'_>> = None;
        std::future::poll_fn(move |cx| {
            let driver = driver.get_or_insert_with(|| Driver::enter(self, cx));
            driver.poll(queue, future.as_mut(), cx)
        })
        .await
    }
}

/// One `block_on`.
struct Driver<'a> {
    drivers: &'a Drivers,
    number: u64,
    main: Arc<Main>,
    waker: Waker,
}

/// The waker of a driver's future.
struct Main {
    woken: AtomicBool,
    driver: Waker,
}

impl Wake for Main {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.driver.wake_by_ref();
    }
}

impl Driver<'_> {
    fn enter<'a>(drivers: &'a Drivers, cx: &Context<'_>) -> Driver<'a> {
        let mut list = drivers.list();
        let number = list.next;
        list.next += 1;
        list.wakers.push_back((number, cx.waker().clone()));
        drop(list);
        let main = Arc::new(Main {
            woken: AtomicBool::new(true),
            driver: cx.waker().clone(),
        });
        Driver {
            drivers,
            number,
            waker: main.clone().into(),
            main,
        }
    }

    /// Step 3. The waker is the same each time: that of a `block_on`.
    fn poll<F: Future>(
        &self,
        queue: &impl Queue,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        if self.main.woken.swap(false, Ordering::Acquire) {
            let mut cx = Context::from_waker(&self.waker);
            if let Poll::Ready(output) = coop::poll_with_budget(future, &mut cx) {
                return Poll::Ready(output);
            }
        }
        self.drivers.in_turn.store(true, Ordering::Relaxed);
        let polled = queue.run(TURN);
        self.drivers.in_turn.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if queue.has_runnable() && (polled > 0 || self.is_first()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn is_first(&self) -> bool {
        self.drivers
            .list()
            .wakers
            .front()
            .is_some_and(|(number, _)| *number == self.number)
    }
}

impl Drop for Driver<'_> {
    /// Step 4.
    fn drop(&mut self) {
        let mut list = self.drivers.list();
        list.wakers.retain(|(number, _)| *number != self.number);
        drop(list);
        self.drivers.wake_first();
    }
}

impl CurrentThread {
    pub(super) fn new() -> CurrentThread {
        let drivers = Arc::new(Drivers::default());
        let notified = drivers.clone();
        CurrentThread {
            queue: TaskQueue::new(move || notified.notify()),
            drivers,
        }
    }

    pub(super) fn spawner(&self) -> TaskSpawner {
        self.queue.spawner()
    }

    pub(super) async fn drive<F: Future>(&self, future: F) -> F::Output {
        self.drivers.drive(&self.queue, future).await
    }

    /// Cancels all tasks.
    pub(super) fn close(&self) {
        self.queue.close();
    }
}
