//! Since when a task has been runnable: one mark per place of the ledger, for [`sampler`](super::sampler).
//!
//! 1. Before a waker is called (or the task is spawned): 0 becomes "about to be".
//! 2. After that: "about to be" becomes the time, unless the mark has changed.
//! 3. When a poll begins: 0. When it ends pending and there is a mark, somebody has woken the task meanwhile: the time.
//!
//! A waker that is stopped between 1 and 2 leaves a mark that is not counted, as it should: the runtime may not know of the
//! task yet. A wake that arrives just before 3 may be forgotten. Both hide a runnable task, neither invents one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Wake, Waker};

use super::clock::now;
use super::ledger::{self, FUTURE, Key, PLACES, POLLING};

/// Low 16 bits of the uses, 47 bits of microseconds, one bit: about to be.
static MARKS: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];

const ABOUT: u64 = 1;
const TIME: u64 = (1 << 47) - 1;

fn mark(key: Key) -> u64 {
    (key.uses & 0xffff) << 48 | ((now() / 1000) & TIME) << 1
}

pub(super) fn clear(index: u32) {
    MARKS[index as usize].store(0, Relaxed);
}

/// Step 1; `None` if there is a mark already, or the task has ended.
pub(super) fn about(key: Key) -> Option<u64> {
    let word = ledger::place(key.index).word.load(Relaxed);
    if !key.is_mine(word) || word & FUTURE == 0 {
        return None;
    }
    let about = mark(key) | ABOUT;
    MARKS[key.index as usize]
        .compare_exchange(0, about, Relaxed, Relaxed)
        .ok()
        .map(|_| about)
}

/// Step 2.
pub(super) fn is(key: Key, about: Option<u64>) {
    if let Some(about) = about {
        let mark = mark(key);
        let _ = MARKS[key.index as usize].compare_exchange(about, mark, Relaxed, Relaxed);
    }
}

/// Step 3, of a poll that ended pending.
pub(super) fn again(key: Key) {
    let place = &MARKS[key.index as usize];
    let seen = place.load(Relaxed);
    if seen != 0 && seen & ABOUT == 0 {
        let _ = place.compare_exchange(seen, mark(key), Relaxed, Relaxed);
    }
}

/// The task that has been runnable for longest: its place, its mark, and for how many microseconds.
pub(super) fn oldest() -> Option<(u32, u64, u64)> {
    let now = now() / 1000;
    let mut oldest: Option<(u32, u64, u64)> = None;
    for (index, place) in MARKS.iter().enumerate() {
        let mark = place.load(Relaxed);
        if mark == 0 || mark & ABOUT != 0 {
            continue;
        }
        let waited = now.saturating_sub(mark >> 1 & TIME);
        let word = ledger::place(index as u32).word.load(Relaxed);
        let is_its = word >> 8 & 0xffff == mark >> 48;
        if !is_its || word & FUTURE == 0 || word & POLLING != 0 {
            continue;
        }
        if oldest.is_none_or(|(.., longest)| waited > longest) {
            oldest = Some((index as u32, mark, waited));
        }
    }
    oldest
}

/// A waker that leaves a mark.
pub(super) struct Relay {
    pub(super) key: Key,
    pub(super) inner: Waker,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let about = about(self.key);
        self.inner.wake_by_ref();
        is(self.key, about);
    }
}
