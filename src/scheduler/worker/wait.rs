//! How a worker waits.
//!
//! The first worker to park while the driver is free takes it (as in Go): it waits in the
//! netpoller, and an event wakes it without a hop. When it returns from there it takes any idle
//! core; if there is none, all processors are busy, and what it found goes to the global queue. A
//! worker without a core is a *spare*: it was woken for nothing, or came back from a poll or a
//! blocking call to find its processor held by another thread.
//!
//! # Who ends
//!
//! Workers beyond the number of processors end after the keep-alive. Whether there are too many,
//! each asks when it begins to wait and when it is unparked; several that wait find so together,
//! and their time comes at the same moment. So
//!
//! 1. `Workers::staying` counts the workers that have not decided to end.
//! 2. Who has waited for as long as the keep-alive lowers it, if it is above the number of
//!    processors, and ends ([`Staying::leave`]). Both in one exchange: so many end as are too many.
//!    The others wait on.
//! 3. If it is handed a core meanwhile, it stays and is counted again.
//!
//! # What meets here
//!
//! Several protocols have the same form: a thread makes a change, fences, and looks at what others
//! change. A worker that is about to wait does so for each of them:
//!
//! | its change | its look | who makes the other change, and looks at this one |
//! |---|---|---|
//! | its core is idle, it is listed ([`Idle::park_worker`](super::idle::Idle::park_worker)) | `RunQueues::has_visible_work` | who pushes: [`Idle::after_submit`](super::idle::Idle::after_submit) |
//! | the same | the same: is what is held back due? | whose computing poll ends: `HeldBack::end` |
//! | the same | the same: is a permit free for what waits in class `Background`? | whose permit ends: `Permits::give_back` |
//! | the same, under the lock of `Lists` | `Shared::is_closed` | who closes: `Idle::close`, under that lock |
//! | the deadline that it waits for with the driver (`Timers::driver_timeout`) | the earliest timer | who arms a timer elsewhere: [`super::super::timers`] |
//!
//! An unpark, or a notification of the driver, that comes before the wait ends the wait at once.
//! Who unparks a worker has to know where it waits, so the worker takes the driver before it is
//! listed. If it has left the driver by then, the notification wakes whoever has the driver next,
//! for nothing.
//!
//! A spare need not look: it has put no core among the idle ones. Whoever has, looks. The look at
//! the queues, whoever searches does for others ([`super::idle`]).

use std::cell::Cell;
use std::task::Waker;
use std::time::Duration;

use super::Worker;
use crate::clock;
use crate::scheduler::Shared;
use crate::scheduler::netpoll::Driver;
use crate::scheduler::worker::idle::Look;
use crate::sync::atomic::Ordering;
use crate::sync::step;

#[cfg(all(test, feature = "time"))]
mod tests;

/// One of `Workers::staying`, as long as the worker has not decided to end: see the module's
/// documentation.
pub(super) struct Staying {
    shared: &'static Shared,
    has_left: Cell<bool>,
}

impl Staying {
    pub(super) fn new(shared: &'static Shared) -> Staying {
        // Relaxed, here and below: the number alone decides.
        shared.workers.staying.fetch_add(1, Ordering::Relaxed);
        Staying {
            shared,
            has_left: Cell::new(false),
        }
    }

    /// Whether there are too many.
    fn is_surplus(&self) -> bool {
        let staying = self.shared.workers.staying.load(Ordering::Relaxed);
        staying > self.shared.workers.idle.num_wanted()
    }

    /// The worker ends, if there are too many. False: it stays.
    fn leave(&self) -> bool {
        let enough = self.shared.workers.idle.num_wanted();
        let leave = |staying| (staying > enough).then(|| staying - 1);
        let staying = &self.shared.workers.staying;
        let has_left = staying.fetch_update(Ordering::Relaxed, Ordering::Relaxed, leave);
        self.has_left.set(has_left.is_ok());
        has_left.is_ok()
    }

    /// It stays after all.
    fn come_back(&self) {
        self.shared.workers.staying.fetch_add(1, Ordering::Relaxed);
        self.has_left.set(false);
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        if !self.has_left.get() {
            self.shared.workers.staying.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Worker {
    /// Parks until there is something to do. True: go on; false: this thread ends.
    pub(super) fn wait(&self) -> bool {
        self.last_poll_end.set(0);
        let core = self.shared.release();
        step();
        let is_spare = core.is_none();
        if let Some(core) = &core {
            debug_assert!(
                core.processor.next.is_empty(),
                "a worker parks on a full next slot"
            );
            core.processor.counters.parks.add(1);
            self.heuristics.end(core.processor.tick.get());
        }
        let driver = self.netpoll.try_driver();
        self.parked_worker.set_with_driver(driver.is_some());
        let searching = self.is_searching();
        self.set_searching(false);
        let own = core.as_ref().map(|core| core.index);
        let look = self.shared.workers.idle.park_worker(
            core,
            &self.parked_worker,
            searching,
            driver.is_some(),
        );
        let mut wakers = self.wakers.take();
        let mut has_left = false;
        step();
        // A spare released no core, so it need not look: whoever put an idle core there does.
        // Without one it could do nothing.
        let may_work = !is_spare || self.shared.workers.idle.num_idle() > 0;
        let found = look == Look::Due && may_work && self.shared.queues.has_visible_work();
        if !self.shared.is_closed() && !found {
            step();
            match driver {
                Some(driver) => self.park_on_driver(driver, &mut wakers),
                None => has_left = self.park_on_thread(&mut wakers),
            }
        } else {
            drop(driver);
        }
        self.resume(own, wakers, found, has_left)
    }

    /// Waits with the driver.
    fn park_on_driver(&self, mut driver: Driver<'_>, wakers: &mut Vec<Waker>) {
        let timeout = (self.shared.services.timers).driver_timeout(self.timers_are_dense.get());
        if timeout != Some(Duration::ZERO) && !self.parked_worker.has_handed() {
            step();
            let count = driver.poll(timeout, wakers);
            self.shared.count_network_poll(count);
        }
        step();
        self.shared.services.timers.leave_driver();
        drop(driver);
        let before = wakers.len();
        self.shared.services.timers.fire_all(wakers);
        self.timers_are_dense.set(wakers.len() - before > 1);
    }

    /// Waits parked. True: the worker ends, unless it was handed a core.
    fn park_on_thread(&self, wakers: &mut Vec<Waker>) -> bool {
        let mut end = None;
        loop {
            // Asked each time: there may be fewer processors than before.
            if end.is_none() && self.staying.is_surplus() {
                end = clock::now().checked_add(self.shared.keep_alive());
            }
            let timeout = match (end, self.shared.services.timers.parked_timeout()) {
                (None, timer) => timer,
                (Some(end), timer) => {
                    let end = end.saturating_duration_since(clock::now());
                    Some(timer.map_or(end, |timer| timer.min(end)))
                }
            };
            if timeout != Some(Duration::ZERO) {
                self.parked_worker.park(timeout);
            }
            if self.parked_worker.has_handed() || self.shared.is_closed() {
                return false;
            }
            if timeout.is_some() {
                self.shared.services.timers.fire_all(wakers);
                if !wakers.is_empty() {
                    return false;
                }
            }
            if end.is_some_and(|end| clock::now() >= end) {
                if self.staying.leave() {
                    step();
                    return true;
                }
                end = None;
            }
        }
    }

    /// Resumes, with a core if there is one, and calls the wakers that the wait has brought. `own`:
    /// the processor that it had. `found`: it resumes for work that it saw after it had parked.
    /// `has_left`: it ends, unless it was handed a core. True: go on; false: this thread ends.
    fn resume(
        &self,
        own: Option<usize>,
        mut wakers: Vec<Waker>,
        found: bool,
        has_left: bool,
    ) -> bool {
        step();
        let idle = &self.shared.workers.idle;
        let up = if has_left {
            idle.leave(&self.parked_worker, own)
        } else {
            idle.unpark_worker(&self.parked_worker, own, self.shared.cluster_here())
        };
        if let Some(up) = up {
            if has_left {
                self.staying.come_back();
            }
            // What it saw may have been left to its search, so it searches on, whatever the limit
            // (Go does too). Else nobody would wake the next worker; and at the limit it would park
            // and resume in circles.
            let searches_on = found && !up.searching;
            if searches_on {
                idle.begin_search_anyway();
            }
            self.set_searching(up.searching || searches_on);
            self.heuristics
                .begin(up.core.processor.tick.get(), up.searching);
            step();
            self.shared.acquire(up.core, clock::recent());
            self.look_at_switches();
            self.wake_all(wakers);
            return true;
        }
        self.shared.placement.unpin();
        self.shared.call_wakers(&mut wakers);
        self.wakers.replace(wakers);
        step();
        if has_left && !self.shared.services.timers.are_watched() {
            // It may have been this worker that waited for the next deadline.
            self.shared.wake_driver();
        }
        !has_left
    }
}
