//! Where the answers of a dump come together: steps 1 and 4 of [`capture`](super::capture).

use std::collections::{HashMap, HashSet};

use crate::clock::{self, Instant};
use crate::stacks::TaskStack;
use crate::sync::{Condvar, Mutex};

/// Different stacks kept of all tasks together: some 20 MB.
const MOST_DIFFERENT: usize = 1 << 16;

/// Answers kept in one piece of memory.
const PIECE: usize = 1024;

/// What a poll has found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The type of the task's first future. Where it was inlined, no symbol has its name.
    pub(crate) future: &'static str,
    pub(crate) stacks: Vec<TaskStack>,
    /// Clones of the waker beyond those.
    pub(crate) omitted: usize,
    pub(crate) has_ended: bool,
}

/// Where the stacks of a dump come together.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    state: Mutex<Collected>,
    /// Told when no more answers are outstanding than the asker waits for.
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Collected {
    /// Tags of the tasks that have not answered yet.
    asked: HashSet<u64>,
    /// In pieces, by tag: what grows by copying would keep those who answer waiting for the lock,
    /// for a million tasks for longer than a stall is.
    answers: Vec<Vec<(u64, Answer)>>,
    /// Each stack once.
    different: HashSet<TaskStack>,
    /// The asker waits until no more than so many answers are outstanding.
    awaited: Option<usize>,
}

impl Collector {
    /// An answer of this task is to come.
    pub(super) fn expect(&self, tag: u64) {
        self.state.lock().asked.insert(tag);
    }

    /// Step 1 for a future that is no task. `ask` makes its thread poll it by
    /// [`Capturing`](super::capture::Capturing), or gives `false`. The key is one that no tag is.
    pub(crate) fn ask_future(&self, key: u64, ask: impl FnOnce() -> bool) {
        self.expect(key);
        if !ask() {
            self.state.lock().asked.remove(&key);
        }
    }

    /// A task or another future that was asked has ended without another poll.
    pub(crate) fn has_ended(&self, key: u64) {
        self.answer(key, Answer::ended());
    }

    /// Waits until at most `outstanding` answers are. `false`: it is later than the deadline.
    pub(crate) fn wait(&self, outstanding: usize, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.asked.len() > outstanding {
            state.awaited = Some(outstanding);
            match deadline {
                None => state = self.answered.wait(state),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(clock::now());
                    if left.is_zero() {
                        state.awaited = None;
                        return false;
                    }
                    state = self.answered.wait_timeout(state, left);
                }
            }
        }
        state.awaited = None;
        true
    }

    /// Step 3. `false`: this task was not asked.
    pub(super) fn answer(&self, tag: u64, mut answer: Answer) -> bool {
        let mut state = self.state.lock();
        if !state.asked.remove(&tag) {
            // The flag was left by another dump.
            return false;
        }
        for stack in &mut answer.stacks {
            match state.different.get(stack) {
                Some(known) => *stack = known.clone(),
                None if state.different.len() < MOST_DIFFERENT => {
                    state.different.insert(stack.clone());
                }
                None => {}
            }
        }
        match state.answers.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push((tag, answer)),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push((tag, answer));
                state.answers.push(piece);
            }
        }
        if state
            .awaited
            .is_some_and(|awaited| state.asked.len() <= awaited)
        {
            self.answered.notify_one();
        }
        true
    }

    /// The answers so far, by tag.
    pub(crate) fn take(&self) -> HashMap<u64, Answer> {
        let answers = std::mem::take(&mut self.state.lock().answers);
        answers.into_iter().flatten().collect()
    }

    /// Whether this task was asked and has not answered.
    pub(crate) fn awaits(&self, tag: u64) -> bool {
        self.state.lock().asked.contains(&tag)
    }
}

impl Answer {
    /// `None`: the task was not polled.
    pub(crate) fn first_future(&self) -> Option<&'static str> {
        Some(self.future).filter(|future| !future.is_empty())
    }

    fn ended() -> Answer {
        Answer {
            has_ended: true,
            ..Answer::default()
        }
    }
}
