//! What is known of each task while tasks are watched one by one: how old it is, how often it was
//! polled, for how long.
//!
//! A map by task, in pieces by its number. A task has no room for any of it, and a program that
//! does not ask does not pay.
//!
//! # A poll for a dump
//!
//! [`dump_stacks`](super::stack_dump) wakes tasks to learn where they wait. A task that still waits
//! afterwards has waited all the time, and that poll is none of its own:
//!
//! 1. The asker's wake makes the task runnable: the push is told on the asking thread, before it
//!    takes place, so before the poll begins. [`asked`](Details::asked) notes it, and leaves what
//!    the task does, and since when, as they are.
//! 2. Somebody else's wake made it runnable before: that push is told by
//!    [`woken`](Details::woken), on the other thread, and the asker's wake pushes nothing. The task
//!    has a poll of its own, which also answers the asker.
//! 3. [`poll_begins`](Details::poll_begins) takes the note of step 1, keeps since when the task has
//!    waited, and does not count the poll.
//! 4. Nobody has woken it in that poll: [`poll_ends`](Details::poll_ends) restores what was kept.
//!    Somebody has: it is queued, and its next poll is one of its own.
//! 5. The task was being polled when the asker looked, or a poll begins between its look and its
//!    wake. It is not asked then, or the wake is told as one by the task itself and the poll that
//!    follows counts.
//!
//! A wake by somebody else between steps 1 and 3 is not told: the task is runnable already. If the
//! task goes on in that poll, to wait elsewhere, the time since when it waits is too old until the
//! end of its next poll.

use std::collections::HashMap;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::clock::Instant;
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
    /// Polls that have begun, without those for dumps.
    pub(crate) polls: u64,
    /// In those of them that have returned.
    pub(crate) busy: Duration,
    pub(crate) doing: Doing,
    pub(crate) since: Instant,
    /// Polls that have begun, with those for dumps.
    begun: u64,
    /// Its next poll is for a dump.
    is_asked: bool,
    /// While it is polled for a dump: it waits since.
    kept: Option<Instant>,
    /// While it is [`Running`](Doing::Running): it lies in a queue since. Its poll has returned,
    /// and its end is about to be noted.
    queued: Option<Instant>,
}

impl Detail {
    pub(crate) fn is_polled_for_dump(&self) -> bool {
        self.kept.is_some()
    }
}

/// A poll that has begun. The default is one of a task that is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    number: u64,
    is_for_dump: bool,
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
            begun: 0,
            is_asked: false,
            kept: None,
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

    /// A dump has made it runnable.
    pub(super) fn asked(&self, tag: u64) {
        if let Some(detail) = self.piece(tag).lock().get_mut(&tag) {
            detail.is_asked = true;
        }
    }

    pub(super) fn poll_begins(&self, tag: u64, now: Instant) -> Begun {
        let mut piece = self.piece(tag).lock();
        let Some(detail) = piece.get_mut(&tag) else {
            return Begun::default();
        };
        let is_for_dump = std::mem::take(&mut detail.is_asked);
        let waits_since = match detail.doing {
            Doing::Waiting => detail.since,
            // The end of its last poll is about to be noted.
            Doing::Running | Doing::Queued => now,
        };
        detail.kept = is_for_dump.then_some(waits_since);
        detail.begun += 1;
        detail.polls += u64::from(!is_for_dump);
        detail.doing = Doing::Running;
        detail.since = now;
        detail.queued = None;
        Begun {
            number: detail.begun,
            is_for_dump,
        }
    }

    /// `is_queued`: it was woken meanwhile.
    pub(super) fn poll_ends(&self, tag: u64, poll: Begun, lasted: Duration, is_queued: bool) {
        if let Some(detail) = self.piece(tag).lock().get_mut(&tag) {
            if !poll.is_for_dump {
                detail.busy += lasted;
            }
            // Else its next poll has begun elsewhere.
            if detail.begun == poll.number {
                let (queued, kept) = (detail.queued.take(), detail.kept.take());
                let end = detail.since + lasted;
                (detail.doing, detail.since) = match queued {
                    Some(queued) => (Doing::Queued, queued.max(end)),
                    None if is_queued => (Doing::Queued, end),
                    None => (Doing::Waiting, kept.unwrap_or(end)),
                };
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
        let (details, start) = (Details::new(), Instant::now());
        let at = |micros| start + Duration::from_micros(micros);
        let lasted = LASTED;
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

    const TASK: u64 = 7 << 20;
    const LASTED: Duration = Duration::from_micros(10);

    /// A task that has been polled once, from 20 to 30, and waits.
    fn waiting(details: &Details, at: impl Fn(u64) -> Instant) {
        details.spawned(TASK, at(0));
        let poll = details.poll_begins(TASK, at(20));
        details.poll_ends(TASK, poll, LASTED, false);
        assert_eq!(only(details), (Doing::Waiting, at(30)));
    }

    fn polls_and_busy(details: &Details) -> (u64, Duration) {
        let detail = details.all()[0].1;
        (detail.polls, detail.busy)
    }

    #[test]
    fn a_poll_for_a_dump_leaves_since_when_a_task_waits() {
        let (details, start) = (Details::new(), Instant::now());
        let at = |micros| start + Duration::from_micros(micros);
        waiting(&details, at);
        details.asked(TASK);
        assert_eq!(only(&details), (Doing::Waiting, at(30)));
        let poll = details.poll_begins(TASK, at(50));
        assert_eq!(only(&details), (Doing::Running, at(50)));
        details.poll_ends(TASK, poll, LASTED, false);
        assert_eq!(only(&details), (Doing::Waiting, at(30)));
        assert_eq!(polls_and_busy(&details), (1, LASTED));
        // Its next poll is one of its own.
        details.woken(TASK, at(70));
        let poll = details.poll_begins(TASK, at(80));
        details.poll_ends(TASK, poll, LASTED, false);
        assert_eq!(only(&details), (Doing::Waiting, at(90)));
        assert_eq!(polls_and_busy(&details), (2, 2 * LASTED));
    }

    #[test]
    fn a_task_woken_in_a_poll_for_a_dump_does_not_wait() {
        let (details, start) = (Details::new(), Instant::now());
        let at = |micros| start + Duration::from_micros(micros);
        for is_told in [false, true] {
            waiting(&details, at);
            details.asked(TASK);
            let poll = details.poll_begins(TASK, at(50));
            if is_told {
                details.woken(TASK, at(65));
            }
            details.poll_ends(TASK, poll, LASTED, !is_told);
            let queued = if is_told { at(65) } else { at(60) };
            assert_eq!(only(&details), (Doing::Queued, queued));
            let poll = details.poll_begins(TASK, at(70));
            details.poll_ends(TASK, poll, LASTED, false);
            assert_eq!(only(&details), (Doing::Waiting, at(80)));
            assert_eq!(polls_and_busy(&details), (2, 2 * LASTED));
            details.finished(TASK);
        }
    }

    #[test]
    fn a_dump_that_asks_before_the_end_of_a_poll_is_noted_keeps_that_end() {
        let (details, start) = (Details::new(), Instant::now());
        let at = |micros| start + Duration::from_micros(micros);
        waiting(&details, at);
        details.woken(TASK, at(40));
        let poll = details.poll_begins(TASK, at(50));
        details.asked(TASK);
        details.poll_ends(TASK, poll, LASTED, false);
        assert_eq!(only(&details), (Doing::Waiting, at(60)));
        let asked = details.poll_begins(TASK, at(70));
        details.poll_ends(TASK, asked, LASTED, false);
        assert_eq!(only(&details), (Doing::Waiting, at(60)));
        // The poll for a dump overtakes the end of the one before it.
        details.woken(TASK, at(80));
        let poll = details.poll_begins(TASK, at(90));
        details.asked(TASK);
        let asked = details.poll_begins(TASK, at(101));
        details.poll_ends(TASK, poll, LASTED, false);
        details.poll_ends(TASK, asked, LASTED, false);
        assert_eq!(only(&details), (Doing::Waiting, at(101)));
        assert_eq!(polls_and_busy(&details), (3, 3 * LASTED));
    }
}
