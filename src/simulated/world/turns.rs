//! Whose turn it is: waiting, choosing, switching.

use std::mem;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::super::around;
use super::super::choices::Kind;
use super::super::order;
use super::super::thread::{Slot, State};
use super::{Over, World, nanos};
use crate::rng::Rng;

/// What is done when the run is over may take this many steps.
const STEPS_TO_DUMP: u64 = 100_000;

/// Threads that go on after that have this many steps to end.
const STEPS_TO_END: u64 = 100_000;

/// Threads among which one is chosen.
#[derive(Default)]
pub(super) struct Candidates {
    ready: Vec<usize>,
    /// They are ready at the first deadline.
    due: Vec<usize>,
}

impl World {
    /// Step 2.
    pub(super) fn wait(&self, state: State) {
        let running = self.running.get();
        let slot = self.slot(running);
        slot.state.set(state);
        let next = self.next();
        if next != Some(running) {
            self.chosen.set(next);
            around::call(|| match running {
                0 => self.drive(),
                _ => slot.suspend(),
            });
        }
        slot.state.set(State::Ready);
    }

    /// The loop of the root, until it is chosen itself.
    fn drive(&self) {
        loop {
            let Some(next) = self.chosen.take().or_else(|| self.next()) else {
                // The root's wait will not end, whatever it waits for.
                self.switch_to(0);
                self.unwind();
            };
            self.switch_to(next);
            if next == 0 {
                return;
            }
            let slot = self.slot(next);
            slot.resume();
            if slot.state.get() == State::Ended {
                self.alive.borrow_mut().retain(|other| other.index != next);
            }
        }
    }

    fn begin_closing(&self) {
        self.closing_since.set(Some(self.num_steps()));
    }

    fn switch_to(&self, next: usize) {
        let before = self.running.replace(next);
        if before != next {
            self.slot(before).exchange_locals();
            self.slot(next).exchange_locals();
        }
    }

    /// The run is over. First a thread makes the final dump, then the waits of user code end.
    fn close(&self) {
        if self.is_closing() {
            return;
        }
        let has_dumped = match self.dump_thread.get() {
            Some(index) => {
                let slot = self.slot(index);
                let steps = self.num_steps() - self.over_at.get().0;
                slot.state.get() == State::Ended || steps > STEPS_TO_DUMP
            }
            None => {
                let dump = self.final_dump.take();
                let thread = dump.and_then(|dump| self.start(dump, None).ok());
                self.dump_thread.set(thread.map(|thread| thread.index()));
                self.dump_thread.get().is_none()
            }
        };
        if has_dumped {
            self.begin_closing();
        }
    }

    /// Step 3. `None`: the run is over, and nobody is left who could do anything.
    fn next(&self) -> Option<usize> {
        self.check_limits();
        let mut candidates = self.candidates.borrow_mut();
        let Candidates { ready, due } = &mut *candidates;
        loop {
            if self.over.get().is_some() {
                self.close();
                let since = self.closing_since.get();
                if since.is_some_and(|since| self.num_steps() - since > STEPS_TO_END) {
                    return None;
                }
            }
            let first_deadline = self.find_ready(ready, due);
            if !ready.is_empty() {
                break;
            }
            if let Some(first) = first_deadline {
                if self.jump_to(first) {
                    mem::swap(ready, due);
                    break;
                }
                continue;
            }
            if self.is_closing() {
                return None;
            }
            if self.over.get().is_some() {
                // The final dump waits for what does not come.
                self.begin_closing();
            }
            self.stop(Over::AllAsleep);
        }
        self.steps.store(self.num_steps() + 1, Ordering::Relaxed);
        Some(self.choose_among(ready))
    }

    fn choose_among(&self, ready: &[usize]) -> usize {
        let threads = self.threads.borrow();
        if let [only] = ready {
            threads[*only].passed_over.set(0);
            return *only;
        }
        let running = self.running.get();
        let longest = order::longest_wait(ready.len());
        let starves = |index: &&usize| threads[**index].passed_over.get() >= longest;
        let mut chooser = self.chooser.borrow_mut();
        let next = match ready.iter().find(starves) {
            Some(starving) => {
                chooser.has_run_long(running);
                *starving
            }
            None => {
                let goes_on = ready[0] == running;
                let draw = |random: &Rng| chooser.choose(ready, goes_on, random);
                ready[self.ask(Kind::Thread, ready.len() as u32, draw) as usize]
            }
        };
        for index in ready {
            let passed_over = &threads[*index].passed_over;
            passed_over.set(passed_over.get() + 1);
        }
        threads[next].passed_over.set(0);
        next
    }

    /// Those that can run, in turn from the running one on. If there are none, gives the first
    /// deadline, at which those in `due` can run.
    fn find_ready(&self, ready: &mut Vec<usize>, due: &mut Vec<usize>) -> Option<u64> {
        ready.clear();
        due.clear();
        let alive = self.alive.borrow();
        let running = self.running.get();
        let (before, from) = alive.split_at(alive.partition_point(|slot| slot.index < running));
        let is_closing = self.is_closing();
        let now = self.now.get();
        let (mut first_deadline, mut settles) = (u64::MAX, None);
        for slot in from.iter().chain(before) {
            let until = match slot.state.get() {
                State::Ready => Some(now),
                State::Parked {
                    until,
                    in_user_code,
                } => match slot.thread.has_token() || in_user_code && is_closing {
                    true => Some(now),
                    false => until,
                },
                State::Asleep { .. } | State::Settling if is_closing => Some(now),
                State::Asleep { until, .. } => Some(until),
                State::Settling => {
                    settles.get_or_insert(slot.index);
                    None
                }
                State::Ended => None,
            };
            let Some(until) = until else {
                continue;
            };
            if until <= now {
                ready.push(slot.index);
            } else if ready.is_empty() && until <= first_deadline {
                if until < first_deadline {
                    due.clear();
                }
                first_deadline = until;
                due.push(slot.index);
            }
        }
        if ready.is_empty() {
            ready.extend(settles);
        }
        (!due.is_empty()).then_some(first_deadline)
    }

    /// To the first deadline. False: there is none, or the run is over before it.
    pub(super) fn jump(&self) -> bool {
        let alive = self.alive.borrow();
        let until = |slot: &Rc<Slot>| match slot.state.get() {
            State::Parked { until, .. } => until,
            State::Asleep { until, .. } => Some(until),
            State::Ready | State::Settling | State::Ended => None,
        };
        let first = alive.iter().filter_map(until).min();
        first.is_some_and(|first| self.jump_to(first))
    }

    /// False: the run is over before that.
    fn jump_to(&self, time: u64) -> bool {
        let limit = nanos(self.limits.time);
        if time > limit && self.over.get().is_none() {
            self.now.set(self.now.get().max(limit));
            self.stop(Over::TimeLimit);
            return false;
        }
        self.now.set(self.now.get().max(time));
        true
    }

    fn check_limits(&self) {
        if self.over.get().is_none() {
            if self.now() > self.limits.time {
                self.stop(Over::TimeLimit);
            } else if self.num_steps() >= self.limits.steps {
                self.stop(Over::StepLimit);
            }
        }
    }
}
