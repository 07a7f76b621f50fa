//! Tasks that wait in a `block_on` of their own: by what a lift reaches them there.
//!
//! Such a task is being polled, so the wake of a lift ([`super::lift`], step 3) only marks it. What
//! its `block_on` awaits is lifted when that polls its future again.
//!
//! # Protocol
//!
//! 1. A `block_on` in a task parks for the first time: [`Nested::enter`] stores its waker under the
//!    tag of the task, in a critical section. Then it reads the class of the task, and if that is
//!    higher than when the `block_on` began, polls its future once more.
//! 2. The class of a task rises: after the exchange, [`wake`] looks for its wakers, under the same
//!    lock.
//!
//! If the section of step 2 comes first, step 1 sees the class; otherwise step 2 finds the waker.

use std::task::Waker;

use super::{Priority, current, id_in};
use crate::sync::{Mutex, MutexGuard};

/// As for the controls: so that threads rarely meet.
const SHARDS: usize = 16;

/// Tags of tasks, and the wakers of their `block_on`s. One lock each for some tasks.
static WAITING: [Mutex<Vec<(u64, Waker)>>; SHARDS] = [const { Mutex::new(Vec::new()) }; SHARDS];

/// Takes every lock of this module, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    let all: Vec<_> = WAITING.iter().map(Mutex::lock).collect();
    all
}

fn waiting(tag: u64) -> MutexGuard<'static, Vec<(u64, Waker)>> {
    WAITING[id_in(tag).number() as usize % SHARDS].lock()
}

/// A `block_on` in a task has parked. It is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Nested {
    tag: u64,
    waker: Waker,
}

impl Nested {
    /// Step 1. `begun`: the class of the task when the `block_on` began. `None`: it is in no task.
    pub(crate) fn enter(waker: &Waker, begun: Priority) -> Option<Nested> {
        let tag = current::current_tag()?;
        waiting(tag).push((tag, waker.clone()));
        if current::current_class().effective > begun {
            waker.wake_by_ref();
        }
        let waker = waker.clone();
        Some(Nested { tag, waker })
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        let mut all = waiting(self.tag);
        let is_this =
            |(tag, waker): &(u64, Waker)| *tag == self.tag && waker.will_wake(&self.waker);
        let place = all.iter().rposition(is_this);
        let left = place.map(|place| all.swap_remove(place));
        drop(all);
        drop(left);
    }
}

/// Step 2: the class of this task has risen.
pub(super) fn wake(tag: u64) {
    let wakers: Vec<Waker> = {
        let all = waiting(tag);
        let of_task = all.iter().filter(|(other, _)| *other == tag);
        of_task.map(|(_, waker)| waker.clone()).collect()
    };
    wakers.into_iter().for_each(Waker::wake);
}
