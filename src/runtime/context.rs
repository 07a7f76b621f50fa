//! Which runtime is this thread in?
//!
//! The threads of a runtime enter it for good; others by [`Handle::enter`] or inside a `block_on`. Free functions such as
//! `executor::spawn` act on the innermost runtime entered, else on the process-wide default one.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use super::{Builder, Handle, Runtime};
use crate::scheduler::Shared;
use crate::stderr;
use crate::sync::exit::at_exit;
use crate::sync::fork::PerProcess;
use crate::tasks::contained;

std::thread_local! {
    /// The runtime entered, for the hot paths: no destructor, one load.
    static SHARED: Cell<Option<&'static Shared>> = const { Cell::new(None) };

    /// The same as a handle. Whoever entered holds it, so `SHARED` never outlives what it names.
    static HANDLE: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// The scheduler of the runtime this thread is in.
#[inline]
pub(crate) fn current() -> Option<&'static Shared> {
    SHARED.get()
}

/// The scheduler of the runtime this thread is in, else of the default runtime.
#[inline]
pub(crate) fn current_or_default() -> &'static Shared {
    match current() {
        Some(shared) => shared,
        None => default_handle().shared(),
    }
}

/// As [`current_or_default`], but never one that has shut down: for what must go on working elsewhere. The first time that the
/// current one has, there is none, and `refused` keeps that in mind: one of its own tasks will not ask again.
#[cfg(feature = "time")]
#[inline]
pub(crate) fn alive_or_default(refused: &mut bool) -> Option<&'static Shared> {
    match current() {
        Some(shared) if !shared.is_closed() => Some(shared),
        Some(_) if !std::mem::replace(refused, true) => None,
        _ => Some(default_handle().shared()),
    }
}

pub(super) fn current_handle() -> Option<Handle> {
    HANDLE
        .try_with(|handle| handle.borrow().clone())
        .ok()
        .flatten()
}

pub(super) fn current_handle_or_default() -> Handle {
    current_handle().unwrap_or_else(|| default_handle().clone())
}

static DEFAULT: PerProcess<Runtime> = PerProcess::new();

/// Takes the lock of the default runtime, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    DEFAULT.hold()
}

/// The handle of the default runtime, which is built on first use and never dropped.
///
/// Panics when it cannot be built: the free functions have no way to return an error.
fn default_handle() -> &'static Handle {
    DEFAULT
        .get_or_init(|| match Builder::new().build() {
            Ok(runtime) => {
                if runtime.has_recording() {
                    at_exit(end_default);
                }
                runtime
            }
            Err(error) => panic!("the default runtime could not be built: {error}"),
        })
        .handle()
}

/// The default runtime is never dropped; so its timeline is written when the process exits. Its workers wait meanwhile, or the
/// process would not end for minutes.
extern "C" fn end_default() {
    contained(|| {
        if let Some(runtime) = DEFAULT.get() {
            let _held = runtime.handle().shared().hold_workers();
            runtime.end_recording();
        }
    });
    // It may have had something to say.
    stderr::flush();
}

/// The reactor of the runtime this thread is in, else of the default runtime.
#[cfg(all(feature = "net", unix))]
pub(crate) fn reactor() -> std::io::Result<crate::sync::Arc<crate::reactor::Reactor>> {
    let shared = current_or_default();
    if shared.is_inherited() {
        return Err(std::io::Error::other(crate::scheduler::LOST));
    }
    shared
        .reactor()
        .ok_or_else(|| std::io::Error::other("the runtime has shut down: no i/o can be registered"))
}

/// Enters a runtime on this thread until the guard is dropped.
pub(super) fn enter(handle: Handle) -> Entered {
    let shared = SHARED.replace(Some(handle.shared()));
    let outer = HANDLE
        .try_with(|current| current.replace(Some(handle)))
        .ok()
        .flatten();
    Entered {
        shared,
        outer,
        not_send: PhantomData,
    }
}

/// Restores what was entered before.
#[derive(Debug)]
pub(super) struct Entered {
    shared: Option<&'static Shared>,
    outer: Option<Handle>,
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        SHARED.set(self.shared);
        let outer = self.outer.take();
        // The handle that goes may be the last of its runtime: it is dropped outside the borrow.
        let inner = HANDLE.try_with(|current| current.replace(outer));
        drop(inner);
    }
}

/// The runtime is entered while this is alive. Made by [`Handle::enter`].
///
/// Guards are to be dropped in the reverse order of their making; each restores what was entered when it was made.
#[derive(Debug)]
#[must_use = "the runtime is left when the guard is dropped"]
pub struct EnterGuard<'a> {
    _entered: Entered,
    _handle: PhantomData<&'a Handle>,
}

impl EnterGuard<'_> {
    pub(super) fn new(handle: &Handle) -> EnterGuard<'_> {
        EnterGuard {
            _entered: enter(handle.clone()),
            _handle: PhantomData,
        }
    }
}
