//! What the calling thread is to the schedulers: one struct behind one thread-local.
//!
//! A submission asks here whether it happens on a worker of the very scheduler it is meant for. The
//! core is in a `RefCell` for its rare comings and goings ([`acquire`](super::acquire)); no borrow
//! is alive while user code runs.

use std::cell::{Cell, RefCell};
use std::ptr;

use super::Shared;
use super::processor::Core;

struct ThisThread {
    /// The scheduler it is a worker of, whether it holds a core or not.
    worker_of: Cell<Option<&'static Shared>>,
    /// The core that it holds: of a processor, or of a detached one.
    core: RefCell<Option<Box<Core>>>,
    /// The scheduler that it was started for, as a worker or as anything else.
    member_of: Cell<Option<&'static Shared>>,
    /// The scheduler that it shuts down: see [`super::lifecycle::shutdown`].
    shuts_down: Cell<Option<&'static Shared>>,
}

std::thread_local! {
    static THIS_THREAD: ThisThread = const {
        ThisThread {
            worker_of: Cell::new(None),
            core: RefCell::new(None),
            member_of: Cell::new(None),
            shuts_down: Cell::new(None),
        }
    };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept {
    worker_of: Option<&'static Shared>,
    core: Option<Box<Core>>,
    member_of: Option<&'static Shared>,
    shuts_down: Option<&'static Shared>,
}

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        THIS_THREAD.with(|this| {
            self.worker_of = this.worker_of.replace(self.worker_of);
            // No borrow is alive where a thread gives way.
            std::mem::swap(&mut *this.core.borrow_mut(), &mut self.core);
            self.member_of = this.member_of.replace(self.member_of);
            self.shuts_down = this.shuts_down.replace(self.shuts_down);
        });
    }
}

/// What `f` makes of this thread; the default while the thread is ending.
fn get<R: Default>(f: impl FnOnce(&ThisThread) -> R) -> R {
    THIS_THREAD.try_with(f).unwrap_or_default()
}

/// Runs `f` on the core this thread holds for `shared`. `None` if it holds none, or is ending.
#[inline]
pub(crate) fn with_core<R>(shared: &'static Shared, f: impl FnOnce(&Core) -> R) -> Option<R> {
    let on_core = |this: &ThisThread| {
        if !this.works_for(shared) {
            return None;
        }
        // Only `put_core` and `take_core` borrow mutably, and they call nobody meanwhile.
        this.core.try_borrow().ok()?.as_deref().map(f)
    };
    THIS_THREAD.try_with(on_core).ok().flatten()
}

/// Whether this thread holds a core.
pub(crate) fn holds_core() -> bool {
    get(|this| this.core.borrow().is_some())
}

/// The index of the processor that this thread holds.
pub(crate) fn processor_index() -> Option<usize> {
    get(|this| {
        let core = this.core.borrow();
        let core = core.as_deref()?;
        (!core.processor.ownership.is_retaken()).then_some(core.index)
    })
}

/// The scheduler this thread is a worker of, whether it holds a core now or not.
pub(crate) fn worker_of() -> Option<&'static Shared> {
    get(|this| this.worker_of.get())
}

/// This thread becomes a worker (or ceases to be one).
pub(crate) fn set_worker_of(shared: Option<&'static Shared>) {
    get(|this| this.worker_of.set(shared));
}

/// For [`Shared::acquire`] alone.
pub(crate) fn put_core(core: Box<Core>) {
    THIS_THREAD.with(|this| {
        let previous = this.core.borrow_mut().replace(core);
        debug_assert!(previous.is_none(), "a thread was given two cores");
    });
}

/// For [`Shared::release`] alone.
pub(crate) fn take_core() -> Option<Box<Core>> {
    get(|this| this.core.borrow_mut().take())
}

/// The scheduler this thread was started for.
#[inline]
pub(crate) fn member_of() -> Option<&'static Shared> {
    get(|this| this.member_of.get())
}

/// This thread was started for `shared`.
pub(crate) fn set_member_of(shared: &'static Shared) {
    get(|this| this.member_of.set(Some(shared)));
}

/// This thread shuts `shared` down from now on, or shuts nothing down any more. Gives what was true
/// before.
pub(crate) fn set_shuts_down(shared: Option<&'static Shared>) -> Option<&'static Shared> {
    get(|this| this.shuts_down.replace(shared))
}

impl ThisThread {
    #[inline]
    fn works_for(&self, shared: &'static Shared) -> bool {
        self.worker_of.get().is_some_and(|own| ptr::eq(own, shared))
    }
}
