//! What can be learned of registered tasks, and asked of them.

use std::num::NonZeroU32;
use std::task::Waker;

use super::Registry;
use crate::sync::atomic::Ordering;
use crate::tasks::class::{Class, Priority};
use crate::tasks::layout::{REFERENCE, RUNNING, SCHEDULED, meta_of, state_of, tag_of};
use crate::tasks::{Meta, registration, site_number, spawn_site};

/// A task's place in its registry, by which it can be woken while it is registered.
///
/// Who has to be able to wake a task for an abort keeps this: a waker would hide that nobody else
/// has one ([`Registered::has_no_waker`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// See [`Meta::tag`]. Another task may have the key later.
    tag: u64,
    key: NonZeroU32,
}

impl Entry {
    /// `None`: it is not registered.
    pub(in crate::tasks) fn of(meta: &Meta) -> Option<Entry> {
        Entry::in_word(meta, meta.registration.load(Ordering::Relaxed))
    }

    /// [`Entry::of`], if `registration` is what was read of the task's.
    pub(in crate::tasks) fn in_word(meta: &Meta, registration: u32) -> Option<Entry> {
        let is_registered = registration & registration::FINISHED == 0;
        let key = NonZeroU32::new(registration & registration::KEY).filter(|_| is_registered)?;
        Some(Entry {
            tag: meta.tag(),
            key,
        })
    }

    /// A waker of the task, if it is still registered.
    pub(in crate::tasks) fn waker(self) -> Option<Waker> {
        let registry = Registry::at(spawn_site::runtime_of(site_number(self.tag)));
        let waker = registry.waker(self.key.get());
        waker.filter(|waker| tag_of(waker) == self.tag)
    }

    /// Whether the task is still registered.
    pub(crate) fn is_live(self) -> bool {
        self.waker().is_some()
    }

    /// Wakes the task, if it is still registered.
    pub(crate) fn wake(self) {
        if let Some(waker) = self.waker() {
            waker.wake();
        }
    }
}

/// A registered task. Holds a waker of it, and with that its memory.
#[derive(Debug)]
pub(crate) struct Member(pub(in crate::tasks) Waker);

impl Member {
    /// See [`Meta::tag`].
    pub(crate) fn tag(&self) -> u64 {
        tag_of(&self.0)
    }

    pub(in crate::tasks) fn is_polled(&self) -> bool {
        let state = state_of(&self.0);
        state & (RUNNING | SCHEDULED) == RUNNING
    }

    /// What its task is doing.
    pub(crate) fn look(&self) -> Registered {
        Registered::look(&self.0)
    }

    /// Sets the flag, unless the task has finished.
    pub(in crate::tasks) fn want_stack(&self) -> bool {
        let want = |seen: u32| {
            let lives = seen & registration::FINISHED == 0;
            lives.then_some(seen | registration::STACK_WANTED)
        };
        let registration = &meta_of(&self.0).registration;
        // Release: pairs with the `fetch_and` of `capture::end` and the `swap` of `leave`, whichever
        // takes the flag: it finds the collector. The flag itself `Member::wake` publishes through
        // the task's state, which the poll acquires.
        let wanted = registration.fetch_update(Ordering::Release, Ordering::Relaxed, want);
        wanted.is_ok()
    }

    pub(in crate::tasks) fn wake(self) {
        self.0.wake();
    }
}

/// What a registered task is doing, and who could wake it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registered {
    /// See [`Meta::tag`].
    pub(crate) tag: u64,
    /// It was woken, and lies in a queue.
    pub(crate) is_queued: bool,
    /// It is being polled, and was not woken meanwhile.
    pub(crate) is_polled: bool,
    /// Neither queued nor polled, and no waker of it exists beside the registry's and its control's:
    /// nothing can wake it but an abort.
    pub(crate) has_no_waker: bool,
    pub(crate) class: Class,
}

impl Registered {
    /// It lies in the queue of the background tasks, so it waits for nothing but its turn, and may
    /// never have been polled.
    pub(crate) fn waits_for_turn(&self) -> bool {
        self.is_queued && self.class.effective == Priority::Background
    }

    pub(super) fn look(waker: &Waker) -> Registered {
        // Acquire: pairs with the AcqRel exchange by which `JoinHandle::control` sets CONTROLLED,
        // so `state_of` counts the control's waker. A control attached after the load only adds a
        // reference.
        let registration = meta_of(waker).registration.load(Ordering::Acquire);
        let state = state_of(waker);
        let is_controlled = registration & registration::CONTROLLED != 0;
        let own = 1 + usize::from(is_controlled);
        Registered {
            tag: tag_of(waker),
            is_queued: state & (RUNNING | SCHEDULED) == SCHEDULED,
            is_polled: state & (RUNNING | SCHEDULED) == RUNNING,
            has_no_waker: state & (RUNNING | SCHEDULED) == 0 && state / REFERENCE <= own,
            class: Class::in_word(registration),
        }
    }
}
