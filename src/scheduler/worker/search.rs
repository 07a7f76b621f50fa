//! How a worker searches what is not its own, and for how long before it parks.

use super::Worker;
use crate::scheduler::processor::Core;
use crate::scheduler::this_thread;
use crate::scheduler::worker::idle::Look;
use crate::tasks::Runnable;

/// A searcher looks this many times, [`PAUSES`] apart, before it parks: 5 µs in all. Being woken
/// costs the waker 12 µs and comes 25 µs later, so work that appears at once is worth waiting for
/// (a tenth of the context switches of spawn + join); longer spinning only burns CPU and makes the
/// tail of wake-ups worse.
const LOOKS: u32 = 5;

/// Of about 25 ns each. A thief that looks more often takes two or three runnables at a time and
/// makes the owner fetch its queue's cache lines back for each theft: 12 looks, 0.4 µs apart, cost
/// spawn + join 20 % more than 5, 1 µs apart.
const PAUSES: u32 = 40;

/// After a sleep that was too short to be worth it: 48 µs in all, about what sleeping and being
/// woken costs both sides, and 16 µs apart, so that a thief finds a batch.
const WOKEN_TOO_SOON_LOOKS: u32 = 4;
const WOKEN_TOO_SOON_PAUSES: u32 = 640;

/// For a job that was sent off, when there is nothing else to do: as long as a halted CPU takes to
/// begin with it, and a little more. Then both CPUs stay awake and the next job takes 5 µs;
/// sleeping at once, each took 20 to 36.
const JOB_LOOKS: u32 = 48;

impl Worker {
    pub(super) fn search(&self) -> Option<Runnable> {
        self.search_for(|| self.search_once())
    }

    /// A search that looks by `look_once`.
    #[inline]
    pub(super) fn search_for(&self, look_once: impl Fn() -> Option<Runnable>) -> Option<Runnable> {
        if !self.is_searching() {
            if !self.shared.workers.idle.begin_search() {
                return None;
            }
            self.set_searching(true);
        }
        // With everybody else parked, what comes from other threads wakes whoever waits; only of
        // jobs some are expected.
        let alone = self.shared.workers.idle.all_idle_but_one();
        let expecting = this_thread::with_core(self.shared, Core::awaits_job) == Some(true);
        let (looks, pauses) = match self.heuristics.was_woken_too_soon() {
            _ if alone && expecting => (JOB_LOOKS, PAUSES),
            true => (WOKEN_TOO_SOON_LOOKS, WOKEN_TOO_SOON_PAUSES),
            false if alone => (1, 0),
            false => (LOOKS, PAUSES),
        };
        for look in 0..looks {
            // The first look is a full search; the others begin with a glance.
            if look == 0 || self.shared.queues.has_visible_work() {
                let found = look_once();
                if found.is_some() {
                    return found;
                }
            }
            (0..pauses).for_each(|_| std::hint::spin_loop());
        }
        None
    }

    pub(super) fn search_once(&self) -> Option<Runnable> {
        this_thread::with_core(self.shared, |core| {
            let (found, victim) = self.shared.queues.search(core)?;
            if let Some(victim) = victim {
                core.processor.counters.steals.add(1);
                self.shared.tell_steal(core, victim);
            }
            Some(found)
        })
        .flatten()
    }

    /// "Ending a search" in [`super::idle`].
    #[cold]
    pub(super) fn stop_searching(&self) {
        self.set_searching(false);
        let look = self.shared.workers.idle.end_search();
        if look == Look::Due && self.shared.queues.has_visible_work() {
            self.shared.wake_one();
        }
    }
}
