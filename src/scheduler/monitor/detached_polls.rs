//! The monitor's notes on detached polls: which of them compute, and how often those of a spawn
//! site do.

use std::time::Duration;

use super::probe;
use crate::scheduler::Shared;
use crate::scheduler::monitor::watch::RUNNING;
use crate::scheduler::processor::Processor;
use crate::scheduler::run_queues::compute_limit::{SCORES, score_of};
use crate::sync::atomic::Ordering;
use crate::tasks::Priority;

/// A poll that has used so much CPU time may be waiting in a loop for what is held back. So tasks
/// that do wait for each other soon have as many threads as they are. Twice as much if [`MANY`] P
/// such go on already: tasks that just compute for long have threads with about the square root of
/// how long they compute.
pub(super) const ENDLESS: Duration = Duration::from_millis(200);
const MANY: u32 = 4;

/// What a computing poll adds to the score of its spawn site, and how much makes the site heavy, to
/// be multiplied by P: after as many polls as there are processors. A single poll that went by
/// takes one off.
const COMPUTES: i32 = 4;
const HEAVY: i32 = COMPUTES;
/// How far short polls lower a score: so many computing ones, beyond those that make any site
/// heavy, are forgiven.
const LIGHTEST: i32 = -8 * COMPUTES;

/// The monitor's notes on the polls that it has detached, and on their spawn sites.
#[derive(Debug)]
pub(crate) struct DetachedPolls {
    polls: Vec<DetachedPoll>,
    scores: Box<[i32; SCORES]>,
}

/// Why a poll loses its processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Blocks,
    Computes,
    /// An `Interactive` task waits: see [`super::latency`].
    IsInTheWay,
}

#[derive(Debug)]
struct DetachedPoll {
    processor: &'static Processor,
    thread: u64,
    /// The CPU time of the thread when it was detached, or last found blocked.
    since: Duration,
    /// That at the last look.
    seen: Duration,
    /// It was counted without raising the score of its spawn site.
    is_early: bool,
    is_endless: bool,
    is_over: bool,
}

impl DetachedPolls {
    pub(crate) fn new() -> DetachedPolls {
        DetachedPolls {
            polls: Vec::new(),
            scores: Box::new([0; SCORES]),
        }
    }

    /// A poll of this task has begun and ended between two rounds, as of this class. Zero: none has,
    /// the worker looks for one.
    pub(crate) fn went_by(&mut self, shared: &'static Shared, task: u64, class: Priority) {
        if task == 0 {
            return;
        }
        let index = score_of(task, class);
        self.scores[index] = (self.scores[index] - 1).max(LIGHTEST);
        self.weigh(shared, index);
    }

    fn computes(&mut self, shared: &'static Shared, processor: &Processor) {
        self.raise(shared, processor);
        (shared.queues.compute_limit).begin_computing(&processor.counted);
    }

    fn raise(&mut self, shared: &'static Shared, processor: &Processor) {
        let index = score_of(processor.task(), processor.class());
        let heavy = HEAVY * shared.queues.num_processors() as i32;
        self.scores[index] = (self.scores[index] + COMPUTES).min(2 * heavy);
        self.weigh(shared, index);
    }

    fn weigh(&self, shared: &'static Shared, index: usize) {
        let is_heavy = self.scores[index] >= HEAVY * shared.queues.num_processors() as i32;
        let has_changed = shared.queues.compute_limit.set_heavy(index, is_heavy);
        if has_changed && !is_heavy {
            // Its tasks among those that are held back are light now. The others come back.
            shared.queues.release_held_back();
            shared.wake_for_shared_queue();
        }
    }

    /// Before a retake. False: nothing will be known of the poll.
    pub(super) fn begin(
        &mut self,
        shared: &'static Shared,
        processor: &'static Processor,
        reason: Reason,
    ) -> bool {
        let Some((thread, _)) = processor.ownership.held_by() else {
            return false;
        };
        // Where no CPU time is known, nobody knows whether it computes.
        let Some(now) = probe::cpu_time(thread) else {
            return false;
        };
        self.polls
            .retain(|poll| !std::ptr::eq(poll.processor, processor));
        match reason {
            Reason::Blocks => {}
            Reason::Computes => self.computes(shared, processor),
            Reason::IsInTheWay => {
                (shared.queues.compute_limit).begin_computing(&processor.counted);
            }
        }
        self.polls.push(DetachedPoll {
            processor,
            thread,
            since: now,
            seen: now,
            is_early: reason == Reason::IsInTheWay,
            is_endless: false,
            is_over: false,
        });
        true
    }

    /// The retake came too late.
    pub(crate) fn undo(&mut self, shared: &'static Shared, processor: &'static Processor) {
        self.polls
            .retain(|poll| !std::ptr::eq(poll.processor, processor));
        shared.ends_computing(processor);
    }

    /// Each ten milliseconds: who computes, and who does no more.
    pub(crate) fn look(&mut self, shared: &'static Shared) {
        let endless = self.polls.iter().filter(|poll| poll.is_endless).count() as u32;
        let processors = shared.queues.num_processors() as u32;
        let patience = ENDLESS * (MANY * processors + endless) / (MANY * processors);
        let mut polls = std::mem::take(&mut self.polls);
        for poll in &mut polls {
            if poll.is_early && poll.computes_after_all() {
                poll.is_early = false;
                self.raise(shared, poll.processor);
            }
            if poll.look(shared, patience) {
                self.computes(shared, poll.processor);
                // It may have ended while it was counted: then its worker has looked at its mark
                // before.
                poll.is_over = poll.is_over();
                if poll.is_over {
                    shared.ends_computing(poll.processor);
                }
            }
        }
        self.polls = polls;
        if shared.queues.compute_limit.is_idle() && !self.polls.is_empty() {
            shared.queues.compute_limit.reset();
            self.scores
                .iter_mut()
                .for_each(|score| *score = (*score).min(0));
        }
        self.polls.retain(|poll| !poll.is_over);
    }
}

impl DetachedPoll {
    fn is_over(&self) -> bool {
        !self.processor.ownership.is_detached()
    }

    /// It was retaken early, and has computed since for as long as others before they are retaken.
    fn computes_after_all(&self) -> bool {
        let now = probe::cpu_time(self.thread).filter(|_| !self.is_over());
        now.is_some_and(|now| now.saturating_sub(self.since) >= RUNNING)
    }

    /// True: it is to be counted.
    fn look(&mut self, shared: &'static Shared, patience: Duration) -> bool {
        let now = probe::cpu_time(self.thread).filter(|_| !self.is_over());
        let Some(now) = now else {
            self.is_over = true;
            return false;
        };
        let stands = std::mem::replace(&mut self.seen, now) == now;
        if stands && probe::Probe::default().state(self.thread) == probe::State::Blocked {
            self.since = now;
            self.counts_no_more(shared);
        } else if now - self.since >= patience {
            self.is_endless = true;
            self.counts_no_more(shared);
        }
        let is_counted = self.processor.counted.load(Ordering::Relaxed);
        !is_counted && !self.is_endless && now - self.since >= RUNNING
    }

    /// Neither among those that compute, nor among those of class `Background`.
    fn counts_no_more(&self, shared: &'static Shared) {
        // The tick may be that of one more poll, which a worker begins that has just missed the retake
        // (`processor::ownership`). If that has a permit, it ends too soon: by one poll per retake.
        shared.end_permit(self.processor, Some(self.processor.tick.get()));
        shared.ends_computing(self.processor);
    }
}
