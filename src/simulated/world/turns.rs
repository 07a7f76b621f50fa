//! Whose turn it is: waiting, choosing, switching.

use std::panic::resume_unwind;
use std::rc::Rc;

use super::super::around;
use super::super::choices::Kind;
use super::super::order;
use super::super::thread::{Slot, State};
use super::{Ended, Over, World};

/// What is done when the run is over may take so many steps.
const STEPS_TO_SPEAK: u64 = 100_000;

/// Threads that go on when the run is over have so many steps to end.
const STEPS_TO_END: u64 = 100_000;

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
                resume_unwind(Box::new(Ended));
            };
            self.switch_to(next);
            if next == 0 {
                return;
            }
            self.slot(next).resume();
        }
    }

    fn steps_since_over(&self) -> u64 {
        self.steps.get() - self.over_at.get().0
    }

    fn switch_to(&self, next: usize) {
        let before = self.running.replace(next);
        if before != next {
            self.slot(before).exchange_locals();
            self.slot(next).exchange_locals();
        }
    }

    /// The run is over. First somebody says what there is to say, then the waits of user code end.
    fn close(&self) {
        if self.is_closing.get() {
            return;
        }
        let has_spoken = match self.speaker.get() {
            Some(speaker) => {
                let slot = self.slot(speaker);
                slot.state.get() == State::Ended || self.steps_since_over() > STEPS_TO_SPEAK
            }
            None => {
                let words = self.last_words.take();
                let speaker = words.and_then(|words| self.start(words).ok());
                self.speaker.set(speaker.map(|speaker| speaker.index()));
                self.speaker.get().is_none()
            }
        };
        self.is_closing.set(has_spoken);
    }

    /// Step 3. `None`: the run is over, and nobody is left who could do anything.
    fn next(&self) -> Option<usize> {
        self.check_limits();
        let mut ready = self.ready.borrow_mut();
        loop {
            if self.over.get().is_some() {
                self.close();
                if self.steps_since_over() > STEPS_TO_END {
                    return None;
                }
            }
            self.find_ready(&mut ready);
            if !ready.is_empty() {
                break;
            }
            let jumps = self.jump();
            if !jumps && self.is_closing.get() {
                return None;
            }
            if !jumps {
                // Whoever speaks may wait for what does not come.
                self.is_closing.set(self.over.get().is_some());
                self.stop(Over::AllAsleep);
            }
        }
        self.steps.set(self.steps.get() + 1);
        let running = self.running.get();
        let mut goes_on = ready[0] == running;
        let mut chooser = self.chooser.borrow_mut();
        if goes_on && ready.len() > 1 && order::has_run_long(self.streak.get()) {
            ready.rotate_left(1);
            goes_on = false;
            chooser.has_run_long(running);
        }
        let count = ready.len() as u32;
        let answer = match count {
            1 => 0,
            _ => {
                let draw = |random: &crate::rng::Rng| chooser.choose(&ready, goes_on, random);
                (self.choices.borrow_mut()).choose(Kind::Thread, count, draw)
            }
        };
        let next = ready[answer as usize];
        self.streak.set(match next == running {
            true => self.streak.get() + 1,
            false => 0,
        });
        Some(next)
    }

    /// Those that can run, in turn from the running one on.
    fn find_ready(&self, ready: &mut Vec<usize>) {
        ready.clear();
        let threads = self.threads.borrow();
        let (before, from) = threads.split_at(self.running.get());
        let is_closing = self.is_closing.get();
        let now = self.now.get();
        let in_turn = || from.iter().chain(before);
        let is_ready = |slot: &&Rc<Slot>| match slot.state.get() {
            State::Ready => true,
            State::Parked {
                until,
                in_user_code,
            } => {
                until.is_some_and(|until| until <= now)
                    || slot.thread.has_token()
                    || in_user_code && is_closing
            }
            State::Asleep { until, .. } => until <= now || is_closing,
            State::Settling | State::Ended => false,
        };
        ready.extend(in_turn().filter(is_ready).map(|slot| slot.thread.index()));
        if ready.is_empty() {
            let settles = in_turn().find(|slot| slot.state.get() == State::Settling);
            ready.extend(settles.map(|slot| slot.thread.index()));
        }
    }

    /// To the first deadline. False: there is none.
    pub(super) fn jump(&self) -> bool {
        let until = |slot: &Rc<Slot>| match slot.state.get() {
            State::Parked { until, .. } => until,
            State::Asleep { until, .. } => Some(until),
            State::Ready | State::Settling | State::Ended => None,
        };
        let first = self.threads.borrow().iter().filter_map(until).min();
        let Some(first) = first else {
            return false;
        };
        self.now.set(self.now.get().max(first));
        true
    }

    fn check_limits(&self) {
        if self.over.get().is_none() {
            if self.now() > self.limits.time {
                self.stop(Over::TimeLimit);
            } else if self.steps.get() >= self.limits.steps {
                self.stop(Over::StepLimit);
            }
        }
    }
}
