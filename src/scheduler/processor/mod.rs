//! A processor: the right to run tasks, and the queues that go with it.
//!
//! It has two halves. [`Processor`] is what everybody may look at: it never moves and is never
//! freed. [`Core`] is what only its holder may touch: it moves. A worker that goes idle releases
//! its processor, one that wakes is given one, one that is about to block gives its core away. Who
//! has a core has the processor, until the monitor retakes it: then another pair of halves takes
//! its place (see [`slot`]), and what the worker still holds is a detached processor.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;

use crossbeam_deque::{Stealer, Worker as LocalQueue};

use self::busy_time::BusyTime;
use self::cluster::Cluster;
use self::counters::Counters;
use self::next_slot::NextSlot;
use self::ownership::Ownership;
use self::victim::Victim;
use super::run_queues::marks::Mark;
use super::worker::idle::Indexed;
use crate::rng::Rng;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::sync::compiler_fence;
use crate::sync::counter::Counter;
use crate::tasks::{Priority, Runnable};

pub(crate) mod busy_time;
mod cluster;
mod counters;
pub(crate) mod next_slot;
pub(crate) mod ownership;
pub(crate) mod slot;
#[cfg(test)]
pub(super) mod tests;
pub(crate) mod victim;

pub(crate) use slot::ProcessorRef;

/// Polls in a row that may come from the next slot while the local queue waits. Without a cap two
/// tasks that wake each other own the processor (tokio#5686), and Go needs its monitor for the
/// same; here the monitor ends a streak after 10 ms too, so the cap is for short polls. More in a
/// row use the pair's data while it is in the cache: a thousand pairs take 0.95 of the time with 6
/// or 7 instead of tokio's 3. With 15 it is 0.92, but then a pair has sixteen turns to one of a
/// task in the queue.
const NEXT_SLOT_CAP: u8 = 6;
/// A streak that the monitor has ended; no other becomes so long.
const ASKED: u8 = NEXT_SLOT_CAP + 1;

/// Every so many polls the global queue comes first. Go's figure: prime, so that it does not fall
/// in step with anything, and rare enough to cost nothing.
pub(super) const GLOBAL_TURNS: u32 = 61;

/// The public half.
#[derive(Debug)]
pub(crate) struct Processor {
    pub(super) next: NextSlot,
    pub(super) stealer: Stealer<Runnable>,
    /// Polls begun. The holder stores, thieves and the monitor compare: an unmoved tick means a
    /// long poll (or none).
    pub(super) tick: Counter,
    /// [`Meta::tag`](crate::tasks::Meta::tag) of the task that is being polled; zero while the
    /// holder looks for work beyond its own queue. The holder stores it with the tick, the monitor
    /// reads it of a poll that stands still: `Relaxed`, a word that is out of date only names a
    /// task that has just ended.
    task: AtomicU64,
    /// How often a holder looked for work beyond its own queue, or has just got the processor. The
    /// holder stores, the monitor compares: between polls it is what the tick is to them.
    /// `Relaxed`, as the tick.
    pub(super) looks: Counter,
    pub(super) ownership: Ownership,
    /// How long it was held by a thread: its holder says when.
    pub(super) busy: BusyTime,
    /// The monitor's and the holder's: this processor is in the list of
    /// [`super::run_queues::detached`].
    pub(super) listed: AtomicBool,
    /// Its poll is detached, and counted among those that compute. The monitor's and the holder's:
    /// see [`super::run_queues::compute_limit`].
    pub(super) counted: AtomicBool,
    /// The tick of its poll, if that has one of the permits of
    /// [`super::run_queues::by_class`]; else zero. The holder sets it; who resets it, the holder or
    /// the monitor, has ended the permit.
    pub(super) permit: AtomicU64,
    /// The class of its poll, while classes are in use. The holder stores it at the begin and the
    /// end of a poll, the monitor reads it of a poll that stands still: `Relaxed`, as `task`.
    class: AtomicU8,
    pub(super) counters: Counters,
    pub(super) cluster: Cluster,
    /// The observer's.
    pub(super) records: Records,
}

/// What an observer keeps beside an instance: of one type, its own. Made when it is wanted first,
/// then kept as long as the instance.
#[derive(Debug, Default)]
pub(crate) struct Records(OnceLock<Box<dyn Any + Send + Sync>>);

impl Records {
    /// What there is.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()?.downcast_ref()
    }

    #[inline]
    pub(crate) fn get_or_default<T: Any + Default + Send + Sync>(&self) -> &T {
        let kept = self.0.get_or_init(|| Box::<T>::default());
        kept.downcast_ref()
            .expect("an observer keeps one type of records")
    }
}

/// The private half: whoever owns this box holds the processor, or a detached one. On cache lines
/// of its own, as its holder writes to it at each poll: beside another core, which some allocators
/// like to put there, both would be twice as slow.
#[repr(align(128))]
pub(crate) struct Core {
    pub(super) index: usize,
    pub(super) processor: &'static Processor,
    pub(super) queue: LocalQueue<Runnable>,
    pub(super) rng: Rng,
    /// Counts down to the turn of the global queue: cheaper than a remainder of the tick.
    turn: Cell<u32>,
    /// Polls begun in a row from the next slot.
    streak: Cell<u8>,
    /// A job has gone to the blocking pool and may be back at once.
    awaits_job: Cell<bool>,
    /// What a push has to look at, in one word: [`OBSERVED`], [`CLASSED`], and a batch. Zero:
    /// nothing, as nearly always.
    intake: Cell<u32>,
    /// Kept for its memory: see [`RunQueues::steal`](super::run_queues::RunQueues::steal).
    pub(super) victims: RefCell<Vec<Victim>>,
    /// Whether its place may have work in it: see [`super::run_queues::marks`].
    pub(super) mark: Mark,
}

/// Of [`Core::intake`]: a switch of the [`observer`](super::observer) is on.
const OBSERVED: u32 = 1 << 31;
/// Of [`Core::intake`]: one that asks for tasks that yield, too.
const OBSERVED_YIELDS: u32 = 1 << 30;
/// Of [`Core::intake`]: tasks of several classes exist.
const CLASSED: u32 = 1 << 29;
/// Of [`Core::intake`]: what is submitted goes to the back of the queue and wakes nobody. How many
/// did, and one.
const BATCH: u32 = CLASSED - 1;

/// What a push asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// Nothing.
    NoWake,
    /// Another processor could run something now.
    WakeOne,
    /// Nobody may be looking where it went yet: the processor was retaken, and it went into a
    /// detached processor's queue; or it went into the queue of its class. One variant for both, as
    /// a fourth one cost each push four instructions.
    Elsewhere,
}

impl Processor {
    pub(super) fn new(queue: &LocalQueue<Runnable>) -> Processor {
        Processor {
            next: NextSlot::new(),
            stealer: queue.stealer(),
            tick: Counter::default(),
            task: AtomicU64::new(0),
            looks: Counter::default(),
            ownership: Ownership::new(),
            busy: BusyTime::default(),
            listed: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            permit: AtomicU64::new(0),
            class: AtomicU8::new(Priority::Normal as u8),
            counters: Counters::default(),
            cluster: Cluster::default(),
            records: Records::default(),
        }
    }

    /// The holder is about to poll the task with this tag.
    #[inline]
    fn begin_poll(&self, task: u64) {
        self.task.store(task, Ordering::Relaxed);
        self.tick.add(1);
    }

    /// The holder looks for work, once more.
    pub(super) fn begin_look(&self) {
        self.task.store(0, Ordering::Relaxed);
        self.looks.add(1);
    }

    /// The holder goes on with the poll of the task with this tag, which began elsewhere.
    pub(super) fn go_on(&self, task: u64) {
        self.task.store(task, Ordering::Relaxed);
    }

    /// The tag of the task that is being polled. Zero between two polls; only from one to the
    /// next, when both come from the own queue, it is still that of the first.
    pub(super) fn task(&self) -> u64 {
        self.task.load(Ordering::Relaxed)
    }

    /// The holder polls a task of this class, or is between two polls: `Normal`.
    pub(super) fn set_class(&self, class: Priority) {
        self.class.store(class as u8, Ordering::Relaxed);
    }

    /// The class of the poll.
    pub(super) fn class(&self) -> Priority {
        const INTERACTIVE: u8 = Priority::Interactive as u8;
        const BACKGROUND: u8 = Priority::Background as u8;
        match self.class.load(Ordering::Relaxed) {
            INTERACTIVE => Priority::Interactive,
            BACKGROUND => Priority::Background,
            _ => Priority::Normal,
        }
    }

    /// Whether a thread has it held, entitled to it or not.
    pub(super) fn is_held(&self) -> bool {
        self.ownership.holder().is_some() || self.ownership.is_detached()
    }

    /// Runnables in the queue and the next slot.
    pub(super) fn num_queued(&self) -> usize {
        self.stealer.len() + usize::from(!self.next.is_empty())
    }

    /// All counts begin at zero again. Nobody may hold the processor.
    pub(super) fn reset(&self) {
        self.tick.reset();
        self.looks.reset();
        self.counters.reset();
        self.task.store(0, Ordering::Relaxed);
        self.set_class(Priority::Normal);
        self.busy.reset();
    }
}

impl Core {
    /// The core of the processor that was made for this queue.
    pub(super) fn new(
        mark: Mark,
        processor: &'static Processor,
        queue: LocalQueue<Runnable>,
        seed: u64,
    ) -> Box<Core> {
        let index = mark.place();
        let core = Box::new(Core {
            index,
            processor,
            queue,
            rng: Rng::new(seed, index as u64),
            turn: Cell::new(0),
            streak: Cell::new(0),
            awaits_job: Cell::new(false),
            intake: Cell::new(0),
            victims: RefCell::new(Vec::new()),
            mark,
        });
        core.begin(seed);
        core
    }

    /// Random numbers begin anew, and turns.
    pub(super) fn begin(&self, seed: u64) {
        self.rng.seed(seed, self.index as u64);
        self.turn.set(0);
        self.streak.set(0);
        self.awaits_job.set(false);
        #[cfg(feature = "sim")]
        self.rng
            .ask(crate::simulated::is_here().then_some(crate::simulated::draw));
    }

    /// Takes a runnable in. `yielded`: it was woken while it ran.
    ///
    /// * A runnable that yielded goes to the back. It takes the place of the one that has just run,
    ///   so there is not more to do than before and nobody is woken, unless the slot hides another.
    /// * Any other goes into the next slot. If the slot was empty nobody is woken: the holder will
    ///   run it next, and waking somebody for it tears a pair of tasks that talk to each other over
    ///   two processors (1.3x time, 2x CPU, 100x context switches measured). The one it displaces
    ///   goes to the back and is worth a wake.
    pub(super) fn push(&self, runnable: Runnable, yielded: bool) -> Submitted {
        let intake = self.intake.get();
        if intake & BATCH != 0 {
            self.intake.set(intake + 1);
            self.queue.push(runnable);
            return Submitted::NoWake;
        }
        self.place(runnable, yielded)
    }

    /// Whether a push is [`Core::place`] and nothing else.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.intake.get() == 0
    }

    /// Whether the push of a task that yields is that, too.
    #[inline]
    pub(super) fn ignores_yields(&self) -> bool {
        self.intake.get() & (OBSERVED_YIELDS | CLASSED | BATCH) == 0
    }

    /// Whether a push goes by the class of the task.
    #[inline]
    pub(super) fn is_classed(&self) -> bool {
        self.intake.get() & CLASSED != 0
    }

    /// From now on it does.
    pub(super) fn set_classed(&self) {
        self.intake.set(self.intake.get() | CLASSED);
    }

    /// Whether what is pushed collects in a batch.
    pub(super) fn is_in_batch(&self) -> bool {
        self.intake.get() & BATCH != 0
    }

    /// Whether the observer is told of this push.
    #[inline]
    pub(super) fn is_observed(&self, yielded: bool) -> bool {
        let wanted = if yielded { OBSERVED_YIELDS } else { OBSERVED };
        self.intake.get() & wanted != 0
    }

    /// [`Core::push`], outside of a batch.
    #[inline]
    pub(super) fn place(&self, runnable: Runnable, yielded: bool) -> Submitted {
        let displaced = if yielded {
            self.queue.push(runnable);
            !self.processor.next.is_empty()
        } else if let Some(displaced) = self.processor.next.put(runnable) {
            self.queue.push(displaced);
            true
        } else {
            false
        };
        // After the push, so that a retake which this look does not see finds the runnable: step 3
        // of `run_queues::detached`. In the program's order only: the CPU may still read the flag
        // first.
        compiler_fence(Ordering::SeqCst);
        match (self.processor.ownership.is_retaken(), displaced) {
            (true, _) => Submitted::Elsewhere,
            (false, true) => Submitted::WakeOne,
            (false, false) => Submitted::NoWake,
        }
    }

    /// The timer wheel to arm on. `None`: the processor is held by another thread, which knows
    /// nothing of what is armed here.
    pub(super) fn wheel(&self) -> Option<usize> {
        (!self.processor.ownership.is_retaken()).then_some(self.index)
    }

    /// The next runnable of this processor: next slot, then local queue.
    ///
    /// After [`NEXT_SLOT_CAP`] polls from the slot the queue has its turn, once; so a queued
    /// runnable waits for at most that many polls per runnable ahead of it.
    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        let streak = self.streak.get();
        if streak < NEXT_SLOT_CAP {
            if let Some(runnable) = self.processor.next.take() {
                self.streak.set(streak + 1);
                return Some(runnable);
            }
        }
        self.streak.set(0);
        self.queue.pop().or_else(|| self.processor.next.take())
    }

    /// Once per look. Zero: the queues beyond this processor have their turn, which comes every
    /// [`GLOBAL_TURNS`] looks.
    #[inline]
    pub(super) fn turn(&self) -> u32 {
        let turn = self.turn.get();
        self.turn.set(if turn == 0 {
            GLOBAL_TURNS - 1
        } else {
            turn - 1
        });
        turn
    }

    /// The holder is about to poll this.
    #[inline]
    pub(super) fn begin_poll(&self, runnable: &Runnable) {
        self.processor.begin_poll(runnable.metadata().tag());
    }

    /// The monitor asks: the queue has its turn next, however long the slot's streak was.
    pub(super) fn end_streak(&self) {
        self.streak.set(ASKED);
    }

    /// Whether [`Core::end_streak`] was called since this was asked last, and nothing was popped.
    pub(super) fn was_asked(&self) -> bool {
        let was_asked = self.streak.get() == ASKED;
        if was_asked {
            self.streak.set(NEXT_SLOT_CAP);
        }
        was_asked
    }

    /// The next look is one beyond the own queues.
    pub(super) fn look_beyond_next(&self) {
        self.turn.set(0);
    }

    /// Moves the runnable of the next slot, if there is one, to the queue, where thieves look
    /// first.
    pub(super) fn empty_slot(&self) {
        if let Some(runnable) = self.processor.next.take() {
            self.queue.push(runnable);
        }
    }

    /// A job goes to the blocking pool.
    pub(super) fn send_job(&self) {
        self.awaits_job.set(true);
    }

    /// Whether one has gone since this was asked last.
    pub(super) fn awaits_job(&self) -> bool {
        self.awaits_job.take()
    }

    /// From here to [`Core::end_batch`] submissions collect in the queue and wake nobody.
    pub(super) fn begin_batch(&self) {
        self.intake.set(self.intake.get() & !BATCH | 1);
    }

    /// How many were submitted in the batch.
    pub(super) fn end_batch(&self) -> u32 {
        let intake = self.intake.get();
        self.intake.set(intake & !BATCH);
        (intake & BATCH).saturating_sub(1)
    }

    /// A switch was turned on, or off.
    pub(super) fn set_switches(&self, pushes: bool, yields: bool, classed: bool) {
        let pushes = if pushes { OBSERVED } else { 0 };
        let yields = if yields { OBSERVED_YIELDS } else { 0 };
        let classed = if classed { CLASSED } else { 0 };
        self.intake
            .set(self.intake.get() & BATCH | pushes | yields | classed);
    }
}

impl Indexed for Box<Core> {
    fn index(&self) -> usize {
        self.index
    }

    fn cluster(&self) -> usize {
        self.processor.cluster.get()
    }

    fn begins_work(&self) {
        self.mark.set();
    }

    fn ends_work(&self) {
        if self.queue.is_empty() {
            self.mark.take_off();
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
