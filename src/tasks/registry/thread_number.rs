//! Numbers for threads, by which they share what is sharded.

use std::cell::Cell;

use super::SHARDS;
use crate::sync::atomic::{AtomicU64, Ordering};

std::thread_local! {
    /// Zero: it has none yet.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// The shard of this thread, below [`SHARDS`]. Threads get the shards in turn.
pub(crate) fn thread_shard() -> usize {
    thread_number() as usize % SHARDS
}

/// A number for this thread, from 1.
pub(crate) fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
pub(crate) struct Kept(u64);

#[cfg(feature = "sim")]
impl Kept {
    /// With that number.
    pub(crate) const fn new(number: u64) -> Kept {
        Kept(number)
    }

    pub(crate) fn exchange(&mut self) {
        self.0 = NUMBER.replace(self.0);
    }
}
