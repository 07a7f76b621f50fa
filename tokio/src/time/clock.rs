//! A clock that can be paused: that of a runtime for one thread, with the feature `test-util`.
//!
//! While it runs it goes with the executor's, only that it may be behind or ahead. While it is
//! paused it moves by [`advance`](super::advance), and by itself whenever the runtime has nothing to do
//! ([`auto_advance`](crate::runtime) says when that is).
//!
//! # Protocol
//!
//! Everything is under one lock. No waker is cloned, woken or dropped under it: that is the user's
//! code, which may come back here.
//!
//! 1. A sleep that is polled enters its waker, whether the clock is paused or not. Without the
//!    entry, a pause could not reach the sleeps that wait for the executor's timers, and they would
//!    end by the real clock.
//! 2. If the clock is paused, that is all. If it runs, the poll arms a timer of the executor, after
//!    the lock was released. A pause in between has taken the entry and woken the task, so the poll
//!    that follows disarms the timer.
//! 3. Pause and resume take all entries and wake them: each polls again, and enters itself by the
//!    other clock. So an entry that is found while the clock is paused was entered since the pause.
//! 4. A move of a paused clock takes the entries that are due, in the order of their deadlines and
//!    then of their coming, and wakes them in that order: a program sees the same order each time.
//! 5. A sleep that enters a paused clock, or gets another deadline there, and a pause tell the
//!    drivers, after the lock was released. A driver that is parked would not look at the clock
//!    otherwise.
//! 6. The runtime ends: the clock is closed, and all entries are taken and woken. A sleep that is
//!    polled later finds it closed under the same lock and does not enter; nobody would wake it.
//!
//! Deadlines have the granularity of the real tokio while the clock is paused: a millisecond from
//! the making of the clock, rounded up. Tests see that by how far the clock moves.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Whether any clock was ever paused: where none was, nobody need ask which one is his.
///
/// Relaxed: a thread that may rely on a pause has synchronised with the one that paused, by
/// whatever told it so, and then sees this too.
pub(super) static EVER_PAUSED: AtomicBool = AtomicBool::new(false);

pub(super) const OUTSIDE: &str = "time cannot be frozen from outside the Tokio runtime";
pub(super) const NOT_PAUSED: &str = "time is not frozen";
const PAUSED: &str = "time is already frozen";
pub(crate) const NOT_PAUSABLE: &str = "`time::pause()` requires the `current_thread` Tokio runtime. This is the default Runtime \
     used by `#[tokio::test].";

/// The clock of a runtime for one thread.
pub(crate) struct Clock {
    state: Mutex<State>,
    /// Makes the drivers look at the clock.
    tell: Box<dyn Fn() + Send + Sync>,
}

pub(super) struct State {
    /// When the clock was made: the beginning of its first millisecond.
    start: Instant,
    /// What the clock showed when it was last paused, moved or resumed.
    base: Instant,
    /// When it was resumed, by the executor's clock. `None`: it is paused.
    runs_since: Option<Instant>,
    /// Sleeps that wait, with the millisecond that they wait for and the number of the entry.
    entries: BTreeMap<Key, Waker>,
    next: u64,
    /// How many [`NoAutoAdvance`] there are.
    held: usize,
    is_closed: bool,
}

type Key = (u64, u64);

/// What a sleep does that was polled.
pub(super) enum Waits {
    /// It is ready.
    Due,
    /// It was entered.
    Paused,
    /// It was entered, and must wait until then by the executor's clock, too.
    Until(Instant),
    /// The runtime has ended.
    Never,
}

impl State {
    pub(super) fn now(&self) -> Instant {
        match self.runs_since {
            Some(since) => self.base + executor::time::now().saturating_duration_since(since),
            None => self.base,
        }
    }

    /// The millisecond that `deadline` is due in.
    fn millisecond(&self, deadline: Instant) -> u64 {
        let nanos = deadline.saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The last millisecond that has begun.
    fn present(&self) -> u64 {
        let passed = self.base.saturating_duration_since(self.start);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    fn is_due(&self, deadline: Instant) -> bool {
        match self.runs_since {
            Some(_) => self.now() >= deadline,
            None => self.millisecond(deadline) <= self.present(),
        }
    }

    /// The same instant by the executor's clock, if this one runs.
    fn by_executor(&self, deadline: Instant) -> Option<Instant> {
        let since = self.runs_since?;
        let left = deadline.saturating_duration_since(self.base);
        // Not after what the clock can express: the deadline was, by a clock that is ahead.
        Some(since.checked_add(left).unwrap_or(deadline))
    }

    /// Enters a waker, in the place `before` if that is for the same millisecond.
    fn enter(&mut self, deadline: Instant, waker: Waker, before: Option<Key>) -> Key {
        let millisecond = self.millisecond(deadline);
        let key = match before {
            Some(key) if key.0 == millisecond => key,
            _ => {
                self.next += 1;
                (millisecond, self.next)
            }
        };
        self.entries.insert(key, waker);
        key
    }

    /// Step 4, for a clock that was moved.
    fn take_due(&mut self) -> Vec<Waker> {
        let later = self.entries.split_off(&(self.present() + 1, 0));
        mem::replace(&mut self.entries, later)
            .into_values()
            .collect()
    }

    fn take_all(&mut self) -> Vec<Waker> {
        mem::take(&mut self.entries).into_values().collect()
    }
}

fn wake_all(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

impl Clock {
    pub(crate) fn new(is_paused: bool, tell: impl Fn() + Send + Sync + 'static) -> Clock {
        if is_paused {
            EVER_PAUSED.store(true, Ordering::Relaxed);
        }
        let now = executor::time::now();
        Clock {
            state: Mutex::new(State {
                start: now,
                base: now,
                runs_since: (!is_paused).then_some(now),
                entries: BTreeMap::new(),
                next: 0,
                held: 0,
                is_closed: false,
            }),
            tell: Box::new(tell),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pause(&self) -> Result<(), &'static str> {
        EVER_PAUSED.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        if state.runs_since.is_none() {
            return Err(PAUSED);
        }
        state.base = state.now();
        state.runs_since = None;
        let wakers = state.take_all();
        drop(state);
        wake_all(wakers);
        (self.tell)();
        Ok(())
    }

    pub(super) fn resume(&self) -> Result<(), &'static str> {
        let mut state = self.lock();
        if state.runs_since.is_some() {
            return Err(NOT_PAUSED);
        }
        state.runs_since = Some(executor::time::now());
        let wakers = state.take_all();
        drop(state);
        wake_all(wakers);
        Ok(())
    }

    pub(super) fn advance(&self, duration: Duration) -> Result<(), &'static str> {
        let mut state = self.lock();
        if state.runs_since.is_some() {
            return Err(NOT_PAUSED);
        }
        state.base =
            (state.base.checked_add(duration)).ok_or("overflow when adding duration to instant")?;
        let wakers = state.take_due();
        drop(state);
        wake_all(wakers);
        Ok(())
    }

    /// Whether it is paused, and somebody waits for a deadline, and nothing forbids that it moves
    /// by itself.
    pub(crate) fn may_auto_advance(&self) -> bool {
        let state = self.lock();
        state.runs_since.is_none() && state.held == 0 && !state.entries.is_empty()
    }

    /// Moves it to the next deadline. Returns whom the caller must wake, in this order. `None`: it
    /// has not moved.
    pub(crate) fn auto_advance(&self) -> Option<Vec<Waker>> {
        let mut state = self.lock();
        if state.runs_since.is_some() || state.held > 0 {
            return None;
        }
        let &(next, _) = state.entries.keys().next()?;
        let step = Duration::from_millis(next.saturating_sub(state.present()));
        // `None`: later than the clock can express, and so never.
        state.base = state.base.checked_add(step)?;
        Some(state.take_due())
    }

    /// Keeps it from moving by itself until the guard is dropped.
    pub(crate) fn hold(self: &Arc<Clock>) -> NoAutoAdvance {
        self.lock().held += 1;
        NoAutoAdvance(self.clone())
    }

    /// Step 6.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let wakers = state.take_all();
        drop(state);
        wake_all(wakers);
    }
}

/// A blocking closure is about to run, or runs: time does not move by itself.
pub(crate) struct NoAutoAdvance(Arc<Clock>);

impl Drop for NoAutoAdvance {
    fn drop(&mut self) {
        self.0.lock().held -= 1;
        (self.0.tell)();
    }
}

/// A sleep's place in a clock. Left when it is dropped.
pub(super) struct Entry {
    clock: Arc<Clock>,
    /// The key of the last entry, which may have been taken since.
    key: Option<Key>,
    /// Whether a poll has found the clock closed.
    refused: bool,
}

impl Entry {
    pub(super) fn new(clock: Arc<Clock>) -> Entry {
        Entry {
            clock,
            key: None,
            refused: false,
        }
    }

    pub(super) fn is_due(&self, deadline: Instant) -> bool {
        self.clock.lock().is_due(deadline)
    }

    /// Steps 1 and 2.
    pub(super) fn poll(&mut self, deadline: Instant, waker: &Waker) -> Waits {
        let new = waker.clone();
        let mut state = self.clock.lock();
        let before = self.key.take();
        let old = before.and_then(|key| state.entries.remove(&key));
        if state.is_due(deadline) {
            drop(state);
            drop((old, new));
            return Waits::Due;
        }
        if state.is_closed {
            // Step 6. A task of the runtime is not polled again, anybody else is.
            drop(state);
            drop(old);
            if self.refused {
                return Waits::Never;
            }
            self.refused = true;
            new.wake();
            return Waits::Paused;
        }
        self.key = Some(state.enter(deadline, new, before));
        let until = state.by_executor(deadline);
        drop(state);
        drop(old);
        match until {
            Some(until) => Waits::Until(until),
            None => {
                (self.clock.tell)();
                Waits::Paused
            }
        }
    }

    /// Another deadline for the same waker. Returns when that is by the executor's clock, if this
    /// one runs.
    pub(super) fn reset(&mut self, deadline: Instant) -> Option<Instant> {
        let mut state = self.clock.lock();
        let waker = self.key.take().and_then(|key| state.entries.remove(&key));
        let is_due = state.is_due(deadline);
        let until = state.by_executor(deadline);
        let mut due = None;
        match waker {
            // Nobody waits, or whoever does has been woken.
            None => {}
            Some(waker) if is_due => due = Some(waker),
            Some(waker) => self.key = Some(state.enter(deadline, waker, None)),
        }
        drop(state);
        if let Some(waker) = due {
            waker.wake();
        }
        if until.is_none() {
            (self.clock.tell)();
        }
        until
    }

    pub(super) fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = self.clock.lock().entries.remove(&key);
            // Outside the lock.
            drop(waker);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.leave();
    }
}
