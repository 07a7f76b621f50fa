//! How a worker waits.
//!
//! The first worker to lie down while the seat is free takes it (as in Go): it lies with the network, and an event
//! wakes it without a hop. Whoever leaves the seat picks up any core that lies there; if none does, all processors are
//! busy, and what it found goes to the global queue. A worker without a core is a *spare*: it was woken by nothing, or
//! came back from a poll or a blocking call to find its processor in other hands. Spares beyond the number of processors end
//! after the keep-alive.

use std::task::Waker;
use std::time::{Duration, Instant};

use super::Worker;
use crate::scheduler::clock;
use crate::scheduler::netpoll::Seat;

#[cfg(all(test, feature = "time"))]
mod tests;

impl Worker {
    /// Lies down until there is something to do. True: go on; false: this thread ends.
    pub(super) fn wait(&self) -> bool {
        self.chain.set(0);
        let core = self.shared.give_up_core();
        let is_spare = core.is_none();
        if let Some(core) = &core {
            debug_assert!(
                core.at.next.is_empty(),
                "a worker lies down on a full next slot"
            );
            core.at.counters.parks.add(1);
            self.pace.end(core.at.tick.get());
        }
        let seat = self.netpoll.try_seat();
        self.sleeper.set_seated(seat.is_some());
        let searching = self.is_searching();
        self.set_searching(false);
        self.shared
            .idle
            .lie_down(core, &self.sleeper, searching, seat.is_some());
        let mut ready = self.ready.take();
        let mut spare_ended = false;
        // A spare has laid no core down, so it is not its part to look again; and it could do nothing without a core.
        let may_work = !is_spare || self.shared.idle.num_lying() > 0;
        let found = may_work && self.shared.work_is_visible();
        if !self.shared.is_closed() && !found {
            match seat {
                Some(seat) => self.sit(seat, &mut ready),
                None => spare_ended = self.lie(is_spare, &mut ready),
            }
        } else {
            drop(seat);
        }
        self.rise(ready, found, spare_ended)
    }

    /// Waits in the seat.
    fn sit(&self, mut seat: Seat<'_>, ready: &mut Vec<Waker>) {
        let timeout = (self.shared.timers).wait_in_seat(self.timers_are_dense.get());
        if timeout != Some(Duration::ZERO) && !self.sleeper.has_gift() {
            let count = seat.poll(timeout, ready);
            self.shared.polled_network(count);
        }
        self.shared.timers.rise_from_seat();
        drop(seat);
        let before = ready.len();
        self.shared.timers.fire_all(ready);
        self.timers_are_dense.set(ready.len() - before > 1);
    }

    /// Waits in bed. True: this is a spare whose keep-alive has passed.
    fn lie(&self, is_spare: bool, ready: &mut Vec<Waker>) -> bool {
        let surplus = is_spare || self.shared.has_surplus_workers();
        let end = surplus
            .then(|| Instant::now().checked_add(self.shared.keep_alive()))
            .flatten();
        loop {
            let timeout = match (end, self.shared.timers.wait_in_bed()) {
                (None, timer) => timer,
                (Some(end), timer) => {
                    let end = end.saturating_duration_since(Instant::now());
                    Some(timer.map_or(end, |timer| timer.min(end)))
                }
            };
            if timeout != Some(Duration::ZERO) {
                self.sleeper.park(timeout);
            }
            if self.sleeper.has_gift() || self.shared.is_closed() {
                return false;
            }
            if timeout.is_some() {
                self.shared.timers.fire_all(ready);
                if !ready.is_empty() {
                    return false;
                }
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return true;
            }
        }
    }

    /// Gets up: with a core if there is one, and lets loose what the wait has brought.
    /// `found`: it gets up for work that it saw after it had lain down.
    fn rise(&self, mut ready: Vec<Waker>, found: bool, spare_ended: bool) -> bool {
        let up = if spare_ended {
            self.shared.idle.leave(&self.sleeper)
        } else {
            self.shared.idle.get_up(&self.sleeper)
        };
        if let Some(up) = up {
            // What it saw may have been left to its search, so it searches on, whatever the limit (Go does too). Else
            // nobody would wake the next worker; and at the limit it would lie down and get up in circles.
            let searching = up.searching || found && self.shared.idle.begin_search(usize::MAX);
            self.set_searching(searching);
            self.pace.begin(up.core.at.tick.get(), up.searching);
            self.shared.take_in_hand(up.core, clock::recent());
            self.look_at_instruments();
            self.wake_all(ready);
            return true;
        }
        self.shared.call_wakers(&mut ready);
        self.ready.replace(ready);
        let ends = spare_ended && self.shared.has_surplus_workers();
        if ends && !self.shared.timers.are_watched() {
            // It may have been this worker that waited for the next deadline.
            self.shared.call_seat();
        }
        !ends
    }
}
