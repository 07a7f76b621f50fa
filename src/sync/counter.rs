//! Counts that one thread at a time writes and any thread reads.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A count with one writer: the thread that holds the object to which the counter belongs. Any
/// thread may read it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        // A load and a store instead of an atomic addition, since there is one writer. Relaxed:
        // readers want a count, not an order.
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
