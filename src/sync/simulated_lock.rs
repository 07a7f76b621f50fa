//! Locks whose condition variables threads of a simulation can wait for, too.
//!
//! The locks themselves are the system's: simulated threads share one thread of the system, and none
//! gives way under a lock.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::atomic::{AtomicUsize, Ordering};
use super::lock;
use crate::simulated::{self, Thread};

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(lock::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: lock::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex(lock::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock();
        MutexGuard { mutex: self, guard }
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let guard = self.0.try_lock()?;
        Some(MutexGuard { mutex: self, guard })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar {
    system: lock::Condvar,
    /// Simulated threads that wait, in the order of their coming.
    simulated: lock::Mutex<VecDeque<Thread>>,
    /// How many. A thread counts itself before it releases the lock that goes with the condition,
    /// and whoever notifies has changed something under that lock: so this is read after it.
    /// Relaxed: that lock orders them.
    waiting: AtomicUsize,
}

impl Condvar {
    pub(crate) const fn new() -> Condvar {
        Condvar {
            system: lock::Condvar::new(),
            simulated: lock::Mutex::new(VecDeque::new()),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_at_most(guard, None)
    }

    /// Waits at most `timeout`.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.wait_at_most(guard, Some(timeout))
    }

    fn wait_at_most<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, T> {
        let MutexGuard { mutex, guard } = guard;
        let Some(world) = simulated::world_if_any() else {
            let guard = match timeout {
                None => self.system.wait(guard),
                Some(timeout) => self.system.wait_timeout(guard, timeout),
            };
            return MutexGuard { mutex, guard };
        };
        let own = world.current();
        self.simulated.lock().push_back(own.clone());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        drop(guard);
        world.park(timeout, false);
        let mut waiting = self.simulated.lock();
        // It is there still if the time ran out, or the thread was unparked for another reason.
        let place = waiting.iter().position(|thread| thread.id() == own.id());
        if let Some(place) = place {
            waiting.remove(place);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        drop(waiting);
        mutex.lock()
    }

    pub(crate) fn notify_one(&self) {
        self.system.notify_one();
        self.notify_simulated(1);
    }

    pub(crate) fn notify_all(&self) {
        self.system.notify_all();
        self.notify_simulated(usize::MAX);
    }

    fn notify_simulated(&self, most: usize) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut waiting = self.simulated.lock();
        let count = waiting.len().min(most);
        for thread in waiting.drain(..count) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            thread.unpark();
        }
    }
}
