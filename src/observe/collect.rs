//! What instruments have measured, for who asks.

use super::histogram::Histogram;
use super::instruments::{Instruments, TIMELINE};
use super::journal::Journal;
use super::timeline::{Event, Kind, Lane, Log, Place, Queue, pair, stamp};
use super::{each, of};
use crate::scheduler::Shared;

/// The timelines of all runtimes since `begin`, of those that have one. `of_all`: also of those
/// that record no more.
pub(super) fn logs(begin: u64, of_all: bool) -> Vec<Log> {
    let mut logs = Vec::new();
    each(|shared, _| {
        if of_all || shared.switches() & TIMELINE != 0 {
            logs.push(log(shared, begin));
        }
    });
    logs.retain(|log| !log.lanes.is_empty());
    logs
}

/// The timeline of one since `begin`: see [`Instruments::begin_recording`].
pub(super) fn log(shared: &'static Shared, begin: u64) -> Log {
    let instruments = &of(shared).instruments;
    let mut lanes = Vec::new();
    shared.each_instance(|instance| {
        let Some(journal) = Journal::existing(instance.records()) else {
            return;
        };
        let (events, lost) = journal.since(begin);
        // After the events were read.
        let polling = instance.polled_task();
        let polling = polling.filter(|&task| {
            let last = events.iter().rev().find(|event| event.kind.is_of_polls());
            last.is_some_and(|last| is_polling(last, task))
        });
        let place = Place::Processor {
            index: instance.processor,
            instance: instance.number,
        };
        if !events.is_empty() {
            lanes.push(Lane {
                place,
                events,
                lost,
                polling,
            });
        }
    });
    instruments.others.since(begin, |place, events, lost| {
        let last = events.iter().rev().find(|event| event.kind.is_of_polls());
        let polling = last
            .filter(|last| last.kind == Kind::Begin)
            .map(|last| last.what);
        lanes.push(Lane {
            place,
            events,
            lost,
            polling,
        });
    });
    Log {
        name: instruments.name.lock().to_string(),
        lanes,
        begin,
        end: stamp::now(),
    }
}

/// How long polls took, and how long runnables waited for theirs.
pub(super) fn histograms(shared: &'static Shared) -> (Histogram, Histogram) {
    let (mut polls, mut waits) = (Histogram::default(), Histogram::default());
    shared.each_instance(|instance| {
        let journal = Journal::existing(instance.records());
        if let Some(times) = journal.and_then(Journal::measured) {
            times.polls.add_to(&mut polls);
            times.waits.add_to(&mut waits);
        }
    });
    (polls, waits)
}

impl Instruments {
    /// Monitor: how long the queues are, as far as that has changed since it looked last.
    pub(super) fn note_depths(&self, shared: &'static Shared) {
        let mut seen = self.depths.lock();
        if shared.switches() & TIMELINE == 0 {
            seen.clear();
            return;
        }
        let jobs = shared.pool().map_or(0, |pool| pool.queued_jobs);
        let local = shared.num_queued().enumerate();
        let local = local.map(|(index, depth)| (Queue::Local(index), depth));
        let shared_queues = [
            (Queue::Global, shared.num_global()),
            (Queue::Blocking, jobs),
        ];
        // The number of processors may have changed: the queue of a new one is told at once.
        let depths: Vec<_> = shared_queues.into_iter().chain(local).collect();
        seen.resize(depths.len(), usize::MAX);
        for (seen, (queue, depth)) in seen.iter_mut().zip(depths) {
            if std::mem::replace(seen, depth) != depth {
                let what = pair(queue.number(), depth);
                self.write_for_monitor(Kind::Depth, what, stamp::now());
            }
        }
    }
}

/// Whether a processor that was polling `task` when it was looked at had begun with it: `last` is
/// the last that its holder wrote of polls.
fn is_polling(last: &Event, task: u64) -> bool {
    match last.kind {
        Kind::Begin => last.what == task,
        // The next poll does not say that it begins.
        Kind::End | Kind::Done => last.what != task,
        _ => false,
    }
}
