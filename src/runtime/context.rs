//! The runtime that a thread is in.
//!
//! The threads of a runtime enter it for good. Other threads enter one by [`Handle::enter`] or
//! inside a `block_on`. Free functions such as `executor::spawn` act on the innermost runtime
//! entered, or else on the default one of the process.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use super::{Builder, Handle, Runtime};
use crate::scheduler::{Shared, this_thread};
use crate::stderr;
use crate::sync::MutexGuard;
use crate::sync::exit::at_exit;
use crate::sync::fork::PerProcess;
use crate::tasks::{self, catch_panic};

std::thread_local! {
    /// The innermost runtime entered, for the hot paths: no destructor, one load.
    static SHARED: Cell<Option<&'static Shared>> = const { Cell::new(None) };

    /// All runtimes that were entered and not left yet, the innermost last. `SHARED` is the
    /// scheduler of the last one, and never outlives it.
    static STACK: RefCell<Stack> = const { RefCell::new(Stack { entries: Vec::new(), entered: 0 }) };
}

#[cfg(feature = "sim")]
std::thread_local! {
    static SIMULATED_DEFAULT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    static HAS_SIMULATED_DEFAULT: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, the simulation of this thread has a default runtime, which is built on first use.
/// It ends with this.
#[cfg(feature = "sim")]
pub(crate) struct SimulatedDefault(());

#[cfg(feature = "sim")]
impl SimulatedDefault {
    pub(crate) fn begin() -> SimulatedDefault {
        HAS_SIMULATED_DEFAULT.set(true);
        SimulatedDefault(())
    }
}

#[cfg(feature = "sim")]
impl Drop for SimulatedDefault {
    fn drop(&mut self) {
        HAS_SIMULATED_DEFAULT.set(false);
        let runtime = SIMULATED_DEFAULT.take();
        drop(runtime);
    }
}

#[cfg(feature = "sim")]
fn simulated_default() -> Handle {
    let built =
        || SIMULATED_DEFAULT.with_borrow(|runtime| Some(runtime.as_ref()?.handle().clone()));
    built().unwrap_or_else(|| {
        assert!(
            HAS_SIMULATED_DEFAULT.get(),
            "the default runtime of this simulation has ended, and this thread is in no other one"
        );
        let runtime = Builder::new().worker_threads(1);
        let runtime = runtime.stall_threshold(std::time::Duration::MAX).build();
        let mut runtime = Some(runtime.expect("simulated threads can be started"));
        SIMULATED_DEFAULT.with_borrow_mut(|place| {
            if place.is_none() {
                *place = runtime.take();
            }
        });
        // Another thread has built one meanwhile.
        drop(runtime);
        built().expect("it was built")
    })
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept {
    shared: Option<&'static Shared>,
    entries: Vec<Entry>,
    entered: u64,
}

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        self.shared = SHARED.replace(self.shared);
        STACK.with_borrow_mut(|stack| {
            std::mem::swap(&mut stack.entries, &mut self.entries);
            std::mem::swap(&mut stack.entered, &mut self.entered);
        });
    }
}

struct Stack {
    entries: Vec<Entry>,
    /// Number of entries ever made, which is the number of the next one.
    entered: u64,
}

/// A runtime that was entered.
struct Entry {
    number: u64,
    handle: Handle,
    /// Tag of the task that has entered it; zero: it was outside of tasks.
    task: u64,
}

impl Stack {
    /// A handle with a class was entered or left.
    fn tell_class(&self) {
        let task = tasks::current_tag().unwrap_or(0);
        let entered_here = self.entries.iter().filter(|entry| entry.task == task);
        let class = entered_here.rev().find_map(|entry| entry.handle.class);
        tasks::enter_class(class, tell_class);
    }
}

/// What runs here has this class from now on: that of the handle entered last, or its own.
pub(super) fn tell_class() {
    // An error: the thread ends.
    let _ = STACK.try_with(|stack| stack.borrow().tell_class());
}

/// The scheduler of the runtime that this thread is in.
#[inline]
pub(crate) fn current() -> Option<&'static Shared> {
    SHARED.get()
}

/// The scheduler of the runtime that this thread is in, or else of the default runtime.
#[inline]
pub(crate) fn current_or_default() -> &'static Shared {
    match current() {
        Some(shared) => shared,
        None => default_shared(),
    }
}

/// Like [`current_or_default`], but never a runtime that has shut down: for timers, which must go
/// on elsewhere. The first time that the caller finds the current runtime shut down, returns `None`
/// and sets `refused`. A task of that runtime will not ask again; any other caller then gets the
/// default runtime.
#[cfg(feature = "time")]
#[inline]
pub(crate) fn alive_or_default(refused: &mut bool) -> Option<&'static Shared> {
    match current() {
        Some(shared) if !shared.is_closed() => Some(shared),
        Some(_) if !std::mem::replace(refused, true) => None,
        _ => Some(default_shared()),
    }
}

fn default_shared() -> &'static Shared {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        return simulated_default().shared();
    }
    default_handle().shared()
}

/// Without a class: what it spawns inherits that.
pub(super) fn current_handle() -> Option<Handle> {
    let of_last = |entry: &Entry| Handle {
        class: None,
        ..entry.handle.clone()
    };
    STACK
        .try_with(|stack| stack.borrow().entries.last().map(of_last))
        .ok()
        .flatten()
}

/// The index of the processor that this thread holds, by which
/// [`RuntimeMetrics::worker_poll_count`](crate::runtime::RuntimeMetrics::worker_poll_count) and its like know it.
///
/// `None` outside a task, in `spawn_blocking`, and in a task whose processor was handed over because
/// the task blocks. A task may have another processor at each poll.
///
/// # Examples
///
/// ```
/// let runtime = executor::runtime::Builder::new().worker_threads(1).build()?;
/// let index = runtime.spawn(async { executor::runtime::worker_index() });
/// assert_eq!(runtime.block_on(index).unwrap(), Some(0));
/// assert_eq!(executor::runtime::worker_index(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn worker_index() -> Option<usize> {
    this_thread::processor_index()
}

pub(super) fn current_handle_or_default() -> Handle {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        return current_handle().unwrap_or_else(simulated_default);
    }
    current_handle().unwrap_or_else(|| default_handle().clone())
}

static DEFAULT: PerProcess<Runtime> = PerProcess::new();

/// Takes the lock of the default runtime, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    DEFAULT.hold()
}

/// The handle of the default runtime, which is built on first use and never dropped.
///
/// Panics if it cannot be built: the free functions have no way to return an error.
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

/// Writes the timeline of the default runtime when the process exits, since that runtime is never
/// dropped. Its workers wait meanwhile. If they went on, the process might not end for minutes.
extern "C" fn end_default() {
    catch_panic(|| {
        if let Some(runtime) = DEFAULT.get() {
            let _held = runtime.handle().shared().hold_workers();
            runtime.end_recording();
        }
    });
    // `end_recording` may have written a message.
    stderr::flush();
}

/// The reactor of the runtime that this thread is in, or else of the default runtime.
#[cfg(feature = "net")]
pub(crate) fn reactor() -> std::io::Result<crate::sync::Arc<crate::reactor::Reactor>> {
    let shared = current_or_default();
    if shared.in_forked_child() {
        return Err(std::io::Error::other(crate::scheduler::FORKED));
    }
    shared.reactor().ok_or_else(|| {
        let text = "the runtime has shut down: no i/o can be registered";
        std::io::Error::other(crate::reactor::ShutDown(text))
    })
}

/// Enters a runtime on this thread until the guard is dropped.
pub(super) fn enter(handle: Handle) -> Entered {
    let before = SHARED.replace(Some(handle.shared()));
    let number = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        let number = stack.entered;
        stack.entered += 1;
        let has_class = handle.class.is_some();
        stack.entries.push(Entry {
            number,
            handle,
            task: tasks::current_tag().unwrap_or(0),
        });
        if has_class {
            stack.tell_class();
        }
        number
    });
    Entered {
        number: number.ok(),
        before,
        not_send: PhantomData,
    }
}

/// Removes its entry from [`STACK`]. The innermost entry left becomes the current runtime.
///
/// A guard that restored the runtime which was current when the guard was made would bring back a
/// runtime that has been left, if guards are not dropped in the reverse order of their making.
#[derive(Debug)]
pub(super) struct Entered {
    /// `None` if the thread was exiting and `STACK` had been destroyed.
    number: Option<u64>,
    /// The runtime that was current before, for the case that `STACK` has been destroyed.
    before: Option<&'static Shared>,
    /// It stays on its thread; a reference to it need not.
    not_send: PhantomData<MutexGuard<'static, ()>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = STACK.try_with(|stack| {
            let mut stack = stack.borrow_mut();
            let entries = &mut stack.entries;
            let index = entries
                .iter()
                .rposition(|entry| Some(entry.number) == self.number)?;
            let left = entries.remove(index).handle;
            SHARED.set(entries.last().map(|entry| entry.handle.shared()));
            if left.class.is_some() {
                stack.tell_class();
            }
            Some(left)
        });
        match left {
            // The handle may be the last of its runtime, so it is dropped outside the borrow.
            Ok(left) => drop(left),
            Err(_) => SHARED.set(self.before),
        }
    }
}

/// Keeps the runtime entered while it exists. Made by [`Handle::enter`].
///
/// Guards may be dropped in any order: of the guards left, the one made last determines the current
/// runtime. A guard that is leaked leaves the thread in its runtime.
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

/// The calling thread is in no runtime.
#[derive(Debug)]
pub struct NoRuntime(pub(super) ());

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the calling thread is in no runtime: no task, no block_on, no entered handle")
    }
}

impl std::error::Error for NoRuntime {}
