//! A worker: a thread that looks for a runnable, polls it, and looks again.
//!
//! # Where it looks, in this order
//!
//! 1. its own due timers
//! 2. every 61st poll, and when the monitor asks for it: one runnable of the global queue, one of a stuck worker's, then the
//!    network
//! 3. the next slot, at most six times in a row while the queue waits; the local queue
//! 4. a batch of the global queue
//! 5. the network, without waiting, if nobody else is at it
//! 6. other processors' queues ([`super::steal`]), if not half of the busy ones search already
//! 7. everything once more, after it has laid its core down ([`super::idle`])
//!
//! Then it waits: in the netpoller's seat if that is free, else in bed.
//!
//! # How it waits
//!
//! The first worker to lie down while the seat is free takes it (as in Go): it lies with the network, and an event
//! wakes it without a hop. Whoever leaves the seat picks up any core that lies there; if none does, all processors are
//! busy, and what it found goes to the global queue. A worker without a core is a *spare*: it was woken by nothing, or
//! came back from a poll or a blocking call to find its processor in other hands. Spares beyond the number of processors end
//! after the keep-alive.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::netpoll::{Netpoll, Seat};
use super::pace::Pace;
use super::park::Sleeper;
use super::processor::Core;
use super::tenure::Word;
use super::{Shared, clock, local, steal};
use crate::sync::Arc;
use crate::tasks::{self, Runnable};

/// With timers armed, every so many polls the clock is read (23 ns) to see whether one is due; where polls are long, the
/// monitor looks.
const TIMER_TURNS: u32 = 8;

/// A searcher looks this many times, [`PAUSES`] apart, before it lies down: 5 µs in all. Being woken costs the waker 12 µs
/// and comes 25 µs later, so work that appears at once is worth waiting for (a tenth of the context switches of spawn +
/// join); longer spinning only burns CPU and makes the tail of wake-ups worse.
const LOOKS: u32 = 5;

/// Of about 25 ns each. A thief that looks more often takes two or three runnables at a time and makes the owner fetch
/// its queue's cache lines back for each theft: 12 looks, 0.4 µs apart, cost spawn + join 20 % more than 5, 1 µs apart.
const PAUSES: u32 = 40;

/// After a sleep that was too short to be worth it: 48 µs in all, about what sleeping and being woken costs both sides, and
/// 16 µs apart, so that a thief finds a batch.
const RESTLESS_LOOKS: u32 = 4;
const RESTLESS_PAUSES: u32 = 640;

/// For a job that was sent off, when there is nothing else to do: as long as a halted CPU takes to begin with it, and a little
/// more. Then both CPUs stay awake and the next job takes 5 µs; sleeping at once, each took 20 to 36.
const JOB_LOOKS: u32 = 48;

pub(super) struct Worker {
    shared: &'static Shared,
    netpoll: Netpoll,
    sleeper: Arc<Sleeper<Box<Core>>>,
    /// This worker is counted as searching in `Idle`.
    searching: Cell<bool>,
    /// Wakers that came out of the network or the timers, kept for its memory.
    ready: RefCell<Vec<Waker>>,
    pace: Pace,
    /// The last wait in the seat ended with several timers at once.
    timers_are_dense: Cell<bool>,
}

/// What a look at the worker's own processor gave.
enum Own {
    /// Its poll has been announced.
    Task(Runnable),
    /// Something else is to be looked at first.
    Attend {
        index: usize,
        /// Also the global queue and the network.
        everywhere: bool,
    },
    Nothing,
    /// This thread holds no core, or none whose processor is its own.
    NoCore,
}

/// Runs a worker on this thread until the scheduler closes or, for a spare, the keep-alive has passed.
pub(super) fn run(shared: &'static Shared, core: Option<Box<Core>>, searching: bool) {
    local::set_shared(Some(shared));
    let mut held = Held { shared, searching };
    if let Some(core) = core {
        local::put_core(core);
        shared.work_begins();
    }
    // None: the runtime ended while this thread began.
    if let Some(netpoll) = shared.netpoll() {
        let worker = Worker {
            shared,
            sleeper: Arc::new(Sleeper::of_this_thread(netpoll.clone())),
            netpoll,
            searching: Cell::new(std::mem::take(&mut held.searching)),
            ready: RefCell::new(Vec::new()),
            pace: Pace::new(),
            timers_are_dense: Cell::new(false),
        };
        worker.work();
        held.searching = worker.searching.get();
    }
}

/// What a worker gives back when it ends, also by a panic.
struct Held {
    shared: &'static Shared,
    searching: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.searching {
            self.shared.idle.found();
        }
        if let Some(core) = self.shared.give_up_core() {
            self.shared.retire(core);
        }
        local::set_shared(None);
    }
}

impl Worker {
    fn work(&self) {
        loop {
            let runnable = match self.own() {
                Own::Task(runnable) => {
                    self.poll(runnable);
                    continue;
                }
                _ if self.shared.is_closed() => return,
                Own::Attend { index, everywhere } => self.attend(index, everywhere),
                Own::Nothing => self.elsewhere(),
                Own::NoCore => None,
            };
            match runnable {
                Some(runnable) => {
                    local::with_core(self.shared, |core| core.begin_poll(&runnable));
                    self.poll(runnable);
                }
                None => {
                    if !self.wait() {
                        return;
                    }
                }
            }
        }
    }

    /// Steps 1 to 3: the way of nearly every poll, in one visit to the core.
    #[inline]
    fn own(&self) -> Own {
        local::with_core(self.shared, |core| {
            let asked = core.at.tenure.is_disturbed();
            if asked {
                if core.at.tenure.answer() == Word::Retaken {
                    return Own::NoCore;
                }
                core.end_streak();
            }
            let turn = core.turn();
            let timers = turn % TIMER_TURNS == 0 && self.shared.timers.is_armed(core.index);
            let everywhere = asked || turn == 0;
            if timers || everywhere {
                return Own::Attend {
                    index: core.index,
                    everywhere,
                };
            }
            let Some(runnable) = core.pop() else {
                return Own::Nothing;
            };
            core.begin_poll(&runnable);
            Own::Task(runnable)
        })
        .unwrap_or(Own::NoCore)
    }

    /// All steps, for the polls in which more than the own queue is looked at.
    #[cold]
    fn attend(&self, index: usize, everywhere: bool) -> Option<Runnable> {
        let mut ready = self.ready.take();
        if self.shared.timers.is_armed(index) {
            self.shared.timers.fire_own(index, clock::now(), &mut ready);
        }
        let mut global = None;
        if everywhere {
            self.shared.timers.fire_all(&mut ready);
            global = self.one_global();
            self.adopt();
            self.look_at_network(&mut ready);
        }
        self.wake_all(ready);
        global
            .or_else(|| local::with_core(self.shared, Core::pop).flatten())
            .or_else(|| self.elsewhere())
    }

    /// Steps 4 to 6.
    #[cold]
    fn elsewhere(&self) -> Option<Runnable> {
        let found = self.look_elsewhere()?;
        if local::with_core(self.shared, |core| core.at.tenure.is_retaken()) == Some(true) {
            // The rest of what it found lies in an orphan's queue now.
            self.shared.pushed_astray();
        }
        Some(found)
    }

    fn look_elsewhere(&self) -> Option<Runnable> {
        if let Some(runnable) = self.global_batch() {
            return Some(runnable);
        }
        let mut ready = self.ready.take();
        self.look_at_network(&mut ready);
        self.shared.timers.fire_all(&mut ready);
        if self.wake_all(ready) {
            // What was woken may belong to others.
            let own = local::with_core(self.shared, Core::pop).flatten();
            return own.or_else(|| self.search());
        }
        self.search()
    }

    #[inline]
    fn poll(&self, runnable: Runnable) {
        if self.searching.get() {
            self.stop_searching();
        }
        clock::forget();
        // Asked after the runnable was taken: a task that the closing has woken is not polled once more, it would go
        // back to sleep for good.
        if self.shared.is_closed() {
            return tasks::cancel(runnable);
        }
        tasks::run(runnable);
        // Asked again: if the closing woke the task after the question above but before the poll began, the wake was
        // lost in that poll. The poll's beginning then saw the wake, so this look sees the mark.
        if self.shared.is_closed() {
            self.shared.wake_the_waiting();
        }
    }

    /// See "Finding" in [`super::idle`].
    #[cold]
    fn stop_searching(&self) {
        self.searching.set(false);
        self.shared.idle.found();
        if self.shared.work_is_visible() {
            self.shared.wake_one();
        }
    }

    /// What stuck workers have queued has its turn too.
    fn adopt(&self) {
        if self.shared.orphans.is_empty() {
            return;
        }
        let retaken = local::with_core(self.shared, |core| {
            steal::adopt(self.shared, core);
            core.at.tenure.is_retaken()
        });
        if retaken == Some(true) {
            self.shared.pushed_astray();
        }
    }

    fn one_global(&self) -> Option<Runnable> {
        steal::steal_one(|| self.shared.global.steal())
    }

    /// Go's share: as much as this processor's part of the queue, so that one does not take it all.
    fn global_batch(&self) -> Option<Runnable> {
        let global = &self.shared.global;
        if global.is_empty() {
            return None;
        }
        let share = global.len() / self.shared.processors.len() + 1;
        local::with_core(self.shared, |core| {
            let limit = share.min(steal::BATCH);
            steal::steal_one(|| global.steal_batch_with_limit_and_pop(&core.queue, limit))
        })
        .flatten()
    }

    fn look_at_network(&self, ready: &mut Vec<Waker>) {
        if self.netpoll.has_sources() {
            if let Some(mut seat) = self.netpoll.try_seat() {
                self.shared
                    .polled_network(seat.poll(Some(Duration::ZERO), ready));
            }
        }
    }

    fn search(&self) -> Option<Runnable> {
        if !self.searching.get() {
            if !self.shared.idle.begin_search(self.shared.processors.len()) {
                return None;
            }
            self.searching.set(true);
        }
        // With everybody else in bed, what comes from other threads wakes whoever waits; only of jobs some are expected.
        let alone = self.shared.idle.num_lying() + 1 >= self.shared.processors.len();
        let expecting = local::with_core(self.shared, Core::awaits_job) == Some(true);
        let (looks, pauses) = match self.pace.is_restless() {
            _ if alone && expecting => (JOB_LOOKS, PAUSES),
            true => (RESTLESS_LOOKS, RESTLESS_PAUSES),
            false if alone => (1, 0),
            false => (LOOKS, PAUSES),
        };
        for look in 0..looks {
            // The first look is a full search; the others begin with a glance.
            if look == 0 || self.shared.work_is_visible() {
                let found = self.global_batch().or_else(|| self.steal());
                if found.is_some() {
                    return found;
                }
            }
            (0..pauses).for_each(|_| std::hint::spin_loop());
        }
        None
    }

    fn steal(&self) -> Option<Runnable> {
        local::with_core(self.shared, |core| {
            let found = steal::steal(self.shared, core)?;
            core.at.counters.steals.add(1);
            Some(found)
        })
        .flatten()
    }

    /// Wakes what is ready as one batch: all of it goes to the back of this processor's queue, and others are woken
    /// once, when all is there, if they would come in time. True: there was something.
    fn wake_all(&self, mut ready: Vec<Waker>) -> bool {
        let any = !ready.is_empty();
        if any {
            if self.searching.get() {
                // A foreign waker may block, and nobody is woken while somebody searches.
                self.stop_searching();
            }
            local::with_core(self.shared, Core::begin_batch);
            wake_contained(&mut ready);
            let batch = local::with_core(self.shared, |core| {
                let count = core.end_batch();
                let helped = self.pace.is_worth_help(count, core.at.tick.get());
                (count, helped, core.at.tenure.is_retaken())
            });
            match batch {
                Some((_, _, true)) => self.shared.pushed_astray(),
                Some((count, true, false)) => self.shared.wake_for_batch(count),
                _ => {}
            }
        }
        self.ready.replace(ready);
        any
    }

    /// Lies down until there is something to do. True: go on; false: this thread ends.
    fn wait(&self) -> bool {
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
        let searching = self.searching.replace(false);
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
            self.searching.set(searching);
            self.pace.begin(up.core.at.tick.get(), up.searching);
            local::put_core(up.core);
            self.shared.work_begins();
            self.wake_all(ready);
            return true;
        }
        wake_contained(&mut ready);
        self.ready.replace(ready);
        let ends = spare_ended && self.shared.has_surplus_workers();
        if ends && !self.shared.timers.are_watched() {
            // It may have been this worker that waited for the next deadline.
            self.shared.call_seat();
        }
        !ends
    }
}

/// Wakes foreign wakers; a panic in one of them harms neither the others nor this thread.
pub(super) fn wake_contained(ready: &mut Vec<Waker>) {
    for waker in ready.drain(..) {
        tasks::contained(|| waker.wake());
    }
}
