//! What is known about one registered fd: one word of readiness, and who waits.
//!
//! The word is read by every operation without a lock. It holds a *tick* that counts the events, so that "would block"
//! takes back only the readiness the operation had seen: an event that came in between keeps its readiness.

use std::io;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

use super::event::Event;
use super::poller::Poller;
use super::waiters::{Name, Waiters};

/// Worth trying to read.
const READ: usize = 1;
/// Worth trying to write.
const WRITE: usize = 2;
/// A short read does not prove that nothing is left: an end, an error or urgent data may stand behind it.
const MORE: usize = 4;
/// The reactor is closed: waiting is an error. Set once.
const CLOSED: usize = 8;
/// The tick begins here. It wraps after 2^60 events (2^28 on a 32-bit system), between two looks of one operation.
const TICK: usize = 16;

/// The half of a source that an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    #[inline]
    fn bit(self) -> usize {
        match self {
            Direction::Read => READ,
            Direction::Write => WRITE,
        }
    }
}

/// What an operation saw before it made its system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness(usize);

pub(super) struct State {
    /// The bits and the tick above. Set by the thread in the seat ([`State::deliver`], Release) before it takes the
    /// waiters; cleared by operations that would block; loaded (Acquire) by every operation, and again under the lock
    /// of `waiters` before one waits.
    word: AtomicUsize,
    waiters: Mutex<[Waiters; 2]>,
}

impl State {
    /// A fresh source counts as ready: its first operation tries at once. What the fd was ready for when it was
    /// registered comes as an event of its own.
    pub(super) fn new() -> State {
        State {
            word: AtomicUsize::new(READ | WRITE),
            waiters: Mutex::default(),
        }
    }

    /// Whether `direction` is worth a try.
    #[inline]
    pub(super) fn check(&self, direction: Direction) -> Option<Readiness> {
        let word = self.word.load(Ordering::Acquire);
        (word & direction.bit() != 0).then_some(Readiness(word))
    }

    /// Ready, or the task's waker is left here. `name` is `None` for a caller that will not take it back.
    pub(super) fn poll_ready(
        &self,
        poller: &Poller,
        key: usize,
        direction: Direction,
        name: Option<&mut Option<Name>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        if let Some(seen) = self.check(direction) {
            return Poll::Ready(Ok(seen));
        }
        self.wait(poller, key, direction, name, cx)
    }

    /// Not ready at first sight. Out of the way of operations that are.
    #[inline(never)]
    fn wait(
        &self,
        poller: &Poller,
        key: usize,
        direction: Direction,
        name: Option<&mut Option<Name>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        if poller.is_inherited() {
            return Poll::Ready(Err(super::inherited()));
        }
        // Cloned before the lock and dropped after it: both are foreign code.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters.lock();
        let word = self.word.load(Ordering::Acquire);
        if word & (direction.bit() | CLOSED) != 0 {
            drop(waiters);
            return Poll::Ready(if word & direction.bit() != 0 {
                Ok(Readiness(word))
            } else {
                Err(super::closed())
            });
        }
        let list = &mut waiters[direction as usize];
        let unused = match name {
            Some(name) => list.add_named(name, waker),
            None => list.add(waker),
        };
        let armed = rearm(poller, key, &waiters);
        drop(waiters);
        drop(unused);
        match armed {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Takes a named waiter back; the caller drops what it gets.
    pub(super) fn remove_waiter(&self, direction: Direction, name: Name) -> Option<Waker> {
        self.waiters.lock()[direction as usize].remove(name)
    }

    /// The operation would have blocked: nothing is left of what it had `seen`.
    #[inline]
    pub(super) fn clear(&self, direction: Direction, seen: Readiness) {
        let bits = match direction {
            Direction::Read => READ | MORE,
            Direction::Write => WRITE,
        };
        // Relaxed failure: nothing is done with the word but compare its tick.
        let _ = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word / TICK == seen.0 / TICK).then_some(word & !bits)
            });
    }

    /// A read got less than it asked for. Where that proves that nothing is left, it saves the call that would say so.
    #[inline]
    pub(super) fn clear_after_short_read(&self, seen: Readiness) {
        if seen.0 & MORE == 0 {
            self.clear(Direction::Read, seen);
        }
    }

    /// Takes in an event: first the word, then the waiters of the directions that became ready.
    pub(super) fn deliver(&self, poller: &Poller, event: Event, ready: &mut Vec<Waker>) {
        let flag = |set: bool, bit: usize| if set { bit } else { 0 };
        let bits = flag(event.read, READ) | flag(event.write, WRITE) | flag(event.more, MORE);
        let update = |word: usize| Some((word | bits).wrapping_add(TICK));
        // The closure never says no.
        let _ = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, update);
        let mut waiters = self.waiters.lock();
        if event.read {
            waiters[Direction::Read as usize].take(ready);
        }
        if event.write {
            waiters[Direction::Write as usize].take(ready);
        }
        if rearm(poller, event.key, &waiters).is_err() {
            // Whoever still waits would wait for ever; it finds the error itself when it tries to wait again.
            waiters.iter_mut().for_each(|list| list.take(ready));
        }
    }

    /// From now on waiting is an error. Takes everybody who waits.
    pub(super) fn close(&self, ready: &mut Vec<Waker>) {
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
        self.take_waiters(ready);
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiters.lock().iter().any(|list| !list.is_empty())
    }

    pub(super) fn take_waiters(&self, ready: &mut Vec<Waker>) {
        let mut waiters = self.waiters.lock();
        waiters.iter_mut().for_each(|list| list.take(ready));
    }
}

/// One-shot pollers forget a source with each event: ask again for the directions that have waiters.
#[inline]
fn rearm(poller: &Poller, key: usize, waiters: &[Waiters; 2]) -> io::Result<()> {
    let [read, write] = [!waiters[0].is_empty(), !waiters[1].is_empty()];
    if read || write {
        poller.rearm(key, read, write)?;
    }
    Ok(())
}
