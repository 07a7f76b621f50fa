//! How a worker looks beyond its own queues: in which order, how it searches, and for how long before
//! it parks.

use super::Worker;
use super::wakers::Woken;
use crate::scheduler::processor::Core;
use crate::scheduler::this_thread;
use crate::scheduler::worker::idle::Look;
use crate::sync::step;
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

/// Before the next look. In a simulation, that is when others run.
fn pause(pauses: u32) {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        return crate::simulated::point();
    }
    (0..pauses).for_each(|_| std::hint::spin_loop());
}

impl Worker {
    /// Everything beyond the own queues: [`Worker::find_in_order`].
    #[cold]
    pub(super) fn find_remote(&self) -> Option<Runnable> {
        this_thread::with_core(self.shared, |core| core.processor.begin_look());
        self.last_poll_end.set(0);
        let found = self.find_in_order()?;
        step();
        self.publish_the_rest();
        Some(found)
    }

    /// Something was found, perhaps with more. If the processor was lost meanwhile, the rest is in a
    /// detached one's queue now.
    pub(super) fn publish_the_rest(&self) {
        if !self.has_processor() {
            self.shared.publish_detached();
        }
    }

    fn find_in_order(&self) -> Option<Runnable> {
        let pop = |core: &Core| self.shared.queues.pop_shared(core);
        self.find_beyond(
            || this_thread::with_core(self.shared, Core::pop).flatten(),
            || this_thread::with_core(self.shared, pop).flatten(),
            || self.search(),
        )
    }

    /// Foreign wakers, the global queue, the network and the timers, other processors' queues. By
    /// `pop_woken` it takes what wakers have woken for this worker.
    #[inline]
    pub(super) fn find_beyond(
        &self,
        pop_woken: impl Fn() -> Option<Runnable>,
        pop_shared: impl Fn() -> Option<Runnable>,
        search: impl Fn() -> Option<Runnable>,
    ) -> Option<Runnable> {
        if self.call_foreign_wakers() {
            if !self.has_processor() {
                return None;
            }
            // One of them may have woken a task of this runtime: it is in the next slot, and nobody
            // parks on that.
            let woken = pop_woken();
            if woken.is_some() {
                return woken;
            }
        }
        let found = pop_shared();
        if found.is_some() {
            return found;
        }
        let mut wakers = self.wakers.take();
        self.poll_network(&mut wakers);
        self.shared.services.timers.fire_all(&mut wakers);
        let woken = self.wake_all(wakers);
        step();
        match woken {
            Woken::Nothing => search(),
            Woken::ProcessorLost => None,
            // It may belong to others.
            Woken::Some => pop_woken().or_else(search),
        }
    }

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
            pause(pauses);
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
        step();
        if look == Look::Due && self.shared.queues.has_visible_work() {
            self.shared.wake_one();
        }
    }
}
