//! A `block_on`, as the search for deadlocks sees it.

use std::fmt;
use std::panic::Location;

use crate::scheduler::{probe, this_thread};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, Mutex};

/// A `block_on`, as far as it has parked once.
pub(crate) struct Waiting {
    /// A [probe]'s name of the thread.
    pub(super) thread: u64,
    /// The thread belongs to a runtime.
    pub(super) is_member: bool,
    location: &'static Location<'static>,
    /// No other one of this process has it.
    pub(super) number: u64,
    /// Odd while it is parked. Written by its thread, `Release`: who sees it parked sees what it
    /// did before.
    pub(super) parks: AtomicU64,
    /// In how many parks a dump has asked. Written by the thread of the `block_on` between
    /// [`end`](Waiting::end) and the next [`begin`](Waiting::begin), whose `Release` on `parks`
    /// publishes it; `stand_still` loads `parks` with `Acquire` before it, so `Relaxed` suffices.
    pub(super) answered: AtomicU64,
    /// Whether it was woken, or has something to do by itself.
    pub(super) has_work: Box<dyn Fn() -> bool + Send + Sync>,
    /// What it shall panic with.
    verdict: Mutex<Option<Arc<str>>>,
    handle: Thread,
}

impl Waiting {
    pub(super) fn of_this_thread(
        location: &'static Location<'static>,
        has_work: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Waiting {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        Waiting {
            thread: probe::this_thread(),
            is_member: this_thread::member_of().is_some(),
            location,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            parks: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            has_work,
            verdict: Mutex::new(None),
            handle: thread::current(),
        }
    }

    /// The calling thread parks.
    pub(crate) fn begin(&self) {
        // Meant for a wait that is over.
        *self.verdict.lock() = None;
        self.parks.fetch_add(1, Ordering::Release);
    }

    /// It goes on. The text is what it shall panic with.
    pub(crate) fn end(&self) -> Option<Arc<str>> {
        self.parks.fetch_add(1, Ordering::Release);
        self.verdict.lock().take()
    }

    /// It was woken by a dump.
    pub(crate) fn has_answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether its thread must not park: there is something to do, or a verdict to carry out.
    pub(crate) fn must_go_on(&self) -> bool {
        (self.has_work)() || self.verdict.lock().is_some()
    }

    pub(super) fn is_parked(&self) -> bool {
        self.parks.load(Ordering::Acquire) % 2 == 1
    }

    pub(super) fn condemn(&self, report: &Arc<str>) {
        if !self.is_parked() {
            // Another `block_on` waits in its place.
            return;
        }
        *self.verdict.lock() = Some(report.clone());
        self.handle.unpark();
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
