//! What the monitor does for tasks of class `Interactive` that wait while no processor is idle, and
//! for the permits of class `Background`.
//!
//! # What it guarantees
//!
//! While an `Interactive` task waits and no processor is idle, a poll loses its processor when it has
//! used so much CPU time since the monitor saw it first:
//!
//! | class of the poll | CPU time | seen first |
//! |---|---|---|
//! | `Background` | 0.2 ms | as below, or by a round each 200 µs if such a task has waited within the last 100 ms |
//! | `Normal` | 1 ms | by a round each millisecond, or when the monitor is called |
//! | `Interactive` | 10 ms, as any poll does for any work that waits | likewise |
//!
//! Where CPU time goes in steps (off Linux), wall time stands for it: see [`super::watch`].
//!
//! Such a retake is **early**. It goes as any other (`super::super::acquire`), with these differences:
//!
//! 1. It counts as a poll that computes (`run_queues::compute_limit`), so the number of threads stays
//!    bounded: when P such polls go on, none is retaken early, also in one round.
//! 2. It does not raise the score of its spawn site, as it is no sign that the site computes, until
//!    the poll has computed for as long as others that are retaken (`DetachedPolls::look`).
//! 3. There is at most one in a round for each `Interactive` task that waits.
//! 4. None is of a processor that is to retire, as nobody would have it afterwards.
//!
//! # When there are rounds
//!
//! * When a poll that is in the way may have used its time up: that long after it was seen first, and
//!   then when what is left has passed. So where all polls are `Interactive`, there are no more rounds
//!   than without classes.
//! * Each [`ATTENTIVE_PERIOD`], while a `Background` poll stands still and no processor is idle, for
//!   [`ATTENTIVE_TIME`] after an `Interactive` task has waited for one: so the next that comes need not
//!   wait for the monitor to see the poll first.
//! * When a push calls ([`Monitor::call_for_latency`]).
//!
//! Where nothing may be retaken early, as `P` polls compute, or never, as the runtime retakes nothing,
//! nobody calls, and no round comes sooner than others.
//!
//! # Permits
//!
//! The permit of a `Background` poll ends (`run_queues::by_class`, step 3) when its processor is
//! retaken because it blocks, when it is detached and blocks or has used
//! [`ENDLESS`](super::detached_polls::ENDLESS), and when it has used as much on its processor, which
//! it keeps while another one is idle. Where the CPU time of a thread is not known (a system that does
//! not tell, no `/proc`), it ends when the processor is retaken: so after 9 ms, while others wait for one.

use std::time::Duration;

use super::detached_polls::ENDLESS;
use super::watch::RUNNING;
use super::{Monitor, Rounds};
use crate::clock::{self, Instant};
use crate::scheduler::Shared;
use crate::scheduler::processor::Processor;
use crate::sync::atomic::Ordering;
use crate::tasks::Priority;

/// A poll of class `Background` costs whoever waits less than a context switch or two if it is
/// shorter, and to retake its processor would cost as much.
const BACKGROUND_PATIENCE: Duration = Duration::from_micros(200);

/// Short enough to be felt by nobody, and long enough that most polls are over.
const NORMAL_PATIENCE: Duration = Duration::from_millis(1);

/// Such a poll is seen first when half of its time has passed, on average. At 5 µs a round, and a
/// little for each processor that is held, it costs a fortieth of a CPU; so not for longer than
/// [`ATTENTIVE_TIME`].
const ATTENTIVE_PERIOD: Duration = BACKGROUND_PATIENCE;

/// Who waits more seldom is called for, and waits for 0.2 ms more.
const ATTENTIVE_TIME: Duration = Duration::from_millis(100);

/// Of `Monitor::called_for_latency`: later than any time.
const NO_CALLS: u64 = u64::MAX;

impl Monitor {
    /// Whether calls can lead to anything, in the runtime that begins.
    pub(super) fn take_calls_for_latency(&self, takes: bool) {
        let last = if takes { 0 } else { NO_CALLS };
        self.called_for_latency.store(last, Ordering::Relaxed);
    }

    /// An `Interactive` task waits, and nobody is about to come: another round is to come now, unless
    /// one was called for less than `period` ago. Not called while the monitor rests: then a
    /// processor is idle.
    #[cold]
    pub(in crate::scheduler) fn call_for_latency(&self, now: Instant, period: Duration) {
        let now = clock::nanos(now);
        // Relaxed: it is a time, and only a limit for the calls.
        let last = self.called_for_latency.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= period.as_nanos() as u64 || last == 0;
        let claim = || {
            (self.called_for_latency).compare_exchange(
                last,
                now,
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
        };
        if is_due && claim().is_ok() {
            if let Some(thread) = &*self.thread.lock() {
                thread.unpark();
            }
        }
    }
}

impl Rounds {
    /// A round begins.
    pub(super) fn count_urgent(&mut self) {
        self.urgent = self.num_urgent();
        if self.urgent != 0 {
            self.attentive_until = self.last + ATTENTIVE_TIME;
        }
    }

    /// `Interactive` tasks that wait while no processor is idle, and for which one may be retaken
    /// early.
    fn num_urgent(&self) -> usize {
        let shared = self.shared;
        let waiting = shared.queues.by_class.num_interactive();
        let is_allowed = self.retakes
            && waiting != 0
            && shared.workers.idle.num_idle() == 0
            && !shared.queues.compute_limit.is_reached();
        if is_allowed { waiting } else { 0 }
    }

    /// For how long a poll of this processor may run on.
    pub(super) fn patience(&self, processor: &Processor) -> Duration {
        match processor.class() {
            Priority::Background if self.urgent != 0 => BACKGROUND_PATIENCE,
            Priority::Normal if self.urgent != 0 => NORMAL_PATIENCE,
            _ => RUNNING,
        }
    }

    /// This processor's poll stands still.
    pub(super) fn attend(&mut self, processor: &'static Processor, index: usize) {
        if processor.class() != Priority::Background {
            return;
        }
        if self.last < self.attentive_until
            && self.shared.workers.idle.num_idle() == 0
            && !self.shared.queues.compute_limit.is_reached()
        {
            self.look_again_in(ATTENTIVE_PERIOD);
        }
        let watch = &self.watches[index];
        if watch.kept() >= ENDLESS {
            self.shared.end_permit(processor, watch.tick());
        }
    }
}

impl Shared {
    /// Monitor: the poll with this tick gives its permit up, if it has one.
    pub(super) fn end_permit(&'static self, processor: &Processor, tick: Option<u64>) {
        let permits = &self.queues.by_class.permits;
        if tick.is_some_and(|tick| permits.end_of(&processor.permit, tick)) {
            self.wake_by_class();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
