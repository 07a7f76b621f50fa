//! The runtime that a thread is in, by tokio's rules: without one, what needs a runtime panics.
//!
//! Each thread of a runtime enters it for good, by the executor's hook for new threads. Other
//! threads enter one in a `block_on` or by [`Handle::enter`].

mod adopted;

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::rc::Rc;
use std::sync::MutexGuard;

use crate::runtime::shared::Handle;
use crate::simulated::{self, Place};

std::thread_local! {
    /// The runtimes that this thread has entered, the innermost last. Counted by the thread alone,
    /// so that a spawn touches no count that other threads change.
    static ENTERED: RefCell<Vec<Rc<Handle>>> = const { RefCell::new(Vec::new()) };
}

/// The runtimes that a simulated thread has entered.
#[derive(Default)]
struct Kept(Vec<Rc<Handle>>);

impl simulated::Kept for Kept {
    const PLACE: Place = Place::Context;

    fn exchange(&mut self) {
        let _ = ENTERED.try_with(|entered| mem::swap(&mut *entered.borrow_mut(), &mut self.0));
    }
}

const NO_RUNTIME: &str =
    "there is no reactor running, must be called from the context of a Tokio 1.x runtime";

#[cfg(any(feature = "process", feature = "signal"))]
const IO_DISABLED: &str = "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on \
     the runtime builder to enable IO.";

pub(crate) const DESTROYED: &str = "The Tokio context thread-local variable has been destroyed.";

/// The runtime that this thread is in.
#[inline]
pub(crate) fn current() -> Result<Rc<Handle>, TryCurrentError> {
    match ENTERED.try_with(|entered| entered.borrow().last().cloned()) {
        Ok(Some(handle)) => Ok(handle),
        Ok(None) => adopted::handle().ok_or_else(TryCurrentError::no_context),
        Err(_) => Err(TryCurrentError::destroyed()),
    }
}

/// The runtime that this thread is in.
///
/// # Panics
///
/// Outside a runtime.
#[inline]
#[track_caller]
pub(crate) fn expect_current() -> Rc<Handle> {
    match current() {
        Ok(handle) => handle,
        Err(error) => panic!("{error}"),
    }
}

/// The runtime that this thread is in, to wait for descriptors or signals with.
///
/// # Panics
///
/// Outside a runtime, and if the builder of the runtime has not enabled I/O.
#[cfg(any(feature = "process", feature = "signal"))]
#[track_caller]
pub(crate) fn expect_io() -> Rc<Handle> {
    let handle = expect_current();
    assert!(handle.shared().io, "{IO_DISABLED}");
    handle
}

/// Before a runtime is built whose threads enter it for good: see [`simulated`].
pub(crate) fn keep() {
    simulated::keep::<Kept>();
}

/// Enters a runtime until the thread ends.
pub(crate) fn enter_for_good(handle: Handle) {
    let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(Rc::new(handle)));
}

/// A runtime that is entered until this is dropped.
pub(crate) struct Entered {
    /// Number of runtimes entered, with this one. 0 if the thread's locals were being destroyed.
    depth: usize,
    /// It stays on its thread; a reference to it need not.
    not_send: PhantomData<MutexGuard<'static, ()>>,
}

pub(crate) fn enter(handle: Handle) -> Entered {
    if simulated::is_here() {
        keep();
    }
    let depth = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        entered.push(Rc::new(handle));
        entered.len()
    });
    Entered {
        depth: depth.unwrap_or(0),
        not_send: PhantomData,
    }
}

impl Drop for Entered {
    #[track_caller]
    fn drop(&mut self) {
        if self.depth == 0 {
            return;
        }
        let left = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            (entered.len() == self.depth).then(|| entered.pop())
        });
        // The handle may be the last of its runtime, so it is dropped outside the borrow.
        if let Ok(None) = left {
            if !std::thread::panicking() {
                panic!(
                    "`EnterGuard` values dropped out of order. Guards returned by \
                     `tokio::runtime::Handle::enter()` must be dropped in the reverse \
                     order as they were acquired."
                );
            }
        }
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// There is no runtime that `Handle::try_current` could return.
#[derive(Debug)]
pub struct TryCurrentError {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    NoContext,
    ThreadLocalDestroyed,
}

impl TryCurrentError {
    fn no_context() -> TryCurrentError {
        TryCurrentError {
            kind: Kind::NoContext,
        }
    }

    fn destroyed() -> TryCurrentError {
        TryCurrentError {
            kind: Kind::ThreadLocalDestroyed,
        }
    }

    /// Whether the thread is in no runtime.
    pub fn is_missing_context(&self) -> bool {
        matches!(self.kind, Kind::NoContext)
    }

    /// Whether the thread is ending, and has forgotten its runtime.
    pub fn is_thread_local_destroyed(&self) -> bool {
        matches!(self.kind, Kind::ThreadLocalDestroyed)
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::NoContext => NO_RUNTIME,
            Kind::ThreadLocalDestroyed => DESTROYED,
        })
    }
}

impl Error for TryCurrentError {}
