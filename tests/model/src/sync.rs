//! The facade that the files under test see: `src/sync.rs`, with holes.
//!
//! A twin opens a [`Hole`] for what one thread does: its fences are none, its orderings are relaxed, or its swaps are
//! a load and a store. So the real code can be seen to need each of them, without a switch in it.
//!
//! What the checkers lack is added here: time-outs. A modelled time-out may come at any moment, or never.

pub(crate) use crate::facade::{
    ForeignAtomicUsize, ForeignOrdering, HAS_THREADS, Mutex, MutexGuard, compiler_fence, counter,
    no_threads, step,
};
/// Under a model it holds constants only (the start of the clock).
pub(crate) use std::sync::OnceLock;
/// Taken at its word, since loom has no weak references. Nothing decides anything by a count of references.
pub(crate) use std::sync::{Arc, Weak};

/// Models do not fork.
pub(crate) mod fork {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
use std::sync::Mutex as PlainMutex;

#[cfg(executor_loom)]
pub(crate) use loom as checker;
#[cfg(executor_shuttle)]
pub(crate) use shuttle as checker;

#[cfg(executor_loom)]
pub(crate) use loom::lazy_static;
#[cfg(executor_shuttle)]
pub(crate) use shuttle::lazy_static;

/// `[const { VALUE }; LENGTH]`, for values that no constant can be.
macro_rules! array {
    ($value:expr; $length:expr) => {
        std::array::from_fn::<_, { $length }, _>(|_| $value)
    };
}
pub(crate) use array;

/// The checker's thread-locals, under the names that `std` gives their operations.
macro_rules! thread_locals {
    ($($(#[$attribute:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)*) => {
        $($(#[$attribute])* $vis static $name: crate::sync::LocalKey<$type> = {
            crate::sync::checker::thread_local! {
                static INNER: $type = $init;
            }
            crate::sync::LocalKey::new(&INNER)
        };)*
    };
}
#[allow(unused_imports, reason = "rustc does not see what the copies use")]
pub(crate) use thread_locals;

pub(crate) struct LocalKey<T: 'static>(&'static checker::thread::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    pub(crate) const fn new(inner: &'static checker::thread::LocalKey<T>) -> LocalKey<T> {
        LocalKey(inner)
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.0.with(f)
    }

    pub(crate) fn try_with<R>(
        &self,
        f: impl FnOnce(&T) -> R,
    ) -> Result<R, checker::thread::AccessError> {
        self.0.try_with(f)
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    pub(crate) fn set(&self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn get(&self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    pub(crate) fn replace(&self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

/// What is leaked lives until the end of the execution.
static ARENA: PlainMutex<Vec<Leaked>> = PlainMutex::new(Vec::new());

/// By the address that all references to it have, and how to free it.
struct Leaked(*mut (), unsafe fn(*mut ()));

// SAFETY: it is freed by whoever ends the execution, when no other thread uses it any more.
unsafe impl Send for Leaked {}

/// In place of `Box::leak`.
pub(crate) fn leak<T: 'static>(value: Box<T>) -> &'static mut T {
    unsafe fn free<T>(pointer: *mut ()) {
        // SAFETY: it came from a box of this type, and the caller says that nothing refers to it any more.
        drop(unsafe { Box::from_raw(pointer.cast::<T>()) });
    }
    let pointer = Box::into_raw(value);
    let mut arena = ARENA
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    arena.push(Leaked(pointer.cast(), free::<T>));
    // SAFETY: it came from a box, and lives until `free_leaked`.
    unsafe { &mut *pointer }
}

/// Frees what was leaked, the last first.
///
/// # Safety
///
/// No other thread uses it any more.
pub(crate) unsafe fn free_leaked() {
    loop {
        let last = ARENA
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .pop();
        let Some(Leaked(pointer, free)) = last else {
            return;
        };
        // SAFETY: the caller upholds it.
        unsafe { free(pointer) };
    }
}

/// What is wrong with the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    NoFence,
    TornSwap,
    Relaxed,
}

thread_locals! {
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

/// The checker's threads, with time-outs that a model can grant.
pub(crate) mod thread {
    use std::time::Duration;

    pub(crate) use crate::facade::thread::{Builder, JoinHandle, ThreadId, spawn, yield_now};
    #[cfg(executor_shuttle)]
    pub(crate) use crate::facade::thread::{Thread, current, park};

    #[cfg(executor_loom)]
    pub(crate) use own::{Thread, current, park};

    /// Of all waits that may time out, those that still do in this execution: short ones and long ones.
    static TIMEOUTS: [std::sync::atomic::AtomicUsize; 2] =
        [const { std::sync::atomic::AtomicUsize::new(0) }; 2];

    /// What only the monitor and the shutdown thread wait for.
    const SHORT: Duration = Duration::from_millis(100);

    /// So many short and so many long waits of this execution end by their time-out, as soon as they begin.
    pub(crate) fn grant_timeouts(counts: [usize; 2]) {
        for (left, count) in TIMEOUTS.iter().zip(counts) {
            left.store(count, std::sync::atomic::Ordering::SeqCst);
        }
    }

    pub(super) fn take_timeout(time: Duration) -> bool {
        use std::sync::atomic::Ordering::SeqCst;
        let left = &TIMEOUTS[usize::from(time > SHORT)];
        let taken = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if taken.is_ok() {
            crate::machine::advance(time);
        }
        taken.is_ok()
    }

    /// Times out if the model grants that, else never: what is lost must not be found by looking again in time.
    pub(crate) fn park_timeout(time: Duration) {
        if take_timeout(time) {
            yield_now();
        } else {
            park();
        }
    }

    /// Somebody sleeps who is woken by nobody.
    pub(crate) fn sleep(time: Duration) {
        crate::machine::advance(time);
        yield_now();
    }

    /// Loom's threads with a `park` of their own: its `unpark` ends whatever the thread waits for, be it a lock.
    #[cfg(executor_loom)]
    mod own {
        use super::ThreadId;
        use crate::facade::thread;
        use crate::sync::{Arc, Condvar, Mutex};

        #[derive(Clone, Debug)]
        pub(crate) struct Thread {
            id: ThreadId,
            unparked: Arc<(Mutex<bool>, Condvar)>,
        }

        crate::sync::thread_locals! {
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
    #[derive(Debug, Default)]
    pub(crate) struct AtomicU32(atomic::AtomicU32);

    impl AtomicU32 {
        pub(crate) fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
            self.0.fetch_or(value, order)
        }

        pub(crate) fn fetch_and(&self, value: u32, order: Ordering) -> u32 {
            self.0.fetch_and(value, order)
        }

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

pub(crate) use timed::Condvar;

/// A condition variable whose time-outs happen if a model grants them.
mod timed {
    use std::time::Duration;

    use super::{MutexGuard, thread};
    use crate::facade;

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(facade::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar::default()
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard)
        }

        /// A wait that times out releases the lock for a moment, as any other.
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            timeout: Duration,
        ) -> MutexGuard<'a, T> {
            match thread::take_timeout(timeout) {
                true => guard,
                false => self.0.wait(guard),
            }
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
