//! The facade that the files under test see: `src/sync.rs`, with holes.
//!
//! A twin opens a [`Hole`] for what one thread does: its fences are none, its orderings are relaxed, or its swaps are
//! a load and a store. So the real code can be seen to need each of them, without a switch in it.
//!
//! What the checkers lack is added here: time-outs. A modelled time-out may come at any moment, or never.

pub(crate) use crate::facade::{Arc, Mutex, MutexGuard, compiler_fence, counter};
/// Under a model it holds constants only (the start of the clock).
pub(crate) use std::sync::OnceLock;

/// Models do not fork.
pub(crate) mod fork {
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Birth;

    impl Birth {
        pub(crate) fn here() -> Birth {
            Birth
        }

        pub(crate) fn in_forked_child(self) -> bool {
            false
        }
    }
}

use std::cell::Cell;

#[cfg(executor_loom)]
use loom::thread_local;
#[cfg(executor_shuttle)]
use shuttle::thread_local;

/// What is wrong with the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    NoFence,
    TornSwap,
    Relaxed,
}

thread_local! {
    static HOLE: Cell<Option<Hole>> = Cell::new(None);
}

fn is_open(hole: Hole) -> bool {
    HOLE.with(|open| open.get() == Some(hole))
}

/// Runs `f` with this hole open, if any.
pub(crate) fn with_hole<R>(hole: Option<Hole>, f: impl FnOnce() -> R) -> R {
    if hole.is_none() {
        return f();
    }
    let outer = HOLE.with(|open| open.replace(hole));
    let result = f();
    HOLE.with(|open| open.set(outer));
    result
}

#[cfg(executor_shuttle)]
pub(crate) use crate::facade::thread;

/// Loom's threads with a `park` of their own: its `unpark` ends whatever the thread waits for, be it a lock.
#[cfg(executor_loom)]
pub(crate) mod thread {
    use std::time::Duration;

    use super::{Arc, Condvar, Mutex, thread_local};
    use crate::facade::thread::{self, ThreadId};
    pub(crate) use crate::facade::thread::{JoinHandle, spawn};

    #[derive(Clone, Debug)]
    pub(crate) struct Thread {
        id: ThreadId,
        unparked: Arc<(Mutex<bool>, Condvar)>,
    }

    thread_local! {
        static CURRENT: Thread = Thread {
            id: thread::current().id(),
            unparked: Arc::default(),
        };
    }

    pub(crate) fn current() -> Thread {
        CURRENT.with(Thread::clone)
    }

    pub(crate) fn park() {
        let (unparked, bell) = &*current().unparked;
        let mut unparked = unparked.lock();
        while !*unparked {
            unparked = bell.wait(unparked);
        }
        *unparked = false;
    }

    /// Never times out: what is lost must not be found by looking again in time.
    pub(crate) fn park_timeout(_: Duration) {
        park();
    }

    impl Thread {
        pub(crate) fn id(&self) -> ThreadId {
            self.id
        }

        pub(crate) fn unpark(&self) {
            let (unparked, bell) = &*self.unparked;
            *unparked.lock() = true;
            bell.notify_one();
        }
    }
}

/// Loom keeps one last access of an atomic. Its own `fetch_update` begins with a load; that hides from it that the
/// exchange, which follows, races with the loads of others. So here it begins with an exchange that changes nothing.
macro_rules! fetch_update {
    ($atomic:expr, $success:expr, $failure:expr, $f:expr) => {{
        let mut f = $f;
        let mut previous = $atomic.fetch_or(0, $failure);
        loop {
            let Some(new) = f(previous) else {
                break Err(previous);
            };
            match $atomic.compare_exchange(previous, new, $success, $failure) {
                Ok(_) => break Ok(previous),
                Err(now) => previous = now,
            }
        }
    }};
}

pub(crate) mod atomic {
    pub(crate) use crate::facade::atomic::{AtomicU8, AtomicU64, Ordering};

    /// With the operations that the files under test use.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicBool(atomic::AtomicBool);

    impl AtomicBool {
        pub(crate) fn new(value: bool) -> AtomicBool {
            AtomicBool(atomic::AtomicBool::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            if is_open(Hole::TornSwap) {
                let previous = self.0.load(Ordering::Acquire);
                self.0.store(value, Ordering::Release);
                return previous;
            }
            self.0.swap(value, weakened(order))
        }
    }

    /// With the operations that the files under test use.
    #[derive(Debug)]
    pub(crate) struct AtomicU32(atomic::AtomicU32);

    impl AtomicU32 {
        pub(crate) fn new(value: u32) -> AtomicU32 {
            AtomicU32(atomic::AtomicU32::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u32, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn swap(&self, value: u32, order: Ordering) -> u32 {
            if is_open(Hole::TornSwap) {
                let previous = self.0.load(Ordering::Acquire);
                self.0.store(value, Ordering::Release);
                return previous;
            }
            self.0.swap(value, order)
        }

        pub(crate) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
            self.0.fetch_add(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            current: u32,
            new: u32,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u32, u32> {
            self.0.compare_exchange(current, new, success, failure)
        }

        pub(crate) fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            f: impl FnMut(u32) -> Option<u32>,
        ) -> Result<u32, u32> {
            if is_open(Hole::TornSwap) {
                let mut f = f;
                let previous = self.0.load(Ordering::Acquire);
                let new = f(previous).ok_or(previous)?;
                self.0.store(new, Ordering::Release);
                return Ok(previous);
            }
            fetch_update!(self.0, success, failure, f)
        }
    }

    /// With the operations that the files under test use.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicUsize(atomic::AtomicUsize);

    impl AtomicUsize {
        pub(crate) fn new(value: usize) -> AtomicUsize {
            AtomicUsize(atomic::AtomicUsize::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.load(order)
        }

        #[cfg(feature = "net")]
        pub(crate) fn store(&self, value: usize, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_add(value, order)
        }

        pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_sub(value, order)
        }

        pub(crate) fn fetch_or(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_or(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            current: usize,
            new: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.0.compare_exchange(current, new, success, failure)
        }

        pub(crate) fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            f: impl FnMut(usize) -> Option<usize>,
        ) -> Result<usize, usize> {
            if is_open(Hole::TornSwap) {
                let mut f = f;
                let previous = self.0.load(Ordering::Acquire);
                let new = f(previous).ok_or(previous)?;
                self.0.store(new, Ordering::Release);
                return Ok(previous);
            }
            fetch_update!(self.0, success, failure, f)
        }
    }

    use super::{Hole, is_open};
    use crate::facade::atomic;

    pub(crate) fn fence(order: Ordering) {
        if !is_open(Hole::NoFence) {
            atomic::fence(order);
        }
    }

    /// With the operations that the files under test use.
    #[derive(Debug)]
    pub(crate) struct AtomicPtr<T>(atomic::AtomicPtr<T>);

    impl<T> AtomicPtr<T> {
        pub(crate) fn new(pointer: *mut T) -> AtomicPtr<T> {
            AtomicPtr(atomic::AtomicPtr::new(pointer))
        }

        pub(crate) fn load(&self, order: Ordering) -> *mut T {
            self.0.load(weakened(order))
        }

        pub(crate) fn store(&self, pointer: *mut T, order: Ordering) {
            self.0.store(pointer, weakened(order));
        }

        pub(crate) fn swap(&self, pointer: *mut T, order: Ordering) -> *mut T {
            if is_open(Hole::TornSwap) {
                let previous = self.0.load(Ordering::Acquire);
                self.0.store(pointer, Ordering::Release);
                return previous;
            }
            self.0.swap(pointer, weakened(order))
        }

        pub(crate) fn compare_exchange(
            &self,
            current: *mut T,
            new: *mut T,
            success: Ordering,
            failure: Ordering,
        ) -> Result<*mut T, *mut T> {
            if is_open(Hole::TornSwap) {
                let previous = self.0.load(Ordering::Acquire);
                if previous != current {
                    return Err(previous);
                }
                self.0.store(new, Ordering::Release);
                return Ok(previous);
            }
            self.0
                .compare_exchange(current, new, weakened(success), failure)
        }
    }

    fn weakened(order: Ordering) -> Ordering {
        if is_open(Hole::Relaxed) {
            Ordering::Relaxed
        } else {
            order
        }
    }
}

#[cfg(executor_loom)]
pub(crate) use crate::facade::Condvar;
#[cfg(executor_shuttle)]
pub(crate) use timed::Condvar;

/// A condition variable whose time-outs happen.
#[cfg(executor_shuttle)]
mod timed {
    use std::time::{Duration, Instant};

    use super::{Arc, MutexGuard};
    use crate::facade;
    use crate::facade::atomic::{AtomicBool, Ordering};
    use crate::facade::thread;

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(Arc<facade::Condvar>);

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar::default()
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard)
        }

        /// A thread of its own is the alarm clock, so the checker decides when it rings. The code under test looks at
        /// the real clock afterwards, hence the real sleep; timeouts in models are short.
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            timeout: Duration,
        ) -> (MutexGuard<'a, T>, bool) {
            let deadline = Instant::now() + timeout;
            let stopped = Arc::new(AtomicBool::new(false));
            let clock = {
                let (bell, stopped) = (self.0.clone(), stopped.clone());
                thread::spawn(move || {
                    let mut rang = false;
                    // More than once, for the first time may be before the wait.
                    while !stopped.load(Ordering::SeqCst) {
                        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
                        bell.notify_one();
                        rang = true;
                        thread::yield_now();
                    }
                    rang
                })
            };
            let guard = self.0.wait(guard);
            stopped.store(true, Ordering::SeqCst);
            let rang = clock.join().unwrap_or(true);
            (guard, rang)
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
