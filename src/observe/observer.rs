//! What the scheduler tells, and who takes note of it.

use std::io;
use std::time::Duration;

use super::RuntimeObserver;
use crate::clock::Instant;
use crate::scheduler::Shared;
use crate::scheduler::observer::{Event, Incident, Observer, Purpose, Push, Records};
use crate::tasks::{self, Runnable};

impl Observer for RuntimeObserver {
    #[inline]
    fn pushed(
        &self,
        shared: &'static Shared,
        records: Option<&'static Records>,
        tag: u64,
        push: Push,
    ) {
        self.instruments.pushed(shared, records, tag, push);
    }

    fn spawned(&self, shared: &'static Shared, tag: u64) {
        self.instruments.call_spawn_hook(shared, tag);
    }

    fn poll(
        &self,
        shared: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        last_poll_end: u64,
    ) -> u64 {
        self.instruments
            .poll(shared, runnable, purpose, last_poll_end)
    }

    fn reject(
        &'static self,
        shared: &'static Shared,
        runnable: Runnable,
        refused: Option<io::ErrorKind>,
        is_new: bool,
    ) {
        self.instruments.reject(shared, runnable, refused, is_new);
    }

    fn note(&self, shared: &'static Shared, records: Option<&'static Records>, event: Event) {
        self.instruments.note(shared, records, event);
    }

    fn worker_begins(&self) {
        self.instruments.worker_begins();
    }

    fn worker_ends(&self) {
        self.instruments.worker_ends();
    }

    fn incident(&self, shared: &'static Shared, incident: Incident) {
        self.reports.report(shared, incident);
    }

    fn wants_place_of(&self, task: Option<&tasks::Description>) -> bool {
        self.reports.wants_place_of(task)
    }

    fn round(&self, shared: &'static Shared, now: Instant) {
        self.instruments.note_depths(shared);
        if let Some(schedtrace) = &mut *self.schedtrace.lock() {
            schedtrace.look(shared, now);
        }
        self.cpus.look(shared, now);
    }

    fn due_in(&self) -> Option<Duration> {
        self.schedtrace
            .lock()
            .as_ref()
            .map(|schedtrace| schedtrace.due_in())
    }

    fn falls_asleep(&self, _: &'static Shared) {
        self.deadlocks.suspect();
    }

    fn asleep(&self, _: &'static Shared) -> Option<Duration> {
        self.deadlocks.confirm()
    }

    fn forget(&self, shared: &'static Shared) {
        self.reports.forget();
        self.deadlocks.forget();
        self.cpus.forget();
        self.instruments.forget(shared);
    }
}
