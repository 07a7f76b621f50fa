//! Where the timeline's events go: a ring for each incarnation of a processor, and lists for everybody else.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;

use super::MOST_EVENTS;
use super::histogram::Recorder;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, OnceLock};
use crate::tasks::registry::{SHARDS, thread_shard};
use crate::timeline::{Event, Kind, Place, Ring};

/// What one incarnation of a processor has measured, written by whoever holds it. Made when it is wanted first, then kept.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Journal {
    ring: OnceLock<Ring>,
    /// The position of the ring when recording was switched on.
    begin: AtomicU64,
    times: OnceLock<Times>,
}

/// Histograms.
#[derive(Debug)]
pub(in crate::scheduler) struct Times {
    pub(in crate::scheduler) polls: Recorder,
    pub(in crate::scheduler) waits: Recorder,
}

impl Journal {
    #[inline]
    pub(super) fn write(&self, event: Event, capacity: impl FnOnce() -> usize) {
        let ring = self.ring.get_or_init(|| {
            let ring = <Ring>::new(MOST_EVENTS);
            ring.set_capacity(capacity());
            ring
        });
        ring.push(event);
    }

    /// So many events are kept from now on. Nobody holds the processor.
    pub(super) fn set_capacity(&self, capacity: usize) {
        if let Some(ring) = self.ring.get() {
            ring.set_capacity(capacity);
            self.begin_recording();
        }
    }

    pub(super) fn times(&self) -> &Times {
        self.times.get_or_init(|| Times {
            polls: Recorder::new(),
            waits: Recorder::new(),
        })
    }

    pub(in crate::scheduler) fn measured(&self) -> Option<&Times> {
        self.times.get()
    }

    /// Recording begins: what the ring has from before does not count.
    pub(super) fn begin_recording(&self) {
        let position = self.ring.get().map_or(0, Ring::position);
        self.begin.store(position, Ordering::Relaxed);
    }

    /// The events from this moment on, and how many were lost since recording began.
    pub(super) fn since(&self, stamp: u64) -> (Vec<Event>, u64) {
        let Some(ring) = self.ring.get() else {
            return (Vec::new(), 0);
        };
        let copied = ring.copy(self.begin.load(Ordering::Relaxed));
        cut(copied.events, copied.lost, stamp)
    }

    /// All counts begin at zero again. Nobody holds the processor.
    pub(in crate::scheduler) fn reset(&self) {
        if let Some(times) = self.times.get() {
            times.polls.reset();
            times.waits.reset();
        }
    }
}

/// Leaves out what came before `stamp`. If anything did, nothing was lost since.
fn cut(mut events: Vec<Event>, lost: u64, stamp: u64) -> (Vec<Event>, u64) {
    let before = events.partition_point(|event| event.stamp < stamp);
    events.drain(..before);
    (events, if before == 0 { lost } else { 0 })
}

/// What happens on threads without a processor. Sharded by thread; the last list is the monitor's.
#[derive(Debug)]
pub(super) struct Others([CachePadded<Mutex<List>>; SHARDS + 1]);

#[derive(Debug, Default)]
struct List {
    events: VecDeque<(Place, Event)>,
    lost: u64,
}

impl Others {
    pub(super) fn new() -> Others {
        Others(std::array::from_fn(|_| CachePadded::default()))
    }

    pub(super) fn write(&self, place: Place, event: Event, capacity: usize) {
        let shard = match place {
            Place::Monitor => SHARDS,
            _ => thread_shard(),
        };
        let mut list = self.0[shard].lock();
        if list.events.len() >= capacity.max(1) {
            list.events.pop_front();
            list.lost += 1;
        }
        list.events.push_back((place, event));
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        for list in &self.0 {
            *list.lock() = List::default();
        }
    }

    /// Calls `f` with the events of each place from this moment on, and how many of it and its neighbours were lost.
    pub(super) fn since(&self, stamp: u64, mut f: impl FnMut(Place, Vec<Event>, u64)) {
        for list in &self.0 {
            let (events, lost) = {
                let list = list.lock();
                (Vec::from(list.events.clone()), list.lost)
            };
            let is_cut = events.first().is_some_and(|(_, event)| event.stamp < stamp);
            let mut lost = if is_cut { 0 } else { lost };
            let mut events: Vec<_> = events
                .into_iter()
                .filter(|(_, event)| event.stamp >= stamp)
                .collect();
            // Stable: in a place they stay in order.
            events.sort_by_key(|(place, _)| *place);
            for of_one in events.chunk_by(|(first, _), (second, _)| first == second) {
                let place = of_one[0].0;
                let events = of_one.iter().map(|(_, event)| *event).collect();
                f(place, events, std::mem::take(&mut lost));
            }
        }
    }
}

impl Kind {
    /// An event of this kind.
    #[inline]
    pub(super) fn of(self, what: u64, stamp: u64) -> Event {
        Event {
            kind: self,
            stamp,
            what,
        }
    }
}
