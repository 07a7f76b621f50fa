//! More tasks that compute than processors: how many of them run at once, and who waits.
//!
//! A poll that computes loses its processor and runs on in its thread: it is **detached**. Were each of five hundred such tasks
//! started as soon as the one before is detached, five hundred threads would share the CPUs: all of them would end late, and a
//! short poll among them would wait for its turn on a CPU for seconds. So they are told from the others and queue up, while
//! the processors are kept for what is short.
//!
//! # Which tasks compute
//!
//! That cannot be known before a poll has computed, but tasks that are spawned at one place are much alike. A spawn site is **heavy**
//! from when a poll of one of its tasks was found computing until none is. All other tasks are light: they run on the
//! processors at once, however many others compute.
//!
//! # Protocol
//!
//! `computing` counts detached polls that compute; P is the number of processors.
//!
//! 1. The monitor counts a poll before it takes its processor for computing, and marks its spawn site. A poll that was blocked
//!    when it was retaken is counted once it has computed as long since. What no longer computes, or has used [`ENDLESS`], counts
//!    no more: it may be waiting, in a loop, for a task that is held back. If it ends soon after that, it was: then the next one
//!    counts for half as long, down to [`BRIEF`]. If it goes on, it was not, and the next one counts for twice as long again.
//! 2. From P on, CPUs have enough to do, and the processors are **crowded**: a worker that looks beyond its own queue takes one
//!    runnable at a time. A light one it polls, a heavy one it puts into the queue of those that are held back.
//! 3. A worker without anything else to do takes one that is held back while fewer than [`LIMIT`] P compute, and, from P on,
//!    only while another processor lies idle: that one is for the light tasks that come meanwhile, until the heavy poll has
//!    computed for its 10 ms and is detached.
//! 4. A poll that ends takes itself from the count, fences, and wakes a worker if any are held back. A worker that holds one back
//!    fences (as it lies down, see [`super::idle`]) and looks at the count again. So one of the two sees the other, and what is
//!    held back does not wait for the monitor's next round.
//!
//! A mark on the processor ([`Processor::counted`](super::processor::Processor)) says whether its poll is counted. All changes are
//! swaps, and whoever swaps changes the count: the monitor, or the worker when its poll has returned. The monitor, which may be
//! late, looks afterwards whether the poll is still there and takes it back if not.
//!
//! # What is bounded
//!
//! * Threads that poll: P that hold processors, [`LIMIT`] P whose polls compute, and P for polls that a worker had in its own
//!   queue before that: 4 P. Beyond that only what is light may compute, so at most one more for each further spawn site,
//!   and one for each [`ENDLESS`] of CPU time that a poll has used up.
//! * A heavy task waits as in a runtime that takes no processors: for one of those that compute to end.
//! * Polls that block are not counted: each of them loses its processor, up to `max_threads`.

use std::time::Duration;

use crossbeam_deque::Injector;

use super::processor::Processor;
use super::watch::RUNNING;
use super::{Shared, probe, steal};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::tasks::{self, Runnable};

/// Twice as many computing polls as CPUs: those that wait for each other within a poll have that many to be; more would only
/// share the CPUs with each other.
const LIMIT: usize = 2;

/// A poll that has used so much CPU time may compute for ever, for all that can be known, or wait in a loop for what is held back:
/// a mixture of tasks that do took 6 s without a limit on computing polls, over 60 with one second of this, 7 with this and
/// [`BRIEF`]. Tasks that compute longer share the CPUs with as many more as they last longer.
const ENDLESS: Duration = Duration::from_millis(250);

/// How short that becomes where polls have been seen to wait so.
const BRIEF: Duration = Duration::from_millis(20);

/// What is looked through in one go: each takes some 50 ns, and timers and the network have their turn in between.
const SIFTED: usize = 512;

/// Words of the set of heavy spawn sites. Sites that share a bit are heavy together.
const WORDS: usize = 16;

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

    fn heavy_bit(&self, task: u64) -> (&AtomicU64, u64) {
        let site = tasks::spawn_site(task);
        (&self.heavy[site / 64 % WORDS], 1 << (site % 64))
    }

    fn is_heavy(&self, runnable: &Runnable) -> bool {
        let (word, bit) = self.heavy_bit(runnable.metadata().word());
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// Monitor: this processor's poll computes.
    fn count(&self, at: &Processor) {
        let (word, bit) = self.heavy_bit(at.task());
        word.fetch_or(bit, Ordering::Relaxed);
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

    /// Step 3, with so many processors idle besides the one in question.
    fn admits_heavy(&self, idle: usize) -> bool {
        let (computing, processors) = (self.crowd.computing(), self.processors.len());
        computing < LIMIT * processors && (computing < processors || processors == 1 || idle > 0)
    }

    /// Whether an idle processor has anything to do with what is held back.
    #[inline]
    pub(super) fn held_back_is_due(&self) -> bool {
        self.crowd.num_held_back() != 0
            && self.admits_heavy(self.idle.num_lying().saturating_sub(1))
    }

    /// Whether a processor should be taken from a poll that computes, so that one which is held back may begin.
    pub(super) fn held_back_needs_processors(&self) -> bool {
        let wanted = 2.min(self.processors.len());
        self.crowd.num_held_back() != 0
            && self.crowd.computing() < LIMIT * self.processors.len()
            && self.idle.num_lying() < wanted
    }

    /// A worker with nothing else to do takes one of those that are held back.
    #[inline]
    pub(super) fn take_held_back(&self) -> Option<Runnable> {
        if self.crowd.num_held_back() == 0 || !self.admits_heavy(self.idle.num_lying()) {
            return None;
        }
        self.crowd.take()
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

    /// Janitor: nothing is held back any more.
    pub(super) fn release_held_back(&self) {
        while let Some(runnable) = self.crowd.take() {
            self.global.push(runnable);
        }
    }
}

/// The monitor's notes on the polls that it has detached.
#[derive(Debug)]
pub(super) struct DetachedPolls {
    all: Vec<DetachedPoll>,
    /// For how much CPU time a poll counts: [`ENDLESS`] at first.
    endless: Duration,
}

#[derive(Debug)]
struct DetachedPoll {
    at: &'static Processor,
    thread: u64,
    /// The CPU time of the thread when it was detached, or last found blocked.
    since: Duration,
    /// That at the last look.
    seen: Duration,
    released: Released,
}

/// Whether a poll counts no more, as it may be waiting for what is held back.
#[derive(Debug)]
enum Released {
    No,
    /// After so much CPU time.
    After(Duration),
    /// It has gone on for as long again: it was not waiting.
    GoesOn,
}

impl DetachedPolls {
    pub(super) fn new() -> DetachedPolls {
        DetachedPolls {
            all: Vec::new(),
            endless: ENDLESS,
        }
    }

    /// Before a retake. `computes`: it is taken for that.
    pub(super) fn begin(&mut self, shared: &Shared, at: &'static Processor, computes: bool) {
        let Some((thread, _)) = at.tenure.hands() else {
            return;
        };
        // Where no CPU time is known, nobody knows whether it computes.
        let Some(now) = probe::cpu_time(thread) else {
            return;
        };
        self.all.retain(|poll| !std::ptr::eq(poll.at, at));
        if computes {
            shared.crowd.count(at);
        }
        self.all.push(DetachedPoll {
            at,
            thread,
            since: now,
            seen: now,
            released: Released::No,
        });
    }

    /// The retake came too late.
    pub(super) fn undo(&mut self, shared: &'static Shared, at: &'static Processor) {
        self.all.retain(|poll| !std::ptr::eq(poll.at, at));
        shared.ends_computing(at);
    }

    /// Each ten milliseconds: who computes, and who does no more.
    pub(super) fn look(&mut self, shared: &'static Shared) {
        let DetachedPolls { all, endless } = self;
        all.retain_mut(|poll| poll.look(shared, endless));
        if shared.crowd.is_empty() {
            shared.crowd.reset();
        }
    }
}

impl DetachedPoll {
    /// False: it is over. `endless`: see [`DetachedPolls`].
    fn look(&mut self, shared: &'static Shared, endless: &mut Duration) -> bool {
        let is_over = || !self.at.tenure.is_orphan();
        let Some(now) = probe::cpu_time(self.thread).filter(|_| !is_over()) else {
            if let Released::After(_) = self.released {
                *endless = (*endless / 2).max(BRIEF);
            }
            // Counted by the look before, perhaps, when the worker had looked at its mark already.
            shared.ends_computing(self.at);
            return false;
        };
        let stands = std::mem::replace(&mut self.seen, now) == now;
        if stands && probe::Probe::default().state(self.thread) == probe::State::Blocked {
            self.since = now;
            shared.ends_computing(self.at);
            return true;
        }
        let used = now - self.since;
        match self.released {
            Released::No if used >= *endless => {
                self.released = Released::After(used);
                shared.ends_computing(self.at);
            }
            Released::No if used >= RUNNING => {
                shared.crowd.count(self.at);
                if !self.at.tenure.is_orphan() {
                    shared.ends_computing(self.at);
                    return false;
                }
            }
            Released::After(then) if used >= 2 * then => {
                self.released = Released::GoesOn;
                *endless = (*endless * 2).min(ENDLESS);
            }
            Released::No | Released::After(_) | Released::GoesOn => {}
        }
        true
    }
}
