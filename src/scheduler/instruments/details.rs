//! What is known of each task while tasks are watched one by one: how old it is, how often it was polled, for how long.
//!
//! A map by task, in pieces by its number. A task has no room for any of it, and a program that does not ask does not pay.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::sync::Mutex;

const PIECES: usize = 16;

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler) enum Doing {
    /// In a queue.
    Queued,
    /// In a poll.
    Running,
    /// It waits to be woken.
    Waiting,
}

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(in crate::scheduler) struct Detail {
    pub(in crate::scheduler) spawned: Instant,
    pub(in crate::scheduler) polls: u64,
    /// In polls that have returned.
    pub(in crate::scheduler) busy: Duration,
    pub(in crate::scheduler) doing: Doing,
    pub(in crate::scheduler) since: Instant,
}

#[derive(Debug)]
pub(in crate::scheduler) struct Details([CachePadded<Mutex<HashMap<u64, Detail>>>; PIECES]);

impl Details {
    pub(super) fn new() -> Details {
        Details(std::array::from_fn(|_| CachePadded::default()))
    }

    fn piece(&self, word: u64) -> &Mutex<HashMap<u64, Detail>> {
        // The number of the task; its origin is the same for many.
        &self.0[(word >> crate::tasks::origin::ORIGIN_BITS) as usize % PIECES]
    }

    pub(super) fn spawned(&self, word: u64, now: Instant) {
        let detail = Detail {
            spawned: now,
            polls: 0,
            busy: Duration::ZERO,
            doing: Doing::Queued,
            since: now,
        };
        self.piece(word).lock().insert(word, detail);
    }

    pub(super) fn woken(&self, word: u64, now: Instant) {
        // A task that is not known was spawned before tasks were watched.
        if let Some(detail) = self.piece(word).lock().get_mut(&word) {
            // Woken in its poll, it is queued when that ends.
            if detail.doing == Doing::Waiting {
                detail.doing = Doing::Queued;
                detail.since = now;
            }
        }
    }

    /// Gives the number of the poll.
    pub(super) fn poll_begins(&self, word: u64, now: Instant) -> u64 {
        let mut piece = self.piece(word).lock();
        let Some(detail) = piece.get_mut(&word) else {
            return 0;
        };
        detail.polls += 1;
        detail.doing = Doing::Running;
        detail.since = now;
        detail.polls
    }

    /// `is_queued`: it was woken meanwhile.
    pub(super) fn poll_ends(&self, word: u64, poll: u64, lasted: Duration, is_queued: bool) {
        if let Some(detail) = self.piece(word).lock().get_mut(&word) {
            detail.busy += lasted;
            // Else its next poll has begun elsewhere.
            if detail.polls == poll {
                detail.doing = if is_queued {
                    Doing::Queued
                } else {
                    Doing::Waiting
                };
                detail.since += lasted;
            }
        }
    }

    pub(super) fn finished(&self, word: u64) {
        self.piece(word).lock().remove(&word);
    }

    /// All that are known, in no order.
    pub(in crate::scheduler) fn all(&self) -> Vec<(u64, Detail)> {
        let mut all = Vec::new();
        for piece in &self.0 {
            all.extend(piece.lock().iter().map(|(&word, &detail)| (word, detail)));
        }
        all
    }

    pub(super) fn clear(&self) {
        for piece in &self.0 {
            *piece.lock() = HashMap::new();
        }
    }
}
