//! The tasks that wait for one direction of one source.
//!
//! Usually one task waits, seldom more. The first waiter needs no allocation, and with `n` waiters
//! each operation takes `O(log n)`. Every entry has an owner that removes it, so a source without
//! events for years holds no more entries than its owners may have:
//!
//! - A *future* has one entry ([`Owner::Future`]), from its first wait until it is dropped.
//! - A *handle* is the object on which `poll_*` methods are called: the object itself, a clone of a
//!   stream, or a half. No drop follows such a poll, and several tasks may poll one handle through
//!   references. So a handle has [`PER_HANDLE`] entries in each direction, until it is dropped. A
//!   task that polls again finds its own entry. If there are more tasks than entries, a new task
//!   takes the entry of another and wakes it. If that task still waits, it polls again and is not
//!   forgotten. If it has lost interest, nothing of it is left.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// How many tasks may wait at one time by polling one handle in one direction. One is usual, as a
/// stream has one reader; a listener may have one for each CPU. The number is small since the task
/// of an entry may have ended, and its waker keeps the task's memory.
pub(super) const PER_HANDLE: u64 = 16;

/// Names the entry of a future; never used twice within a source.
pub(crate) type Name = NonZeroU64;

/// Names the entries of a handle: [`PER_HANDLE`] names from this one on. Never used twice within a
/// source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(u64);

impl Handle {
    /// The object itself.
    pub(crate) const OBJECT: Handle = Handle(0);
}

/// Generates names, each [`PER_HANDLE`] after the one before, for handles and for futures.
#[derive(Default)]
pub(super) struct Names(u64);

impl Names {
    pub(super) fn handle(&mut self) -> Handle {
        self.0 += PER_HANDLE;
        Handle(self.0)
    }

    fn future(&mut self) -> Name {
        self.0 += PER_HANDLE;
        Name::MIN | self.0
    }
}

/// On whose behalf a task waits.
#[derive(Debug)]
pub(crate) enum Owner<'a> {
    Handle(Handle),
    /// A future. The name is `None` until it first waits.
    Future(&'a mut Option<Name>),
}

impl Owner<'_> {
    /// The same owner, borrowed again.
    #[inline]
    pub(crate) fn reborrow(&mut self) -> Owner<'_> {
        match self {
            Owner::Handle(handle) => Owner::Handle(*handle),
            Owner::Future(name) => Owner::Future(name),
        }
    }
}

/// A value that can act as an [`Owner`]. The [`Owner`] is made only for a wait: one that is always
/// at hand costs each operation that is ready four instructions.
pub(crate) trait AsOwner {
    fn as_owner(&mut self) -> Owner<'_>;
}

impl AsOwner for Owner<'_> {
    #[inline]
    fn as_owner(&mut self) -> Owner<'_> {
        self.reborrow()
    }
}

/// A waker that has lost its entry. The caller settles it after unlocking.
#[must_use]
pub(super) enum Displaced {
    Nothing,
    /// A replaced waker of the same owner.
    Drop(Waker),
    /// The waker of another task, which may still wait.
    Wake(Waker),
}

impl Displaced {
    pub(super) fn settle(self) {
        match self {
            Displaced::Nothing => {}
            Displaced::Drop(waker) => drop(waker),
            Displaced::Wake(waker) => wake(waker),
        }
    }
}

#[derive(Default)]
pub(super) struct Waiters {
    /// Used only by a waiter that comes while the list is empty. Others go to `rest` until the list
    /// is empty again.
    first: Option<(u64, Waker)>,
    rest: BTreeMap<u64, Waker>,
    /// The entry that [`Waiters::add_polled`] replaces next when a handle has no free one: the one
    /// that was filled first.
    turn: u64,
}

impl Waiters {
    /// Adds a waiter, or replaces its waker.
    pub(super) fn add(&mut self, owner: Owner<'_>, names: &mut Names, waker: Waker) -> Displaced {
        match owner {
            Owner::Handle(handle) => self.add_polled(handle, waker),
            Owner::Future(name) => {
                let name = name.get_or_insert_with(|| names.future());
                match self.put(name.get(), waker) {
                    Some(before) => Displaced::Drop(before),
                    None => Displaced::Nothing,
                }
            }
        }
    }

    fn add_polled(&mut self, handle: Handle, waker: Waker) -> Displaced {
        let names = handle.0..handle.0 + PER_HANDLE;
        let mut used = 0;
        let first = self.first.iter().map(|(name, waker)| (name, waker));
        // Most lists end with `first`.
        let mut known = first.chain(self.rest.range(names.clone()));
        let waits = known.any(|(name, known)| {
            let own = names.contains(name);
            used |= u64::from(own) << (name % PER_HANDLE);
            own && known.will_wake(&waker)
        });
        if waits {
            return Displaced::Drop(waker);
        }
        let free = u64::from((!used).trailing_zeros());
        if free < PER_HANDLE {
            self.put(names.start + free, waker);
            return Displaced::Nothing;
        }
        let turn = self.turn % PER_HANDLE;
        self.turn = turn + 1;
        match self.put(names.start + turn, waker) {
            Some(other) => Displaced::Wake(other),
            None => Displaced::Nothing,
        }
    }

    fn put(&mut self, name: u64, waker: Waker) -> Option<Waker> {
        match &mut self.first {
            Some((first, before)) if *first == name => Some(std::mem::replace(before, waker)),
            None if self.rest.is_empty() => {
                self.first = Some((name, waker));
                None
            }
            _ => self.rest.insert(name, waker),
        }
    }

    /// Removes a future's entry.
    pub(super) fn remove(&mut self, name: Name) -> Option<Waker> {
        self.remove_named(name.get())
    }

    /// Removes a handle's entries.
    pub(super) fn remove_handle(&mut self, handle: Handle, into: &mut Vec<Waker>) {
        let names = handle.0..handle.0 + PER_HANDLE;
        into.extend(names.filter_map(|name| self.remove_named(name)));
    }

    fn remove_named(&mut self, name: u64) -> Option<Waker> {
        if self.first.as_ref().is_some_and(|(first, _)| *first == name) {
            return self.first.take().map(|(_, waker)| waker);
        }
        let removed = self.rest.remove(&name)?;
        if self.rest.is_empty() {
            // An empty map would keep its last node.
            self.rest = BTreeMap::new();
        }
        Some(removed)
    }

    /// Takes all wakers.
    pub(super) fn take(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.first.take().map(|(_, waker)| waker));
        if !self.rest.is_empty() {
            into.extend(std::mem::take(&mut self.rest).into_values());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }
}

/// Wakes a foreign waker. If it panics, the others must be woken all the same, and the socket must
/// close.
pub(super) fn wake(waker: Waker) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // The payload's destructor is foreign code too and may panic; that second payload is
        // leaked.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Arc;
    use std::task::Wake;

    struct Nothing;
    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }
    fn waker() -> Waker {
        Waker::from(Arc::new(Nothing))
    }

    #[derive(Default)]
    struct List {
        waiters: Waiters,
        names: Names,
    }

    impl List {
        fn poll(&mut self, handle: Handle, waker: &Waker) -> Displaced {
            let owner = Owner::Handle(handle);
            self.waiters.add(owner, &mut self.names, waker.clone())
        }

        fn wait(&mut self, name: &mut Option<Name>, waker: &Waker) -> Displaced {
            let owner = Owner::Future(name);
            self.waiters.add(owner, &mut self.names, waker.clone())
        }

        fn take(&mut self) -> Vec<Waker> {
            let mut woken = Vec::new();
            self.waiters.take(&mut woken);
            assert!(self.waiters.is_empty());
            woken
        }
    }

    #[test]
    fn a_task_that_polls_twice_waits_once_and_two_tasks_wait_twice() {
        let mut list = List::default();
        let (a, b) = (waker(), waker());
        for _ in 0..2 {
            assert!(matches!(list.poll(Handle::OBJECT, &a), Displaced::Nothing));
            assert!(matches!(list.poll(Handle::OBJECT, &a), Displaced::Drop(_)));
            assert!(matches!(list.poll(Handle::OBJECT, &b), Displaced::Nothing));
            assert!(matches!(list.poll(Handle::OBJECT, &b), Displaced::Drop(_)));
            assert_eq!(list.take().len(), 2);
        }
    }

    #[test]
    fn two_futures_of_one_task_do_not_take_each_other_back() {
        let mut list = List::default();
        let task = waker();
        let (mut one, mut two) = (None, None);
        assert!(matches!(list.wait(&mut one, &task), Displaced::Nothing));
        assert!(matches!(list.wait(&mut two, &task), Displaced::Nothing));
        assert!(matches!(list.wait(&mut two, &task), Displaced::Drop(_)));
        assert!(list.waiters.remove(two.unwrap()).is_some());
        assert!(list.waiters.remove(two.unwrap()).is_none());
        assert_eq!(list.take().len(), 1);
        assert!(list.waiters.remove(one.unwrap()).is_none());
    }

    #[test]
    fn who_loses_its_place_to_another_task_is_woken_and_it_is_the_oldest() {
        let mut list = List::default();
        let tasks: Vec<_> = (0..3 * PER_HANDLE).map(|_| waker()).collect();
        let mut lost = Vec::new();
        for task in &tasks {
            match list.poll(Handle::OBJECT, task) {
                Displaced::Wake(other) => lost.push(other),
                Displaced::Drop(_) => panic!("it has not waited yet"),
                Displaced::Nothing => {}
            }
        }
        assert_eq!(lost.len(), 2 * PER_HANDLE as usize);
        assert!(lost.iter().zip(&tasks).all(|(a, b)| a.will_wake(b)));
        assert_eq!(list.take().len(), PER_HANDLE as usize);
    }

    #[test]
    fn handles_and_futures_take_no_other_s_place_and_leave_nothing() {
        let mut list = List::default();
        let (mut name, mut handles) = (None, vec![Handle::OBJECT]);
        handles.push(list.names.handle());
        assert!(matches!(list.wait(&mut name, &waker()), Displaced::Nothing));
        handles.push(list.names.handle());
        for &handle in &handles {
            for _ in 0..PER_HANDLE {
                assert!(matches!(list.poll(handle, &waker()), Displaced::Nothing));
            }
            assert!(matches!(list.poll(handle, &waker()), Displaced::Wake(_)));
        }
        for handle in handles {
            let mut removed = Vec::new();
            list.waiters.remove_handle(handle, &mut removed);
            assert_eq!(removed.len(), PER_HANDLE as usize);
        }
        assert!(list.waiters.remove(name.unwrap()).is_some());
        assert!(list.waiters.is_empty());
    }

    #[test]
    fn handles_that_fill_up_in_turn_take_no_place_before_all_are_taken() {
        let mut list = List::default();
        let handles = [Handle::OBJECT, list.names.handle()];
        let poll = |list: &mut List, handle, times| {
            for _ in 0..times {
                assert!(matches!(list.poll(handle, &waker()), Displaced::Nothing));
            }
        };
        for handle in handles {
            poll(&mut list, handle, PER_HANDLE - 6);
        }
        for handle in handles {
            poll(&mut list, handle, 6);
        }
        assert_eq!(list.take().len(), 2 * PER_HANDLE as usize);
    }

    #[test]
    fn a_waiter_keeps_its_one_entry_when_the_first_one_has_gone() {
        let mut list = List::default();
        let (mut one, mut two) = (None, None);
        assert!(matches!(list.wait(&mut one, &waker()), Displaced::Nothing));
        assert!(list.waiters.first.is_some(), "without an allocation");
        assert!(matches!(list.wait(&mut two, &waker()), Displaced::Nothing));
        assert!(list.waiters.remove(one.unwrap()).is_some());
        assert!(matches!(list.wait(&mut two, &waker()), Displaced::Drop(_)));
        assert_eq!(list.take().len(), 1);
    }
}
