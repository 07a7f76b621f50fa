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
use super::waiters::{Handle, Name, Names, Owner, Waiters};

/// Worth trying to read.
const READ: usize = 1;
/// Worth trying to write.
const WRITE: usize = 2;
/// A short read does not prove that nothing is left: an end, an error or urgent data may stand behind it.
const MORE: usize = 4;
/// The reactor is closed: waiting is an error. Set once.
const CLOSED: usize = 8;
/// Of the events so far somebody was told who asked whether to read, though they were mere flags; see [`State::tell`].
const TOLD_READ: usize = 16;
/// The same for writing.
const TOLD_WRITE: usize = 32;
/// The poller has failed for good: waiting is an error. Set once.
const FAILED: usize = 64;
/// The tick begins here. It wraps after 2^57 events (2^25 on a 32-bit system), between two looks of one operation.
const TICK: usize = 128;

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

    #[inline]
    fn told(self) -> usize {
        match self {
            Direction::Read => TOLD_READ,
            Direction::Write => TOLD_WRITE,
        }
    }
}

/// What an operation saw before it made its system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness(usize);

impl Readiness {
    /// Whether an event came between the two looks.
    pub(crate) fn is_newer_than(self, other: Readiness) -> bool {
        self.0 / TICK != other.0 / TICK
    }
}

/// What must be so for [`State::wait`] not to wait.
#[derive(Clone, Copy)]
enum Until {
    /// An attempt is worth while.
    Ready,
    /// The same, and that is news: an event has come since this look, or nobody was told of the last one.
    News(Readiness),
}

impl Until {
    fn is_met_by(self, word: usize, direction: Direction) -> bool {
        word & direction.bit() != 0
            && match self {
                Until::Ready => true,
                Until::News(seen) => {
                    word & direction.told() == 0 || Readiness(word).is_newer_than(seen)
                }
            }
    }
}

#[derive(Default)]
struct Lists {
    /// By direction.
    waiters: [Waiters; 2],
    names: Names,
}

pub(super) struct State {
    /// The bits and the tick above. Set by the thread with the driver ([`State::deliver`], Release) before it takes the
    /// waiters; cleared by operations that would block; loaded (Acquire) by every operation, and again under the lock
    /// of `lists` before one waits.
    word: AtomicUsize,
    lists: Mutex<Lists>,
}

impl State {
    /// A fresh source counts as ready: its first operation tries at once. What the fd was ready for when it was
    /// registered comes as an event of its own.
    pub(super) fn new() -> State {
        State {
            word: AtomicUsize::new(READ | WRITE),
            lists: Mutex::default(),
        }
    }

    /// Whether `direction` is worth a try.
    #[inline]
    pub(super) fn check(&self, direction: Direction) -> Option<Readiness> {
        let word = self.word.load(Ordering::Acquire);
        (word & direction.bit() != 0).then_some(Readiness(word))
    }

    /// Ready, or the task's waker is left here.
    #[inline]
    pub(super) fn poll_ready(
        &self,
        poller: &Poller,
        key: usize,
        direction: Direction,
        owner: Owner<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        if let Some(seen) = self.check(direction) {
            return Poll::Ready(Ok(seen));
        }
        self.wait(poller, key, direction, Until::Ready, owner, cx)
    }

    /// For somebody who has `seen` flags that others were told of before: ready with the next event.
    pub(super) fn poll_news(
        &self,
        poller: &Poller,
        key: usize,
        direction: Direction,
        seen: Readiness,
        owner: Owner<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.wait(poller, key, direction, Until::News(seen), owner, cx)
    }

    /// Not ready at first sight. Out of the way of operations that are.
    #[inline(never)]
    fn wait(
        &self,
        poller: &Poller,
        key: usize,
        direction: Direction,
        until: Until,
        owner: Owner<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        if poller.in_forked_child() {
            return Poll::Ready(Err(super::inherited()));
        }
        // Cloned before the lock and dropped after it: both are foreign code.
        let waker = cx.waker().clone();
        let mut lists = self.lists.lock();
        let word = self.word.load(Ordering::Acquire);
        let met = until.is_met_by(word, direction);
        if met || word & (CLOSED | FAILED) != 0 {
            drop(lists);
            return Poll::Ready(if met {
                Ok(Readiness(word))
            } else if word & FAILED != 0 {
                Err(super::failed())
            } else {
                Err(super::closed())
            });
        }
        let Lists { waiters, names } = &mut *lists;
        let displaced = waiters[direction as usize].add(owner, names, waker);
        let armed = rearm(poller, key, waiters);
        drop(lists);
        displaced.settle();
        match armed {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Names one more handle of the object.
    pub(super) fn new_handle(&self) -> Handle {
        self.lists.lock().names.handle()
    }

    /// Takes a handle's waiters back; the caller drops what it gets.
    pub(super) fn remove_handle(&self, handle: Handle) -> Vec<Waker> {
        let mut removed = Vec::new();
        let mut lists = self.lists.lock();
        for waiters in &mut lists.waiters {
            waiters.remove_handle(handle, &mut removed);
        }
        removed
    }

    /// Takes a future's waiter back; the caller drops what it gets.
    pub(super) fn remove_waiter(&self, direction: Direction, name: Name) -> Option<Waker> {
        self.lists.lock().waiters[direction as usize].remove(name)
    }

    /// What was `seen` is worth a try, but by flags alone, like an error, that may stay up when an operation would block
    /// again. True: nobody was told of it yet. So who asks for readiness and then tries is told once for each event, and
    /// then waits for the next.
    pub(super) fn tell(&self, direction: Direction, seen: Readiness) -> bool {
        let mark = |word: usize| {
            let is_old = word / TICK == seen.0 / TICK && word & direction.told() != 0;
            (!is_old).then_some(word | direction.told())
        };
        // Relaxed failure: nothing is done with the word.
        (self.word)
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, mark)
            .is_ok()
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
        let told = flag(event.read, TOLD_READ) | flag(event.write, TOLD_WRITE);
        let update = |word: usize| Some((word & !told | bits).wrapping_add(TICK));
        // The closure never says no.
        let _ = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, update);
        let waiters = &mut self.lists.lock().waiters;
        if event.read {
            waiters[Direction::Read as usize].take(ready);
        }
        if event.write {
            waiters[Direction::Write as usize].take(ready);
        }
        if rearm(poller, event.key, waiters).is_err() {
            // Whoever still waits would wait for ever; it finds the error itself when it tries to wait again.
            waiters.iter_mut().for_each(|list| list.take(ready));
        }
    }

    /// From now on waiting is an error. Takes everybody who waits.
    pub(super) fn close(&self, ready: &mut Vec<Waker>) {
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
        self.take_waiters(ready);
    }

    /// The same since the poller has failed.
    pub(super) fn fail(&self, ready: &mut Vec<Waker>) {
        self.word.fetch_or(FAILED, Ordering::AcqRel);
        self.take_waiters(ready);
    }

    pub(super) fn has_waiters(&self) -> bool {
        let lists = self.lists.lock();
        lists.waiters.iter().any(|list| !list.is_empty())
    }

    pub(super) fn take_waiters(&self, ready: &mut Vec<Waker>) {
        let mut lists = self.lists.lock();
        lists.waiters.iter_mut().for_each(|list| list.take(ready));
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

#[cfg(test)]
mod tests;
