//! What happens to processors, on the timeline.

use std::ptr;

use super::TIMELINE;
use crate::scheduler::processor::slot::ProcessorSlot;
use crate::scheduler::processor::{Core, Processor};
use crate::scheduler::{Shared, this_thread};
use crate::tasks;
use crate::timeline::{Kind, pair, stamp};

impl Shared {
    /// The calling thread is about to give its processor away in the middle of a poll: the rest is drawn in the thread's lane.
    pub(in crate::scheduler) fn note_departure(&'static self) {
        if self.observers.instruments.on() & TIMELINE != 0 {
            let now = stamp::now();
            if let Some(tag) = tasks::current_tag() {
                this_thread::with_core(self, |core| {
                    self.write(Some(core), Kind::Leave, tag, now);
                    self.write(None, Kind::Begin, tag, now);
                });
            }
        }
    }

    /// It has got one again.
    pub(in crate::scheduler) fn note_return(&'static self) {
        if self.observers.instruments.on() & TIMELINE != 0 {
            let now = stamp::now();
            if let Some(tag) = tasks::current_tag() {
                self.write(None, Kind::Leave, tag, now);
                this_thread::with_core(self, |core| self.write(Some(core), Kind::Begin, tag, now));
            }
        }
    }

    /// A worker has stolen from `victim`. Its queue was empty, else it would not have searched; a thief of the thief may have
    /// been there already, so it may have been more than is said.
    pub(in crate::scheduler) fn note_steal(&self, core: &Core, victim: &Processor) {
        if self.observers.instruments.on() & TIMELINE != 0 {
            let tasks = 1 + core.queue.len();
            let place = |is_it: fn(&ProcessorSlot, &Processor) -> bool| {
                self.queues
                    .processors
                    .iter()
                    .position(|slot| is_it(slot, victim))
            };
            let from = place(|slot, victim| ptr::eq(slot.current(), victim))
                .or_else(|| place(|slot, detached| slot.number_of(detached).is_some()));
            let what = pair(from.unwrap_or_default(), tasks);
            self.write(Some(core), Kind::Steal, what, stamp::now());
        }
    }

    /// Monitor: takes processor `index` from whoever holds this instance.
    pub(in crate::scheduler) fn note_retake(&self, index: usize, stuck: &'static Processor) {
        if self.observers.instruments.on() & TIMELINE != 0 {
            let instance = self.queues.processors[index].number_of(stuck);
            self.note_by_monitor(Kind::Retake, pair(index, instance.unwrap_or_default()));
        }
    }
}
