//! Where the timeline's events go: a ring for each instance of a processor, and lists for everybody
//! else.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;

use crossbeam_utils::CachePadded;

use super::histogram::Recorder;
use super::timeline::{Event, Kind, Place, Ring};
use crate::scheduler::observer::Records;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::counter::Counter;
use crate::sync::{Mutex, OnceLock};
use crate::tasks::registry::{SHARDS, thread_shard};

/// Events that a ring holds by default: 4 MiB for each processor.
pub(crate) const EVENTS: usize = 1 << 18;

/// The most that it may hold: 256 MiB. Room for the addresses of so many is made with each ring.
pub(crate) const MOST_EVENTS: usize = 1 << 24;

std::thread_local! {
    /// The journal that this thread wrote into last, and the records that it is. To ask a box for
    /// its type costs a fifth of a recorded poll.
    static LAST: Cell<Option<(&'static Records, &'static Journal)>> = const { Cell::new(None) };
}

/// Another simulated thread runs from now on.
#[cfg(feature = "sim")]
pub(crate) fn forget_last() {
    LAST.set(None);
}

/// What one instance of a processor has measured, written by whoever holds it. Made when it is
/// wanted first, then kept.
#[derive(Debug, Default)]
pub(super) struct Journal {
    ring: OnceLock<Ring>,
    /// The position of the ring when recording was switched on.
    begin: AtomicU64,
    times: OnceLock<Times>,
    /// Pushes that might have been measured.
    pushes: Counter,
}

/// Histograms.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) polls: Recorder,
    pub(super) waits: Recorder,
}

impl Journal {
    /// That of a processor whose records these are.
    #[inline]
    pub(super) fn of(records: &'static Records) -> &'static Journal {
        match LAST.get() {
            Some((last, journal)) if ptr::eq(last, records) => journal,
            _ => look_up(records),
        }
    }

    /// The same, if anything was ever measured there.
    pub(super) fn existing(records: &Records) -> Option<&Journal> {
        records.get()
    }

    #[inline]
    pub(super) fn write(&self, event: Event, capacity: impl FnOnce() -> usize) {
        let ring = self.ring.get_or_init(|| {
            let ring = <Ring>::new(MOST_EVENTS);
            ring.set_capacity(capacity());
            ring
        });
        ring.push(event);
    }

    /// A runtime begins: all counts begin at zero, and so many events are kept. Nobody holds the
    /// processor.
    pub(super) fn begin(&self, capacity: usize) {
        if let Some(ring) = self.ring.get() {
            ring.set_capacity(capacity);
            self.begin_recording();
        }
        if let Some(times) = self.times.get() {
            times.polls.reset();
            times.waits.reset();
        }
    }

    /// How many pushes were counted before.
    pub(super) fn count_push(&self) -> u64 {
        let pushes = self.pushes.get();
        self.pushes.add(1);
        pushes
    }

    /// A poll took so long, in nanoseconds, and its task had waited for so long.
    pub(super) fn measure_poll(&self, poll: u64, waited: Option<u64>) {
        let times = self.times.get_or_init(|| Times {
            polls: Recorder::new(),
            waits: Recorder::new(),
        });
        times.polls.record(poll);
        if let Some(waited) = waited {
            times.waits.record(waited);
        }
    }

    pub(super) fn measured(&self) -> Option<&Times> {
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
}

#[cold]
fn look_up(records: &'static Records) -> &'static Journal {
    let journal = records.get_or_default();
    LAST.set(Some((records, journal)));
    journal
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

/// Events are numbered, and no two of a list have the same number.
#[derive(Debug, Default)]
struct List {
    events: VecDeque<(Place, Event)>,
    /// The number of the first of them.
    first: u64,
    /// The number of the first one since recording began.
    begin: u64,
}

/// So many events are copied at once: a writer waits for a microsecond, not for a copy of the whole
/// list.
const PIECE: usize = 256;

impl List {
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn push(&mut self, event: (Place, Event), capacity: usize) {
        if self.events.len() >= capacity.max(1) {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event);
    }

    /// Gives the events, for their memory to be freed outside of the lock.
    fn clear(&mut self) -> VecDeque<(Place, Event)> {
        self.first = self.end();
        self.begin = self.first;
        std::mem::take(&mut self.events)
    }
}

/// The events of a list, without a gap, and how many were lost before them since recording began.
fn copy(list: &Mutex<List>) -> (Vec<(Place, Event)>, u64) {
    let mut copied: Vec<(Place, Event)> = Vec::new();
    let (mut next, mut lost, end) = {
        let list = list.lock();
        (list.first, list.first - list.begin, list.end())
    };
    while next < end {
        // Not under the lock.
        copied.reserve(PIECE);
        let list = list.lock();
        if list.first > next {
            // Meanwhile some were overwritten. What came before them is given up, as by a ring.
            copied.clear();
            next = list.first;
            lost = next - list.begin;
        }
        let piece = next..end.min(next + PIECE as u64).max(next);
        let [from, to] = [piece.start, piece.end].map(|number| (number - list.first) as usize);
        copied.extend(list.events.range(from..to));
        next = piece.end;
    }
    (copied, lost)
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
        self.0[shard].lock().push((place, event), capacity);
    }

    /// Forgets all, and gives the memory back.
    pub(super) fn clear(&self) {
        for list in &self.0 {
            let events = list.lock().clear();
            drop(events);
        }
    }

    /// Calls `f` with the events of each place from this moment on, and how many of it and its
    /// neighbours were lost.
    pub(super) fn since(&self, stamp: u64, mut f: impl FnMut(Place, Vec<Event>, u64)) {
        for list in &self.0 {
            let (events, lost) = copy(list);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::thread;

    fn event(number: u64) -> (Place, Event) {
        (Place::Monitor, Kind::Wake.of(number, number))
    }

    fn numbers(copied: &[(Place, Event)]) -> Vec<u64> {
        copied.iter().map(|(_, event)| event.what).collect()
    }

    #[test]
    fn a_list_is_copied_in_pieces_and_whole() {
        let length = 3 * PIECE as u64 + 1;
        let list = Mutex::new(List::default());
        let push = |number| list.lock().push(event(number), length as usize);
        (0..length).for_each(push);
        let (copied, lost) = copy(&list);
        assert!(numbers(&copied).into_iter().eq(0..length));
        assert_eq!(lost, 0);
        (length..length + 2).for_each(push);
        let (copied, lost) = copy(&list);
        assert!(numbers(&copied).into_iter().eq(2..length + 2));
        assert_eq!(lost, 2);
        assert_eq!(list.lock().clear().len() as u64, length);
        assert_eq!(copy(&list), (Vec::new(), 0));
        push(7);
        let (copied, lost) = copy(&list);
        assert_eq!(numbers(&copied), [7]);
        assert_eq!(lost, 0, "what was forgotten was not lost");
    }

    /// There is room for a few pieces, so the writer overtakes the reader all the time.
    #[test]
    fn a_copy_beside_a_writer_has_no_gap() {
        const EVENTS: u64 = 100_000;
        let list = Mutex::new(List::default());
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..EVENTS {
                    list.lock().push(event(number), 3 * PIECE);
                }
            });
            while !writer.is_finished() {
                let (copied, lost) = copy(&list);
                let numbers = numbers(&copied);
                assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                assert!(numbers.first().is_none_or(|&first| first == lost));
            }
        });
        assert_eq!(copy(&list).1, EVENTS - 3 * PIECE as u64);
    }
}
