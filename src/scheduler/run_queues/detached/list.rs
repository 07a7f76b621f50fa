//! The list of detached processors that have something in their queue. The protocol is in
//! [`super`]; here are its steps on the list.

use std::ptr;

use crate::scheduler::processor::Processor;
use crate::scheduler::processor::ProcessorRef;
use crate::sync::atomic::{AtomicUsize, Ordering};

#[cfg(test)]
mod tests;

/// Each costs a thief a look (about 10 ns) while it is listed. That many stuck tasks which all go
/// on to spawn are rare.
const LISTED: usize = 64;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct DetachedList<const PLACES: usize = LISTED> {
    /// Occupied places. Raised before a place is filled, lowered after it was emptied, so whoever
    /// sees a place filled sees a count. Read by thieves: `Relaxed`, ordered by the fences of
    /// `Idle` where it matters, as the queues are.
    count: AtomicUsize,
    places: [ProcessorRef; PLACES],
}

impl<const PLACES: usize> DetachedList<PLACES> {
    pub(crate) fn new() -> Self {
        DetachedList {
            count: AtomicUsize::new(0),
            places: std::array::from_fn(|_| ProcessorRef::none()),
        }
    }

    /// Whether there are any: one load.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Processor> {
        let places = if self.is_empty() {
            &[]
        } else {
            &self.places[..]
        };
        places.iter().filter_map(ProcessorRef::get)
    }

    /// False: there is no room.
    pub(crate) fn list(&self, processor: &'static Processor) -> bool {
        // The detached processor's worker and the monitor may both come; who sets the mark does it.
        // Acquire and release: the swap that takes the mark off sees what was pushed before this
        // one.
        if processor.listed.swap(true, Ordering::AcqRel) {
            return true;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if self.places.iter().any(|place| place.fill(processor)) {
            return true;
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        processor.listed.swap(false, Ordering::AcqRel);
        false
    }

    /// Monitor alone: a place is emptied by nobody else.
    pub(crate) fn unlist(&self, processor: &'static Processor) {
        let is_it =
            |place: &&ProcessorRef| place.get().is_some_and(|other| ptr::eq(other, processor));
        if let Some(place) = self.places.iter().find(is_it) {
            place.set(None);
            // Pairs with the swap in `list`.
            processor.listed.swap(false, Ordering::AcqRel);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Nobody may be at work.
    pub(crate) fn clear(&self) {
        self.iter().for_each(|processor| self.unlist(processor));
    }

    /// Monitor: step 4. `drain`: moves on what a detached processor has, for there is no room for
    /// it any more. True: something has come meanwhile, and somebody may have looked for it in
    /// vain.
    pub(crate) fn sweep(&self, drain: impl Fn(&Processor)) -> bool {
        self.sweep_by(|processor| processor.stealer.is_empty(), drain)
    }

    fn sweep_by(&self, is_empty: impl Fn(&Processor) -> bool, drain: impl Fn(&Processor)) -> bool {
        let mut found = false;
        for processor in self.iter() {
            if !is_empty(processor) {
                continue;
            }
            self.unlist(processor);
            if !is_empty(processor) {
                found = true;
                if !self.list(processor) {
                    drain(processor);
                }
            }
        }
        found
    }
}
