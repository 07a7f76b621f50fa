//! The timer wheels of the processors, and the timer that others arm.
//!
//! Each processor has a wheel behind a small lock, and one more, the **remote** wheel, serves
//! threads that hold no processor. A worker arms on its own wheel and so meets nobody; cancelling
//! takes the lock of the wheel armed on.
//!
//! # Who fires
//!
//! 1. A running worker looks at its own wheel between polls, and at all of them every 61st poll and
//!    when it has nothing else to do.
//! 2. The worker with the driver waits no longer than for the earliest deadline of all wheels (a
//!    wheel belongs to a core, and cores change their workers all the time). It publishes what it
//!    waits for (`watch`), fences, and reads the deadlines again; a remote thread arms, fences, and
//!    reads `watch`. So one of them sees the other, and an earlier deadline ends the wait. Only who
//!    holds the driver writes `watch`.
//! 3. A worker that parks while the earliest deadline is before `watch` waits for that deadline
//!    itself: it costs less than waking the one with the driver for it.
//! 4. The monitor fires whatever is overdue because its worker is in a long poll.
//!
//! # Many at once
//!
//! A look fires a piece of what is due ([`super::timers::wheel`]), however much that is: the lock
//! is not held for longer, and what a worker collects is bounded. Each timer brings a poll, so the
//! worker looks at timers again when it has begun as many polls as the last piece brought, or has
//! nothing else to do. So a million timers of one deadline neither make its queue long nor hold up
//! the timers after them: a tick beside them is as late as a few pieces take, and not as they all
//! do.
//!
//! # Which wheels have anything
//!
//! Who wants to know the earliest deadline asks the wheels that are **marked**, in one mask for all,
//! and not each of P. A wheel is marked while anything is armed on it, and perhaps longer.
//!
//! 1. Who arms before `next` marks the wheel, if it is not marked, under the wheel's lock and before
//!    anything that the protocol above says of arming. So whoever would see the deadline sees the
//!    mark.
//! 2. The `next` of an empty wheel is never: whoever empties it says so, under the lock
//!    (`TimerWheel::cancel`, `TimerWheel::publish_next`). So the first timer that is armed on it is
//!    before `next`, and a wheel that has anything is marked.
//! 3. What is armed no more leaves the mark where it is: a task that arms and cancels by turns
//!    touches nothing that others read. The monitor takes the marks off the wheels that it has found
//!    empty in two rounds ([`Timers::unmark_empty`]), of each under its lock and only if it is empty
//!    still. What is armed there later marks it again.
//!
//! The failure without the lock: a wheel is found empty, a timer is armed there, which finds the
//! mark set; then the mark goes, and nobody waits for that timer. The failure without step 2: the
//! only timer of a wheel is cancelled, the mark goes, and one that is armed there later than the
//! cancelled one would have been leaves it unmarked.
//!
//! Arming on a worker wakes nobody: that worker is awake, and when it parks it is in case 2 or 3. A
//! worker whose processor was retaken arms on the remote wheel, as it may not come back for long;
//! what it armed at the very moment of the retake, the monitor finds in its next rounds.

use std::task::Waker;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use self::wheel::{Key, PIECE, Wheel};
use super::mask::Mask;
use crate::clock::{self, Instant};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{Mutex, OnceLock, step};

mod timer;
pub(crate) mod wheel;

#[cfg_attr(not(feature = "time"), allow(unused_imports))]
pub(crate) use timer::Timer;

/// Of the wheel that threads without a processor arm on.
const REMOTE: usize = 0;

/// No deadline.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Timers {
    /// The remote wheel, and one per processor, made when that is wanted first: 6 KiB each.
    wheels: Box<[OnceLock<Box<CachePadded<TimerWheel>>>]>,
    /// So many of them are in use. Written before a processor is wanted whose wheel is one more:
    /// its worker has its core by way of a lock that was taken afterwards. `Relaxed`: so whoever
    /// arms there sees it, and who waits for that timer by step 2 or 3 is that worker, or comes
    /// after it.
    used: AtomicUsize,
    /// The wheels that may have anything: see the module's documentation.
    marked: Mask,
    /// Of those, the ones that the monitor has found empty in its last round. Its own.
    found_empty: Mask,
    /// The tick the driver's holder waits for; [`AWAKE`] while nobody waits there.
    watch: AtomicU64,
}

/// Where several timers are due at a time, the driver's holder wakes for one in four ticks only (65
/// µs): each wake costs it 5 to 10 µs, whatever it finds. A lone timer ends with its own tick.
const GRAIN: u64 = 4;

/// Nobody waits with the driver: who is awake looks anyway.
const AWAKE: u64 = 0;

struct TimerWheel {
    /// When the wheel wants to be looked at; never, if it is empty. Written under the lock, read
    /// without it as a hint by the owner, and in step 3 of the module's protocol, whose fences
    /// order it.
    next: AtomicU64,
    /// Whether it is in [`Timers::marked`], where who arms need not look. Under the lock only.
    is_marked: AtomicBool,
    /// Twice as often as it was advanced, and one if more was due then than was fired. Written
    /// under the lock, read by the monitor as a hint.
    looks: AtomicU64,
    wheel: Mutex<Wheel>,
}

impl std::fmt::Debug for TimerWheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimerWheel")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl TimerWheel {
    fn new() -> TimerWheel {
        TimerWheel {
            next: AtomicU64::new(NEVER),
            is_marked: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            wheel: Mutex::new(Wheel::new()),
        }
    }

    fn publish_next(&self, wheel: &Wheel) {
        self.next
            .store(wheel.next_expiry().unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Takes a timer off. `None`: it has fired.
    fn cancel(&self, key: Key) -> Option<Waker> {
        let mut wheel = self.wheel.lock();
        let waker = wheel.cancel(key);
        // Otherwise `next` stays: an early look costs less than a search for the next deadline at
        // each cancel.
        if wheel.len() == 0 {
            self.next.store(NEVER, Ordering::Relaxed);
        }
        waker
    }

    fn fire(&self, now: u64, fired: &mut Vec<Waker>) {
        let mut wheel = self.wheel.lock();
        wheel.advance(now, PIECE, fired);
        let looks = self.looks.load(Ordering::Relaxed) >> 1;
        let looks = (looks + 1) << 1 | u64::from(wheel.is_late());
        self.looks.store(looks, Ordering::Relaxed);
        self.publish_next(&wheel);
    }
}

impl Timers {
    /// For so many processors at most.
    pub(super) fn new(room: usize) -> Timers {
        let timers = Timers {
            wheels: (0..=room).map(|_| OnceLock::new()).collect(),
            used: AtomicUsize::new(0),
            marked: Mask::new(room + 1),
            found_empty: Mask::new(room + 1),
            watch: AtomicU64::new(AWAKE),
        };
        timers.use_wheels(0);
        timers
    }

    /// Another runtime begins. The wheels of the last one are empty, but stand at its last tick.
    pub(super) fn reopen(&self) {
        let now = clock::tick_at(clock::now());
        for wheel in self.wheels() {
            wheel.wheel.lock().begin_at(now);
            wheel.looks.store(0, Ordering::Relaxed);
        }
        for index in self.marked.iter() {
            self.found_empty.remove(index);
            self.unmark(index);
        }
        self.watch.store(AWAKE, Ordering::Relaxed);
    }

    /// There are so many processors now, if not more. Not beside another call.
    pub(super) fn use_wheels(&self, processors: usize) {
        for wheel in &self.wheels[..=processors] {
            wheel.get_or_init(|| Box::new(TimerWheel::new().into()));
        }
        let used = self.used.load(Ordering::Relaxed);
        self.used.store(used.max(processors + 1), Ordering::Relaxed);
    }

    /// All that are in use.
    fn wheels(&self) -> impl Iterator<Item = &TimerWheel> {
        let wheels = &self.wheels[..self.used.load(Ordering::Relaxed)];
        wheels.iter().filter_map(|wheel| Some(&***wheel.get()?))
    }

    #[inline]
    fn wheel(&self, index: usize) -> &TimerWheel {
        let wheel = self.wheels[index].get();
        wheel.expect("it was made before its processor")
    }

    #[inline]
    fn of_processor(&self, processor: usize) -> &TimerWheel {
        self.wheel(processor + 1)
    }

    /// Whether this processor's wheel has anything at all.
    #[inline]
    pub(super) fn is_armed(&self, processor: usize) -> bool {
        self.of_processor(processor).next() != NEVER
    }

    /// Whether any wheel has anything at all.
    pub(super) fn is_any_armed(&self) -> bool {
        self.earliest() != NEVER
    }

    /// How many timers are armed on this processor's wheel, or on the remote one.
    #[cfg(test)]
    pub(super) fn num_armed(&self, processor: Option<usize>) -> usize {
        let index = processor.map_or(REMOTE, |processor| processor + 1);
        self.wheel(index).wheel.lock().len()
    }

    /// Collects what is due on one processor's wheel, a piece of it at most.
    pub(super) fn fire_own(&self, processor: usize, now: Instant, fired: &mut Vec<Waker>) {
        let now = clock::tick_at(now);
        let wheel = self.of_processor(processor);
        if wheel.next() <= now {
            wheel.fire(now, fired);
        }
    }

    /// Collects what is due on any wheel, a piece of each at most. Reads the clock only if
    /// something is armed.
    pub(super) fn fire_all(&self, fired: &mut Vec<Waker>) {
        if !self.is_any_armed() {
            return;
        }
        let now = clock::tick_at(clock::now());
        for wheel in self.marked.iter().map(|index| self.wheel(index)) {
            if wheel.next() <= now {
                wheel.fire(now, fired);
            }
        }
    }

    /// Monitor: collects what is due on any wheel, but for those that workers are busy to fire a
    /// backlog of: what the monitor added to that would only make the global queue long. They are
    /// known by what it noted in `looks` when it looked last.
    pub(super) fn fire_overdue(&self, looks: &mut Vec<u64>, fired: &mut Vec<Waker>) {
        let used = self.used.load(Ordering::Relaxed);
        looks.resize(used, 0);
        if !self.is_any_armed() {
            return;
        }
        let now = clock::tick_at(clock::now());
        for index in self.marked.iter().take_while(|&index| index < used) {
            let (wheel, looks) = (self.wheel(index), &mut looks[index]);
            let seen = wheel.looks.load(Ordering::Relaxed);
            let is_left_to_workers = seen & 1 != 0 && std::mem::replace(looks, seen) != seen;
            if wheel.next() <= now && !is_left_to_workers {
                wheel.fire(now, fired);
                *looks = wheel.looks.load(Ordering::Relaxed);
            }
        }
    }

    /// How long it is until the earliest deadline of all wheels.
    pub(super) fn until_earliest(&self) -> Option<Duration> {
        until(self.earliest())
    }

    /// The earliest deadline of all wheels.
    fn earliest(&self) -> u64 {
        let all = self.marked.iter().map(|index| self.wheel(index).next());
        all.min().unwrap_or(NEVER)
    }

    /// Under the lock of this wheel.
    #[cold]
    fn mark(&self, index: usize) {
        self.marked.insert(index);
        self.wheel(index).is_marked.store(true, Ordering::Relaxed);
    }

    /// Monitor, in each round: step 3 of "Which wheels have anything".
    pub(super) fn unmark_empty(&self) {
        for index in self.marked.iter() {
            if self.wheel(index).next() != NEVER {
                self.found_empty.remove(index);
            } else if self.found_empty.contains(index) {
                self.found_empty.remove(index);
                self.unmark(index);
            } else {
                self.found_empty.insert(index);
            }
        }
    }

    fn unmark(&self, index: usize) {
        let wheel = self.wheel(index);
        // Somebody is there: it is not empty, or not for long.
        let Some(guard) = wheel.wheel.try_lock() else {
            return;
        };
        if guard.len() == 0 {
            wheel.is_marked.store(false, Ordering::Relaxed);
            self.marked.remove(index);
        }
    }

    /// Whether the worker with the driver waits for the earliest deadline, or there is none.
    ///
    /// Asked by whoever may have been the one that waited for it (step 3) and ends, or that armed a
    /// timer and blocks without parking: if the answer is no, the driver must be told.
    pub(super) fn are_watched(&self) -> bool {
        // Pairs with the fence in `driver_timeout`.
        fence(Ordering::SeqCst);
        let earliest = self.earliest();
        let watch = self.watch.load(Ordering::Relaxed);
        earliest == NEVER || (watch != AWAKE && watch <= earliest)
    }

    /// How long a worker parked may wait; see step 3.
    pub(super) fn parked_timeout(&self) -> Option<Duration> {
        let earliest = self.earliest();
        let watch = self.watch.load(Ordering::Relaxed);
        if watch != AWAKE && watch <= earliest {
            None
        } else {
            until(earliest)
        }
    }

    /// How long the holder of the driver may wait; see step 2. Ends with [`Timers::leave_driver`].
    /// `dense`: it waits for the end of [`GRAIN`], since more will be due then.
    pub(super) fn driver_timeout(&self, dense: bool) -> Option<Duration> {
        let mut next = self.earliest();
        loop {
            self.watch.store(next, Ordering::Relaxed);
            // Pairs with the fence in `arm`.
            fence(Ordering::SeqCst);
            step();
            let again = self.earliest();
            if again >= next {
                let grain = if dense && next != NEVER { GRAIN } else { 1 };
                return until(next.div_ceil(grain) * grain);
            }
            next = again;
        }
    }

    /// The driver's holder waits no longer. Called while it still holds the driver: its successor's
    /// `watch` must not be overwritten.
    pub(super) fn leave_driver(&self) {
        self.watch.store(AWAKE, Ordering::Relaxed);
    }

    /// Takes all timers; their tasks are woken and find the runtime closed.
    pub(super) fn drain(&self, into: &mut Vec<Waker>) {
        for wheel in self.wheels() {
            let mut guard = wheel.wheel.lock();
            guard.drain(into);
            wheel.publish_next(&guard);
        }
    }

    /// Arms on the wheel of the processor this thread holds, else on the remote one. True: the
    /// driver must be told.
    fn arm(&self, processor: Option<usize>, deadline: u64, waker: Waker) -> (usize, Key, bool) {
        let index = processor.map_or(REMOTE, |processor| processor + 1);
        let wheel = self.wheel(index);
        let key = {
            let mut guard = wheel.wheel.lock();
            let key = guard.insert(deadline, waker);
            // The deadline itself, and not the slot that it waits in: for a timer alone in its
            // wheel nobody looks before.
            if deadline < wheel.next() {
                if !wheel.is_marked.load(Ordering::Relaxed) {
                    self.mark(index);
                }
                wheel.next.store(deadline, Ordering::Relaxed);
            }
            key
        };
        if processor.is_some() {
            return (index, key, false);
        }
        // Pairs with the fence in `driver_timeout`.
        fence(Ordering::SeqCst);
        (index, key, deadline < self.watch.load(Ordering::Relaxed))
    }
}

/// From now to a tick; `None` when it never comes.
fn until(tick: u64) -> Option<Duration> {
    if tick == NEVER {
        return None;
    }
    // A tick beyond what the clock can express is a year away at least: look again then.
    let deadline = clock::instant_of(tick)?;
    Some(deadline.saturating_duration_since(clock::now()))
}

#[cfg(test)]
mod tests;
