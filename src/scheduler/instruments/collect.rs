//! What instruments have measured, for who asks.

use super::{TIMELINE, pair};
use crate::scheduler::Shared;
use crate::scheduler::instruments::histogram::Histogram;
use crate::timeline::{Event, Kind, Lane, Log, Place, Queue, stamp};

impl Shared {
    /// The timeline since `begin`: see [`Shared::begin_recording`].
    pub(crate) fn log(&self, begin: u64) -> Log {
        let mut lanes = Vec::new();
        for (index, slot) in self.queues.processors.iter().enumerate() {
            let mut instance = 0;
            slot.each(|processor| {
                let (events, lost) = processor.journal.since(begin);
                let place = Place::Processor { index, instance };
                instance += 1;
                let polling = processor
                    .is_held()
                    .then(|| processor.task())
                    .filter(|&task| {
                        let last = events.iter().rev().find(|event| event.kind.is_of_polls());
                        task != 0 && last.is_some_and(|last| is_polling(last, task))
                    });
                if !events.is_empty() {
                    lanes.push(Lane {
                        place,
                        events,
                        lost,
                        polling,
                    });
                }
            });
        }
        self.observers
            .instruments
            .others
            .since(begin, |place, events, lost| {
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
            name: self.observers.instruments.name.lock().to_string(),
            lanes,
            begin,
            end: stamp::now(),
        }
    }

    /// How long polls took, and how long runnables waited for theirs.
    pub(crate) fn histograms(&self) -> (Histogram, Histogram) {
        let (mut polls, mut waits) = (Histogram::default(), Histogram::default());
        for slot in &self.queues.processors {
            slot.each(|processor| {
                if let Some(times) = processor.journal.measured() {
                    times.polls.add_to(&mut polls);
                    times.waits.add_to(&mut waits);
                }
            });
        }
        (polls, waits)
    }

    /// Monitor: how long the queues are, as far as that has changed since `seen`.
    pub(crate) fn note_depths(&self, seen: &mut Vec<usize>) {
        if self.observers.instruments.on() & TIMELINE == 0 {
            seen.clear();
            return;
        }
        let jobs = self.blocking().map_or(0, |pool| pool.queue_depth());
        seen.resize(self.queues.processors.len() + 2, usize::MAX);
        let places = self.queues.processors.iter().enumerate();
        let local = places.map(|(index, slot)| (Queue::Local(index), slot.current().num_queued()));
        let depths = local.chain([
            (Queue::Global, self.queues.num_global()),
            (Queue::Blocking, jobs),
        ]);
        for (seen, (queue, depth)) in seen.iter_mut().zip(depths) {
            if std::mem::replace(seen, depth) != depth {
                self.note_by_monitor(Kind::Depth, pair(queue.number(), depth));
            }
        }
    }
}

/// Whether a processor that was polling `task` when it was looked at had begun with it: `last` is the last that its holder
/// wrote of polls.
fn is_polling(last: &Event, task: u64) -> bool {
    match last.kind {
        Kind::Begin => last.what == task,
        // The next poll does not say that it begins.
        Kind::End | Kind::Done => last.what != task,
        _ => false,
    }
}
