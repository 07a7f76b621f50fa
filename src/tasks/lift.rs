//! Tasks that are awaited are lifted to the class of who awaits them, so that nobody waits for what
//! a lower class is given too late.
//!
//! # Guarantees
//!
//! - While a task awaits another one, the class of the second is not below that of the first: from
//!   the poll on that found it unfinished. So it is along a chain of tasks of which each awaits the
//!   next.
//! - It falls back when its handle is dropped. What it awaits itself falls back when it is polled
//!   next.
//! - Nobody is lifted for ever: a chain that is a circle comes to rest.
//!
//! # Protocol
//!
//! A is interactive and awaits B; B awaits C; both are normal. Each class is in the word
//! `Meta::registration` of its task, and changes by an exchange ([`exchange`]).
//!
//! 1. `JoinHandle::poll` finds B unfinished, in a poll of A. If the bits of B, or those of what runs
//!    here ([`current::class`]), are not zero, it calls [`awaited`]. This reads the class of A from
//!    A's word, as A may have been lifted since its poll began, and exchanges the bits of B.
//! 2. If that has changed the class of B, the scheduler is told
//!    ([`Schedule::reclassed`](super::Schedule::reclassed)): if B lies in the queue of the background
//!    tasks, it moves.
//! 3. If B's class has risen, B is woken by its entry in the registry, whose key the exchange has
//!    read beside the class. B polls the handle of C again, and lifts it by step 1. A `block_on` that
//!    B waits in is woken, too ([`super::nested`]).
//! 4. B's own steps are the other side. It reads its class in step 1 for C. When it waits for the
//!    first time, it sets its key (`enter_registry`), also by an exchange, and reads the class
//!    beside it. If that is higher than when this poll began, B wakes itself ([`waits_first`]).
//!
//! B may be anywhere when it is lifted:
//!
//! | B | how C is lifted |
//! |---|---|
//! | waits | the wake of step 3 makes it runnable |
//! | is queued, and has waited before | the wake of step 3 changes nothing. The poll to come reads the class, as the wake orders step 3 before it |
//! | is polled, and has waited before | the wake marks it runnable: it is polled again after this poll |
//! | waits in a `block_on` of its own | the wake of its `block_on` has the handle of C polled |
//! | is queued or polled for the first time | there is no key. Step 4 is an exchange of the same word, and comes after: it sees the class, and B polls once more, unless this poll began with the class |
//!
//! If step 4 came before the exchange of step 1, that would have seen the key. So one of the two sees
//! the other, and no lift is slept through.
//!
//! *Why a circle comes to rest.* Only a rise wakes, and it wakes the task that has risen. A fall wakes
//! nobody. So a task that is woken here has the class of who awaits it, and lifts only what is below
//! that; classes that rise without end do not exist.
//!
//! # What is kept of a lift
//!
//! [`Lift`]: the class that a task is lifted to, beside its own, so that the own class can change
//! meanwhile ([`set_own`]). Two things are not kept. A normal task that a normal task awaits has zero
//! bits, as nearly all tasks. A task whose own class is high enough is not written to, so that
//! interactive tasks that await each other pay nothing. If the own class of such a task is lowered,
//! it is lifted when who awaits it is polled next.
//!
//! # What does not lift
//!
//! A wake, a channel, a lock; a thread that waits in `block_on`, as it has no class.

use std::task::Waker;

use super::class::{Class, Lift, NO_LIFT, Priority};
use super::layout::meta_of;
use super::registry::Entry;
use super::{Meta, current, nested, registration};
use crate::sync::atomic::{AtomicBool, Ordering};

use Priority::Background;

impl Lift {
    /// With this lift, as far as it is kept.
    fn lifted(self, to: Priority) -> Lift {
        match to <= self.own && self.to == NO_LIFT {
            true => self,
            false => Lift { to, ..self },
        }
    }
}

/// Whether an abort handle has ever set a class. Then a set cannot tell from what it has spawned
/// whether it has tasks of a low class. [`note_set_by_handle`] sets it; sets read it when they wait.
/// Relaxed: a set that sees it late looks again when it is polled.
static SET_BY_HANDLE: AtomicBool = AtomicBool::new(false);

/// See [`SET_BY_HANDLE`].
#[inline]
pub(crate) fn is_set_by_handle() -> bool {
    SET_BY_HANDLE.load(Ordering::Relaxed)
}

/// The class by which a task is polled has changed.
#[must_use = "steps 2 and 3 are still to be done"]
pub(super) struct Changed {
    /// The word of the task before.
    seen: u32,
    has_risen: bool,
}

/// Changes the class of a task that has not ended, and does steps 2 and 3. The caller keeps the task's
/// memory.
fn change(meta: &Meta, to: impl Fn(Lift) -> Lift) {
    tell(exchange(meta, to), meta);
}

/// `None`: the class by which it is polled is the same.
fn exchange(meta: &Meta, to: impl Fn(Lift) -> Lift) -> Option<Changed> {
    // Relaxed: the exchange checks it.
    let mut seen = meta.registration.load(Ordering::Relaxed);
    loop {
        if seen & registration::FINISHED != 0 {
            return None;
        }
        let word = seen & !registration::CLASS | to(Lift::in_word(seen)).bits();
        if word == seen {
            return None;
        }
        // AcqRel: pairs with the exchange of the key in `enter_registry`, after which the entry is
        // in the registry; and with that of the next change.
        match (meta.registration).compare_exchange(seen, word, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => {
                let before = Class::in_word(seen).effective;
                let after = Class::in_word(word).effective;
                let has_risen = after > before;
                return (before != after).then_some(Changed { seen, has_risen });
            }
            Err(changed) => seen = changed,
        }
    }
}

/// Steps 2 and 3, without a lock.
pub(super) fn tell(changed: Option<Changed>, meta: &Meta) {
    let Some(Changed { seen, has_risen }) = changed else {
        return;
    };
    // First: the wake must find the runtime ready for the class.
    meta.registry().tell_reclassed(meta);
    if has_risen {
        if let Some(entry) = Entry::in_word(meta, seen) {
            entry.wake();
        }
        nested::wake(meta.tag());
    }
}

/// The class that what is awaited here is lifted to.
pub(crate) fn class_of_awaiter() -> Priority {
    current::with_meta(|meta| meta.class().effective).unwrap_or(NO_LIFT)
}

/// Step 1: this task was found unfinished by its handle.
#[cold]
pub(super) fn awaited(meta: &Meta) {
    // So that a class that is out of date leads here once.
    current::class_here();
    lift_to(meta, class_of_awaiter());
}

impl Entry {
    /// Asks the task to end, if it is still registered.
    pub(crate) fn abort(self) {
        if let Some(waker) = self.waker() {
            abort(meta_of(&waker));
        }
    }

    /// Lifts the task to a class, if it is still registered.
    pub(crate) fn lift_to(self, class: Priority) {
        if let Some(waker) = self.waker() {
            lift_to(meta_of(&waker), class);
        }
    }
}

/// Lifts a task to this class, and no more to another one.
pub(super) fn lift_to(meta: &Meta, class: Priority) {
    change(meta, |lift| lift.lifted(class));
}

/// Nobody awaits the task any more.
#[cold]
pub(super) fn fall_back(meta: &Meta) {
    change(meta, |lift| Lift {
        to: NO_LIFT,
        ..lift
    });
}

/// The task is given another class of its own.
pub(super) fn set_own(meta: &Meta, own: Priority) -> Option<Changed> {
    exchange(meta, |lift| Lift { own, ..lift })
}

/// Asks the task to end. One that lies in the queue of the background tasks leaves it:
/// see [`Meta::polled_as`].
pub(super) fn abort(meta: &Meta) {
    // AcqRel: pairs with the exchange of the key in `enter_registry`: of two, the later one sees the
    // other.
    let aborted = registration::ABORTED;
    let seen = meta.registration.fetch_or(aborted, Ordering::AcqRel);
    if seen & (aborted | registration::FINISHED) != 0 {
        return;
    }
    if Class::in_word(seen).effective == Background {
        meta.registry().tell_reclassed(meta);
    }
    if let Some(entry) = Entry::in_word(meta, seen) {
        entry.wake();
    }
}

/// A handle that may be of a task of a set sets a class.
pub(super) fn note_set_by_handle() {
    SET_BY_HANDLE.store(true, Ordering::Relaxed);
}

/// Step 4: the task has set its key. `begun`: the word when this poll began; `seen`: what was read with
/// the key.
#[cold]
pub(super) fn waits_first(begun: u32, seen: u32, waker: &Waker) {
    if Class::in_word(seen).effective > Class::in_word(begun).effective {
        waker.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{Interactive, Normal};

    #[test]
    fn a_lift_that_changes_nothing_is_not_kept() {
        let task = |own| Lift { own, to: NO_LIFT };
        assert_eq!(
            task(Interactive).lifted(Interactive),
            task(Interactive),
            "its own class is as high"
        );
        let lifted = task(Normal).lifted(Interactive);
        assert_eq!(lifted.to, Interactive);
        assert_eq!(lifted.lifted(Normal).to, Normal, "the last one counts");
        assert_eq!(lifted.lifted(NO_LIFT), task(Normal));
    }
}
