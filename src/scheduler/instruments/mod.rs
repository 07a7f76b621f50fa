//! Instruments: what a runtime measures when it is asked to.
//!
//! | instrument | what it takes note of |
//! |---|---|
//! | [`TIMELINE`] | polls, wakes, thefts, hand-overs, in the [`journal`] |
//! | [`HISTOGRAMS`] | how long polls take ([`histogram`]) and runnables wait ([`latency`]) |
//! | [`HOOKS`] | calls the user's [`hooks`] |
//! | [`DETAILS`] | [`details`] of each task |
//!
//! # How they cost nothing while they are off
//!
//! Before each poll a worker looks whether it is searching, and at each push a core whether it collects a batch. Both are
//! nearly always no, and both words have room for one more bit: *observed*. So the way of a task has the same instructions
//! with instruments as without, until one is on; then polls and pushes take the cold branch.
//!
//! 1. [`Instruments::switch`] changes the word of switches, and asks every worker to look up, as the monitor does each
//!    10 ms ([`super::processor::ownership`]).
//! 2. A worker copies the switches when it has acquired a processor, and when it has been asked: into its own word and the
//!    core's. Between acquiring it and the look lies a fence, as between the change and the asking: so the look
//!    sees the change, or the asking finds the core held by a thread. Without the two a worker that is just getting
//!    up would go on unobserved until the monitor asks again. One that searches has been asked, but has what it found before
//!    it looks up: whatever comes from another queue was pushed by somebody who may have switched instruments on first, so
//!    then it looks at the switches themselves, and the queue's order shows them.
//! 3. What happens on threads without a core (remote wakes, blocking jobs) looks at the switches themselves, which stand
//!    beside the mark of closing that it reads anyway.
//!
//! A poll that has begun unobserved ends unobserved. A switch that is turned off may be seen some polls later; what is
//! written then is not read.
//!
//! # Who writes
//!
//! A core's holder writes into the journal of the core's instance, alone; see [`crate::timeline`]. Everybody else writes
//! into lists behind locks.

use std::io;

use super::submit::Push;
use super::{Shared, this_thread};
use crate::clock;
use crate::scheduler::lifecycle::runtimes;
use crate::scheduler::monitor::probe;
use crate::scheduler::processor::Core;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Runnable};
use crate::timeline::{Kind, Log, Place, pair, stamp};

mod collect;
pub(super) mod details;
mod events;
pub(super) mod histogram;
mod hooks;
pub(super) mod journal;
mod latency;
mod polls;
#[cfg(test)]
mod tests;

pub use histogram::Histogram;
pub(crate) use hooks::Hooks;
pub use hooks::TaskMeta;
pub(super) use hooks::set_worker;

use details::Details;
use journal::Others;
use latency::Latencies;

pub(super) const TIMELINE: u8 = 1;
pub(super) const HISTOGRAMS: u8 = 2;
pub(super) const HOOKS: u8 = 4;
pub(super) const DETAILS: u8 = 8;

/// Of so many pushes one is measured, as in Go (`gTrackingPeriod`).
pub(super) const LATENCY_PERIOD: u8 = 8;

/// Events that a ring holds by default: 4 MiB for each processor.
pub(crate) const EVENTS: usize = 1 << 18;

/// All runtimes record, also those to come.
static EVERYWHERE: AtomicBool = AtomicBool::new(false);

/// All runtimes record, or only those that have reasons of their own.
pub(crate) fn record_everywhere(record: bool) {
    if record {
        stamp::prepare();
    }
    EVERYWHERE.store(record, Ordering::Relaxed);
    // A runtime that begins is in the table, fences, and looks. So it sees the change, or is seen here.
    fence(Ordering::SeqCst);
    each_own(Shared::look_at_everywhere);
}

fn each_own(mut f: impl FnMut(&'static Shared)) {
    runtimes::each(|shared| {
        if !shared.in_forked_child() {
            f(shared);
        }
    });
}

/// The timelines of all runtimes since `begin`, of those that have one. `of_all`: also of those that record no more.
pub(crate) fn logs(begin: u64, of_all: bool) -> Vec<Log> {
    let mut logs = Vec::new();
    each_own(|shared| {
        if of_all || shared.observers.instruments.on() & TIMELINE != 0 {
            logs.push(shared.log(begin));
        }
    });
    logs.retain(|log| !log.lanes.is_empty());
    logs
}

/// [`Shared::forget_log`] of all.
pub(crate) fn forget_logs() {
    each_own(Shared::forget_log);
}

/// What a builder has asked for.
#[derive(Clone, Debug)]
pub(crate) struct InstrumentSettings {
    pub(crate) histograms: bool,
    pub(crate) details: bool,
    pub(crate) hooks: Arc<Hooks>,
    /// The timeline is recorded as long as the runtime lives.
    pub(crate) records_flight: bool,
    /// Events that a processor's ring holds.
    pub(crate) events: usize,
}

/// The most that it may hold: 256 MiB. Room for the addresses of so many is made with each ring.
pub(crate) const MOST_EVENTS: usize = 1 << 24;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Instruments {
    switches: AtomicU8,
    /// Recordings that are going on; the timeline is on as long as there is one.
    recordings: Mutex<usize>,
    /// It is on in any case. Changed before the runtime's threads begin.
    records_flight: AtomicBool,
    /// Events of a ring; of a list an eighth of it.
    capacity: AtomicUsize,
    others: Others,
    latencies: Latencies,
    /// Pushes by threads without a core.
    remote_pushes: AtomicU64,
    pub(super) details: Details,
    /// For whoever is no worker of the runtime; a worker has a reference of its own.
    hooks: Mutex<Option<Arc<Hooks>>>,
    /// Of the runtime's threads. Kept when it has ended: its timeline may be wanted later.
    name: Mutex<Arc<str>>,
}

impl Instruments {
    pub(super) fn new() -> Instruments {
        Instruments {
            switches: AtomicU8::new(0),
            recordings: Mutex::new(0),
            records_flight: AtomicBool::new(false),
            capacity: AtomicUsize::new(EVENTS),
            others: Others::new(),
            latencies: Latencies::new(),
            remote_pushes: AtomicU64::new(0),
            details: Details::new(),
            hooks: Mutex::new(None),
            name: Mutex::new("".into()),
        }
    }

    /// The instruments that are on.
    #[inline]
    pub(super) fn on(&self) -> u8 {
        // Relaxed: what they write has an order of its own.
        self.switches.load(Ordering::Relaxed)
    }

    fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Switches instruments on and off; see the module's documentation.
    pub(super) fn switch(&self, on: u8, off: u8) {
        let change = |switches: u8| Some(switches & !off | on);
        let _ = (self.observers.instruments.switches).fetch_update(
            Ordering::Relaxed,
            Ordering::Relaxed,
            change,
        );
        // Pairs with the fence in `look_at_instruments`.
        fence(Ordering::SeqCst);
        for slot in &self.queues.processors {
            slot.current().ownership.request_yield();
        }
    }

    /// Whether any instrument is on. Who finds a task that was pushed after they were switched on sees that here.
    #[inline]
    pub(super) fn is_observed(&self) -> bool {
        self.observers.instruments.on() != 0
    }

    /// Step 2, for the core held by the calling thread. Gives whether any instrument is on.
    pub(super) fn look_at_instruments(&'static self) -> bool {
        // The core was acquired before. So this look sees the switch, or the asking sees that the core is held.
        fence(Ordering::SeqCst);
        let on = self.observers.instruments.on();
        // A yield leads nowhere: the timeline alone does not want to know of it.
        let yields = on & !TIMELINE != 0;
        this_thread::with_core(self, |core| core.set_observed(on != 0, yields));
        on != 0
    }

    /// A runtime begins, whose threads are called `name`. None of them has started.
    pub(super) fn prepare_instruments(&self, settings: &InstrumentSettings, name: &str) {
        let instruments = &self.observers.instruments;
        *instruments.name.lock() = name.into();
        let hooks = Some(settings.hooks.clone()).filter(|hooks| !hooks.is_empty());
        let mut on = 0;
        for (wanted, instrument) in [
            (settings.histograms, HISTOGRAMS),
            (settings.details, DETAILS),
            (hooks.is_some(), HOOKS),
        ] {
            on |= if wanted { instrument } else { 0 };
        }
        if on & (HISTOGRAMS | DETAILS) != 0 {
            stamp::prepare();
        }
        instruments
            .capacity
            .store(settings.events, Ordering::Relaxed);
        (instruments.records_flight).store(settings.records_flight, Ordering::Relaxed);
        for slot in &self.queues.processors {
            slot.each(|processor| processor.journal.set_capacity(settings.events));
        }
        instruments.latencies.reset();
        instruments.details.clear();
        *instruments.hooks.lock() = hooks;
        instruments.switches.store(on, Ordering::Relaxed);
        self.look_at_everywhere();
    }

    /// The runtime has ended: lets go of what belongs to its user.
    pub(super) fn forget_instruments(&self) {
        let instruments = &self.observers.instruments;
        (instruments.switches).fetch_and(TIMELINE, Ordering::Relaxed);
        let hooks = instruments.hooks.lock().take();
        drop(hooks);
        instruments.details.clear();
        // It flies no more.
        (instruments.records_flight).store(false, Ordering::Relaxed);
        self.look_at_everywhere();
    }

    /// A recording begins: from the stamp that it gives on, events are written down.
    pub(crate) fn begin_recording(&self) -> u64 {
        let mut recordings = self.observers.instruments.recordings.lock();
        *recordings += 1;
        self.set_timeline(*recordings);
        stamp::now()
    }

    pub(crate) fn end_recording(&self) {
        let mut recordings = self.observers.instruments.recordings.lock();
        *recordings -= 1;
        self.set_timeline(*recordings);
    }

    /// A recording has ended and been read: if there is no other one, the lists are freed. Rings are kept, as a writer that has
    /// not yet seen the switch may still be at one. Whoever calls it sees to it that nobody is about to read.
    pub(crate) fn forget_log(&self) {
        // Under the lock: a recording that begins comes before or after.
        let _recordings = self.observers.instruments.recordings.lock();
        if self.observers.instruments.on() & TIMELINE == 0 {
            self.observers.instruments.others.clear();
        }
    }

    /// [`EVERYWHERE`] may have changed.
    fn look_at_everywhere(&self) {
        // Pairs with the fence in `record_everywhere`.
        fence(Ordering::SeqCst);
        let recordings = self.observers.instruments.recordings.lock();
        self.set_timeline(*recordings);
    }

    /// Switches the timeline on or off, as it is wanted. Under the lock of the count.
    fn set_timeline(&self, recordings: usize) {
        let wanted = recordings != 0
            || self
                .observers
                .instruments
                .records_flight
                .load(Ordering::Relaxed)
            || EVERYWHERE.load(Ordering::Relaxed);
        match (wanted, self.observers.instruments.on() & TIMELINE != 0) {
            (true, false) => {
                // Before anybody writes: a flight recorder has not come by `begin_recording`.
                stamp::prepare();
                self.observers.instruments.others.clear();
                for slot in &self.queues.processors {
                    slot.each(|processor| processor.journal.begin_recording());
                }
                self.switch(TIMELINE, 0);
            }
            (false, true) => self.switch(0, TIMELINE),
            _ => {}
        }
    }

    /// A task is about to be pushed by the holder of `core`, or of none, while instruments are on.
    #[inline]
    pub(super) fn note_push(&self, core: Option<&Core>, tag: u64, push: Push) {
        if self.is_closed_by_fork() {
            // A poll has forked, and goes on in the child.
            return;
        }
        let on = self.observers.instruments.on();
        let kind = match push {
            Push::New => Some(Kind::Spawn),
            Push::Woken => Some(Kind::Wake),
            // It leads nowhere.
            Push::Yielded => None,
        };
        if on == TIMELINE {
            // What it costs is what a recording costs.
            if let Some(kind) = kind {
                self.write(core, kind, tag, stamp::now());
            }
        } else {
            self.measure_push(core, tag, push, kind);
        }
    }

    /// The same with more instruments, or none any more.
    #[cold]
    fn measure_push(&self, core: Option<&Core>, tag: u64, push: Push, kind: Option<Kind>) {
        let on = self.observers.instruments.on();
        if on & (TIMELINE | HISTOGRAMS) != 0 {
            let measured = on & HISTOGRAMS != 0 && self.is_sampled(core);
            if measured || on & TIMELINE != 0 && kind.is_some() {
                let now = stamp::now();
                if measured {
                    self.observers.instruments.latencies.pushed(tag, now);
                }
                if let Some(kind) = kind.filter(|_| on & TIMELINE != 0) {
                    self.write(core, kind, tag, now);
                }
            }
        }
        if on & DETAILS != 0 {
            match push {
                Push::New => self
                    .observers
                    .instruments
                    .details
                    .spawned(tag, clock::now()),
                Push::Woken | Push::Yielded => {
                    self.observers.instruments.details.woken(tag, clock::now())
                }
            }
        }
    }

    /// Whether the wait of this push is measured.
    fn is_sampled(&self, core: Option<&Core>) -> bool {
        let period = u64::from(LATENCY_PERIOD);
        let pushes = match core {
            Some(core) => core.count_push(),
            None => (self.observers.instruments.remote_pushes).fetch_add(1, Ordering::Relaxed),
        };
        pushes % period == 0
    }

    /// Calls the hook for a task that has been spawned. It is foreign code: no core may be borrowed.
    pub(super) fn call_spawn_hook(&'static self, tag: u64) {
        if self.observers.instruments.on() & HOOKS != 0 && !self.is_closed_by_fork() {
            if let Some(hooks) = self.hooks() {
                if hooks.spawned.is_some() {
                    Hooks::call(&hooks.spawned, &Hooks::meta(tag));
                }
            }
        }
    }

    /// A task that was spawned ends without a poll of its own. `is_new`: its spawn has not been told yet. Whoever is told of
    /// that is told of the end, also when the runtime lets go of its hooks meanwhile.
    pub(super) fn end_observed(
        &'static self,
        runnable: Runnable,
        refused: Option<io::ErrorKind>,
        is_new: bool,
    ) {
        let tag = runnable.metadata().tag();
        let told = self.hooks().map(|hooks| (hooks, Hooks::meta(tag)));
        if let Some((hooks, meta)) = told.as_ref().filter(|_| is_new) {
            Hooks::call(&hooks.spawned, meta);
        }
        // It waits for no poll.
        self.observers.instruments.latencies.polled(tag);
        let afterwards = move || {
            self.observers.instruments.details.finished(tag);
            if let Some((hooks, meta)) = &told {
                Hooks::call(&hooks.terminated, meta);
            }
        };
        tasks::reject(runnable, refused, Some(Box::new(afterwards)));
    }

    /// Writes an event down: in the core's journal, else in the list of the calling thread.
    #[inline]
    pub(super) fn write(&self, core: Option<&Core>, kind: Kind, what: u64, now: u64) {
        match core {
            Some(core) => {
                let capacity = || self.observers.instruments.capacity();
                core.processor.journal.write(kind.of(what, now), capacity);
            }
            None => {
                let capacity = self.observers.instruments.capacity();
                let place = Place::Thread(this_thread());
                (self.observers.instruments.others).write(place, kind.of(what, now), capacity / 8);
            }
        }
    }

    /// The calling thread has done something to its processor, or to others.
    pub(super) fn note(&self, core: Option<&Core>, kind: Kind, what: u64) {
        if self.observers.instruments.on() & TIMELINE != 0 {
            self.write(core, kind, what, stamp::now());
        }
    }

    /// Monitor.
    pub(super) fn note_by_monitor(&self, kind: Kind, what: u64) {
        if self.observers.instruments.on() & TIMELINE != 0 {
            let event = kind.of(what, stamp::now());
            let capacity = self.observers.instruments.capacity() / 8;
            (self.observers.instruments.others).write(Place::Monitor, event, capacity);
        }
    }
}

/// A number for the calling thread: the system's where there is one.
pub(super) fn this_thread() -> u64 {
    match probe::this_thread() >> 32 {
        0 => crate::tasks::registry::thread_number(),
        number => number,
    }
}
