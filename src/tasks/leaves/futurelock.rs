//! Which future was woken, and is not polled by its task any more.
//!
//! A task that waits in the body of a `select!`, or between two items of a `FuturesUnordered`, does
//! not poll what it holds besides. If a lock is handed to such a future, nobody else gets it, and
//! if the task itself waits for that lock, for ever: RFD 609 of Oxide calls that a *futurelock*. It
//! cannot be seen from the lock, nor from the task alone: both are well.
//!
//! # The rule
//!
//! While each clone of a waker is kept. A poll is *complete* if the future has returned `Pending`
//! and all its clones were kept.
//!
//! 1. A leaf that is neither called nor dropped at the end of a complete poll that has noted no
//!    equal stack belongs to a future that this poll has left out: it is *snoozed*. Each future
//!    that is polled and waits has cloned the waker again, as a leaf is another one for `will_wake`.
//! 2. A snoozed future is forgotten when its stack is noted again (it is polled), and when its leaf
//!    is dropped without having been called (so is the future).
//! 3. The leaf is called. If the task waits at another set of places after a later poll, it is
//!    forgotten, too: the future may have been dropped or finished in that poll, and as its leaf is
//!    gone nothing would tell. Likewise if that poll has noted no place: a task that yields has
//!    woken itself without a clone, and may be anywhere.
//! 4. If the task was polled since, and has waited at the same places all the time, for [`LASTING`],
//!    it is told: [`Snoozed`].
//!
//! # Looking again
//!
//! In most such programs the future is polled in the very poll in which the task turns away from
//! it: the arm of a `select!` that is not ready comes before the one that is; `FuturesUnordered`
//! has noted the waker before it gives an item. So the leaf is called before rule 1 holds. When a
//! poll has noted two unlike stacks, its task is therefore woken once, by itself, and the poll that
//! follows decides: stacks that it does not note again are of futures that are not polled. A set
//! of places whose futures were all polled again is remembered for all tasks ([`After::Harmless`]),
//! so a program that is well comes to rest after some hundred such polls. No poll that was made to
//! look is looked at again.
//!
//! # False alarms
//!
//! * A future that has completed, as an arm of a `join!` does: it was polled in each poll before,
//!   so rule 1 never held.
//! * A future that was dropped and has left its waker behind, in an object that lives on: the
//!   receiver of an mpsc channel, a socket. Rule 1 holds for its leaf. So a future is told only if
//!   it is of a kind that takes its waker along when it is dropped. Who prints knows the kinds, as it
//!   takes symbols to tell: [`crate::observe::futurelock`].
//! * A future that is dropped while its leaf is about to be called: tokio's semaphores and
//!   `Notify`, and `FuturesUnordered`, take the waker from its place first, and call it when they
//!   have let go of their lock. Rule 1 does not exclude that: the poll that drops the future may end
//!   between the two. Therefore a leaf that is called within [`IN_FLIGHT`] after rule 1 began to
//!   hold does not count. What remains is a thread that loses its CPU for longer than that between
//!   the two, in the same moment in which the future is dropped. `event-listener` and the mutex of
//!   `futures` call the waker under the lock that the drop takes, so there it cannot happen.
//! * A future that is dropped after it was woken, by a task that then waits at the very same places
//!   again (the same lines, in a loop) for longer than [`LASTING`].
//!
//! # What it does not find
//!
//! A lock that is handed over within [`IN_FLIGHT`] or before the second look; a task that does not
//! wait at one place, but goes on in the body for ever; children that are not polled of an executor
//! within the task other than `FuturesUnordered`.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::time::Duration;

use super::{Fate, Note, Places, Polled};
use crate::clock::Instant;
use crate::stacks::TaskStack;
use crate::sync::Arc;

/// Rule 4. A task that goes on with what it left after that long has no lock, but is slow.
pub(crate) const LASTING: Duration = Duration::from_secs(1);

/// A thread that has taken a waker calls it sooner than this.
const IN_FLIGHT: Duration = Duration::from_millis(1);

/// A future that was woken, and that its task does not poll.
#[derive(Clone, Debug)]
pub(crate) struct Snoozed {
    pub(crate) stack: TaskStack,
    /// When it was woken.
    pub(crate) woken: Instant,
}

/// What is known of a task.
#[derive(Debug, Default)]
pub(super) struct TaskLeaves {
    /// Of the last poll that has cloned the waker.
    latest: Vec<Arc<Note>>,
    snoozed: Vec<Candidate>,
    /// The next poll is made to look: at the futures of this set of places.
    looks_at: Option<u64>,
}

/// Rules 1 to 4.
#[derive(Debug)]
struct Candidate {
    note: Arc<Note>,
    /// Rule 1 holds since.
    since: Instant,
    /// Where the task waited after its last poll.
    places: u64,
    /// A poll has ended since the leaf was called.
    is_polled_since: bool,
}

/// What is to be done after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    LookAgain,
    /// All futures at these places are polled.
    Harmless(u64),
}

impl TaskLeaves {
    /// While not every clone is kept.
    pub(super) fn keep(&mut self, notes: Vec<Arc<Note>>) {
        self.latest = notes;
    }

    /// A poll has ended, and the task waits.
    pub(super) fn pending(
        &mut self,
        polled: Polled,
        now: Instant,
        is_harmless: impl Fn(u64) -> bool,
    ) -> After {
        let looked_at = self.looks_at.take();
        if polled.is_incomplete {
            self.snoozed.clear();
            self.latest = polled.notes;
            return After::Nothing;
        }
        let notes = polled.notes;
        let (places, different) = set_of(&notes);
        let is_polled = |note: &Note| notes.iter().any(|other| other.stack == note.stack);
        self.snoozed.retain_mut(|candidate| {
            if is_polled(&candidate.note) {
                return false;
            }
            match candidate.note.fate() {
                Fate::Dropped => false,
                Fate::Waits => {
                    candidate.places = places;
                    true
                }
                Fate::Woken(_) => {
                    candidate.is_polled_since = true;
                    candidate.places == places && !notes.is_empty()
                }
            }
        });
        let before = match notes.is_empty() {
            // So that there is something to show.
            true => self.latest.clone(),
            false => mem::replace(&mut self.latest, notes.clone()),
        };
        let known = self.snoozed.len();
        for note in before {
            let is_known = |candidate: &Candidate| Arc::ptr_eq(&candidate.note, &note);
            let is_left_out = note.fate() == Fate::Waits && !is_polled(&note);
            if is_left_out && !self.snoozed.iter().any(is_known) {
                self.snoozed.push(Candidate {
                    note,
                    since: now,
                    places,
                    is_polled_since: false,
                });
            }
        }
        match looked_at {
            Some(set) if known == self.snoozed.len() => After::Harmless(set),
            Some(_) => After::Nothing,
            None if different > 1 && !is_harmless(places) => {
                self.looks_at = Some(places);
                After::LookAgain
            }
            None => After::Nothing,
        }
    }

    pub(super) fn places(&self) -> Places {
        let stacks = |waits: bool| {
            let notes = self.latest.iter();
            let notes = notes.filter(move |note| !waits || note.fate() == Fate::Waits);
            let mut seen = HashSet::new();
            notes
                .map(|note| note.stack.clone())
                .filter(|stack| seen.insert(stack.clone()))
                .collect::<Vec<_>>()
        };
        let waits = stacks(true);
        Places {
            waited: match waits.is_empty() {
                true => stacks(false),
                false => Vec::new(),
            },
            waits,
            snoozed: self.snoozed.iter().filter_map(Candidate::told).collect(),
        }
    }
}

impl Candidate {
    /// Rule 4, but for how long it lasts.
    fn told(&self) -> Option<Snoozed> {
        match self.note.fate() {
            Fate::Woken(woken) if self.is_polled_since && woken >= self.since + IN_FLIGHT => {
                Some(Snoozed {
                    stack: self.note.stack.clone(),
                    woken,
                })
            }
            _ => None,
        }
    }
}

/// A number for the set of places at which the task waits, and how many there are. Whoever was
/// dropped within the poll waits no more.
fn set_of(notes: &[Arc<Note>]) -> (u64, usize) {
    let number = |note: &Arc<Note>| {
        let mut hasher = DefaultHasher::new();
        note.stack.hash(&mut hasher);
        hasher.finish()
    };
    let waits = |note: &&Arc<Note>| note.fate() != Fate::Dropped;
    let mut numbers: Vec<u64> = notes.iter().filter(waits).map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut hasher = DefaultHasher::new();
    numbers.hash(&mut hasher);
    (hasher.finish(), numbers.len())
}
