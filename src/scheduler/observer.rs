//! How the scheduler tells what happens, to whoever wants to know.
//!
//! What a runtime measures, prints and reports stands above the scheduler. The scheduler knows
//! three things of it: the trait [`Observer`], a word of switches, and a place for [`Records`]
//! beside each instance of a processor.
//!
//! # What it costs while it is off
//!
//! Before each poll a worker looks whether it is searching, and at each push a core whether it
//! collects a batch. Both are nearly always no, and both words have room for more bits: *observed*,
//! and *classed*, which is the scheduler's own ([`super::classes`]) and none of the observer's. So
//! the way of a task has the same instructions with an observer as without, until a switch is on.
//! Then polls and pushes take the cold branch.
//!
//! # Protocol
//!
//! 1. [`Shared::switch`] changes the switches, and asks every worker to look up, as the monitor
//!    does each 10 ms ([`super::processor::ownership`]).
//! 2. A worker copies the switches when it has acquired a processor, and when it has been asked:
//!    into its own word and the core's. Between acquiring it and the look lies a fence, as between
//!    the change and the asking. So the look sees the change, or the asking finds the core held by
//!    a thread. Without the two, a worker that is just getting up would go on unobserved until the
//!    monitor asks again.
//! 3. A worker that searches has been asked, but it has what it found before it looks up. Whatever
//!    comes from another queue was pushed by somebody who may have turned a switch on first. So
//!    then it looks at the switches themselves, and the queue's order shows them.
//! 4. What happens on threads without a core (remote wakes, blocking jobs) looks at the switches
//!    themselves.
//!
//! A poll that has begun unobserved ends unobserved. A switch that is turned off may be seen some
//! polls later.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;
use std::io;
use std::time::Duration;

use super::classes::CLASSES;
use super::processor::{Core, Processor};
use super::{Shared, this_thread};
use crate::clock::Instant;
use crate::stacks::TaskStack;
use crate::sync::atomic::{Ordering, fence};
use crate::tasks::{self, Runnable};

pub(crate) use super::processor::Records;
pub(crate) use crate::tasks::Purpose;

/// While this is the only switch that is on, a task that yields is pushed unobserved. What the
/// others are for is the observer's affair.
pub(crate) const WITHOUT_YIELDS: u8 = 1;

/// Whoever wants to know what a scheduler does. It is made with the scheduler, and stays with it.
///
/// Tasks are named by their [tag](crate::tasks::Meta::tag). The methods for tasks and processors
/// are called while a switch is on, the others always.
pub(crate) trait Observer: Any + Debug + Send + Sync {
    /// A task is about to be pushed by the holder of these records, or by a thread that holds none.
    fn pushed(&self, _: &'static Shared, _: Option<&'static Records>, _tag: u64, _: Push) {}

    /// A task was spawned, and is about to be pushed. Foreign code may be called: no core is
    /// borrowed.
    fn spawned(&self, _: &'static Shared, _tag: u64) {}

    /// Polls a task, once, and calls [`Shared::abort_if_forked`] after it.
    ///
    /// `last_poll_end` is what this gave for the last poll of this worker, if it has done nothing
    /// since; else zero.
    fn poll(
        &self,
        shared: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        _last_poll_end: u64,
    ) -> u64 {
        purpose.poll(runnable);
        shared.abort_if_forked();
        0
    }

    /// Rejects a task, as [`tasks::reject`]. `is_new`: its spawn has not been told yet.
    fn reject(
        &'static self,
        _: &'static Shared,
        runnable: Runnable,
        refused: Option<io::ErrorKind>,
        _is_new: bool,
    ) {
        tasks::reject(runnable, refused, None);
    }

    /// Something has happened to the processor with these records, or to another one.
    fn note(&self, _: &'static Shared, _: Option<&'static Records>, _: Event) {}

    /// The calling thread becomes a worker.
    fn worker_begins(&self) {}

    /// It is a worker no more.
    fn worker_ends(&self) {}

    /// Something is wrong.
    fn incident(&self, _: &'static Shared, _: Incident) {}

    /// Whether anybody will be told where a stall of this task is blocked. To find that out takes
    /// the monitor a quarter of a millisecond.
    fn wants_place_of(&self, _: Option<&tasks::Description>) -> bool {
        false
    }

    /// The monitor is at the end of the round that began at this moment.
    fn round(&self, _: &'static Shared, _: Instant) {}

    /// How long it is until the next round has to come. `None`: it may come at any time.
    fn due_in(&self) -> Option<Duration> {
        None
    }

    /// The monitor falls asleep, as all seems quiet.
    fn falls_asleep(&self, _: &'static Shared) {}

    /// It sleeps, and all is quiet. Gives how long it may be until this is called again. `None`:
    /// for ever.
    fn asleep(&self, _: &'static Shared) -> Option<Duration> {
        None
    }

    /// The runtime has ended. What belongs to its user is let go of.
    fn forget(&self, _: &'static Shared) {}
}

/// An observer that sees nothing, for tests of the scheduler alone.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct NoObserver;

#[cfg(test)]
impl Observer for NoObserver {}

/// How a task comes into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    New,
    Woken,
    /// Woken in its own poll.
    Yielded,
}

impl Push {
    pub(super) fn woken(yielded: bool) -> Push {
        match yielded {
            true => Push::Yielded,
            false => Push::Woken,
        }
    }
}

/// What happens to a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The calling thread holds it from now on.
    Acquired,
    /// The calling thread is about to release it.
    Released,
    /// The calling thread is about to give it away in the middle of a poll of this task.
    GivenAway { tag: u64 },
    /// The calling thread has got it in the middle of a poll of this task.
    TakenBack { tag: u64 },
    /// Its worker has stolen from another one.
    Stole { victim: usize, tasks: usize },
    /// The monitor takes a processor from whoever holds this instance of it.
    Retaken { processor: usize, instance: usize },
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum Incident {
    Stall(Stall),
    /// A poll of this task has panicked.
    Panic {
        tag: u64,
    },
    /// All threads that the runtime may have are stuck or block, and more are needed.
    NoMoreThreads {
        limit: usize,
    },
}

/// A poll that has kept its thread for too long.
#[derive(Clone, Debug)]
pub(crate) struct Stall {
    /// The task, described while it was stuck. `None`: it is no poll.
    pub(crate) task: Option<tasks::Description>,
    pub(crate) duration: Duration,
    /// The thread was blocked in the kernel.
    pub(crate) is_blocked: bool,
    /// In this system call, as [`probe::blocked_in`](super::probe::blocked_in) says it. `None`: it
    /// was not blocked, or that is not known.
    pub(crate) blocked_in: Option<Cow<'static, str>>,
    /// The calls that led there, if they could be read.
    pub(crate) stack: Option<TaskStack>,
    /// Its processor was retaken.
    pub(crate) is_retaken: bool,
}

/// The switches.
impl Shared {
    /// The observer's that are on.
    #[inline]
    pub(crate) fn switches(&self) -> u8 {
        self.all_switches() & !CLASSES
    }

    /// Those that are on, with the scheduler's own one, [`CLASSES`].
    #[inline]
    pub(super) fn all_switches(&self) -> u8 {
        // Relaxed: what an observer writes has an order of its own.
        self.switches.load(Ordering::Relaxed)
    }

    /// Whether any of the observer's is on. Who finds a task that was pushed after one was turned on
    /// sees that here.
    #[inline]
    pub(super) fn is_observed(&self) -> bool {
        self.switches() != 0
    }

    /// Step 1, for the observer.
    pub(crate) fn switch(&self, on: u8, off: u8) {
        self.turn_switches(on & !CLASSES, off & !CLASSES);
    }

    /// Step 1.
    pub(super) fn turn_switches(&self, on: u8, off: u8) {
        let change = |switches: u8| Some(switches & !off | on);
        let _ = (self.switches).fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        // Pairs with the fence in `look_at_switches`.
        fence(Ordering::SeqCst);
        for processor in self.queues.current() {
            processor.ownership.request_yield();
        }
    }

    /// Step 2, for the core held by the calling thread. Gives [`Shared::all_switches`].
    pub(super) fn look_at_switches(&'static self) -> u8 {
        // The core was acquired before. So this look sees the switch, or the asking sees that the
        // core is held.
        fence(Ordering::SeqCst);
        let all = self.all_switches();
        let on = all & !CLASSES;
        let yields = on & !WITHOUT_YIELDS != 0;
        this_thread::with_core(self, |core| {
            core.set_switches(on != 0, yields, all & CLASSES != 0);
        });
        all
    }
}

/// What is told.
impl Shared {
    pub(crate) fn observer(&'static self) -> &'static dyn Observer {
        &*self.observer
    }

    /// The records of the processor that the calling thread holds, if it holds one.
    #[inline]
    pub(crate) fn records_here(&'static self) -> Option<&'static Records> {
        this_thread::with_core(self, |core| &core.processor.records)
    }

    /// A task is about to be pushed by the holder of these records, or of none, while a switch is
    /// on.
    #[inline]
    pub(super) fn tell_push(
        &'static self,
        records: Option<&'static Records>,
        tag: u64,
        push: Push,
    ) {
        // A poll may have forked, and go on in the child.
        if !self.is_closed_by_fork() {
            self.observer.pushed(self, records, tag, push);
        }
    }

    /// A task was spawned. No core may be borrowed.
    pub(super) fn tell_spawn(&'static self, tag: u64) {
        if self.is_observed() && !self.is_closed_by_fork() {
            self.observer.spawned(self, tag);
        }
    }

    /// Polls a task on a thread that is no worker, or to end it.
    #[inline]
    pub(super) fn poll_off_processor(&'static self, runnable: Runnable, purpose: Purpose) {
        if self.is_observed() {
            self.observer.poll(self, runnable, purpose, 0);
        } else {
            purpose.poll(runnable);
        }
    }

    #[inline]
    pub(super) fn tell(&'static self, core: Option<&Core>, event: Event) {
        if self.is_observed() {
            let records = core.map(|core| &core.processor.records);
            self.observer.note(self, records, event);
        }
    }

    /// The calling thread holds a core, in the middle of a poll perhaps, and is about to give it
    /// away or has just got it.
    pub(super) fn tell_of_poll(&'static self, event: fn(u64) -> Event) {
        if self.is_observed() {
            if let Some(tag) = tasks::current_tag() {
                this_thread::with_core(self, |core| self.tell(Some(core), event(tag)));
            }
        }
    }

    /// A worker has stolen from this instance. Its queue was empty, else it would not have
    /// searched. A thief of the thief may have been there already, so it may have been more than is
    /// said.
    pub(super) fn tell_steal(&'static self, core: &Core, victim: &Processor) {
        if self.is_observed() {
            let victim = self.queues.index_of(victim).unwrap_or_default();
            let tasks = 1 + core.queue.len();
            self.tell(Some(core), Event::Stole { victim, tasks });
        }
    }

    /// Monitor: takes a processor from whoever holds this instance.
    pub(super) fn tell_retake(&'static self, index: usize, stuck: &Processor) {
        if self.is_observed() {
            let instance = self.queues.slots()[index].number_of(stuck);
            let event = Event::Retaken {
                processor: index,
                instance: instance.unwrap_or_default(),
            };
            self.tell(None, event);
        }
    }

    /// Monitor: this poll has kept its thread for too long.
    pub(super) fn tell_stall(&'static self, stall: Stall) {
        if stall.task.is_some() {
            self.counters.stalls.fetch_add(1, Ordering::Relaxed);
        }
        self.observer.incident(self, Incident::Stall(stall));
    }

    /// A poll of this task has thrown something.
    #[cold]
    pub(crate) fn task_panicked(&'static self, tag: u64) {
        if !self.is_closed_by_fork() {
            self.observer.incident(self, Incident::Panic { tag });
        }
    }

    /// No more threads may be started. Who has allowed no more than there are processors at present
    /// knows.
    #[cold]
    pub(super) fn tell_no_more_threads(&'static self) {
        if let Ok(settings) = self.settings() {
            let limit = settings.max_threads;
            if limit != self.workers.idle.num_wanted() {
                self.observer
                    .incident(self, Incident::NoMoreThreads { limit });
            }
        }
    }
}
