//! The ledger: one place per task that is alive, and counts of how the others ended.
//!
//! # What it shows
//!
//! spawned = finished + cancelled + panicked, each future dropped exactly once; no poll after the end, no two polls at
//! once; the future gone before its handle tells, and the handle telling what the future saw.
//!
//! # How
//!
//! Places are static and never freed, so a future that is dropped twice, or polled after its end, finds the mark of its own
//! end, or another task's number, instead of freed memory. A task takes a place by a compare-exchange, looking at
//! places in turn from a random one: nothing is shared by all spawns. A place's word holds its number of uses and the flags
//! below; whatever happens to the task is one read-modify-write of it, and what was there before tells whether it may
//! happen. Who lets go of the place last (future, handle) clears it. Events are counted in shards by place.
//!
//! A task costs about ten uncontended atomic operations, and the memory is the same for one task or 10^9.
//!
//! All orders are relaxed except where a handle tells: the flags of one word are ordered by themselves. There it is
//! acquire: the runtime promises that the future is gone by then, and the ledger must not see an older word.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use super::clock::now;
use super::{fault, runnable};
use crate::runtimes::Outcome;

/// Holds of the place.
pub(super) const FUTURE: u64 = 1;
pub(super) const HANDLE: u64 = 1 << 1;
/// A poll is going on.
pub(super) const POLLING: u64 = 1 << 2;
/// The last poll gave the output, or panicked; or dropping the future panicked.
const FINISHED: u64 = 1 << 3;
const PANICKED: u64 = 1 << 4;
const DROP_PANICKED: u64 = 1 << 5;
/// Somebody asked the task to end, or is about to stop its runtime.
const ASKED: u64 = 1 << 6;
const FLAGS: u64 = 0xff;
const ONE_USE: u64 = FLAGS + 1;

pub(super) const PLACES: usize = 1 << 13;
const SHARDS: usize = 16;

macro_rules! kinds {
    ($($kind:ident,)*) => {
        /// What a task does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($kind,)* }
        pub(crate) const KINDS: &[Kind] = &[$(Kind::$kind,)*];
    };
}

kinds! {
    Quick, Yield, Wait, Sleep, Timeout, Channel, Parent, Blocking, Stall, Socket,
    // Spawned by those.
    Sender, Waker, Waiter, Reader, Job,
    // Live as long as the soak.
    Spawner, Listener, Echo,
    // In a runtime that ends before them.
    Small, Forever,
}

#[repr(align(64))]
pub(super) struct Place {
    pub(super) word: AtomicU64,
    pub(super) born: AtomicU64,
    pub(super) seed: AtomicU64,
    pub(super) polls: AtomicU32,
    kind: AtomicU8,
}

impl Place {
    pub(super) fn kind(&self) -> Kind {
        KINDS[usize::from(self.kind.load(Relaxed))]
    }
}

static TABLE: [Place; PLACES] = [const {
    Place {
        word: AtomicU64::new(0),
        born: AtomicU64::new(0),
        seed: AtomicU64::new(0),
        polls: AtomicU32::new(0),
        kind: AtomicU8::new(0),
    }
}; PLACES];

pub(super) fn place(index: u32) -> &'static Place {
    &TABLE[index as usize]
}

/// How tasks ended, and what handles told.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    Spawned,
    Finished,
    Panicked,
    Cancelled,
    ToldFinished,
    ToldPanicked,
    ToldCancelled,
    NotAsked,
}
pub(crate) const EVENTS: usize = 8;

#[repr(align(128))]
struct Shard([[AtomicU64; EVENTS]; KINDS.len()]);

static COUNTS: [Shard; SHARDS] =
    [const { Shard([const { [const { AtomicU64::new(0) }; EVENTS] }; KINDS.len()]) }; SHARDS];

fn count(index: u32, kind: Kind, event: Event) {
    let shard = &COUNTS[index as usize % SHARDS];
    shard.0[kind as usize][event as usize].fetch_add(1, Relaxed);
}

/// All counts of one kind, in the order of [`Event`].
pub(crate) fn counts(kind: Kind) -> [u64; EVENTS] {
    let mut sums = [0; EVENTS];
    for shard in &COUNTS {
        for (sum, count) in sums.iter_mut().zip(&shard.0[kind as usize]) {
            *sum += count.load(Relaxed);
        }
    }
    sums
}

pub(crate) fn totals() -> [u64; EVENTS] {
    let mut sums = [0; EVENTS];
    for kind in KINDS {
        for (sum, count) in sums.iter_mut().zip(counts(*kind)) {
            *sum += count;
        }
    }
    sums
}

/// How many futures have not been dropped. Exact when nothing is spawned meanwhile: ends are read first.
pub(crate) fn outstanding() -> i64 {
    let ended: u64 = totals()[1..4].iter().sum();
    totals()[Event::Spawned as usize] as i64 - ended as i64
}

/// Enters a task: the future's side and the handle's.
pub(super) fn enter(kind: Kind, seed: u64) -> (Seen, Ticket) {
    let (index, word) = take();
    let place = place(index);
    place.born.store(now(), Relaxed);
    place.seed.store(seed, Relaxed);
    place.polls.store(0, Relaxed);
    place.kind.store(kind as u8, Relaxed);
    runnable::clear(index);
    count(index, kind, Event::Spawned);
    let key = Key {
        index,
        uses: word / ONE_USE,
    };
    (Seen { key, kind }, Ticket { key, kind })
}

fn take() -> (u32, u64) {
    thread_local! {
        static NEXT: Cell<u32> = Cell::new(fastrand::u32(..));
    }
    for _ in 0..PLACES * 4 {
        let index = NEXT.with(|next| {
            // An odd step reaches every place; this one leaves the cache line of the runnable marks.
            next.set(next.get().wrapping_add(1677));
            next.get() % PLACES as u32
        });
        let word = &place(index).word;
        let seen = word.load(Relaxed);
        if seen & FLAGS == 0 {
            let mine = (seen + ONE_USE) | FUTURE | HANDLE;
            if word.compare_exchange(seen, mine, AcqRel, Relaxed).is_ok() {
                return (index, mine);
            }
        }
    }
    fault::broken("the ledger is full", "");
    panic!("the ledger is full: {} tasks", outstanding());
}

/// Names one use of one place.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) index: u32,
    pub(super) uses: u64,
}

impl Key {
    /// Whether `word` is of this use.
    pub(super) fn is_mine(self, word: u64) -> bool {
        word / ONE_USE == self.uses
    }

    /// Sets `set` and clears `clear`; gives what was there.
    fn change(self, set: u64, clear: u64, what: &str) -> u64 {
        let seen = match clear {
            0 => place(self.index).word.fetch_or(set, AcqRel),
            _ => place(self.index).word.fetch_and(!clear, AcqRel),
        };
        if !self.is_mine(seen) {
            self.broken(what, seen);
        }
        seen
    }

    fn let_go(self, hold: u64) -> u64 {
        let word = &place(self.index).word;
        let mut seen = word.load(Acquire);
        loop {
            if !self.is_mine(seen) || seen & hold == 0 {
                self.broken("dropped twice", seen);
                return seen;
            }
            let left = match (seen & !hold) & (FUTURE | HANDLE) {
                0 => seen & !FLAGS,
                _ => seen & !hold,
            };
            match word.compare_exchange_weak(seen, left, AcqRel, Acquire) {
                Ok(_) => return seen,
                Err(now) => seen = now,
            }
        }
    }

    fn broken(self, what: &str, word: u64) {
        let place = place(self.index);
        let detail = format!(
            "{:?}, seed {:#x}, {} polls, flags {:#b}{}",
            place.kind(),
            place.seed.load(Relaxed),
            place.polls.load(Relaxed),
            word & FLAGS,
            if self.is_mine(word) {
                ""
            } else {
                ", the place is another's"
            },
        );
        fault::broken(what, &detail);
    }
}

/// The future's side of the ledger; dropped right after the future.
pub(super) struct Seen {
    pub(super) key: Key,
    pub(super) kind: Kind,
}

impl Seen {
    pub(super) fn begins(&self) {
        let seen = self.key.change(POLLING, 0, "polled after it was dropped");
        if seen & POLLING != 0 {
            self.key.broken("polled twice at once", seen);
        }
        if seen & (FINISHED | PANICKED) != 0 || seen & FUTURE == 0 {
            self.key.broken("polled after its end", seen);
        }
        let polls = &place(self.key.index).polls;
        polls.store(polls.load(Relaxed) + 1, Relaxed);
    }

    /// `Some(false)`: pending; `None`: the poll panicked.
    pub(super) fn ends(&self, ready: Option<bool>) {
        match ready {
            Some(false) => {}
            Some(true) => drop(self.key.change(FINISHED, 0, "finished twice")),
            None => drop(self.key.change(PANICKED, 0, "panicked twice")),
        }
        self.key.change(0, POLLING, "dropped within a poll");
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let word = place(self.key.index).word.load(Relaxed);
        // Only a destructor can be unwinding here: a poll's panic has been caught by whoever polls.
        if std::thread::panicking() && word & PANICKED == 0 {
            self.key.change(DROP_PANICKED, 0, "dropped twice");
        }
        if word & POLLING != 0 {
            self.key.broken("dropped within a poll", word);
        }
        let event = match word {
            word if word & PANICKED != 0 => Event::Panicked,
            word if word & FINISHED != 0 => Event::Finished,
            _ => Event::Cancelled,
        };
        count(self.key.index, self.kind, event);
        self.key.let_go(FUTURE);
    }
}

/// The handle's side.
pub(super) struct Ticket {
    key: Key,
    kind: Kind,
}

impl Ticket {
    /// Before the task is asked to end.
    pub(super) fn asks(&self) {
        self.key.change(ASKED, 0, "asked after it was let go");
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// The handle has told. `exact`: see [`Runtime::EXACT`](crate::runtimes::Runtime::EXACT).
    pub(super) fn told(self, outcome: Outcome<u64>, expected: u64, exact: bool) {
        let word = place(self.key.index).word.load(Acquire);
        if word & FUTURE != 0 {
            self.key.broken("told before the future was gone", word);
        }
        let has = |flag| word & flag != 0;
        let (event, agrees) = match outcome {
            Outcome::Finished(value) => {
                let right = value == expected && has(FINISHED);
                (Event::ToldFinished, right && !(exact && has(DROP_PANICKED)))
            }
            Outcome::Panicked => (Event::ToldPanicked, has(PANICKED) || has(DROP_PANICKED)),
            Outcome::Cancelled => {
                // Else an output, or a panic, may be lost to a cancellation.
                let right = !exact || !(has(FINISHED) || has(PANICKED));
                (Event::ToldCancelled, right && has(ASKED))
            }
        };
        if !agrees {
            let what = match event {
                Event::ToldFinished => "told finished, wrongly",
                Event::ToldPanicked => "told panicked, wrongly",
                _ => "told cancelled, wrongly",
            };
            self.key.broken(what, word);
        }
        count(self.key.index, self.kind, event);
        self.key.let_go(HANDLE);
        std::mem::forget(self);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        count(self.key.index, self.kind, Event::NotAsked);
        self.key.let_go(HANDLE);
    }
}

/// Every task that is alive: its place, and its age in nanoseconds.
pub(super) fn alive() -> impl Iterator<Item = (&'static Place, u64)> {
    let now = now();
    TABLE.iter().filter_map(move |place| {
        let word = place.word.load(Relaxed);
        let age = now.saturating_sub(place.born.load(Relaxed));
        (word & FUTURE != 0).then_some((place, age))
    })
}
