//! What the programs of one input share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use executor::task::{AbortHandle, JoinSet};
use executor::time::Sleep;
use executor::{Handle, JoinError, JoinHandle, Runtime};

use super::gate::Gate;
use super::record::{self, Output, Place, Record};
use super::{check, lasting};

pub(super) const SLOTS: usize = 8;
/// Most futures of one input.
const MOST: usize = 64;
/// Most waits for a real timer in one input: each takes as long as everything else.
const NAPS: usize = 3;

/// The runtime that an input runs on.
pub(super) enum Kind {
    Lasting(Handle),
    Fresh(Runtime),
    /// `block_on` and its local tasks.
    Local,
}

pub(super) struct World {
    /// Of the runtime.
    pub(super) handle: Handle,
    /// Local tasks alone, and nothing that another thread does.
    pub(super) is_local: bool,
    /// Where the runtime belongs to this input.
    runtime: Mutex<Option<Runtime>>,
    shut_down: AtomicBool,
    pub(super) gates: [Gate; SLOTS],
    pub(super) channel: (async_channel::Sender<u8>, async_channel::Receiver<u8>),
    slots: Mutex<Slots>,
    records: Mutex<Vec<Arc<Record>>>,
    naps: AtomicUsize,
    spawned: AtomicU64,
    outputs: AtomicUsize,
    dropped_outputs: AtomicUsize,
}

/// A handle and whose it is.
pub(super) type Joined = (Arc<Record>, JoinHandle<Output>);

/// Taken out and put back under the lock; foreign code runs outside it.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) handles: [Option<Joined>; SLOTS],
    pub(super) aborts: [Option<(Arc<Record>, AbortHandle)>; SLOTS],
    pub(super) wakers: [Option<Waker>; SLOTS],
    pub(super) sleeps: [Option<Sleep>; SLOTS],
    pub(super) sets: [Option<JoinSet<Output>>; 2],
}

impl World {
    pub(super) fn new(kind: Kind) -> Arc<World> {
        let is_local = matches!(kind, Kind::Local);
        let (handle, runtime) = match kind {
            Kind::Lasting(handle) => (handle, None),
            Kind::Fresh(runtime) => (runtime.handle().clone(), Some(runtime)),
            Kind::Local => (lasting(1), None),
        };
        Arc::new(World {
            handle,
            is_local,
            runtime: Mutex::new(runtime),
            shut_down: AtomicBool::new(false),
            gates: Default::default(),
            channel: async_channel::bounded(1),
            slots: Mutex::default(),
            records: Mutex::default(),
            naps: AtomicUsize::new(0),
            spawned: AtomicU64::new(0),
            outputs: AtomicUsize::new(0),
            dropped_outputs: AtomicUsize::new(0),
        })
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap()
    }

    /// A new record; the caller makes its future. The driver's is the first.
    pub(super) fn record(&self, place: Place, over: Option<Arc<AtomicBool>>) -> Arc<Record> {
        let mut records = self.records.lock().unwrap();
        let record = Arc::new(Record::new(records.len(), place, over));
        records.push(record.clone());
        if matches!(place, Place::Task | Place::Job) {
            self.spawned.fetch_add(1, SeqCst);
        }
        record
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.lock().unwrap().len() >= MOST
    }

    /// Whether a program may wait for a real timer.
    pub(super) fn may_nap(&self) -> bool {
        !self.is_local && self.naps.fetch_add(1, SeqCst) < NAPS
    }

    /// The members of a set, which is about to be aborted.
    pub(super) fn set_is_aborted(&self, set: usize) {
        for record in self.records.lock().unwrap().iter() {
            if usize::from(record.set.load(SeqCst)) == set + 1 {
                record.aborted.store(true, SeqCst);
            }
        }
    }

    /// A result out of a set.
    pub(super) fn settle_member(self: &Arc<World>, result: Result<Output, JoinError>) {
        let record = match &result {
            Ok(output) => Some(output.record.clone()),
            Err(error) => {
                let records = self.records.lock().unwrap();
                records
                    .iter()
                    .find(|record| record.id() == Some(error.id()))
                    .cloned()
            }
        };
        check(record.is_some(), "a set gave the result of no task", self);
        if let Some(record) = record {
            record::settle(self, &record, result);
        }
    }

    pub(super) fn make_output(self: &Arc<World>, record: &Arc<Record>) -> Output {
        self.outputs.fetch_add(1, SeqCst);
        Output::new(self, record)
    }

    pub(super) fn count_output(&self) {
        self.dropped_outputs.fetch_add(1, SeqCst);
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.shut_down.load(SeqCst)
    }

    /// Begins the end of a fresh runtime without waiting for it: a job may wait for a gate.
    pub(super) fn shut_down(&self, briefly: bool) {
        if let Some(runtime) = self.take_runtime() {
            let timeout = if briefly {
                Duration::from_micros(20)
            } else {
                Duration::ZERO
            };
            runtime.shutdown_timeout(timeout);
        }
    }

    /// The runtime, to be shut down at once.
    pub(super) fn take_runtime(&self) -> Option<Runtime> {
        let runtime = self.runtime.lock().unwrap().take();
        if runtime.is_some() {
            self.shut_down.store(true, SeqCst);
        }
        runtime
    }

    /// Whether a task waits still that was aborted, or whose runtime was shut down.
    pub(super) fn is_stopping(&self) -> bool {
        let records = self.records.lock().unwrap();
        records.iter().any(|record| record.is_about_to_stop(self))
    }

    pub(super) fn open_for_good(&self) {
        self.gates.iter().for_each(|gate| gate.open(true));
        self.channel.0.close();
    }

    /// Awaits one handle and empties all slots. False: there was nothing to do.
    pub(super) fn clear_up(self: &Arc<World>) -> bool {
        let slots = std::mem::take(&mut *self.slots());
        let mut any = false;
        for (record, handle) in slots.handles.into_iter().flatten() {
            any = true;
            let result = lasting(1).block_on(handle);
            record::settle(self, &record, result);
        }
        for mut set in slots.sets.into_iter().flatten() {
            any = true;
            while let Some(result) = lasting(1).block_on(set.join_next()) {
                self.settle_member(result);
            }
        }
        for waker in slots.wakers.into_iter().flatten() {
            any = true;
            waker.wake();
        }
        any
    }

    /// Tasks and jobs given to the runtime so far.
    pub(super) fn num_spawned(&self) -> u64 {
        self.spawned.load(SeqCst)
    }

    /// What the runtime has counted.
    pub(super) fn spawned_tasks(&self) -> u64 {
        self.handle.metrics().spawned_tasks_count()
    }

    pub(super) fn check_books(&self) {
        for record in self.records.lock().unwrap().iter() {
            check(record.is_dropped(), "a future was never dropped", self);
        }
        let made = self.outputs.load(SeqCst);
        check(
            made == self.dropped_outputs.load(SeqCst),
            "an output was not dropped once",
            self,
        );
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("World");
        // A finding may come from under one of these locks.
        if let Ok(records) = self.records.try_lock() {
            out.field("records", &*records);
        }
        out.field("shut_down", &self.is_shut_down())
            .field("made_outputs", &self.outputs)
            .field("dropped_outputs", &self.dropped_outputs)
            .field("metrics", &self.handle.metrics())
            .finish_non_exhaustive()
    }
}
