//! Atomics, locks and threads. No other module imports them from elsewhere.
//!
//! So one switch decides what all modules run on:
//!
//! | build | cfg | what the names mean |
//! |---|---|---|
//! | normal | – | `std` |
//! | loom | `executor_loom` | loom's model-checked twins |
//! | shuttle | `executor_shuttle` | shuttle's randomised twins |
//! | thread sanitizer | `executor_tsan` | `std` atomics, `parking_lot` locks (the sanitizer cannot see into `std`'s) |
//! | no threads | `executor_no_threads` | `std`; [`HAS_THREADS`] is false, as on WebAssembly, to test that here |
//!
//! With feature `sim` it is also decided at run time: a thread of a simulation waits, sleeps and
//! starts others there (`threads`, `simulated_lock`), and any other thread does so as above.
//!
//! The cfg names belong to this crate: the usual `--cfg loom` would also switch its dependencies.
//!
//! [`Mutex::lock`] never reports poison. User code never runs under a lock of this crate, so a
//! panic cannot leave a protected value half-changed, and poison would only turn one panic into
//! many.

/// Whether threads can be started. All that differs where they cannot begins with a look at this: see
/// [`single_thread`](crate::scheduler::single_thread).
pub(crate) const HAS_THREADS: bool = !cfg!(any(
    executor_no_threads,
    all(target_family = "wasm", not(target_feature = "atomics")),
));

/// Why one cannot be started where [`HAS_THREADS`] is false.
pub(crate) fn no_threads() -> std::io::Error {
    let reason = "this target has no threads";
    std::io::Error::new(std::io::ErrorKind::Unsupported, reason)
}

#[cfg(not(any(executor_loom, executor_shuttle)))]
pub(crate) use std::sync::{Arc, OnceLock, Weak, atomic};

#[cfg(not(any(executor_loom, executor_shuttle, feature = "sim")))]
pub(crate) mod thread {
    use std::io;
    use std::time::Duration;

    pub(crate) use std::thread::*;

    // What differs only in a simulation.

    pub(crate) fn park_in_user_code() {
        park();
    }

    pub(crate) fn park_timeout_in_user_code(timeout: Duration) {
        park_timeout(timeout);
    }

    pub(crate) fn spawn_on_system<T: Send + 'static>(
        builder: Builder,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        builder.spawn(f)
    }

    /// Waits for a future, as elsewhere for a listener of `event_listener`, which cannot wait on
    /// WebAssembly. False: no time was left.
    #[cfg(target_family = "wasm")]
    pub(crate) fn wait_for(
        mut future: impl Future<Output = ()> + Unpin,
        left: impl Fn() -> Option<Duration>,
    ) -> bool {
        use std::pin::Pin;
        use std::task::{Context, Wake, Waker};

        struct Unpark(Thread);

        impl Wake for Unpark {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.unpark();
            }
        }

        let waker = Waker::from(std::sync::Arc::new(Unpark(current())));
        let mut context = Context::from_waker(&waker);
        while Pin::new(&mut future).poll(&mut context).is_pending() {
            match left() {
                Some(Duration::ZERO) => return false,
                Some(left) => park_timeout(left),
                None => park(),
            }
        }
        true
    }
}

#[cfg(feature = "sim")]
#[path = "sync/threads.rs"]
pub(crate) mod thread;

#[cfg(executor_loom)]
pub(crate) use loom::{
    sync::{Arc, atomic},
    thread,
};

#[cfg(executor_shuttle)]
pub(crate) use shuttle::{
    sync::{Arc, atomic},
    thread,
};

#[cfg(not(feature = "sim"))]
pub(crate) use lock::{Condvar, Mutex, MutexGuard};
#[cfg(feature = "sim")]
pub(crate) use simulated_lock::{Condvar, Mutex, MutexGuard};

/// The same in all builds: loom and shuttle run the program in its own order, without a compiler's
/// reorderings.
pub(crate) use std::sync::atomic::compiler_fence;

/// For values that belong to another crate, which no checker looks into.
pub(crate) use std::sync::atomic::{
    AtomicUsize as ForeignAtomicUsize, Ordering as ForeignOrdering,
};

#[cfg(feature = "sim")]
#[path = "sync/simulated_lock.rs"]
mod simulated_lock;

#[path = "sync/counter.rs"]
pub(crate) mod counter;

/// Between two steps of a protocol: in a simulation another thread may run here. The caller holds no
/// lock and no borrow, and is no waker, which may be called under somebody's lock.
#[inline]
pub(crate) fn step() {
    #[cfg(feature = "sim")]
    crate::simulated::point();
}

// Models do not fork.
#[cfg(not(any(executor_loom, executor_shuttle)))]
#[path = "sync/fork.rs"]
pub(crate) mod fork;

#[cfg(not(any(executor_loom, executor_shuttle)))]
#[path = "sync/exit.rs"]
pub(crate) mod exit;

/// Locks of `std`, loom or shuttle, without poison.
#[cfg(not(executor_tsan))]
mod lock {
    #[cfg(executor_loom)]
    use loom::sync as imp;
    #[cfg(executor_shuttle)]
    use shuttle::sync as imp;
    #[cfg(not(any(executor_loom, executor_shuttle)))]
    use std::sync as imp;

    use std::sync::{PoisonError, TryLockError};
    use std::time::Duration;

    pub(crate) use imp::MutexGuard;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(imp::Mutex<T>);

    impl<T> Mutex<T> {
        #[cfg(not(any(executor_loom, executor_shuttle)))]
        pub(crate) const fn new(value: T) -> Mutex<T> {
            Mutex(imp::Mutex::new(value))
        }

        #[cfg(any(executor_loom, executor_shuttle))]
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(imp::Mutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        #[inline]
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }

        /// No model needs it: `join_set` alone has a lock that only makes a value `Sync`.
        #[cfg(not(any(executor_loom, executor_shuttle)))]
        #[inline]
        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(imp::Condvar);

    impl Condvar {
        #[cfg(not(any(executor_loom, executor_shuttle)))]
        pub(crate) const fn new() -> Condvar {
            Condvar(imp::Condvar::new())
        }

        #[cfg(any(executor_loom, executor_shuttle))]
        pub(crate) fn new() -> Condvar {
            Condvar(imp::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        /// Waits at most `timeout`.
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            timeout: Duration,
        ) -> MutexGuard<'a, T> {
            let waited = self.0.wait_timeout(guard, timeout);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

/// `parking_lot` locks: they are compiled with this crate, and so instrumented.
#[cfg(executor_tsan)]
mod lock {
    use std::time::Duration;

    pub(crate) use parking_lot::MutexGuard;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Mutex<T> {
            Mutex(parking_lot::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock()
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Condvar {
            Condvar(parking_lot::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        pub(crate) fn wait_timeout<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            timeout: Duration,
        ) -> MutexGuard<'a, T> {
            self.0.wait_for(&mut guard, timeout);
            guard
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
