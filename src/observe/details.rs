//! What is known of each task while tasks are watched one by one: how old it is, how often it was
//! polled, for how long.
//!
//! A map by task, in pieces by its number. A task has no room for any of it, and a program that
//! does not ask does not pay.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::sync::Mutex;

const PIECES: usize = 16;

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// In a queue.
    Queued,
    /// In a poll.
    Running,
    /// It waits to be woken.
    Waiting,
}

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detail {
    pub(crate) spawned: Instant,
    pub(crate) polls: u64,
    /// In polls that have returned.
    pub(crate) busy: Duration,
    pub(crate) doing: Doing,
    pub(crate) since: Instant,
    /// While it is [`Running`](Doing::Running): it lies in a queue since. Its poll has returned,
    /// and its end is about to be noted.
    queued: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Details([CachePadded<Mutex<HashMap<u64, Detail>>>; PIECES]);

impl Details {
    pub(super) fn new() -> Details {
        Details(std::array::from_fn(|_| CachePadded::default()))
    }

    fn piece(&self, tag: u64) -> &Mutex<HashMap<u64, Detail>> {
        // The number of the task; its spawn site is the same for many.
        &self.0[(tag >> crate::tasks::spawn_site::SPAWN_SITE_BITS) as usize % PIECES]
    }

    pub(super) fn spawned(&self, tag: u64, now: Instant) {
        let detail = Detail {
            spawned: now,
            polls: 0,
            busy: Duration::ZERO,
            doing: Doing::Queued,
            since: now,
            queued: None,
        };
        self.piece(tag).lock().insert(tag, detail);
    }

    pub(super) fn woken(&self, tag: u64, now: Instant) {
        // A task that is not known was spawned before tasks were watched.
        if let Some(detail) = self.piece(tag).lock().get_mut(&tag) {
            match detail.doing {
                Doing::Waiting => {
                    detail.doing = Doing::Queued;
                    detail.since = now;
                }
                // By itself, or by another thread before `poll_ends`.
                Doing::Running => detail.queued = Some(now),
                Doing::Queued => {}
            }
        }
    }

    /// Gives the number of the poll.
    pub(super) fn poll_begins(&self, tag: u64, now: Instant) -> u64 {
        let mut piece = self.piece(tag).lock();
        let Some(detail) = piece.get_mut(&tag) else {
            return 0;
        };
        detail.polls += 1;
        detail.doing = Doing::Running;
        detail.since = now;
        detail.queued = None;
        detail.polls
    }

    /// `is_queued`: it was woken meanwhile.
    pub(super) fn poll_ends(&self, tag: u64, poll: u64, lasted: Duration, is_queued: bool) {
        if let Some(detail) = self.piece(tag).lock().get_mut(&tag) {
            detail.busy += lasted;
            // Else its next poll has begun elsewhere.
            if detail.polls == poll {
                let queued = detail.queued.take();
                detail.doing = if is_queued || queued.is_some() {
                    Doing::Queued
                } else {
                    Doing::Waiting
                };
                let end = detail.since + lasted;
                detail.since = queued.map_or(end, |queued| queued.max(end));
            }
        }
    }

    pub(super) fn finished(&self, tag: u64) {
        self.piece(tag).lock().remove(&tag);
    }

    /// All that are known, in no order.
    pub(crate) fn all(&self) -> Vec<(u64, Detail)> {
        let mut all = Vec::new();
        for piece in &self.0 {
            all.extend(piece.lock().iter().map(|(&tag, &detail)| (tag, detail)));
        }
        all
    }

    pub(super) fn clear(&self) {
        for piece in &self.0 {
            *piece.lock() = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of the only task.
    fn only(details: &Details) -> (Doing, Instant) {
        let all = details.all();
        assert_eq!(all.len(), 1);
        (all[0].1.doing, all[0].1.since)
    }

    #[test]
    fn a_task_woken_before_the_end_of_its_poll_is_noted_does_not_wait() {
        const TASK: u64 = 7 << 20;
        let (details, start) = (Details::new(), Instant::now());
        let at = |micros| start + Duration::from_micros(micros);
        let lasted = Duration::from_micros(10);
        details.spawned(TASK, at(0));
        let poll = details.poll_begins(TASK, at(20));
        // It has returned and was woken by another thread, on its own thread nobody knows.
        details.woken(TASK, at(35));
        assert_eq!(only(&details).0, Doing::Running);
        details.poll_ends(TASK, poll, lasted, false);
        assert_eq!(only(&details), (Doing::Queued, at(35)));
        // The next one begins before the end of this one is noted.
        let poll = details.poll_begins(TASK, at(40));
        details.woken(TASK, at(55));
        let next = details.poll_begins(TASK, at(60));
        details.poll_ends(TASK, poll, lasted, false);
        assert_eq!(only(&details), (Doing::Running, at(60)));
        // And nobody has woken it in that.
        details.poll_ends(TASK, next, lasted, false);
        assert_eq!(only(&details), (Doing::Waiting, at(70)));
        details.woken(TASK, at(80));
        assert_eq!(only(&details), (Doing::Queued, at(80)));
    }
}
