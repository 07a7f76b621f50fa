//! The `block_on`s of a runtime for one thread. Their protocol is in `current_thread.rs`, and that of
//! turns in `auto_advance.rs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use executor::task::{LocalTaskQueue, TaskQueue};

/// The `block_on`s of a runtime.
#[derive(Default)]
pub(super) struct Drivers {
    list: Mutex<List>,
    /// Whether a driver polls tasks. `InTurn` writes it, `notify` reads it; see step 2.
    pub(super) in_turn: AtomicBool,
}

#[derive(Default)]
pub(super) struct List {
    /// The drivers, with their numbers.
    pub(super) drivers: VecDeque<(u64, Arc<Main>)>,
    pub(super) next: u64,
    #[cfg(feature = "test-util")]
    pub(super) turns: Turns,
}

impl List {
    /// The number of the first driver.
    pub(super) fn first(&self) -> Option<u64> {
        self.drivers.front().map(|&(number, _)| number)
    }

    /// Whether the future of a driver was woken, and was not polled since.
    #[cfg(feature = "test-util")]
    pub(super) fn is_woken(&self) -> bool {
        // Acquire: the poll for which a mark was cleared is seen as a turn that has begun.
        (self.drivers.iter()).any(|(_, main)| main.woken.load(Ordering::Acquire))
    }
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
    pub(super) fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Step 2.
    pub(super) fn notify(&self) {
        // Pairs with the fence in `Driver::poll`.
        fence(Ordering::SeqCst);
        if !self.in_turn.load(Ordering::Relaxed) {
            self.wake_first();
        }
    }

    pub(super) fn wake_first(&self) {
        let first = self.list().drivers.front().map(|(_, main)| main.clone());
        if let Some(main) = first {
            main.driver.wake_by_ref();
        }
    }
}

/// The waker of a driver's future.
pub(super) struct Main {
    pub(super) woken: AtomicBool,
    pub(super) driver: Waker,
}

impl Wake for Main {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: the poll that takes the mark sees what the waker's caller has written.
        self.woken.store(true, Ordering::Release);
        self.driver.wake_by_ref();
    }
}

#[cfg(feature = "test-util")]
/// The turns of all drivers of a runtime.
#[derive(Default)]
pub(super) struct Turns {
    pub(super) current: usize,
    /// Those in which something was polled.
    pub(super) past: u64,
}

#[cfg(feature = "test-util")]
/// A driver's turn, from its beginning to its drop.
pub(super) struct Turn<'a> {
    drivers: &'a Drivers,
    has_polled: bool,
}

#[cfg(feature = "test-util")]
impl Drivers {
    /// Step 1.
    pub(super) fn begin_turn(&self) -> Turn<'_> {
        self.list().turns.current += 1;
        Turn {
            drivers: self,
            has_polled: false,
        }
    }

    /// Step 2, for whoever is in no turn perhaps.
    pub(super) fn look_at_clock(&self) {
        let is_idle = self.list().turns.current == 0;
        if is_idle {
            self.wake_first();
        }
    }
}

#[cfg(feature = "test-util")]
impl Turn<'_> {
    pub(super) fn has_polled(&mut self) {
        self.has_polled = true;
    }
}

#[cfg(feature = "test-util")]
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let turns = &mut self.drivers.list().turns;
        turns.current -= 1;
        turns.past += u64::from(self.has_polled);
    }
}
