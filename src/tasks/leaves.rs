//! Where each task waits, recorded all the time: what has become of the clones of its waker.
//!
//! While this is on, each poll goes through [`poll_recorded`](super::capture::poll_recorded), with
//! the waker that notes call stacks ([`capture`](super::capture)). Of every so many-th clone the
//! stack is kept, and the clone that the future gets is a [`Leaf`]: a waker that stands for the real
//! one, and takes note when it is called, and when it is dropped. So a stack is known to be that of
//! a wait for as long as its leaf has been neither called nor dropped, and nobody is polled to learn
//! it.
//!
//! # Protocol
//!
//! 1. `clone` makes a [`Leaf`] and its [`Note`] ([`keep`]). Whoever has the leaf has the real waker;
//!    the table below has only notes. So the table keeps no task alive, and a leaf that outlives its
//!    runtime wakes and drops like the waker it stands for.
//! 2. When the poll is over and the task waits, the notes of its clones replace those of its last
//!    poll ([`Leaves::pending`]). This is part of the poll: the next one has not begun, and the task
//!    has not ended.
//! 3. When the task ends, it leaves the table ([`Leaves::finished`]).
//!
//! A leaf is another waker for `will_wake` than the one that the next poll is made with. So while
//! every clone is kept, a future clones the waker in each poll, and the notes of a poll are the
//! places at which its task waits then. [`futurelock`] is built on that.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::task::{Wake, Waker};

use crossbeam_utils::CachePadded;

use super::wakers;
use crate::clock::{self, Instant};
use crate::stacks::TaskStack;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Arc, Mutex};

mod futurelock;

use futurelock::{After, TaskLeaves};
pub(crate) use futurelock::{LASTING, Snoozed};

const PIECES: usize = 16;

/// Sets of places that are remembered as harmless: 512 KiB. A program has some hundred.
const MOST_SETS: usize = 1 << 16;

/// What is known of one clone of a task's waker.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) stack: TaskStack,
    fate: Mutex<Fate>,
}

/// What has become of a clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Somebody has it.
    Waits,
    /// It was called, for the first time at this moment.
    Woken(Instant),
    /// It was dropped, and had not been called.
    Dropped,
}

impl Note {
    pub(crate) fn fate(&self) -> Fate {
        *self.fate.lock()
    }

    /// The first change is the one that counts.
    fn becomes(&self, fate: impl FnOnce() -> Fate) {
        let mut known = self.fate.lock();
        if *known == Fate::Waits {
            *known = fate();
        }
    }
}

/// A waker that stands for the real one. `IS_OWN`: that one is known to be of this crate, and so
/// is this: see [`wakers`].
struct Leaf<const IS_OWN: bool> {
    real: Waker,
    note: Arc<Note>,
}

impl<const IS_OWN: bool> Wake for Leaf<IS_OWN> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // `note` changes before `real` is woken, so the poll that `real` causes finds `Fate::Woken`.
        self.note.becomes(|| Fate::Woken(clock::now()));
        self.real.wake_by_ref();
    }
}

impl<const IS_OWN: bool> Drop for Leaf<IS_OWN> {
    fn drop(&mut self) {
        self.note.becomes(|| Fate::Dropped);
    }
}

/// Step 1: a clone of this waker that is kept in view.
pub(super) fn keep(real: &Waker, stack: TaskStack) -> (Waker, Arc<Note>) {
    let note = Arc::new(Note {
        stack,
        fate: Mutex::new(Fate::Waits),
    });
    let (real, noted) = (real.clone(), note.clone());
    let waker = match wakers::is_own(&real) {
        true => {
            let waker = Waker::from(Arc::new(Leaf::<true> { real, note: noted }));
            wakers::note_own(&waker);
            waker
        }
        false => Waker::from(Arc::new(Leaf::<false> { real, note: noted })),
    };
    (waker, note)
}

/// What a poll has noted.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) notes: Vec<Arc<Note>>,
    /// There were clones beyond those that might have been kept, or some whose stack nobody can read.
    pub(super) is_incomplete: bool,
}

/// Of each task of a runtime: see the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    /// Every so many-th clone is kept. Written when a runtime begins, and when it has ended.
    /// `Relaxed`: a clone that is kept or not by mistake does no harm.
    every: AtomicU32,
    /// By tag, in pieces by the number of the task.
    tasks: [CachePadded<Mutex<HashMap<u64, TaskLeaves>>>; PIECES],
    /// Sets of places at which no future was found that is not polled: see [`futurelock`].
    harmless: Mutex<HashSet<u64>>,
}

/// What is known of a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// Where it waits, as of its last poll.
    pub(crate) waits: Vec<TaskStack>,
    /// Where it waited last, if that is not known.
    pub(crate) waited: Vec<TaskStack>,
    pub(crate) snoozed: Vec<Snoozed>,
}

impl Leaves {
    pub(super) fn begin(&self, every: u32) {
        self.every.store(every, Ordering::Relaxed);
        for piece in &self.tasks {
            *piece.lock() = HashMap::new();
        }
        *self.harmless.lock() = HashSet::new();
    }

    fn piece(&self, tag: u64) -> &Mutex<HashMap<u64, TaskLeaves>> {
        &self.tasks[super::id_in(tag).number() as usize % PIECES]
    }

    /// Whether the clone that is about to be made is one to keep.
    pub(super) fn is_due(&self) -> bool {
        std::thread_local! {
            static CLONES: Cell<u32> = const { Cell::new(0) };
        }
        match self.every.load(Ordering::Relaxed) {
            0 => false,
            1 => true,
            every => {
                let clones = CLONES.get().wrapping_add(1);
                CLONES.set(clones);
                clones % every == 0
            }
        }
    }

    /// Step 2. `true`: the task is to be polled once more, see [`futurelock`].
    pub(super) fn pending(&self, tag: u64, polled: Polled) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        if every != 1 {
            if every != 0 && !polled.notes.is_empty() {
                let mut piece = self.piece(tag).lock();
                piece.entry(tag).or_default().keep(polled.notes);
            }
            return false;
        }
        let is_harmless = |set| self.harmless.lock().contains(&set);
        let after = {
            let mut piece = self.piece(tag).lock();
            (piece.entry(tag).or_default()).pending(polled, clock::now(), is_harmless)
        };
        if let After::Harmless(set) = after {
            let mut harmless = self.harmless.lock();
            if harmless.len() < MOST_SETS {
                harmless.insert(set);
            }
        }
        after == After::LookAgain
    }

    /// Step 3.
    pub(crate) fn finished(&self, tag: u64) {
        let gone = self.piece(tag).lock().remove(&tag);
        drop(gone);
    }

    /// What is known of a task.
    pub(crate) fn of(&self, tag: u64) -> Option<Places> {
        self.piece(tag).lock().get(&tag).map(TaskLeaves::places)
    }

    /// Tasks of which something is known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.tasks.iter().map(|piece| piece.lock().len()).sum()
    }
}
