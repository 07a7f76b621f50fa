//! What a worker wakes between two polls: for timers, for sockets, and what the monitor has left to
//! it.

use std::task::Waker;
use std::time::Duration;

use super::Worker;
use crate::scheduler::processor::Core;
use crate::scheduler::this_thread;

/// What waking a batch has left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// There was nothing to wake.
    Nothing,
    Some,
    /// A foreign waker has blocked, and this worker would poll without a processor. `wait` reclaims
    /// what is in its queue.
    ProcessorLost,
}

impl Worker {
    /// What the monitor has left to others. True: there was something.
    pub(super) fn call_foreign_wakers(&self) -> bool {
        let any = !self.shared.services.foreign_wakers.is_empty();
        if any {
            if self.is_searching() {
                // One of them may block, and nobody is woken while somebody searches.
                self.stop_searching();
            }
            self.shared.call_foreign_wakers();
        }
        any
    }

    /// Whether what the last timers brought has been polled. See "Many at once" in
    /// [`crate::scheduler::timers`].
    pub(super) fn timers_have_their_turn(&self) -> bool {
        let (then, brought) = self.timers_at.get();
        if brought == 0 {
            return true;
        }
        let tick = this_thread::with_core(self.shared, |core| core.processor.tick.get());
        // The tick may be another processor's, and so far away in either direction.
        tick.is_none_or(|tick| tick.wrapping_sub(then) >= brought)
    }

    pub(super) fn timers_brought(&self, count: usize) {
        let tick = || this_thread::with_core(self.shared, |core| core.processor.tick.get());
        let then = if count == 0 { None } else { tick() };
        self.timers_at.set((then.unwrap_or(0), count as u64));
    }

    pub(super) fn poll_network(&self, wakers: &mut Vec<Waker>) {
        if self.netpoll.has_sources() {
            if let Some(mut driver) = self.netpoll.try_driver() {
                self.shared
                    .count_network_poll(driver.poll(Some(Duration::ZERO), wakers));
            }
        }
    }

    /// Wakes what is ready as one batch: all of it goes to the back of this processor's queue, and
    /// others are woken once, when all is there, if they would come in time.
    pub(super) fn wake_all(&self, mut wakers: Vec<Waker>) -> Woken {
        let mut woken = Woken::Nothing;
        if !wakers.is_empty() {
            if self.is_searching() {
                // A foreign waker may block, and nobody is woken while somebody searches.
                self.stop_searching();
            }
            this_thread::with_core(self.shared, Core::begin_batch);
            self.shared.call_wakers(&mut wakers);
            let batch = this_thread::with_core(self.shared, |core| {
                let count = core.end_batch();
                let helps = self
                    .heuristics
                    .is_worth_help(count, core.processor.tick.get());
                // After the pushes: what a retake finds in the queue is found by others, and what
                // it does not this worker reclaims.
                (!core.processor.ownership.is_retaken()).then_some(helps.then_some(count))
            });
            woken = match batch.flatten() {
                Some(worth_help) => {
                    if let Some(count) = worth_help {
                        self.shared.wake_for_batch(count);
                    }
                    Woken::Some
                }
                None => Woken::ProcessorLost,
            };
        }
        self.wakers.replace(wakers);
        woken
    }
}
