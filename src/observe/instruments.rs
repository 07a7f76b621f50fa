//! Instruments: what a runtime measures when it is asked to.
//!
//! | instrument | what it takes note of |
//! |---|---|
//! | [`TIMELINE`] | polls, wakes, thefts, hand-overs, in the [`journal`](super::journal) |
//! | [`HISTOGRAMS`] | how long polls take ([`histogram`](super::histogram)) and runnables wait ([`latency`](super::latency)) |
//! | [`HOOKS`] | calls the user's [`hooks`] |
//! | [`DETAILS`] | [`details`](super::details) of each task |
//! | [`STACKS`] | where each task waits ([`tasks::leaves`]), in its registry |
//!
//! Each is a switch of the scheduler's; see [`crate::scheduler::observer`] for how a switch is
//! seen. What is written by somebody who has not yet seen that it is off is not read.

use std::io;
use std::rc::Rc;

use super::details::Details;
use super::each;
use super::hooks::{self, Hooks, HooksHere};
use super::journal::{EVENTS, Journal, Others};
use super::latency::Latencies;
use super::timeline::{self, Kind, Place, pair, stamp};
use crate::clock;
use crate::scheduler::observer::{Event, Push, Records, WITHOUT_YIELDS};
use crate::scheduler::{Shared, probe};
use crate::stacks;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Runnable, capture};

/// A yield leads nowhere: the timeline does not want to know of it.
pub(super) const TIMELINE: u8 = WITHOUT_YIELDS;
pub(super) const HISTOGRAMS: u8 = 2;
pub(super) const HOOKS: u8 = 4;
pub(super) const DETAILS: u8 = 8;
pub(super) const STACKS: u8 = 16;

/// Of so many pushes one is measured, as in Go (`gTrackingPeriod`).
const LATENCY_PERIOD: u64 = 8;

/// All runtimes record, also those to come.
static EVERYWHERE: AtomicBool = AtomicBool::new(false);

/// All runtimes record, or only those that have reasons of their own.
pub(super) fn record_everywhere(record: bool) {
    if record {
        stamp::prepare();
    }
    EVERYWHERE.store(record, Ordering::Relaxed);
    // A runtime that begins is in the table, fences, and looks. So it sees the change, or is seen
    // here.
    fence(Ordering::SeqCst);
    each(|shared, observer| observer.instruments.look_at_everywhere(shared));
}

/// What a builder has asked for.
#[derive(Clone, Debug)]
pub(crate) struct InstrumentSettings {
    pub(crate) histograms: bool,
    pub(crate) details: bool,
    /// Every so many-th clone of a waker keeps its stack; 0: none.
    pub(crate) stacks: u32,
    pub(crate) hooks: Arc<Hooks>,
    /// The timeline is recorded as long as the runtime lives.
    pub(crate) records_flight: bool,
    /// Events that a processor's ring holds.
    pub(crate) events: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Instruments {
    /// Recordings that are going on; the timeline is on as long as there is one.
    recordings: Mutex<usize>,
    /// It is on in any case. Changed before the runtime's threads begin.
    records_flight: AtomicBool,
    /// Events of a ring; of a list an eighth of it.
    capacity: AtomicUsize,
    pub(super) others: Others,
    pub(super) latencies: Latencies,
    /// Pushes by threads without a core.
    remote_pushes: AtomicU64,
    pub(super) details: Details,
    /// For whoever is no worker of the runtime; a worker has a reference of its own.
    pub(super) hooks: Mutex<Option<Arc<Hooks>>>,
    /// Of the runtime's threads. Kept when it has ended: its timeline may be wanted later.
    pub(super) name: Mutex<Arc<str>>,
    /// How long the queues were when the monitor looked last.
    pub(super) depths: Mutex<Vec<usize>>,
}

impl Instruments {
    pub(super) fn new() -> Instruments {
        Instruments {
            recordings: Mutex::new(0),
            records_flight: AtomicBool::new(false),
            capacity: AtomicUsize::new(EVENTS),
            others: Others::new(),
            latencies: Latencies::new(),
            remote_pushes: AtomicU64::new(0),
            details: Details::new(),
            hooks: Mutex::new(None),
            name: Mutex::new("".into()),
            depths: Mutex::default(),
        }
    }

    fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    /// A runtime begins. None of its threads has started.
    pub(super) fn begin(
        &self,
        shared: &'static Shared,
        settings: &InstrumentSettings,
        name: Arc<str>,
    ) {
        *self.name.lock() = name;
        let hooks = Some(settings.hooks.clone()).filter(|hooks| !hooks.is_empty());
        let stacks = if stacks::AVAILABLE {
            settings.stacks
        } else {
            0
        };
        shared.registry.record_leaves(stacks);
        let mut on = 0;
        for (wanted, instrument) in [
            (settings.histograms, HISTOGRAMS),
            (settings.details, DETAILS),
            (hooks.is_some(), HOOKS),
            (stacks != 0, STACKS),
        ] {
            on |= if wanted { instrument } else { 0 };
        }
        if on & (HISTOGRAMS | DETAILS) != 0 {
            stamp::prepare();
        }
        self.capacity.store(settings.events, Ordering::Relaxed);
        (self.records_flight).store(settings.records_flight, Ordering::Relaxed);
        shared.each_instance(|instance| {
            if let Some(journal) = Journal::existing(instance.records()) {
                journal.begin(settings.events);
            }
        });
        self.latencies.reset();
        self.details.clear();
        self.depths.lock().clear();
        *self.hooks.lock() = hooks;
        shared.switch(on, !on);
        self.look_at_everywhere(shared);
    }

    /// The runtime has ended: lets go of what belongs to its user.
    pub(super) fn forget(&self, shared: &'static Shared) {
        shared.switch(0, !TIMELINE);
        let hooks = self.hooks.lock().take();
        drop(hooks);
        self.details.clear();
        shared.registry.record_leaves(0);
        // It flies no more.
        self.records_flight.store(false, Ordering::Relaxed);
        self.look_at_everywhere(shared);
    }

    /// A recording begins: from the stamp that it gives on, events are written down.
    pub(super) fn begin_recording(&self, shared: &'static Shared) -> u64 {
        let mut recordings = self.recordings.lock();
        *recordings += 1;
        self.set_timeline(shared, *recordings);
        stamp::now()
    }

    pub(super) fn end_recording(&self, shared: &'static Shared) {
        let mut recordings = self.recordings.lock();
        *recordings -= 1;
        self.set_timeline(shared, *recordings);
    }

    /// A recording has ended and been read: if there is no other one, the lists are freed. Rings
    /// are kept, as a writer that has not yet seen the switch may still be at one. Whoever calls it
    /// sees to it that nobody is about to read.
    pub(super) fn forget_log(&self, shared: &'static Shared) {
        // Under the lock: a recording that begins comes before or after.
        let _recordings = self.recordings.lock();
        if shared.switches() & TIMELINE == 0 {
            self.others.clear();
        }
    }

    /// [`EVERYWHERE`] may have changed.
    fn look_at_everywhere(&self, shared: &'static Shared) {
        // Pairs with the fence in `record_everywhere`.
        fence(Ordering::SeqCst);
        let recordings = self.recordings.lock();
        self.set_timeline(shared, *recordings);
    }

    /// Switches the timeline on or off, as it is wanted. Under the lock of the count.
    fn set_timeline(&self, shared: &'static Shared, recordings: usize) {
        let wanted = recordings != 0
            || self.records_flight.load(Ordering::Relaxed)
            || EVERYWHERE.load(Ordering::Relaxed);
        match (wanted, shared.switches() & TIMELINE != 0) {
            (true, false) => {
                // Before anybody writes: a flight recorder has not come by `begin_recording`.
                stamp::prepare();
                self.others.clear();
                shared.each_instance(|instance| {
                    if let Some(journal) = Journal::existing(instance.records()) {
                        journal.begin_recording();
                    }
                });
                shared.switch(TIMELINE, 0);
            }
            (false, true) => shared.switch(0, TIMELINE),
            _ => {}
        }
    }

    /// The calling thread becomes a worker.
    pub(super) fn worker_begins(&self) {
        hooks::set_of_worker(self.hooks.lock().clone());
    }

    pub(super) fn worker_ends(&self) {
        hooks::set_of_worker(None);
    }

    /// The hooks of the runtime. `None`: it has none, or has ended.
    pub(super) fn hooks_of(&self, shared: &'static Shared) -> Option<HooksHere> {
        if shared.is_worker_here() {
            if let Some(hooks) = hooks::of_worker() {
                return hooks;
            }
        }
        self.hooks.lock().clone().map(Rc::new)
    }

    /// A task is about to be pushed by the holder of these records, or of none.
    #[inline]
    pub(super) fn pushed(
        &self,
        shared: &'static Shared,
        records: Option<&'static Records>,
        tag: u64,
        push: Push,
    ) {
        match shared.switches() {
            // What this costs is what a recording costs.
            TIMELINE => self.record_push(records, tag, push),
            _ => self.measure_push(shared, records, tag, push),
        }
    }

    #[inline(never)]
    fn record_push(&self, records: Option<&'static Records>, tag: u64, push: Push) {
        if let Some(kind) = kind_of(push) {
            self.write(records, kind, tag, stamp::now());
        }
    }

    /// With any instruments, or none any more.
    #[inline(never)]
    fn measure_push(
        &self,
        shared: &'static Shared,
        records: Option<&'static Records>,
        tag: u64,
        push: Push,
    ) {
        let on = shared.switches();
        let kind = kind_of(push).filter(|_| on & TIMELINE != 0);
        let measured = on & HISTOGRAMS != 0 && self.is_sampled(records);
        if measured || kind.is_some() {
            let now = stamp::now();
            if measured {
                self.latencies.pushed(tag, now);
            }
            if let Some(kind) = kind {
                self.write(records, kind, tag, now);
            }
        }
        if on & DETAILS != 0 {
            match push {
                Push::New => self.details.spawned(tag, clock::now()),
                Push::Woken if capture::is_asking(tag) => self.details.asked(tag),
                Push::Woken | Push::Yielded => self.details.woken(tag, clock::now()),
            }
        }
    }

    /// Whether the wait of this push is measured.
    fn is_sampled(&self, records: Option<&'static Records>) -> bool {
        let pushes = match records {
            Some(records) => Journal::of(records).count_push(),
            None => self.remote_pushes.fetch_add(1, Ordering::Relaxed),
        };
        pushes % LATENCY_PERIOD == 0
    }

    /// Calls the hook for a task that has been spawned. It is foreign code: no core may be
    /// borrowed.
    pub(super) fn call_spawn_hook(&self, shared: &'static Shared, tag: u64) {
        if shared.switches() & HOOKS != 0 {
            if let Some(hooks) = self.hooks_of(shared) {
                if hooks.spawned.is_some() {
                    Hooks::call(&hooks.spawned, &Hooks::spawned_meta(tag));
                }
            }
        }
    }

    /// A task that was spawned ends without a poll of its own. `is_new`: its spawn has not been
    /// told yet. Whoever is told of that is told of the end, also when the runtime lets go of its
    /// hooks meanwhile.
    pub(super) fn reject(
        &'static self,
        shared: &'static Shared,
        runnable: Runnable,
        refused: Option<io::ErrorKind>,
        is_new: bool,
    ) {
        let tag = runnable.metadata().tag();
        let told = self
            .hooks_of(shared)
            .map(|hooks| (hooks, Hooks::meta(runnable.metadata())));
        if let Some((hooks, meta)) = told.as_ref().filter(|_| is_new) {
            Hooks::call(&hooks.spawned, meta);
        }
        // It waits for no poll.
        self.latencies.polled(tag);
        let afterwards = move || {
            self.details.finished(tag);
            if let Some((hooks, meta)) = &told {
                Hooks::call(&hooks.terminated, meta);
            }
        };
        tasks::reject(runnable, refused, Some(Box::new(afterwards)));
    }

    /// What happens to processors, on the timeline.
    pub(super) fn note(
        &self,
        shared: &'static Shared,
        records: Option<&'static Records>,
        event: Event,
    ) {
        if shared.switches() & TIMELINE == 0 {
            return;
        }
        let now = stamp::now();
        match event {
            Event::Acquired => self.write(records, Kind::Acquire, this_thread(), now),
            Event::Released => self.write(records, Kind::Release, 0, now),
            // The rest of the poll is drawn in the thread's lane.
            Event::GivenAway { tag } => {
                self.write(records, Kind::Leave, tag, now);
                self.write(None, Kind::Begin, tag, now);
            }
            Event::TakenBack { tag } => {
                self.write(None, Kind::Leave, tag, now);
                self.write(records, Kind::Begin, tag, now);
            }
            Event::Stole { victim, tasks } => {
                self.write(records, Kind::Steal, pair(victim, tasks), now);
            }
            Event::Retaken {
                processor,
                instance,
            } => self.write_for_monitor(Kind::Retake, pair(processor, instance), now),
        }
    }

    /// Writes an event down: beside the processor, else in the list of the calling thread.
    #[inline(always)]
    pub(super) fn write(&self, records: Option<&'static Records>, kind: Kind, what: u64, now: u64) {
        let event = kind.of(what, now);
        match records {
            Some(records) => Journal::of(records).write(event, || self.capacity()),
            None => self.write_elsewhere(event),
        }
    }

    #[cold]
    fn write_elsewhere(&self, event: timeline::Event) {
        let place = Place::Thread(this_thread());
        self.others.write(place, event, self.capacity() / 8);
    }

    pub(super) fn write_for_monitor(&self, kind: Kind, what: u64, now: u64) {
        let event = kind.of(what, now);
        (self.others).write(Place::Monitor, event, self.capacity() / 8);
    }
}

/// What a push is on the timeline.
fn kind_of(push: Push) -> Option<Kind> {
    match push {
        Push::New => Some(Kind::Spawn),
        Push::Woken => Some(Kind::Wake),
        // It leads nowhere.
        Push::Yielded => None,
    }
}

/// A number for the calling thread: the system's where there is one.
fn this_thread() -> u64 {
    match probe::number(probe::this_thread()) {
        0 => tasks::registry::thread_number(),
        number => number,
    }
}
