//! More tasks that compute than processors: how many of them run at once, and who waits.
//!
//! A poll that computes loses its processor and runs on in its thread: it is **detached**. Were each of five hundred such tasks
//! started as soon as the one before is detached, five hundred threads would share the CPUs: all of them would end late, and a
//! short poll among them would wait for its turn on a CPU for seconds. So they are told from the others and queue up, while
//! the processors are kept for what is short.
//!
//! # Which tasks compute
//!
//! That cannot be known before a poll has computed, but tasks that are spawned at one place are much alike. Each spawn site has a
//! score, which the monitor raises for a poll that it finds computing, and lowers a little for one that it finds to have gone by
//! between two rounds. From [`HEAVY`] P on the site is **heavy**, until nothing computes. So a site whose tasks seldom compute (one
//! line that serves all connections) is not, and each of its polls that does is detached at once. All tasks of other sites
//! are light: they run on the processors at once, however many others compute.
//!
//! # Protocol
//!
//! `computing` counts detached polls that compute; P is the number of processors.
//!
//! 1. The monitor counts a poll before it takes its processor for computing, and marks its spawn site. A poll that was blocked
//!    when it was retaken is counted once it has computed as long since. What no longer computes, or has used [`ENDLESS`] or more, counts
//!    no more: it may be waiting for a task that waits for it.
//! 2. From P on, CPUs have enough to do, and the processors are **crowded**: a worker that looks beyond its own queue takes one
//!    runnable at a time. A light one it polls, a heavy one it puts into the queue of those that are held back.
//! 3. A worker takes one that is held back while fewer than P compute. It has computed for 10 ms before it is detached; so the monitor
//!    detaches those that compute also while one processor lies idle, as long as more are held back.
//! 4. `ends_computing` lowers `computing`, fences, reads `num_held_back`, and wakes a worker if that is not zero. `hold_back` raises
//!    `num_held_back`; the worker that has called it and finds nothing else fences in `Idle::lie_down`, and then reads `computing`
//!    in `held_back_is_due`. So either `ends_computing` reads the raised `num_held_back`, or the worker reads the lowered
//!    `computing`, and what is held back does not wait for the monitor's next round.
//!
//! A mark on the processor ([`Processor::counted`](super::processor::Processor)) says whether its poll is counted. All changes are
//! swaps, and whoever swaps changes the count: the monitor, or the worker when its poll has returned. The monitor, which may be
//! late, looks afterwards whether the poll is still there and takes it back if not.
//!
//! # What is bounded
//!
//! * Threads that poll, where polls compute for 200 ms each: P that are counted, P that count no more, P that hold processors, and
//!   P whose tasks were in a worker's own queue before that: 4 P. With polls of 1 s it is 9 P, of 10 s 30 P. Beyond that only
//!   what is light may compute, so at most one more for each further spawn site.
//! * A heavy task waits as in a runtime that takes no processors: for one of those that compute to end.
//! * Polls that block are not counted: each of them loses its processor, up to `max_threads`.

use std::time::Duration;

use crossbeam_deque::Injector;

use super::processor::Processor;
use super::watch::RUNNING;
use super::{Shared, probe, steal};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::tasks::{self, Runnable};

/// A poll that has used so much CPU time may be waiting in a loop for what is held back. So tasks that do wait for each other soon
/// have as many threads as they are. Twice as much if [`MANY`] P such go on already: tasks that just compute for long have
/// threads with about the square root of how long they compute.
const ENDLESS: Duration = Duration::from_millis(200);
const MANY: u32 = 4;

/// What a computing poll adds to the score of its spawn site, and how much makes the site heavy, to be multiplied by P: after as many
/// polls as there are processors. A single poll that went by takes one off.
const COMPUTES: i32 = 4;
const HEAVY: i32 = COMPUTES;
/// How far short polls lower a score: so many computing ones, beyond those that make any site heavy, are forgiven.
const LIGHTEST: i32 = -8 * COMPUTES;

/// What is looked through in one go: each takes some 50 ns, and timers and the network have their turn in between.
const SIFTED: usize = 512;

/// Scores. Sites that share one are heavy together.
const SCORES: usize = 1024;
const WORDS: usize = SCORES / 64;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Changed with a processor's `counted`, by who swaps that. Read as a hint, or after a fence: see step 4.
    computing: AtomicUsize,
    /// One bit for a spawn site. Written by the monitor: `Relaxed`, what a reader misses computes once more.
    heavy: [AtomicU64; WORDS],
    held_back: Injector<Runnable>,
    /// At least as many as there are in `held_back`, for a look that is cheaper than that at the queue. Raised before a push,
    /// lowered after a steal: `Relaxed`, ordered by the fences of step 4.
    num_held_back: AtomicUsize,
}

impl Crowd {
    pub(super) fn new() -> Crowd {
        Crowd {
            computing: AtomicUsize::new(0),
            heavy: Default::default(),
            held_back: Injector::new(),
            num_held_back: AtomicUsize::new(0),
        }
    }

    fn computing(&self) -> usize {
        self.computing.load(Ordering::Relaxed)
    }

    /// How many runnables are held back.
    pub(super) fn num_held_back(&self) -> usize {
        self.num_held_back.load(Ordering::Relaxed)
    }

    fn hold_back(&self, runnable: Runnable) {
        self.num_held_back.fetch_add(1, Ordering::Relaxed);
        self.held_back.push(runnable);
    }

    fn take(&self) -> Option<Runnable> {
        let taken = steal::steal_one(|| self.held_back.steal())?;
        self.num_held_back.fetch_sub(1, Ordering::Relaxed);
        Some(taken)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.computing() == 0 && self.num_held_back() == 0
    }

    fn heavy_bit(&self, score: usize) -> (&AtomicU64, u64) {
        (&self.heavy[score / 64], 1 << (score % 64))
    }

    fn is_heavy(&self, runnable: &Runnable) -> bool {
        let (word, bit) = self.heavy_bit(score_of(runnable.metadata().word()));
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// Monitor: this processor's poll computes.
    fn count(&self, at: &Processor) {
        if !at.counted.swap(true, Ordering::AcqRel) {
            self.computing.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Monitor or worker: it does not, or not any more. True: it was counted.
    fn uncount(&self, at: &Processor) -> bool {
        let was_counted = at.counted.swap(false, Ordering::AcqRel);
        if was_counted {
            self.computing.fetch_sub(1, Ordering::AcqRel);
        }
        was_counted
    }

    /// Nobody holds a processor.
    pub(super) fn reset(&self) {
        self.heavy
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

impl Shared {
    /// Step 2. One load where nothing computes.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd.computing() >= self.processors.len()
    }

    /// Whether an idle processor has anything to do with what is held back.
    #[inline]
    pub(super) fn held_back_is_due(&self) -> bool {
        self.crowd.num_held_back() != 0 && !self.is_crowded()
    }

    /// Whether a processor should be taken from a poll that computes, so that one which is held back may begin.
    pub(super) fn held_back_needs_processors(&self) -> bool {
        let wanted = 2.min(self.processors.len());
        self.crowd.num_held_back() != 0 && !self.is_crowded() && self.idle.num_lying() < wanted
    }

    /// Step 3.
    #[inline]
    pub(super) fn take_held_back(&self) -> Option<Runnable> {
        self.held_back_is_due().then(|| self.crowd.take()).flatten()
    }

    /// Step 2: what `take` gives, one by one, until there is a light one.
    pub(super) fn sift(&self, mut take: impl FnMut() -> Option<Runnable>) -> Option<Runnable> {
        for _ in 0..SIFTED {
            let runnable = take()?;
            if !self.crowd.is_heavy(&runnable) {
                return Some(runnable);
            }
            self.crowd.hold_back(runnable);
        }
        None
    }

    /// Step 4: the poll of a detached processor has returned, or counts no more.
    pub(super) fn ends_computing(&'static self, at: &Processor) {
        if self.crowd.uncount(at) {
            fence(Ordering::SeqCst);
            if self.held_back_is_due() {
                self.wake_one();
            }
        }
    }

    /// Monitor and shutdown thread: what is held back goes back to the global queue.
    pub(super) fn release_held_back(&self) {
        while let Some(runnable) = self.crowd.take() {
            self.global.push(runnable);
        }
    }
}

/// Which score is that of the task with this word.
fn score_of(task: u64) -> usize {
    tasks::spawn_site(task) % SCORES
}

/// The monitor's notes on the polls that it has detached, and on their spawn sites.
#[derive(Debug)]
pub(super) struct DetachedPolls {
    polls: Vec<DetachedPoll>,
    scores: Box<[i32; SCORES]>,
}

#[derive(Debug)]
struct DetachedPoll {
    at: &'static Processor,
    thread: u64,
    /// The CPU time of the thread when it was detached, or last found blocked.
    since: Duration,
    /// That at the last look.
    seen: Duration,
    is_endless: bool,
    is_over: bool,
}

impl DetachedPolls {
    pub(super) fn new() -> DetachedPolls {
        DetachedPolls {
            polls: Vec::new(),
            scores: Box::new([0; SCORES]),
        }
    }

    /// A poll of this task went by between two rounds.
    pub(super) fn went_by(&mut self, shared: &'static Shared, task: u64) {
        let index = score_of(task);
        self.scores[index] = (self.scores[index] - 1).max(LIGHTEST);
        self.weigh(shared, index);
    }

    fn computes(&mut self, shared: &'static Shared, at: &Processor) {
        let index = score_of(at.task());
        let heavy = HEAVY * shared.processors.len() as i32;
        self.scores[index] = (self.scores[index] + COMPUTES).min(2 * heavy);
        self.weigh(shared, index);
        shared.crowd.count(at);
    }

    fn weigh(&self, shared: &'static Shared, index: usize) {
        let (word, bit) = shared.crowd.heavy_bit(index);
        let was_heavy = word.load(Ordering::Relaxed) & bit != 0;
        let is_heavy = self.scores[index] >= HEAVY * shared.processors.len() as i32;
        if is_heavy && !was_heavy {
            word.fetch_or(bit, Ordering::Relaxed);
        } else if was_heavy && !is_heavy {
            word.fetch_and(!bit, Ordering::Relaxed);
            // Its tasks among those that are held back are light now. The others come back.
            shared.release_held_back();
            shared.follow_submit();
        }
    }

    /// Before a retake. `computes`: it is taken for that.
    pub(super) fn begin(
        &mut self,
        shared: &'static Shared,
        at: &'static Processor,
        computes: bool,
    ) {
        let Some((thread, _)) = at.tenure.hands() else {
            return;
        };
        // Where no CPU time is known, nobody knows whether it computes.
        let Some(now) = probe::cpu_time(thread) else {
            return;
        };
        self.polls.retain(|poll| !std::ptr::eq(poll.at, at));
        if computes {
            self.computes(shared, at);
        }
        self.polls.push(DetachedPoll {
            at,
            thread,
            since: now,
            seen: now,
            is_endless: false,
            is_over: false,
        });
    }

    /// The retake came too late.
    pub(super) fn undo(&mut self, shared: &'static Shared, at: &'static Processor) {
        self.polls.retain(|poll| !std::ptr::eq(poll.at, at));
        shared.ends_computing(at);
    }

    /// Each ten milliseconds: who computes, and who does no more.
    pub(super) fn look(&mut self, shared: &'static Shared) {
        let endless = self.polls.iter().filter(|poll| poll.is_endless).count() as u32;
        let processors = shared.processors.len() as u32;
        let patience = ENDLESS * (MANY * processors + endless) / (MANY * processors);
        let mut polls = std::mem::take(&mut self.polls);
        for poll in &mut polls {
            if poll.look(shared, patience) {
                self.computes(shared, poll.at);
                // It may have ended while it was counted: then its worker has looked at its mark before.
                poll.is_over = poll.is_over();
                if poll.is_over {
                    shared.ends_computing(poll.at);
                }
            }
        }
        self.polls = polls;
        if shared.crowd.is_empty() && !self.polls.is_empty() {
            shared.crowd.reset();
            self.scores
                .iter_mut()
                .for_each(|score| *score = (*score).min(0));
        }
        self.polls.retain(|poll| !poll.is_over);
    }
}

impl DetachedPoll {
    fn is_over(&self) -> bool {
        !self.at.tenure.is_orphan()
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
            shared.ends_computing(self.at);
        } else if now - self.since >= patience {
            self.is_endless = true;
            shared.ends_computing(self.at);
        }
        let is_counted = self.at.counted.load(Ordering::Relaxed);
        !is_counted && !self.is_endless && now - self.since >= RUNNING
    }
}
