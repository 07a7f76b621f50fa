//! What is known about one registered fd: a word of readiness, and the waiters.
//!
//! Every operation reads the word without a lock. The word holds a *tick* that counts the events,
//! so that "would block" clears only the readiness that the operation has seen: if an event came in
//! between, its readiness stays.

use std::io;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

use super::Poller;
use super::event::Event;
use super::ready::Ready;
use super::waiters::{Displaced, Handle, Name, Names, Owner, Waiters};

/// A read is worth an attempt.
const READ: usize = 1;
/// A write is worth an attempt.
const WRITE: usize = 2;
/// A short read does not prove that nothing is left: an end, an error or urgent data may follow.
const MORE: usize = 4;
/// The reactor is closed: waiting is an error. Set once.
const CLOSED: usize = 8;
/// A caller was told to read because of flags alone, and no event has come since; see
/// [`State::tell`].
const TOLD_READ: usize = 16;
/// The same for writing.
const TOLD_WRITE: usize = 32;
/// The poller has failed for good: waiting is an error. Set once.
const FAILED: usize = 64;
/// The flags of [`Ready`] begin here: what events have told those who ask for flags.
const FLAGS: u32 = 7;
/// The tick begins here. It wraps after 2^51 events (2^19 on a 32-bit system), which would have to
/// come between two reads of the word by one operation to do harm.
const TICK: usize = 1 << (FLAGS + Ready::COUNT);

/// The direction of an operation.
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

impl Ready {
    /// The flags at their place in the word.
    #[inline]
    const fn in_word(self) -> usize {
        self.bits() << FLAGS
    }

    #[inline]
    const fn of_word(word: usize) -> Ready {
        Ready::from_bits(word >> FLAGS)
    }
}

/// The word that an operation read before it made its system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness(usize);

impl Readiness {
    /// Before the first event.
    pub(super) const FIRST: Readiness = Readiness(0);

    /// Whether an event came between the two readings.
    pub(crate) fn is_newer_than(self, other: Readiness) -> bool {
        self.0 / TICK != other.0 / TICK
    }
}

/// Flags that were seen, with the word that they stood in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) flags: Ready,
    word: Readiness,
}

impl Seen {
    /// Whether an event came between the two.
    #[cfg(all(test, not(any(windows, executor_portable = "oneshot"))))]
    pub(crate) fn is_newer_than(self, other: Seen) -> bool {
        self.word.is_newer_than(other.word)
    }
}

/// The condition on which [`State::wait`] does not wait.
#[derive(Clone, Copy)]
enum Until {
    /// An attempt is worth while.
    Ready(Direction),
    /// An attempt is worth while, and that is news: an event has come since this reading, or nobody
    /// was told of the last one.
    News(Direction, Readiness),
    /// One of the flags is up.
    Flags(Ready),
    /// One of the flags is up, and that is news: an event has come since, or the flag is not one of
    /// those that stay up for ever.
    NewFlags(Ready, Seen),
}

impl Until {
    fn is_met_by(self, word: usize) -> bool {
        match self {
            Until::Ready(direction) => word & direction.bit() != 0,
            Until::News(direction, seen) => {
                word & direction.bit() != 0
                    && (word & direction.told() == 0 || Readiness(word).is_newer_than(seen))
            }
            Until::Flags(of) => Ready::of_word(word).intersects(of),
            Until::NewFlags(of, seen) => {
                let found = Ready::of_word(word) & of;
                !(found - Ready::CLOSED).is_empty()
                    || !found.is_empty() && Readiness(word).is_newer_than(seen.word)
            }
        }
    }

    /// Who waits for flags learns of the end even if there are some.
    fn asks_for_flags(self) -> bool {
        matches!(self, Until::Flags(_) | Until::NewFlags(..))
    }

    /// Whether the waiter belongs to the readers, and whether to the writers.
    fn lists(self) -> [bool; 2] {
        match self {
            Until::Ready(direction) | Until::News(direction, _) => {
                [direction == Direction::Read, direction == Direction::Write]
            }
            Until::Flags(of) | Until::NewFlags(of, _) => [
                !(of - Ready::FOR_WRITERS).is_empty(),
                of.intersects(Ready::FOR_WRITERS),
            ],
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
    /// The bits and the tick above. [`State::deliver`], on the thread that holds the driver, sets
    /// the ready bits and the flags, clears the told bits and adds to the tick, before it takes the
    /// waiters under the lock of `lists`. [`State::clear`] and [`State::clear_flags`] clear ready
    /// bits and flags; [`State::assume`] sets flags; [`State::tell`], [`State::close`] and
    /// [`State::fail`] set the others. All of these are read-modify-writes (AcqRel). Operations
    /// load it (Acquire): [`State::check`] and [`State::seen`] without the lock, and
    /// [`State::wait`] again under the lock before it stores a waker. So either `wait` sees the new
    /// bits, or `deliver` finds the waker.
    word: AtomicUsize,
    lists: Mutex<Lists>,
}

impl State {
    /// A new source counts as ready, so its first operation makes its attempt at once. If the fd is
    /// ready when it is registered, the poller reports that as an event.
    pub(super) fn new() -> State {
        State {
            word: AtomicUsize::new(READ | WRITE),
            lists: Mutex::default(),
        }
    }

    /// The readiness, if an operation in `direction` is worth an attempt.
    #[inline]
    pub(super) fn check(&self, direction: Direction) -> Option<Readiness> {
        let word = self.word.load(Ordering::Acquire);
        (word & direction.bit() != 0).then_some(Readiness(word))
    }

    /// Returns the readiness, or stores the task's waker.
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
        self.wait(poller, key, Until::Ready(direction), owner, cx)
    }

    /// For a caller to which [`State::tell`] has said `false` for `seen`: ready with the next
    /// event.
    pub(super) fn poll_news(
        &self,
        poller: &Poller,
        key: usize,
        direction: Direction,
        seen: Readiness,
        owner: Owner<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.wait(poller, key, Until::News(direction, seen), owner, cx)
    }

    /// The flags of `of` that are up.
    #[inline]
    pub(super) fn seen(&self, of: Ready) -> Seen {
        let word = self.word.load(Ordering::Acquire);
        Seen {
            flags: Ready::of_word(word) & of,
            word: Readiness(word),
        }
    }

    /// Returns the flags of `of` that are up, or stores the task's waker. With `since`, final flags
    /// count only if an event has come after it.
    #[inline]
    pub(super) fn poll_seen(
        &self,
        poller: &Poller,
        key: usize,
        of: Ready,
        since: Option<Seen>,
        owner: Owner<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Seen>> {
        let until = match since {
            None => Until::Flags(of),
            Some(seen) => Until::NewFlags(of, seen),
        };
        let word = self.word.load(Ordering::Acquire);
        let seen = if word & (CLOSED | FAILED) == 0 && until.is_met_by(word) {
            Readiness(word)
        } else {
            std::task::ready!(self.wait(poller, key, until, owner, cx))?
        };
        Poll::Ready(Ok(Seen {
            flags: Ready::of_word(seen.0) & of,
            word: seen,
        }))
    }

    /// The slow path of [`State::poll_ready`]. Not inlined, so that operations that are ready do
    /// not carry it.
    #[inline(never)]
    fn wait(
        &self,
        poller: &Poller,
        key: usize,
        until: Until,
        mut owner: Owner<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        if poller.in_forked_child() {
            return Poll::Ready(Err(super::inherited()));
        }
        // Cloned before the lock is taken and dropped after it is released: both may be foreign
        // code.
        let [reads, writes] = until.lists();
        let mut wakers = [reads, writes].map(|waits| waits.then(|| cx.waker().clone()));
        let mut lists = self.lists.lock();
        let word = self.word.load(Ordering::Acquire);
        let ended = word & (CLOSED | FAILED) != 0;
        let met = until.is_met_by(word) && !(ended && until.asks_for_flags());
        if met || ended {
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
        let mut displaced = [Displaced::Nothing, Displaced::Nothing];
        for ((list, waker), displaced) in waiters.iter_mut().zip(&mut wakers).zip(&mut displaced) {
            if let Some(waker) = waker.take() {
                *displaced = list.add(owner.reborrow(), names, waker);
            }
        }
        let armed = rearm(poller, key, waiters);
        drop(lists);
        displaced.into_iter().for_each(Displaced::settle);
        match armed {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Names one more handle of the object.
    pub(super) fn new_handle(&self) -> Handle {
        self.lists.lock().names.handle()
    }

    /// Removes a handle's waiters, for the caller to drop.
    pub(super) fn remove_handle(&self, handle: Handle) -> Vec<Waker> {
        let mut removed = Vec::new();
        let mut lists = self.lists.lock();
        for waiters in &mut lists.waiters {
            waiters.remove_handle(handle, &mut removed);
        }
        removed
    }

    /// Removes a future's waiter, for the caller to drop.
    pub(super) fn remove_waiter(&self, direction: Direction, name: Name) -> Option<Waker> {
        self.lists.lock().waiters[direction as usize].remove(name)
    }

    /// Removes the waiter of a future that may be in both lists, for the caller to drop.
    pub(super) fn remove_waiter_of_flags(&self, name: Name) -> [Option<Waker>; 2] {
        let [read, write] = &mut self.lists.lock().waiters;
        [read.remove(name), write.remove(name)]
    }

    /// Whether the flags `seen` are news. The caller has found that an attempt is worth while
    /// because of flags alone, such as an error, which the system may go on reporting although an
    /// operation would block. `true`: nobody was told of the last event yet. So a loop that asks
    /// for readiness and then tries is told once for each event, and waits for the next one.
    pub(super) fn tell(&self, direction: Direction, seen: Readiness) -> bool {
        let mark = |word: usize| {
            let is_old = word / TICK == seen.0 / TICK && word & direction.told() != 0;
            (!is_old).then_some(word | direction.told())
        };
        // Relaxed failure: the word is not used.
        (self.word)
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, mark)
            .is_ok()
    }

    /// Clears the readiness after an operation would have blocked, unless an event came after
    /// `seen` was read.
    #[inline]
    pub(super) fn clear(&self, direction: Direction, seen: Readiness) {
        let bits = match direction {
            Direction::Read => READ | MORE | Ready::READABLE.in_word(),
            Direction::Write => WRITE | Ready::WRITABLE.in_word(),
        };
        // Relaxed failure: only the tick of the word is compared.
        let _ = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word / TICK == seen.0 / TICK).then_some(word & !bits)
            });
    }

    /// Clears the readiness after a read got less than it asked for. If that proves that nothing is
    /// left, it saves the system call that would say so.
    #[inline]
    pub(super) fn clear_after_short_read(&self, seen: Readiness) {
        if seen.0 & MORE == 0 {
            self.clear(Direction::Read, seen);
        }
    }

    /// Clears the flags `seen`, unless an event came after they were. Those of a closed direction
    /// stay.
    #[inline]
    pub(super) fn clear_flags(&self, seen: Seen) {
        let bits = (seen.flags - Ready::CLOSED).in_word();
        // Relaxed failure: only the tick of the word is compared.
        let _ = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word / TICK == seen.word.0 / TICK).then_some(word & !bits)
            });
    }

    /// Raises flags of which no event has told yet.
    pub(super) fn assume(&self, flags: Ready) {
        self.word.fetch_or(flags.in_word(), Ordering::AcqRel);
    }

    /// Takes in an event: first changes the word, then takes the waiters of the directions that
    /// became ready.
    pub(super) fn deliver(&self, poller: &Poller, event: Event, ready: &mut Vec<Waker>) {
        let flag = |set: bool, bit: usize| if set { bit } else { 0 };
        let bits = flag(event.read, READ)
            | flag(event.write, WRITE)
            | flag(event.more, MORE)
            | event.flags.in_word();
        let told = flag(event.read, TOLD_READ) | flag(event.write, TOLD_WRITE);
        let update = |word: usize| Some((word & !told | bits).wrapping_add(TICK));
        // `update` always returns `Some`.
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
            // A task that still waits would wait for ever. Woken, it finds the error when it tries
            // to wait again.
            waiters.iter_mut().for_each(|list| list.take(ready));
        }
    }

    /// Makes waiting an error from now on, and takes all waiters.
    pub(super) fn close(&self, ready: &mut Vec<Waker>) {
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
        self.take_waiters(ready);
    }

    /// The same after the poller has failed.
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

/// A one-shot poller forgets a source with each event: this asks again for the directions that have
/// waiters.
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
