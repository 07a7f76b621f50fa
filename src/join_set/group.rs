//! What a `JoinSet` and its tasks share: the completions, and by what the tasks that wait are woken.
//!
//! # The protocol
//! 1. A task finishes: [`Group::complete`] appends its completion and takes the task's own waker
//!    and the set's waiter, in one critical section. Then it wakes the waiter.
//! 2. The set looks: [`Group::take`] takes all completions. It stores its waker only in the
//!    critical section in which it saw no completion. So a completion either comes before that
//!    look, or finds the waker: the set sleeps through none.
//! 3. A task is pending for the first time: [`Group::wait`] stores its entry in the registry, by
//!    which it is woken (not its waker: see [`Entry`](crate::tasks::Entry)), in a critical section
//!    in which it sees that the set has not been aborted since the task was spawned. If the set has
//!    been aborted, the task ends at once.
//! 4. The set is aborted: [`Group::abort`] increments `aborts`, and then aborts all tasks that wait,
//!    by their entries, which wakes them. So a task either sees the new number in step 3, or is woken
//!    and sees it at the beginning of the next poll. A task in a queue sees it there, too. Tasks
//!    spawned later begin with the new number. A background task may lie in its queue for long: it
//!    has an entry from the beginning ([`Group::list`]), and leaves the queue when it is aborted.
//! 5. The set is dropped or detaches its tasks: [`Group::close`] takes everything out of the group.
//!    The task of a later completion drops it, and no task stores an entry any more. `close` drops
//!    the completions that came before, since nothing else can take them.
//!
//! The set's wakers and the completions are foreign code: they are cloned, woken and dropped
//! outside the lock. The entries of the tasks are plain values; they are woken outside the lock.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Context, Waker};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::tasks::{NO_LIFT, Priority, catch_panic, drop_catching};

/// `C` is a completion; dropping it must not panic. By an `E` a task is woken; it is a plain value.
pub(super) struct Group<C, E> {
    /// How often the set was aborted. Written by [`Group::abort`], under the lock and before it
    /// wakes; read by [`Group::is_aborted`] and [`Group::place`]. `Relaxed`: `wait_first` reads it
    /// under the lock. A poll that [`Group::abort`] has caused comes after the wake, through the
    /// task's own state. A poll in between may read the old number, but then the wake causes
    /// another poll.
    aborts: AtomicU32,
    /// Whether the set may have tasks of another class than normal. Set by who spawns one, once; read
    /// by the set when it waits. Relaxed: both have the set, or a reference that orders them.
    has_classes: AtomicBool,
    state: Mutex<State<C, E>>,
}

struct State<C, E> {
    completions: VecDeque<C>,
    /// Waker of the last look that found no completion.
    waiter: Option<Waker>,
    waiting: Waiting<E>,
    /// Entries of background tasks: of those that live, and of some that have ended.
    background: Vec<E>,
    /// When there are so many, those that have ended are removed.
    many: usize,
    /// The class that the set lifts its tasks to: see [`super::lift`].
    level: Priority,
    is_closed: bool,
}

/// The tasks that have been pending.
struct Waiting<E> {
    entries: Vec<Option<E>>,
    vacant: Vec<u32>,
}

/// A task's entry in the group.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// How often the set had been aborted when the task was spawned.
    aborts: u32,
    /// Index in [`Waiting`], or [`Place::NOWHERE`].
    index: u32,
}

impl Place {
    const NOWHERE: u32 = u32::MAX;
}

impl<C, E: Clone> Group<C, E> {
    pub(super) fn new() -> Group<C, E> {
        Group {
            aborts: AtomicU32::new(0),
            has_classes: AtomicBool::new(false),
            state: Mutex::new(State {
                completions: VecDeque::new(),
                waiter: None,
                waiting: Waiting::new(),
                background: Vec::new(),
                many: 16,
                level: NO_LIFT,
                is_closed: false,
            }),
        }
    }

    /// The place of a task that is about to be spawned.
    pub(super) fn place(&self) -> Place {
        Place {
            aborts: self.aborts.load(Ordering::Relaxed),
            index: Place::NOWHERE,
        }
    }

    /// Whether a task with this place has to end.
    #[inline]
    pub(super) fn is_aborted(&self, place: Place) -> bool {
        self.aborts.load(Ordering::Relaxed) != place.aborts
    }

    /// Step 1.
    pub(super) fn complete(&self, place: Place, completion: C) {
        let mut state = self.state.lock();
        if state.is_closed {
            drop(state);
            drop(completion);
            return;
        }
        state.waiting.remove(place.index);
        state.completions.push_back(completion);
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            // Contained: a panic of the waker must not reach the task that ends here.
            catch_panic(|| waiter.wake());
        }
    }

    /// Step 3. `false`: the task has to end. The first call alone asks for the task's entry, and
    /// lifts it.
    #[inline]
    pub(super) fn wait(
        &self,
        place: &mut Place,
        entry: impl FnOnce() -> E,
        lift: impl Fn(Priority),
    ) -> bool {
        place.index != Place::NOWHERE || self.wait_first(place, entry, lift)
    }

    #[cold]
    fn wait_first(
        &self,
        place: &mut Place,
        entry: impl FnOnce() -> E,
        lift: impl Fn(Priority),
    ) -> bool {
        let mut level = {
            let mut state = self.state.lock();
            if self.is_aborted(*place) {
                return false;
            }
            if !state.is_closed {
                place.index = state.waiting.insert(entry());
            }
            state.level
        };
        let mut lifted_to = NO_LIFT;
        while level != lifted_to {
            lift(level);
            lifted_to = level;
            level = self.state.lock().level;
        }
        true
    }

    /// Lifts the tasks that wait, by their entries: see [`super::lift`]. Those that will wait lift
    /// themselves.
    pub(super) fn lift(&self, level: Priority, lift: impl Fn(E)) {
        let entered = {
            let mut state = self.state.lock();
            state.level = level;
            state.entered()
        };
        entered.into_iter().for_each(lift);
    }

    /// Whether [`begin_classes`](Group::begin_classes) was called.
    #[inline]
    pub(super) fn has_classes(&self) -> bool {
        self.has_classes.load(Ordering::Relaxed)
    }

    /// A task with a class is about to be spawned. Gives the level that it begins with.
    pub(super) fn begin_classes(&self) -> Priority {
        self.has_classes.store(true, Ordering::Relaxed);
        self.state.lock().level
    }

    /// A background task was spawned. Called by the set's owner alone, as [`lift`](Group::lift) is.
    pub(super) fn list(&self, entry: E, is_live: impl Fn(&E) -> bool) {
        let mut all = {
            let mut state = self.state.lock();
            if state.background.len() < state.many {
                state.background.push(entry);
                return;
            }
            mem::take(&mut state.background)
        };
        all.retain(is_live);
        all.push(entry);
        let mut state = self.state.lock();
        state.many = 2 * all.len() + 16;
        state.background = all;
    }

    /// Takes all completions into `taken`, which must be empty. `false`: there were none. The
    /// waiter stays.
    pub(super) fn try_take(&self, taken: &mut VecDeque<C>) -> bool {
        mem::swap(&mut self.state.lock().completions, taken);
        !taken.is_empty()
    }

    /// Step 2. `false`: there were none, and the caller's waker is stored.
    pub(super) fn take(&self, taken: &mut VecDeque<C>, cx: &mut Context<'_>) -> bool {
        // Cloned before the look, so that a caller that finds nothing needs one critical section
        // only; one that finds something mostly finds much. If the clone panics and there are
        // completions, the panic is dropped.
        let mine = catch_unwind(AssertUnwindSafe(|| cx.waker().clone()));
        let mut state = self.state.lock();
        if !state.completions.is_empty() {
            mem::swap(&mut state.completions, taken);
            drop(state);
            drop_catching(mine);
            return true;
        }
        let before = match mine {
            Ok(mine) => state.waiter.replace(mine),
            Err(payload) => {
                drop(state);
                resume_unwind(payload);
            }
        };
        drop(state);
        drop_catching(before);
        false
    }

    /// Step 4. `abort` has a task end at its next poll, and wakes it. It may be called twice for one.
    pub(super) fn abort(&self, abort: impl Fn(E)) {
        let entered = {
            let state = self.state.lock();
            self.aborts.fetch_add(1, Ordering::Relaxed);
            state.entered()
        };
        entered.into_iter().for_each(abort);
    }

    /// Step 5.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.level = NO_LIFT;
        let unused = (
            mem::take(&mut state.completions),
            state.waiter.take(),
            mem::replace(&mut state.waiting, Waiting::new()),
        );
        drop(state);
        // The waiter may be the task that owns the set: if it stayed, each would keep the other
        // alive.
        drop_catching(unused);
    }
}

impl<C, E: Clone> State<C, E> {
    /// The entries of the tasks that wait, and of background tasks wherever they are.
    fn entered(&self) -> Vec<E> {
        let waiting = self.waiting.entries.iter().flatten();
        waiting.chain(&self.background).cloned().collect()
    }
}

impl<E> Waiting<E> {
    fn new() -> Waiting<E> {
        Waiting {
            entries: Vec::new(),
            vacant: Vec::new(),
        }
    }

    fn insert(&mut self, entry: E) -> u32 {
        match self.vacant.pop() {
            Some(index) => {
                self.entries[index as usize] = Some(entry);
                index
            }
            None => {
                self.entries.push(Some(entry));
                (self.entries.len() - 1) as u32
            }
        }
    }

    fn remove(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            if entry.take().is_some() {
                self.vacant.push(index);
            }
        }
    }
}
