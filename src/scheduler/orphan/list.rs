//! The list of orphans that have something in their queue. The protocol is in [`super`]; here are its steps on the list.

use std::ptr;

use crate::scheduler::at::At;
use crate::scheduler::processor::Processor;
use crate::sync::atomic::{AtomicUsize, Ordering};

#[cfg(test)]
mod tests;

/// Each costs a thief a look (about 10 ns) while it is listed. That many stuck tasks which all go on to spawn are rare.
const LISTED: usize = 64;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::scheduler) struct Orphans<const PLACES: usize = LISTED> {
    /// Occupied places. Raised before a place is filled, lowered after it was emptied, so whoever sees a place filled sees
    /// a count. Read by thieves: `Relaxed`, ordered by the fences of `Idle` where it matters, as the queues are.
    count: AtomicUsize,
    places: [At; PLACES],
}

impl<const PLACES: usize> Orphans<PLACES> {
    pub(in crate::scheduler) fn new() -> Self {
        Orphans {
            count: AtomicUsize::new(0),
            places: std::array::from_fn(|_| At::nowhere()),
        }
    }

    /// Whether there are any: one load.
    #[inline]
    pub(in crate::scheduler) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    pub(in crate::scheduler) fn iter(&self) -> impl Iterator<Item = &'static Processor> {
        let places = if self.is_empty() {
            &[]
        } else {
            &self.places[..]
        };
        places.iter().filter_map(At::get)
    }

    /// False: there is no room.
    pub(in crate::scheduler) fn list(&self, at: &'static Processor) -> bool {
        // The orphan's worker and the monitor may both come; who sets the mark does it. Acquire and release: the swap that
        // takes the mark off sees what was pushed before this one.
        if at.listed.swap(true, Ordering::AcqRel) {
            return true;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.places.iter().any(|place| place.fill(at)) {
            return true;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        at.listed.swap(false, Ordering::AcqRel);
        false
    }

    /// Monitor alone: a place is emptied by nobody else.
    pub(in crate::scheduler) fn unlist(&self, at: &'static Processor) {
        let is_it = |place: &&At| place.get().is_some_and(|other| ptr::eq(other, at));
        if let Some(place) = self.places.iter().find(is_it) {
            place.set(None);
            // Pairs with the swap in `list`.
            at.listed.swap(false, Ordering::AcqRel);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Nobody may be at work.
    pub(in crate::scheduler) fn clear(&self) {
        self.iter().for_each(|at| self.unlist(at));
    }

    /// Monitor: step 4. `rob`: moves on what an orphan has, for there is no room for it any more. True: something has come
    /// meanwhile, and somebody may have looked for it in vain.
    pub(in crate::scheduler) fn tidy(&self, rob: impl Fn(&Processor)) -> bool {
        self.tidy_by(|at| at.stealer.is_empty(), rob)
    }

    fn tidy_by(&self, is_empty: impl Fn(&Processor) -> bool, rob: impl Fn(&Processor)) -> bool {
        let mut found = false;
        for at in self.iter() {
            if !is_empty(at) {
                continue;
            }
            self.unlist(at);
            if !is_empty(at) {
                found = true;
                if !self.list(at) {
                    rob(at);
                }
            }
        }
        found
    }
}
