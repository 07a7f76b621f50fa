//! Counts that one thread at a time writes and any reads.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Load, add, store; no read-modify-write. Its writer is whoever holds what it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        // Single writer, and readers want a count, not an order: relaxed, and no atomic addition.
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
