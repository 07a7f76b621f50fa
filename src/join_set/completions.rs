//! The completion queue of a `JoinSet`: what its tasks came to, in the order in which they finished.
//!
//! # The protocol
//! 1. A task finishes: [`Completions::push`] puts its outcome behind the others and takes the waiter, if there is one, in one
//!    critical section; then it wakes it.
//! 2. The set looks: [`Completions::take`] takes all that is there. It leaves its waker behind only in the critical section in which
//!    it has seen the queue empty. So a push either comes before that look, or finds the waker: no completion is slept through.
//! 3. The set ends, or lets its tasks go: [`Completions::close`] takes all, and the waiter. An outcome that comes later is dropped
//!    where it comes from. One that had come before is dropped by who closes: nobody else can take it.
//!
//! Wakers and outcomes are foreign code: they are cloned, woken and dropped outside the lock.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Waker};

use crate::sync::Mutex;
use crate::tasks::{contained, discard};

/// `O` is an outcome; dropping it does not panic. It comes with the number of the task's slot.
pub(super) struct Completions<O> {
    state: Mutex<State<O>>,
}

struct State<O> {
    completed: VecDeque<(usize, O)>,
    /// Whoever saw the queue empty.
    waiter: Option<Waker>,
    is_closed: bool,
}

impl<O> Completions<O> {
    pub(super) fn new() -> Completions<O> {
        Completions {
            state: Mutex::new(State {
                completed: VecDeque::new(),
                waiter: None,
                is_closed: false,
            }),
        }
    }

    /// Step 1.
    pub(super) fn push(&self, slot: usize, outcome: O) {
        let mut state = self.state.lock();
        if state.is_closed {
            drop(state);
            drop(outcome);
            return;
        }
        state.completed.push_back((slot, outcome));
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            // The task that ends here is not the one to bear it if the waker throws.
            contained(|| waiter.wake());
        }
    }

    /// Takes all completions into `taken`, which is empty. False: there are none. The waiter stays.
    pub(super) fn try_take(&self, taken: &mut VecDeque<(usize, O)>) -> bool {
        mem::swap(&mut self.state.lock().completed, taken);
        !taken.is_empty()
    }

    /// Step 2. False: there are none, and the caller's waker is left behind.
    pub(super) fn take(&self, taken: &mut VecDeque<(usize, O)>, cx: &mut Context<'_>) -> bool {
        {
            let mut state = self.state.lock();
            if !state.completed.is_empty() {
                mem::swap(&mut state.completed, taken);
                return true;
            }
            let known = |waiter: &Waker| waiter.will_wake(cx.waker());
            if state.waiter.as_ref().is_some_and(known) {
                return false;
            }
        }
        let mine = cx.waker().clone();
        let mut state = self.state.lock();
        let unused = match state.completed.is_empty() {
            true => state.waiter.replace(mine),
            false => {
                mem::swap(&mut state.completed, taken);
                Some(mine)
            }
        };
        drop(state);
        discard(unused);
        !taken.is_empty()
    }

    /// Step 3.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let unused = (mem::take(&mut state.completed), state.waiter.take());
        drop(state);
        // The waiter may be the task that owns the set: kept, each would keep the other alive.
        discard(unused);
    }
}
