//! Threads of a simulation: what stands in for the operating system while the runtime is simulated.
//!
//! # What it guarantees
//!
//! - All threads of a simulation are coroutines of one thread of the system. One runs at a time,
//!   and another one takes over only where the running one waits or says so ([`point`]). So locks
//!   of `std` never contend, and no wait is missed.
//! - Time is virtual. It passes when a poll costs some, and jumps when no thread can run.
//! - The same [`Source`] of choices gives the same run: nothing else decides who runs, when, and
//!   for how long.
//!
//! # Protocol
//!
//! 1. [`World::enter`] makes the calling thread the **root** of a simulation: its thread 0. Others
//!    are made by [`Thread::start`], and run on stacks of their own.
//! 2. A thread that waits says until when (`World::wait`) and gives way. The root then runs the
//!    loop that all others go back to (`World::drive`): it chooses among the threads that are
//!    ready, and resumes one. When it chooses the root, the root's own wait is over.
//! 3. If none is ready, the clock jumps to the first deadline. If there is none either, all are
//!    asleep: the run is over ([`Over`]).
//! 4. When the run is over, so are the waits of user code, by unwinding. The
//!    runtime's own waits go on, so that it can shut down. If it cannot, its threads are abandoned.
//!
//! What a thread knows of itself is in thread-locals of the one thread of the system. They are
//! exchanged when a thread takes its turn ([`Locals`]). A crate around this one takes care of its own
//! (`around.rs`).
//!
//! Module `sync` stands on this one: there a simulated thread waits here. So the few atomics and
//! locks here are `std`'s own. They are for threads of the system that hold a handle of a simulated
//! one, or that are in another simulation.
//!
//! # What it does not do
//!
//! It does not see what blocks outside of it: a lock of the user's that another simulated thread
//! holds blocks for ever. Threads of the system may wake simulated ones at any time, and then a run
//! is not repeatable.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

mod around;
pub(crate) mod choices;
#[cfg(feature = "net")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, unused_imports, reason = "Unix sockets, abstract names")
)]
pub(crate) mod net;
mod order;
mod thread;
mod world;

pub(crate) use self::around::set_around;
pub(crate) use self::choices::{Kind, Source};
pub(crate) use self::order::Order;
pub(crate) use self::thread::{Activity, Thread};
pub(crate) use self::world::{Ended, Event, Limits, Over, Report, World};

/// Simulations that exist in this process. Relaxed: a thread that is in one has counted it.
static COUNT: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// What the modules of this crate keep for the thread that runs, one for each simulated thread.
pub(crate) trait Locals {
    /// Puts what is kept in the place of what is there, and keeps that.
    fn exchange(&mut self);
}

/// Whether this thread is in a simulation.
#[inline]
pub(crate) fn is_here() -> bool {
    COUNT.load(Ordering::Relaxed) != 0 && world().is_some()
}

/// The simulation that this thread is in.
#[cold]
pub(crate) fn world() -> Option<Rc<World>> {
    // An error: the thread ends.
    WORLD
        .try_with(|world| world.borrow().clone())
        .ok()
        .flatten()
}

/// Which simulation this thread is in.
pub(crate) fn id() -> Option<u64> {
    world_if_any().map(|world| world.id())
}

/// Another thread may run here. Does nothing outside of a simulation. Not to be called under a lock.
pub(crate) fn point() {
    if let Some(world) = world_if_any() {
        world.point();
    }
}

/// [`point`], where a `block_on` has to wait, perhaps for what has happened already: when the run is
/// over, this unwinds.
pub(crate) fn point_in_user_code() {
    if let Some(world) = world_if_any() {
        world.point_in_user_code();
    }
}

/// Another thread may run here, in the middle of what this one does. Not to be called under a lock.
pub(crate) fn interleave() {
    if let Some(world) = world_if_any() {
        world.interleave();
    }
}

/// The virtual time since the simulation has begun.
pub(crate) fn now() -> Option<Duration> {
    world_if_any().map(|world| world.now())
}

/// An answer below `n`; 0 is the ordinary one, and the only one outside of a simulation. The others
/// are as likely as one in `rarity` together.
pub(crate) fn choose(kind: Kind, n: u32, rarity: u32) -> u32 {
    world_if_any().map_or(0, |world| world.choose(kind, n, rarity))
}

/// A worker polls a task. Others have their turn when the poll is over.
pub(crate) struct Poll(());

impl Poll {
    pub(crate) fn begin(task: u64) -> Poll {
        if let Some(world) = world_if_any() {
            world.poll_begins(Some(task));
        }
        Poll(())
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        point();
    }
}

/// A `block_on` polls its future, which takes its time as the poll of a task does.
pub(crate) fn block_on_polls() {
    if let Some(world) = world_if_any() {
        world.poll_begins(None);
    }
}

/// A panic has ended a task, a blocking job or a thread.
#[cold]
pub(crate) fn note_panic() {
    if let Some(world) = world_if_any() {
        world.note_panic();
    }
}

/// Calls a function on the thread of the system, which is in no simulation meanwhile: to wait for other
/// threads of the system.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    struct PutBack(Option<Rc<World>>);

    impl Drop for PutBack {
        fn drop(&mut self) {
            WORLD.with(|world| *world.borrow_mut() = self.0.take());
        }
    }

    let _world = PutBack(WORLD.with(|world| world.borrow_mut().take()));
    f()
}

/// What the scheduler draws.
pub(crate) fn draw(n: u32) -> u32 {
    choose(Kind::Scheduler, n, 1)
}

#[inline]
pub(crate) fn world_if_any() -> Option<Rc<World>> {
    match COUNT.load(Ordering::Relaxed) {
        0 => None,
        _ => world(),
    }
}
