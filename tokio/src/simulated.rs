//! A simulation of the executor, and this package in it.
//!
//! `executor::sim` runs the executor with simulated threads: coroutines of one thread of the system.
//!
//! 1. The runtime of a simulation was not built here. Who asks for the current runtime on one of its
//!    threads gets a handle that is made for it then ([`handle`]), and kept by the simulation.
//! 2. What this package keeps in thread-locals belongs to a simulated thread. It is taken away while
//!    that waits and others run ([`around`]), and so is the budget of the real tokio. Whatever writes
//!    such a thread-local calls [`begin`] before.
//! 3. What is random elsewhere is a choice of the simulation: the branch at which `select!` begins
//!    ([`choose`]).
//!
//! Runtimes that are built in a simulation have simulated threads, too.

use std::cell::RefCell;
use std::rc::Rc;

use executor::simulating;

use crate::runtime::current_thread;
use crate::runtime::shared::Handle;
use crate::task::task_local;
use crate::{context, coop, runtime, task};

/// Whether this thread is a simulated one.
#[inline]
pub(crate) fn is_here() -> bool {
    simulating::is_here()
}

/// Step 2. Cheap after the first time.
pub(crate) fn begin() {
    simulating::keep_around_waits(around);
}

/// What this package keeps in thread-locals, but for what is the same for all threads.
#[derive(Default)]
struct Kept {
    context: context::Kept,
    drives: current_thread::Kept,
    local_runtimes: runtime::LocalRuntimes,
    local_sets: task::EnteredSets,
    task_locals: task_local::Kept,
}

impl Kept {
    fn exchange(&mut self) {
        self.context.exchange();
        self.drives.exchange();
        self.local_runtimes.exchange();
        self.local_sets.exchange();
        self.task_locals.exchange();
    }
}

fn around(wait: &mut dyn FnMut()) {
    /// Puts back what was taken, also when the wait unwinds.
    struct PutBack(Kept);

    impl Drop for PutBack {
        fn drop(&mut self) {
            // What a thread that has ended has left is dropped after that.
            self.0.exchange();
        }
    }

    let mut kept = PutBack(Kept::default());
    kept.0.exchange();
    coop::without_budget(wait);
}

/// The handles of a simulation's runtimes that were built elsewhere.
#[derive(Default)]
struct Adopted(RefCell<Vec<Rc<Handle>>>);

/// Step 1. `None`: the thread is in no simulation, or in no runtime.
#[cold]
pub(crate) fn handle() -> Option<Rc<Handle>> {
    if !is_here() {
        return None;
    }
    let current = executor::Handle::try_current().ok()?;
    let adopted = simulating::kept(Adopted::default)?;
    let is_it =
        |handle: &&Rc<Handle>| simulating::are_of_one_runtime(handle.shared().executor(), &current);
    let found = adopted.0.borrow().iter().find(is_it).cloned();
    Some(found.unwrap_or_else(|| {
        begin();
        let new = Rc::new(Handle::adopt(current));
        adopted.0.borrow_mut().push(new.clone());
        new
    }))
}

/// Waits until no other simulated thread can run before the clock of the simulation jumps.
pub(crate) fn settle() {
    simulating::settle();
}

/// How many processors a runtime has whose builder does not say: as many as the one around it, so
/// that it is the same on every machine. `None`: this thread is in no simulation.
pub(crate) fn num_workers() -> Option<usize> {
    let current = is_here().then(executor::Handle::try_current)?.ok()?;
    Some(current.metrics().num_workers())
}

/// Step 3. `None`: the thread is in no simulation.
#[inline]
pub(crate) fn choose(n: u32) -> Option<u32> {
    match is_here() {
        true => simulating::choose(n),
        false => None,
    }
}
