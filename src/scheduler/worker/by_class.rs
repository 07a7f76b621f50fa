//! What a worker polls next while tasks of several classes exist.
//!
//! # What it guarantees
//!
//! * An `Interactive` task waits for the polls that go on, and for those of its own class before it;
//!   for one more poll where its class has had its share.
//! * No flood of one class starves another: see the table below.
//! * Of class `Background` as many polls go on at once as there are permits, but for those that have
//!   given theirs up ([`super::super::run_queues::by_class`]).
//!
//! # How a worker comes here
//!
//! `Worker::pop_local` has no look at classes: it is the hot path of those who use none. A poll on the
//! special way sets the turn of the core to zero ([`Core::look_beyond_next`]), as if it were the 61st,
//! so the next look is `Worker::maintenance`, which passes it on to [`Worker::find_by_class`]. The
//! turns that count are kept here.
//!
//! # Where it looks, in this order
//!
//! 1. Each 61st look, and when the monitor asks: foreign wakers, timers of all processors, what a
//!    stuck worker has queued, the network. Each eighth look its own due timers. One of the global
//!    queue is *owed* then, and when the monitor asks, one of class `Background`.
//! 2. `Interactive`, at most [`STREAK`] polls in a row.
//! 3. What is owed.
//! 4. The own queues, next slot first; after a full streak also one of the global queue, and then
//!    `Interactive` again.
//! 5. As without classes (`Worker::find_beyond`): foreign wakers, the global queue, the network,
//!    timers, other processors' queues. After wakers were called, `Interactive` is looked at again.
//! 6. `Background`.
//!
//! Before the poll, the class is read once more ([`Worker::decide`]).
//!
//! After a poll of class `Background`, step 5 is the global queue alone while a processor is idle: its
//! worker waits for the network and the timers, and is woken for what others queue. (With a look
//! everywhere after each poll, the batch of `docs/priorities.md` took 7 % longer than alone instead of
//! 4 %: the worker of the batch fired the timers and polled what they woke, and the other one was woken
//! for nothing.) While none is idle, it is the global queue alone unless [`FULL_LOOK`] has passed
//! since the last look at everything: looking everywhere costs as much as a short poll, and nothing
//! else was found a moment ago. So while all processors have nothing but that class, the network and
//! the timers are looked at each 100 µs, or after each poll, if polls are longer.
//!
//! | who waits | beside a flood of | for at most |
//! |---|---|---|
//! | `Interactive` | `Normal` or `Background` | the polls that go on |
//! | `Normal` | `Interactive` | eight polls for each turn of its queue: one of nine polls is not `Interactive` |
//! | `Background` | the others | 10 ms, the monitor's request, and one streak; within the limit |
//!
//! # What may not be forgotten
//!
//! A worker that takes a task wakes another one if something is left in the queues of the classes
//! that an idle processor could take ([`Worker::wake_for_the_rest`]): pushes that leave it to this
//! worker ([`super::super::classes`]) wake nobody, and neither does a permit that has ended with this
//! worker's last poll. The question is asked after a fence (`Idle::after_submit`), so a worker that
//! parks meanwhile sees what is queued, or is seen.

use std::cell::Cell;
use std::time::Duration;

use super::{CLASSED, OBSERVED, TIMER_TURNS, Worker};
use crate::clock::{self, Instant};
use crate::scheduler::processor::{Core, GLOBAL_TURNS};
use crate::scheduler::run_queues::by_class::class_of;
use crate::scheduler::worker::idle::Next;
use crate::scheduler::{Shared, this_thread};
use crate::tasks::{Priority, Runnable};

/// `Interactive` polls in a row while others wait. With eight, the others keep a ninth of the
/// polls, and a burst of as many events is not interrupted.
const STREAK: u8 = 8;

/// How long nothing else is looked for between polls of class `Background`. A look everywhere takes
/// 1 to 5 µs.
const FULL_LOOK: Duration = Duration::from_micros(100);

/// So many runnables of the own queue whose class has fallen are moved in one go: 50 ns each.
const MOVES: usize = 64;

/// What a worker remembers of its polls. See the module's documentation.
#[derive(Debug)]
pub(super) struct Turns {
    /// Counts down to the look at everything, as `Core::turn` does without classes.
    turn: Cell<u32>,
    /// `Interactive` polls in a row.
    streak: Cell<u8>,
    owes_global: Cell<bool>,
    owes_background: Cell<bool>,
    /// The last look at everything beside class `Background`. `None`: something else was polled
    /// since.
    full_look: Cell<Option<Instant>>,
    /// There is a permit for the runnable that was just found.
    reserved: Cell<bool>,
    /// What the next poll counts as: see [`Worker::decide`].
    decided: Cell<Option<Priority>>,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns {
            turn: Cell::new(0),
            streak: Cell::new(0),
            owes_global: Cell::new(false),
            owes_background: Cell::new(false),
            full_look: Cell::new(None),
            reserved: Cell::new(false),
            decided: Cell::new(None),
        }
    }

    /// Whether a permit is reserved, for a poll that has not begun.
    pub(super) fn has_reserved(&self) -> bool {
        self.reserved.get()
    }
}

/// Looking.
impl Worker {
    /// See the module's documentation. `index`: of the processor.
    pub(super) fn find_by_class(&self, index: usize) -> Option<Runnable> {
        let asked = this_thread::with_core(self.shared, |core| {
            core.processor.begin_look();
            core.was_asked()
        });
        self.look_around(index, asked == Some(true)).ok()?;
        let found = self.find_in_turn()?;
        self.wake_for_the_rest();
        self.publish_the_rest();
        Some(found)
    }

    /// Step 1. `Err`: this worker has lost its processor.
    fn look_around(&self, index: usize, asked: bool) -> Result<(), ()> {
        let turn = self.turns.turn.get();
        let next = turn.checked_sub(1).unwrap_or(GLOBAL_TURNS - 1);
        self.turns.turn.set(next);
        let everywhere = asked || turn == 0;
        let own_timers = turn % TIMER_TURNS == 0 && self.shared.services.timers.is_armed(index);
        if !everywhere && !own_timers {
            return Ok(());
        }
        if everywhere {
            self.turns.owes_global.set(true);
            if asked {
                self.turns.owes_background.set(true);
            }
            self.look_at_switches();
        }
        self.do_what_is_due(index, everywhere)
    }

    /// Steps 2 to 6.
    fn find_in_turn(&self) -> Option<Runnable> {
        let streak = self.turns.streak.get();
        if streak < STREAK {
            if let Some(found) = self.pop_interactive() {
                self.turns.streak.set(streak + 1);
                return Some(found);
            }
        }
        self.turns.streak.set(0);
        let others = self.pop_owed().or_else(|| self.pop_own());
        if others.is_some() {
            return others;
        }
        if streak == STREAK {
            let others = self.pop_fair();
            if others.is_some() {
                return others;
            }
            if let Some(found) = self.pop_interactive() {
                self.turns.streak.set(1);
                return Some(found);
            }
        }
        let found = self.find_elsewhere();
        // A waker may have cost this worker its processor.
        if found.is_some() || !self.has_processor() {
            return found;
        }
        self.pop_background()
    }

    /// Step 3.
    fn pop_owed(&self) -> Option<Runnable> {
        if self.turns.owes_global.take() {
            let global = self.pop_fair();
            if global.is_some() {
                return global;
            }
        }
        match self.turns.owes_background.take() {
            true => self.pop_background(),
            false => None,
        }
    }

    /// Step 5.
    fn find_elsewhere(&self) -> Option<Runnable> {
        let is_due = self.shared.queues.by_class.is_background_due();
        if is_due {
            if self.shared.workers.idle.num_idle() != 0 {
                return self.pop_shared();
            }
            // After a poll of another class, nobody knows how long ago the last look was.
            let now = clock::now();
            let last = self.turns.full_look.get();
            if last.is_some_and(|last| now.saturating_duration_since(last) < FULL_LOOK) {
                return self.pop_shared();
            }
            self.turns.full_look.set(Some(now));
        }
        self.last_poll_end.set(0);
        let search = || match is_due {
            // Nobody waits for what others may push while there is something to do.
            true => self.steal_by_class(),
            false => self.search_for(|| {
                let found = self.pop_interactive().or_else(|| self.steal_by_class());
                found.or_else(|| self.pop_background())
            }),
        };
        self.find_beyond(|| self.pop_woken(), || self.pop_shared(), search)
    }

    fn steal_by_class(&self) -> Option<Runnable> {
        let found = self.search_once()?;
        self.admit(found)
    }

    /// What a waker may have brought.
    fn pop_woken(&self) -> Option<Runnable> {
        let found = self.pop_interactive();
        if found.is_some() {
            self.turns.streak.set(1);
        }
        found.or_else(|| self.pop_own())
    }

    fn pop_interactive(&self) -> Option<Runnable> {
        let queues = &self.shared.queues;
        let pop = || queues.by_class.pop_interactive();
        let popped = match queues.compute_limit.is_reached() {
            true => queues.compute_limit.take_light(pop),
            false => pop(),
        };
        popped.and_then(|runnable| self.admit(runnable))
    }

    fn pop_own(&self) -> Option<Runnable> {
        for _ in 0..MOVES {
            let own = this_thread::with_core(self.shared, Core::pop).flatten()?;
            let admitted = self.admit(own);
            if admitted.is_some() {
                return admitted;
            }
        }
        None
    }

    fn pop_fair(&self) -> Option<Runnable> {
        let global = self.shared.queues.pop_fair()?;
        self.admit(global)
    }

    fn pop_shared(&self) -> Option<Runnable> {
        let pop = |core: &Core| self.shared.queues.pop_shared(core);
        let global = this_thread::with_core(self.shared, pop).flatten()?;
        self.admit(global)
    }

    /// Step 6.
    fn pop_background(&self) -> Option<Runnable> {
        let popped = self.shared.queues.by_class.pop_background()?;
        self.turns.reserved.set(true);
        Some(popped)
    }

    /// The runnable that was found in a queue of no class, if it may be polled: one whose class has
    /// become `Background` needs a permit. Without one, or while others wait for one, it goes to the
    /// queue of its class.
    fn admit(&self, runnable: Runnable) -> Option<Runnable> {
        if class_of(&runnable) != Priority::Background {
            return Some(runnable);
        }
        let queues = &self.shared.queues.by_class;
        if queues.num_background() == 0 && queues.permits.reserve() {
            self.turns.reserved.set(true);
            return Some(runnable);
        }
        self.shared.push_shared(runnable);
        None
    }

    /// Something was found. Wakes another worker if an idle processor could take what is left.
    fn wake_for_the_rest(&self) {
        if self.shared.queues.by_class.has_work()
            && self.shared.workers.idle.after_submit() == Next::Wake
        {
            self.shared.wake_one();
        }
    }
}

/// Polling.
impl Worker {
    /// A task was found by a worker that may not know yet which switches are on. Who has pushed it
    /// may have turned one on first, while this worker searched. `None`: it has to wait.
    #[cold]
    pub(super) fn catch_up(&self, runnable: Runnable) -> Option<Runnable> {
        if self.special.get() & (OBSERVED | CLASSED)
            != super::special_of(self.shared.all_switches())
        {
            self.look_at_switches();
        }
        match self.special.get() & CLASSED {
            0 => Some(runnable),
            _ => self.decide(runnable),
        }
    }

    /// What the poll that begins next counts as, and whether it has a permit then. Between this and
    /// the look that has found it the class may have changed; what changes from here on, changes
    /// within the poll. `None`: it needs a permit, and there is none.
    fn decide(&self, runnable: Runnable) -> Option<Runnable> {
        let class = class_of(&runnable);
        let permits = &self.shared.queues.by_class.permits;
        match (class == Priority::Background, self.turns.reserved.get()) {
            (true, false) => {
                // It was found before this worker knew of classes, or has fallen since.
                let is_reserved = permits.reserve();
                self.turns.reserved.set(is_reserved);
                if !is_reserved {
                    self.shared.push_shared(runnable);
                    self.look_beyond_next();
                    return None;
                }
            }
            (false, true) => {
                // It has risen since. The monitor would leave such a poll its permit.
                self.turns.reserved.set(false);
                permits.give_back();
                self.shared.wake_by_class();
            }
            (true, true) | (false, false) => {}
        }
        self.turns.decided.set(Some(class));
        Some(runnable)
    }

    /// Polls while tasks of several classes exist, as [`Worker::decide`] has said.
    /// `Core::begin_poll` was called for it.
    pub(super) fn poll_by_class(&self, runnable: Runnable) {
        // Each look is one beyond the own queues: so it was decided.
        let class = self.turns.decided.take().unwrap_or_default();
        let is_reserved = self.turns.reserved.take();
        let poll = PollByClass::begin(self.shared, class, is_reserved);
        if class != Priority::Background {
            self.turns.full_look.set(None);
        }
        self.poll_as::<true>(runnable);
        drop(poll);
        self.look_beyond_next();
    }

    fn look_beyond_next(&self) {
        this_thread::with_core(self.shared, Core::look_beyond_next);
    }
}

/// A poll goes on: its processor shows the class, and the permit if it has one. Both end with this,
/// also by a panic.
struct PollByClass {
    shared: &'static Shared,
    /// A permit that is shown by no processor.
    is_reserved: bool,
}

impl PollByClass {
    fn begin(shared: &'static Shared, class: Priority, is_reserved: bool) -> PollByClass {
        let begun = this_thread::with_core(shared, |core| {
            let processor = core.processor;
            processor.set_class(class);
            match class {
                Priority::Normal => {}
                Priority::Interactive => processor.counters.interactive.add(1),
                Priority::Background => processor.counters.background.add(1),
            }
            if is_reserved {
                let permits = &shared.queues.by_class.permits;
                permits.mark(&processor.permit, processor.tick.get());
            }
        });
        PollByClass {
            shared,
            is_reserved: is_reserved && begun.is_none(),
        }
    }
}

impl Drop for PollByClass {
    fn drop(&mut self) {
        let permits = &self.shared.queues.by_class.permits;
        this_thread::with_core(self.shared, |core| {
            core.processor.set_class(Priority::Normal);
            // The worker looks for the next one: see `wake_for_the_rest`. If its processor was
            // retaken, `Worker::wait` looks.
            permits.end(&core.processor.permit);
        });
        if self.is_reserved {
            permits.give_back();
        }
    }
}
