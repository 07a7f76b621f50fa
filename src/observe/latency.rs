//! How long runnables wait: of each eighth that is pushed the moment is noted here, and looked up
//! when its poll begins.
//!
//! A task has no room for it. So there are [`PLACES`] places, and a task's word tells which one is
//! its own. A push whose place is taken is not measured; so no measurement is lost once it has
//! begun, and long waits count as often as short ones.
//!
//! 1. Push: if the place is free, store the stamp, then the word with `Release`. Two pushes may do
//!    so at once: each claims the place first, by exchanging [`FREE`] for [`CLAIMED`].
//! 2. Poll: if the place holds this task's word (`Acquire`), take the stamp and free the place.
//!    Only the thread that polls the task does so, and a task is polled by one thread at a time.

use crate::sync::atomic::{AtomicU64, Ordering};

const PLACES: usize = 64;

/// No task has these words: they name a spawn site but no task number.
const FREE: u64 = 0;
const CLAIMED: u64 = 1;

#[derive(Debug, Default)]
struct Place {
    tag: AtomicU64,
    stamp: AtomicU64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Latencies([Place; PLACES]);

impl Latencies {
    pub(super) fn new() -> Latencies {
        Latencies(std::array::from_fn(|_| Place::default()))
    }

    fn place(&self, tag: u64) -> &Place {
        // The task's number is in the upper bits; those of tasks spawned together differ in the
        // lowest of it.
        let hash = tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        &self.0[hash as usize]
    }

    /// This task was made runnable.
    pub(super) fn pushed(&self, tag: u64, stamp: u64) {
        let place = self.place(tag);
        let free = place.tag.load(Ordering::Relaxed) == FREE;
        let claim = |from, to| {
            (place.tag)
                .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        if free && claim(FREE, CLAIMED) {
            place.stamp.store(stamp, Ordering::Relaxed);
            place.tag.store(tag, Ordering::Release);
        }
    }

    /// A poll of this task begins: when it was made runnable, if that was noted.
    #[inline]
    pub(super) fn polled(&self, tag: u64) -> Option<u64> {
        let place = self.place(tag);
        if place.tag.load(Ordering::Relaxed) != tag {
            return None;
        }
        // Pairs with the release in `pushed`, as does the queue that brought the task.
        place.tag.load(Ordering::Acquire);
        let stamp = place.stamp.load(Ordering::Relaxed);
        place.tag.store(FREE, Ordering::Release);
        Some(stamp)
    }

    /// Nobody pushes or polls.
    pub(super) fn reset(&self) {
        for place in &self.0 {
            place.tag.store(FREE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_by_one_task_at_a_time() {
        let latencies = Latencies::new();
        let tags: Vec<u64> = (1..=1000).map(|number| number << 18).collect();
        for &tag in &tags {
            latencies.pushed(tag, tag + 1);
        }
        let measured: Vec<u64> = tags
            .iter()
            .filter(|&&tag| {
                latencies
                    .polled(tag)
                    .inspect(|&stamp| assert_eq!(stamp, tag + 1))
                    .is_some()
            })
            .copied()
            .collect();
        assert!(measured.len() <= PLACES && measured.len() > PLACES / 2);
        assert!(tags.iter().all(|&tag| latencies.polled(tag).is_none()));
        latencies.pushed(measured[0], 7);
        assert_eq!(latencies.polled(measured[0]), Some(7), "free again");
    }
}
