//! More tasks that compute than processors: how many of them run at once, and who waits.
//!
//! A poll that computes loses its processor and runs on in its thread: it is **detached**. Were
//! each of five hundred such tasks started as soon as the one before is detached, five hundred
//! threads would share the CPUs: all of them would end late, and a short poll among them would wait
//! for its turn on a CPU for seconds. So they are told from the others and queue up, while the
//! processors are kept for what is short.
//!
//! # Which tasks compute
//!
//! That cannot be known before a poll has computed, but tasks that are spawned at one place are
//! much alike. Each spawn site has a score, which the monitor raises for a poll that it finds
//! computing, and lowers a little for one that it finds to have gone by between two rounds. From
//! `HEAVY` P on the site is **heavy**, until nothing computes. So a site whose tasks seldom compute
//! (one line that serves all connections) is not, and each of its polls that does is detached at
//! once. All tasks of other sites are light: they run on the processors at once, however many
//! others compute.
//!
//! Tasks of class `Interactive` have scores of their own: where a server spawns all its tasks in one
//! line, and those of other classes compute, a short `Interactive` one need not queue up behind them.
//!
//! # Protocol
//!
//! `computing` counts detached polls that compute; P is the number of processors.
//!
//! 1. The monitor counts a poll before it takes its processor for computing, and marks its spawn
//!    site. A poll that was blocked when it was retaken is counted once it has computed as long
//!    since. What no longer computes, or has used `ENDLESS` or more, counts no more: it may be
//!    waiting for a task that waits for it.
//!    A poll that is retaken early, for a task of class `Interactive`, counts too
//!    ([`crate::scheduler::monitor::latency`]).
//! 2. From P on, CPUs have enough to do, and the **compute limit** is reached: a worker that looks
//!    beyond its own queue takes one runnable at a time. A light one it polls, a heavy one it puts
//!    into the queue of those that are held back.
//! 3. A worker takes one that is held back while fewer than P compute. It has computed for 10 ms
//!    before it is detached; so the monitor detaches those that compute also while one processor is
//!    idle, as long as more are held back.
//! 4. [`HeldBack::end`] lowers `computing`, fences, reads `count`, and its caller wakes a worker if
//!    that is not zero. [`HeldBack::push`] raises `count`; the worker that has called it and finds
//!    nothing else fences in `Idle::park_worker`, and then reads `computing` in
//!    [`HeldBack::is_due`]. So either `end` reads the raised `count`, or the worker reads the
//!    lowered `computing`, and what is held back does not wait for the monitor's next round.
//!
//! A mark on the processor ([`Processor::counted`](crate::scheduler::processor::Processor)) says
//! whether its poll is counted. All changes are swaps, and whoever swaps changes the count: the
//! monitor raises `computing` before it sets the mark, and who resets the mark, the monitor or the
//! worker whose poll has returned, lowers it afterwards. The monitor, which may be late, looks
//! after its swap whether the poll is still there and takes it back if not.
//!
//! # What is bounded
//!
//! * Threads that poll, where polls compute for 200 ms each: P that are counted, P that count no
//!   more, P that hold processors, and P whose tasks were in a worker's own queue before that: 4 P.
//!   With polls of 1 s it is 9 P, of 10 s 30 P. Beyond that only what is light may compute, so at
//!   most one more for each further spawn site.
//! * A heavy task waits as in a runtime that takes no processors: for one of those that compute to
//!   end.
//! * Tasks of one site that wait for each other in loops: nothing tells them from tasks that
//!   compute, so the next begins when the one before has used `ENDLESS`, or more if many such go
//!   on, and all of them share the CPUs. A few take a second, fifteen on one processor ten.
//! * Polls that block are not counted: each of them loses its processor, up to `max_threads`.

use super::by_class::class_of;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::tasks::{self, Priority, Runnable};

mod held_back;

pub(crate) use held_back::HeldBack;

/// What is looked through in one go: each takes some 50 ns, and timers and the network have their
/// turn in between.
const LIGHT_LOOKS: usize = 512;

/// Spawn sites with scores of their own. Those that share one are heavy together.
const SITES: usize = 1024;
/// For tasks of class `Interactive`, and for the others.
pub(crate) const SCORES: usize = 2 * SITES;
const WORDS: usize = SCORES / 64;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ComputeLimit {
    /// One bit for a score. Written by the monitor: `Relaxed`, what a reader misses computes once
    /// more.
    heavy: [AtomicU64; WORDS],
    held_back: HeldBack<Runnable>,
}

impl ComputeLimit {
    pub(crate) fn new(processors: usize) -> ComputeLimit {
        ComputeLimit {
            heavy: Default::default(),
            held_back: HeldBack::new(processors),
        }
    }

    /// P is so many from now on. The caller looks afterwards whether what is held back is due.
    pub(crate) fn set_limit(&self, processors: usize) {
        self.held_back.set_limit(processors);
    }

    /// Step 2. One load where nothing computes.
    #[inline]
    pub(crate) fn is_reached(&self) -> bool {
        self.held_back.is_limit_reached()
    }

    /// Whether an idle processor has anything to do with what is held back.
    #[inline]
    pub(crate) fn is_held_back_due(&self) -> bool {
        self.held_back.is_due()
    }

    /// Step 3.
    #[inline]
    pub(crate) fn take_held_back(&self) -> Option<Runnable> {
        self.is_held_back_due()
            .then(|| self.held_back.take())
            .flatten()
    }

    /// For whoever puts it back into the global queue.
    pub(crate) fn take_any_held_back(&self) -> Option<Runnable> {
        self.held_back.take()
    }

    /// Step 2: what `take` gives, one by one, until there is a light one.
    pub(crate) fn take_light(
        &self,
        mut take: impl FnMut() -> Option<Runnable>,
    ) -> Option<Runnable> {
        for _ in 0..LIGHT_LOOKS {
            let runnable = take()?;
            if !self.is_heavy(&runnable) {
                return Some(runnable);
            }
            self.held_back.push(runnable);
        }
        None
    }

    /// Step 1: the poll whose processor has this mark computes.
    pub(crate) fn begin_computing(&self, counted: &AtomicBool) {
        self.held_back.begin(counted);
    }

    /// Step 4: it has returned, or counts no more. True: what is held back is due.
    pub(crate) fn end_computing(&self, counted: &AtomicBool) -> bool {
        self.held_back.end(counted)
    }

    /// How many runnables are held back.
    pub(crate) fn num_held_back(&self) -> usize {
        self.held_back.len()
    }

    /// Nothing computes, and nothing is held back.
    pub(crate) fn is_idle(&self) -> bool {
        self.held_back.is_idle()
    }

    /// Monitor: the tasks of this score are heavy from now on, or light again. False: so they were.
    pub(crate) fn set_heavy(&self, score: usize, is_heavy: bool) -> bool {
        let (word, bit) = self.heavy_bit(score);
        let was_heavy = word.load(Ordering::Relaxed) & bit != 0;
        match is_heavy {
            true => word.fetch_or(bit, Ordering::Relaxed),
            false => word.fetch_and(!bit, Ordering::Relaxed),
        };
        was_heavy != is_heavy
    }

    fn is_heavy(&self, runnable: &Runnable) -> bool {
        let (word, bit) = self.heavy_bit(score_of(runnable.metadata().tag(), class_of(runnable)));
        word.load(Ordering::Relaxed) & bit != 0
    }

    fn heavy_bit(&self, score: usize) -> (&AtomicU64, u64) {
        (&self.heavy[score / 64], 1 << (score % 64))
    }

    /// Nobody holds a processor.
    pub(crate) fn reset(&self) {
        let words = self.heavy.iter();
        words.for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

/// Which score is that of the task with this tag, when it is polled as this class.
pub(crate) fn score_of(task: u64, class: Priority) -> usize {
    let site = tasks::site_number(task) % SITES;
    match class {
        Priority::Interactive => SITES + site,
        Priority::Normal | Priority::Background => site,
    }
}
