//! A simulation of the executor, and this package in it.
//!
//! `executor::sim` runs the executor with simulated threads: coroutines of one thread of the system.
//!
//! 1. What this package keeps in thread-locals belongs to a simulated thread. It is taken away while
//!    that waits and others run ([`around`]), and so is the budget of the real tokio. Each module
//!    that has such a thread-local says how ([`Kept`]), and calls [`keep`] before it writes there.
//! 2. What is random elsewhere is a choice of the simulation: the branch at which `select!` begins
//!    ([`choose`]).
//!
//! Runtimes that are built in a simulation have simulated threads, too. Those of the simulation
//! itself were not built here: see `context/adopted.rs`.

use std::sync::OnceLock;

use executor::simulating;

use crate::coop;

/// Whether this thread is a simulated one.
#[inline]
pub(crate) fn is_here() -> bool {
    simulating::is_here()
}

/// What a module keeps in thread-locals for one simulated thread, while another one runs.
pub(crate) trait Kept: Default {
    const PLACE: Place;

    /// Takes what the thread-locals have, and puts there what this had.
    fn exchange(&mut self);
}

/// The modules that keep something, in the order in which it is taken away: the same in each
/// process, whichever of them is used first.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Context,
    CurrentThread,
    LocalRuntimes,
    LocalSets,
    TaskLocals,
}

type Around = fn(&mut dyn FnMut());

/// As many as there are places.
const NUM_PLACES: usize = Place::TaskLocals as usize + 1;

static PLACES: [OnceLock<Around>; NUM_PLACES] = [const { OnceLock::new() }; NUM_PLACES];

/// Step 1. Cheap after the first time. It has its effect outside of simulations, too: a `LocalSet`
/// may be older than the simulation that uses it.
pub(crate) fn keep<K: Kept>() {
    PLACES[K::PLACE as usize].get_or_init(|| keep_around::<K>);
    simulating::keep_around_waits(around);
}

fn around(wait: &mut dyn FnMut()) {
    coop::without_budget(|| within(&PLACES, wait));
}

fn within(places: &[OnceLock<Around>], wait: &mut dyn FnMut()) {
    match places {
        [] => wait(),
        [first, rest @ ..] => match first.get() {
            Some(around) => around(&mut || within(rest, wait)),
            None => within(rest, wait),
        },
    }
}

fn keep_around<K: Kept>(wait: &mut dyn FnMut()) {
    /// Puts back what was taken, also when the wait unwinds.
    struct PutBack<K: Kept>(K);

    impl<K: Kept> Drop for PutBack<K> {
        fn drop(&mut self) {
            // What a thread that has ended has left is dropped after that.
            self.0.exchange();
        }
    }

    let mut kept = PutBack(K::default());
    kept.0.exchange();
    wait();
}

/// Waits until no other simulated thread can run, or is in the middle of something that takes time.
/// The simulation's clock may move meanwhile.
pub(crate) fn settle() {
    simulating::settle();
}

/// How many processors a runtime has whose builder does not say: as many as the one around it, so
/// that it is the same on every machine. `None`: this thread is in no simulation.
pub(crate) fn num_workers() -> Option<usize> {
    let current = is_here().then(executor::Handle::try_current)?.ok()?;
    Some(current.metrics().num_workers())
}

/// Step 2. `None`: the thread is in no simulation.
#[inline]
pub(crate) fn choose(n: u32) -> Option<u32> {
    simulating::choose(n)
}
