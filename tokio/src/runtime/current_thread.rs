//! Runtimes for one thread: their tasks run inside `block_on`, on its thread.
//!
//! # Protocol
//!
//! 1. Each `block_on` of the runtime is a *driver*. Drivers stand in a list, in the order in which
//!    they came.
//! 2. A task becomes runnable: it is in the queue, and the first driver is woken. If a driver is in
//!    its turn at that moment, nothing is done: it looks at the queue once more when the turn is
//!    over. (A `SeqCst` fence on both sides: [`Drivers::notify`] is called after the push and
//!    fences before it reads `in_turn`; [`Driver::poll`] clears `in_turn` and fences before it reads
//!    the queue.)
//! 3. A driver that is woken polls its future if that was woken, then up to [`TURN`] tasks. The
//!    queue lets one thread at a time run it. A driver that finds it taken waits for its future.
//!    If it has run no task and is not the first, a task that it sees then is left to the first one,
//!    which it wakes: the mark that it was in its turn may have kept a push from doing so.
//!    Who yields is woken when the turn ends ([`wake_after_turn`]): else it would be polled again and
//!    again before the future, and before anybody who waits for sockets. But a task of the turn may
//!    block in another `block_on`, or in a `block_in_place`, whose future is no part of the turn: it
//!    would wait for the end of a turn that waits for it. So these are [`outside_turn`].
//! 4. A driver that has nothing to do calls the user's hook for that, without any lock. What the
//!    hook wakes or spawns wakes a driver, as step 2 says, so the wait ends at once.
//! 5. A driver leaves: it wakes the next one, which may have been passed over.
//!
//! What a driver does about a paused clock is told in `auto_advance.rs`.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Context, Poll, Waker};

use executor::task::{TaskQueue, TaskSpawner};

#[cfg(feature = "test-util")]
use super::auto_advance::Look;
use super::drivers::{Drivers, Main, Queue};
use super::shared::{Hook, ParkHooks, Shared};
use crate::coop;
use crate::simulated::{self, Place};

/// Tasks that a driver polls before it polls its future again, as in the real tokio.
const TURN: usize = 61;

/// The tasks of a runtime for one thread, and whoever runs them.
pub(crate) struct CurrentThread {
    queue: TaskQueue,
    drivers: Arc<Drivers>,
}

impl Drivers {
    /// Runs `queue` and polls `future`, until that is complete.
    pub(super) async fn drive<F: Future>(
        &self,
        queue: &impl Queue,
        shared: &Shared,
        future: F,
    ) -> F::Output {
        let mut future = pin!(future);
        let mut driver: Option<Driver<'_>> = None;
        std::future::poll_fn(move |cx| {
            let driver = driver.get_or_insert_with(|| Driver::enter(self, shared, cx));
            driver.poll(queue, future.as_mut(), cx)
        })
        .await
    }
}

std::thread_local! {
    /// Whether this thread is in a turn of the first driver of a runtime.
    static DRIVES: Cell<bool> = const { Cell::new(false) };

    /// Who has yielded in the turn that this thread is in.
    static YIELDED: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// The turn that a simulated thread is in.
#[derive(Default)]
pub(super) struct Kept {
    drives: bool,
    yielded: Vec<Waker>,
}

impl simulated::Kept for Kept {
    const PLACE: Place = Place::CurrentThread;

    fn exchange(&mut self) {
        self.drives = DRIVES.replace(self.drives);
        let swap = |yielded: &RefCell<Vec<Waker>>| {
            mem::swap(&mut *yielded.borrow_mut(), &mut self.yielded);
        };
        let _ = YIELDED.try_with(swap);
    }
}

/// Wakes a task when the turn ends that this thread is in. `false`: it is in none.
pub(crate) fn wake_after_turn(waker: &Waker) -> bool {
    if !drives() {
        return false;
    }
    // Not cloned inside the borrow: it may be foreign code, which comes back here.
    let waker = waker.clone();
    YIELDED
        .try_with(|yielded| yielded.borrow_mut().push(waker))
        .is_ok()
}

/// Wakes those who have yielded. None of them is woken inside the borrow.
fn wake_yielded() {
    let yielded = YIELDED.try_with(RefCell::take).unwrap_or_default();
    yielded.into_iter().for_each(Waker::wake);
}

/// This thread is in no turn until the guard is dropped: what it waits for does not end one.
pub(crate) fn outside_turn() -> impl Sized {
    Drives::begin(false)
}

/// Whether this thread runs the tasks of a runtime for one thread.
pub(super) fn drives() -> bool {
    DRIVES.get()
}

/// Sets [`DRIVES`] while it exists.
struct Drives(bool);

impl Drives {
    fn begin(is_first: bool) -> Drives {
        Drives(DRIVES.replace(is_first))
    }
}

impl Drop for Drives {
    fn drop(&mut self) {
        DRIVES.set(self.0);
        // Of a turn that ended early: its future was complete, or panicked.
        wake_yielded();
    }
}

/// Sets [`Drivers::in_turn`] while it exists, also if a foreign waker panics: left set, it would keep
/// every push from waking a driver.
struct InTurn<'a>(&'a AtomicBool);

impl InTurn<'_> {
    fn begin(in_turn: &AtomicBool) -> InTurn<'_> {
        // Relaxed, as in the drop: the fences of step 2 order it.
        in_turn.store(true, Ordering::Relaxed);
        InTurn(in_turn)
    }
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn call(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        hook();
    }
}

/// One `block_on`.
struct Driver<'a> {
    drivers: &'a Drivers,
    number: u64,
    main: Arc<Main>,
    waker: Waker,
    hooks: &'a ParkHooks,
    /// Whether the hook of step 4 was called, and nothing since.
    parks: Cell<bool>,
    #[cfg(feature = "test-util")]
    look: RefCell<Look<'a>>,
}

impl Driver<'_> {
    fn enter<'a>(drivers: &'a Drivers, shared: &'a Shared, cx: &Context<'_>) -> Driver<'a> {
        let main = Arc::new(Main {
            woken: AtomicBool::new(true),
            driver: cx.waker().clone(),
        });
        let mut list = drivers.list();
        let number = list.next;
        list.next += 1;
        list.drivers.push_back((number, main.clone()));
        drop(list);
        Driver {
            drivers,
            number,
            waker: main.clone().into(),
            main,
            hooks: &shared.park_hooks,
            parks: Cell::new(false),
            #[cfg(feature = "test-util")]
            look: RefCell::new(Look::new(shared)),
        }
    }

    /// Step 3. The waker is the same each time: that of a `block_on`.
    fn poll<F: Future>(
        &self,
        queue: &impl Queue,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        if self.parks.take() {
            call(&self.hooks.unpark);
        }
        let _drives = Drives::begin(self.is_first());
        #[cfg(feature = "test-util")]
        let mut turn = self.drivers.begin_turn();
        // Release, too: see `List::is_woken`.
        if self.main.woken.swap(false, Ordering::AcqRel) {
            #[cfg(feature = "test-util")]
            turn.has_polled();
            let mut cx = Context::from_waker(&self.waker);
            if let Poll::Ready(output) = coop::poll_with_budget(future, &mut cx) {
                return Poll::Ready(output);
            }
        }
        let polled = {
            let _in_turn = InTurn::begin(&self.drivers.in_turn);
            let polled = queue.run(TURN);
            wake_yielded();
            polled
        };
        // Pairs with the fence in `Drivers::notify`.
        fence(Ordering::SeqCst);
        let has_work = queue.has_runnable();
        if has_work && (polled > 0 || self.is_first()) {
            cx.waker().wake_by_ref();
        } else if has_work {
            self.drivers.wake_first();
        }
        #[cfg(feature = "test-util")]
        {
            if polled > 0 {
                turn.has_polled();
            }
            drop(turn);
        }
        if !has_work {
            self.parks.set(true);
            call(&self.hooks.park);
        }
        #[cfg(feature = "test-util")]
        {
            let mut look = self.look.borrow_mut();
            look.after_turn(self.drivers, self.number, queue, cx);
        }
        Poll::Pending
    }

    fn is_first(&self) -> bool {
        self.drivers.list().first() == Some(self.number)
    }
}

impl Drop for Driver<'_> {
    /// Step 5.
    fn drop(&mut self) {
        let mut list = self.drivers.list();
        list.drivers.retain(|(number, _)| *number != self.number);
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

    pub(super) fn drivers(&self) -> &Arc<Drivers> {
        &self.drivers
    }

    pub(super) async fn drive<F: Future>(&self, shared: &Shared, future: F) -> F::Output {
        self.drivers.drive(&self.queue, shared, future).await
    }

    /// Cancels all tasks.
    pub(super) fn close(&self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
