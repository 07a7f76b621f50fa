//! When the monitor sleeps: see "When it sleeps" in [`super`].

use std::time::Duration;

use super::{ASLEEP, AWAKE, AWAKE_TIME, DOZE, DOZING, PERIOD, Rounds};
use crate::clock;
use crate::sync::atomic::{Ordering, fence};
use crate::sync::{step, thread};

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
impl crate::scheduler::Shared {
    pub(crate) fn monitor_sleeps(&self) -> bool {
        self.workers.monitor.sleep_state.load(Ordering::Acquire) == ASLEEP
    }
}

impl Rounds {
    /// True: it was woken, since all processors are busy.
    pub(super) fn doze(&mut self) -> bool {
        let sleep_state = &self.shared.workers.monitor.sleep_state;
        sleep_state.store(DOZING, Ordering::Release);
        // Pairs with the fence in `end_monitor_sleep`, and with the one in `place_by_class`.
        fence(Ordering::SeqCst);
        step();
        let waiting = self.shared.queues.by_class.num_interactive();
        if self.shared.workers.idle.num_idle() > 0 && waiting == 0 {
            step();
            thread::park_timeout(self.until_due().map_or(DOZE, |left| left.min(DOZE)));
        }
        let was_woken = sleep_state.swap(AWAKE, Ordering::AcqRel) == AWAKE
            || self.shared.workers.idle.num_idle() == 0;
        self.wakes_up();
        if was_woken {
            self.awake_until = self.last + AWAKE_TIME;
        }
        was_woken
    }

    /// Nothing has stood still meanwhile.
    pub(super) fn wakes_up(&mut self) {
        self.last = clock::now();
        self.period = PERIOD;
    }

    pub(super) fn work_is_hidden(&mut self) -> bool {
        let mut hidden = self.shared.queues.has_visible_work();
        for slot in self.shared.queues.marked() {
            let (index, processor) = (slot.index(), slot.current());
            let tick = processor.tick.get();
            self.ticks.resize(self.ticks.len().max(index + 1), 0);
            let seen = std::mem::replace(&mut self.ticks[index], tick);
            hidden |= seen == tick && !processor.next.is_empty();
        }
        hidden
    }

    /// All processors are idle and nobody is with the network: the thread that was has blocked on
    /// something else.
    pub(super) fn lacks_driver(&self) -> bool {
        self.all_idle() && !self.shared.workers.idle.has_driver()
    }

    pub(super) fn all_idle(&self) -> bool {
        self.shared.workers.idle.all_idle()
    }

    pub(super) fn all_is_quiet(&self) -> bool {
        self.all_idle()
            && self.shared.workers.idle.has_driver()
            && self.shared.services.timers.are_watched()
            && !self.stalls.are_recent(self.last)
            && self.shared.queues.detached.is_empty()
            && self.shared.services.foreign_wakers.is_empty()
            && self.shared.queues.compute_limit.is_idle()
            // A detached poll that blocks or computes without end is to give its permit up.
            && self.shared.queues.by_class.permits.num_running() == 0
            && self
                .shared
                .blocking()
                .is_none_or(|pool| pool.queue_depth() == 0)
    }

    pub(super) fn sleep(&mut self) {
        let sleep_state = &self.shared.workers.monitor.sleep_state;
        sleep_state.store(ASLEEP, Ordering::Release);
        // Pairs with the fence in `end_monitor_sleep`.
        fence(Ordering::SeqCst);
        let observer = self.shared.observer();
        observer.falls_asleep(self.shared);
        while sleep_state.load(Ordering::Acquire) == ASLEEP {
            let left = self.until_due();
            step();
            if !self.all_is_quiet() || self.shared.is_closed() || left == Some(Duration::ZERO) {
                sleep_state.store(AWAKE, Ordering::Relaxed);
                break;
            }
            let due = observer.asleep(self.shared);
            step();
            match left.into_iter().chain(due).min() {
                None => thread::park(),
                Some(time) => thread::park_timeout(time),
            }
        }
        self.wakes_up();
    }

    /// How long it is until the observer wants a round, or a poll that lasts is to be reported.
    /// `None`: never.
    pub(super) fn until_due(&self) -> Option<Duration> {
        let round = self.shared.observer().due_in();
        let stall = self.stalls.due();
        let stall = stall.map(|due| due.saturating_duration_since(clock::now()));
        round.into_iter().chain(stall).min()
    }
}
