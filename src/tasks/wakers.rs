//! Tells whether a waker is one of this crate's, for a thread that must not run foreign code.
//!
//! A waker of this crate does one of a few known things: it queues a task, or ends a thread's wait.
//! Any other waker may block, or do anything else. The address of the waker's vtable tells them
//! apart. There is one vtable per type of future, so they cannot be listed beforehand. Each is
//! recorded when the first task of its type waits.
//!
//! The record is right in one direction only. A vtable found in it is ours. One that is missing may
//! be ours too, if another vtable has taken its place or no task of its type has waited yet.

use std::ptr;
use std::task::Waker;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// A few more than a program has types of tasks that wait for timers or sockets while all workers
/// are busy.
const PLACES: usize = 256;

/// Addresses of vtables, each at the place that [`table_and_place`] computes. [`note_own`] writes,
/// [`is_own`] reads. `Relaxed`: only the address itself matters. `note_own` writes only a change,
/// so that the cache lines stay shared among the readers.
static KNOWN: [AtomicUsize; PLACES] = [const { AtomicUsize::new(0) }; PLACES];

fn table_and_place(waker: &Waker) -> (usize, &'static AtomicUsize) {
    let table = ptr::from_ref(waker.vtable()).addr();
    // A vtable has four words: 32 bytes.
    (table, &KNOWN[table / 32 % PLACES])
}

/// Records that this waker, and so each with the same vtable, is one of ours.
#[inline]
pub(crate) fn note_own(waker: &Waker) {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        return simulated::note(waker);
    }
    let (table, place) = table_and_place(waker);
    if place.load(Ordering::Relaxed) != table {
        place.store(table, Ordering::Relaxed);
    }
}

/// Whether this waker is known to be one of ours.
pub(crate) fn is_own(waker: &Waker) -> bool {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        return simulated::is_known(waker);
    }
    let (table, place) = table_and_place(waker);
    place.load(Ordering::Relaxed) == table
}

/// A simulation has a record of its own. The process's has what others have left in it, and where
/// it loses something depends on addresses: so the same run would not be the same.
#[cfg(feature = "sim")]
mod simulated {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::rc::Rc;
    use std::task::Waker;

    use crate::simulated::world_if_any;

    #[derive(Default)]
    struct Known(RefCell<BTreeSet<usize>>);

    fn known() -> Option<Rc<Known>> {
        world_if_any().map(|world| world.kept(Known::default))
    }

    fn table(waker: &Waker) -> usize {
        std::ptr::from_ref(waker.vtable()).addr()
    }

    #[cold]
    pub(super) fn note(waker: &Waker) {
        if let Some(known) = known() {
            known.0.borrow_mut().insert(table(waker));
        }
    }

    #[cold]
    pub(super) fn is_known(waker: &Waker) -> bool {
        known().is_some_and(|known| known.0.borrow().contains(&table(waker)))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;
    use crate::sync::Arc;

    #[test]
    fn wakers_of_one_kind_are_known_by_one_of_them() {
        struct Ours;
        struct Theirs(#[expect(dead_code, reason = "makes it another type")] u8);
        impl Wake for Ours {
            fn wake(self: Arc<Ours>) {}
        }
        impl Wake for Theirs {
            fn wake(self: Arc<Theirs>) {}
        }
        let (one, other) = (Waker::from(Arc::new(Ours)), Waker::from(Arc::new(Ours)));
        let theirs = Waker::from(Arc::new(Theirs(0)));
        assert!(!is_own(&one) && !is_own(&theirs) && !is_own(Waker::noop()));
        note_own(&one);
        assert!(is_own(&one) && is_own(&other.clone()));
        assert!(!is_own(&theirs));
    }

    /// It neither knows what the process knows, nor forgets because others note theirs.
    #[cfg(feature = "sim")]
    #[test]
    fn a_simulation_has_a_record_of_its_own() {
        use std::time::Duration;

        use crate::simulated::{Limits, Locals, Order, Source, World};

        struct Ours;
        impl Wake for Ours {
            fn wake(self: Arc<Ours>) {}
        }
        struct Nothing;
        impl Locals for Nothing {
            fn exchange(&mut self) {}
        }
        let ours = Waker::from(Arc::new(Ours));
        note_own(&ours);
        let limits = Limits {
            time: Duration::from_secs(1),
            steps: 1,
        };
        let world = World::enter(&Source::Seed(0), Order::Any, limits, |_| Box::new(Nothing));
        let world = world.expect("the only one of this thread");
        let is_known_before = is_own(&ours);
        note_own(&ours);
        let (_, place) = table_and_place(&ours);
        place.store(0, Ordering::Relaxed);
        let is_known = is_own(&ours);
        world.leave();
        assert!(!is_known_before && is_known);
        assert!(!is_own(&ours), "its place was taken");
    }

    /// Eight vtables that are adjacent in memory.
    #[test]
    fn some_kinds_are_known_at_once() {
        struct Kind<const N: usize>;

        impl<const N: usize> Wake for Kind<N> {
            fn wake(self: Arc<Self>) {
                std::hint::black_box(N);
            }
        }

        fn waker<const N: usize>() -> Waker {
            Waker::from(Arc::new(Kind::<N>))
        }

        let wakers = [
            waker::<0>(),
            waker::<1>(),
            waker::<2>(),
            waker::<3>(),
            waker::<4>(),
            waker::<5>(),
            waker::<6>(),
            waker::<7>(),
        ];
        wakers.iter().for_each(note_own);
        let known = wakers.iter().filter(|waker| is_own(waker)).count();
        assert!(known > 4, "{known} of 8");
    }
}
