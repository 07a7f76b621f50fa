//! Ids of tasks, which threads give out.

use super::CURRENT;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tasks::{ID_BITS, Id};

/// Ids per block. Threads draw ids in blocks, so that spawning shares no cache line. Go draws 16 at
/// a time; with 256 the shared counter costs nothing that can be measured even in a spawn storm.
const ID_BLOCK: u64 = 256;

pub(in crate::tasks) fn next_id() -> Id {
    /// Start of the next block. Every thread whose block is used up adds [`ID_BLOCK`] and reads the
    /// old value. `Relaxed`: only uniqueness matters. Ids start at 1.
    static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

    CURRENT.with(|current| {
        let (mut next, mut end) = current.ids.get();
        if next == end {
            next = NEXT_BLOCK.fetch_add(ID_BLOCK, Ordering::Relaxed);
            end = next + ID_BLOCK;
        }
        current.ids.set((next + 1, end));
        Id::from_number(next & ((1 << ID_BITS) - 1))
    })
}
