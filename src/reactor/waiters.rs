//! Who waits for one direction of one source.
//!
//! Usually one task, seldom more: the first waiter needs no allocation. Two kinds come here. *Named* ones belong to a
//! future that takes its waiter back when it is dropped ([`super::Waiting`]). *Anonymous* ones come through `poll_*`
//! methods, which no drop follows; a task that comes again replaces its own entry.

use std::num::NonZeroU64;
use std::task::Waker;

/// Names a waiter within its list; never used twice.
pub(super) type Name = NonZeroU64;

#[derive(Default)]
pub(super) struct Waiters {
    first: Option<Waiter>,
    rest: Vec<Waiter>,
    /// Names given out so far.
    names: u64,
}

struct Waiter {
    name: Option<Name>,
    waker: Waker,
}

impl Waiters {
    /// Adds an anonymous waiter. Gives a waker back if there is one to drop, which the caller does after unlocking.
    pub(super) fn add(&mut self, waker: Waker) -> Option<Waker> {
        let known = self
            .iter_mut()
            .any(|waiter| waiter.name.is_none() && waiter.waker.will_wake(&waker));
        if known {
            return Some(waker);
        }
        self.push(Waiter { name: None, waker });
        None
    }

    /// Adds a named waiter or changes its waker. Gives a waker back if there is one to drop.
    pub(super) fn add_named(&mut self, name: &mut Option<Name>, waker: Waker) -> Option<Waker> {
        if name.is_some() {
            if let Some(waiter) = self.iter_mut().find(|waiter| waiter.name == *name) {
                return Some(std::mem::replace(&mut waiter.waker, waker));
            }
        } else {
            self.names += 1;
            *name = Name::new(self.names);
        }
        self.push(Waiter { name: *name, waker });
        None
    }

    /// Takes a named waiter back.
    pub(super) fn remove(&mut self, name: Name) -> Option<Waker> {
        if self.first.as_ref().is_some_and(|w| w.name == Some(name)) {
            return self.first.take().map(|waiter| waiter.waker);
        }
        let index = self.rest.iter().position(|w| w.name == Some(name))?;
        Some(self.rest.swap_remove(index).waker)
    }

    /// Takes everybody.
    pub(super) fn take(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.first.take().map(|waiter| waiter.waker));
        into.extend(self.rest.drain(..).map(|waiter| waiter.waker));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    fn push(&mut self, waiter: Waiter) {
        if self.first.is_none() {
            self.first = Some(waiter);
        } else {
            self.rest.push(waiter);
        }
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.first.iter_mut().chain(self.rest.iter_mut())
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

    #[test]
    fn a_task_that_asks_twice_waits_once_and_two_tasks_wait_twice() {
        let mut waiters = Waiters::default();
        let (a, b) = (waker(), waker());
        assert!(waiters.add(a.clone()).is_none());
        assert!(waiters.add(a.clone()).is_some());
        assert!(waiters.add(b.clone()).is_none());
        assert!(waiters.add(b).is_some());
        let mut woken = Vec::new();
        waiters.take(&mut woken);
        assert_eq!(woken.len(), 2);
        assert!(waiters.is_empty());
    }

    #[test]
    fn two_futures_of_one_task_do_not_take_each_other_back() {
        let mut waiters = Waiters::default();
        let task = waker();
        let (mut one, mut two) = (None, None);
        assert!(waiters.add_named(&mut one, task.clone()).is_none());
        assert!(waiters.add_named(&mut two, task.clone()).is_none());
        assert!(waiters.add_named(&mut two, task.clone()).is_some());
        assert!(waiters.remove(two.unwrap()).is_some());
        assert!(waiters.remove(two.unwrap()).is_none());
        let mut woken = Vec::new();
        waiters.take(&mut woken);
        assert_eq!(woken.len(), 1);
        assert!(waiters.remove(one.unwrap()).is_none());
    }
}
