//! Makes a failing run simple: few unusual choices, and small ones.
//!
//! A list is shorter if it has fewer choices, or as many with smaller answers. Each step proposes a
//! list that is shorter than the best one, runs it, and keeps what that run asked for if it fails in
//! the same way. So a choice that was not asked for is left out by itself.
//!
//! 1. No choice at all.
//! 2. Only the first half of the list, then of what is left, and so on: what comes after the fault
//!    does not matter.
//! 3. Without all choices of a kind.
//! 4. Without one part of the list, for parts of half its length, a quarter, down to single choices;
//!    again while that helps (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
//!    input", 2002).
//! 5. A smaller answer for each choice.

use std::time::Duration;

use crate::clock;
use crate::simulated::choices::{Kind, List, Unusual};

/// Shrinking ends after so many runs, or after this time, whichever comes first.
const MOST_RUNS: u32 = 5_000;
const LONGEST: Duration = Duration::from_secs(20);

/// The best list so far, and how to try another one.
struct Shrinker<'a, T> {
    best: Vec<Unusual>,
    outcome: Option<T>,
    /// Runs with such a list. `Some`: it fails in the same way, with these unusual choices.
    fails: &'a mut dyn FnMut(List) -> Option<(T, List)>,
    runs: u32,
    end: std::time::Instant,
}

/// The shortest list that was found, and what `fails` gave for it. `None`: no other one fails.
pub(super) fn shrink<T>(
    list: &List,
    fails: &mut dyn FnMut(List) -> Option<(T, List)>,
) -> Option<T> {
    let mut shrinker = Shrinker {
        best: list.0.clone(),
        outcome: None,
        fails,
        runs: 0,
        end: clock::now() + LONGEST,
    };
    shrinker.run();
    shrinker.outcome
}

impl<T> Shrinker<'_, T> {
    fn run(&mut self) {
        if self.propose(Vec::new()) {
            return;
        }
        self.cut_the_end();
        for kind in [
            Kind::Cost,
            Kind::Scheduler,
            Kind::Network,
            Kind::Thread,
            Kind::Program,
        ] {
            let others = self.best.iter().filter(|choice| choice.kind != kind);
            let others = others.copied().collect();
            self.propose(others);
        }
        while self.is_in_time() && (self.remove_parts() || self.lower_answers()) {}
    }

    fn is_in_time(&self) -> bool {
        self.runs < MOST_RUNS && clock::now() < self.end
    }

    /// True: it is shorter, fails, and is the best one now.
    fn propose(&mut self, list: Vec<Unusual>) -> bool {
        if length(&list) >= length(&self.best) || !self.is_in_time() {
            return false;
        }
        self.runs += 1;
        let Some((outcome, list)) = (self.fails)(List(list)) else {
            return false;
        };
        let is_shorter = length(&list.0) < length(&self.best);
        if is_shorter {
            self.best = list.0;
            self.outcome = Some(outcome);
        }
        is_shorter
    }

    /// Step 2.
    fn cut_the_end(&mut self) {
        let mut cut = self.best.len() / 2;
        while cut > 0 {
            let left = self.best.len().saturating_sub(cut);
            if !self.propose(self.best[..left].to_vec()) {
                cut /= 2;
            }
        }
    }

    /// Step 4. True: it has helped.
    fn remove_parts(&mut self) -> bool {
        let before = length(&self.best);
        let mut part = self.best.len().div_ceil(2);
        while part > 0 && self.is_in_time() {
            let mut end = self.best.len();
            while end > 0 {
                let begin = end.saturating_sub(part);
                let mut without = self.best.clone();
                without.drain(begin..end.min(without.len()));
                self.propose(without);
                end = begin.min(self.best.len());
            }
            part /= 2;
        }
        length(&self.best) < before
    }

    /// Step 5. True: it has helped.
    fn lower_answers(&mut self) -> bool {
        let before = length(&self.best);
        for index in 0..self.best.len() {
            let Some(choice) = self.best.get(index) else {
                break;
            };
            for answer in [1, choice.answer / 2, choice.answer - 1] {
                let mut lower = self.best.clone();
                lower[index].answer = answer;
                if answer > 0 && self.propose(lower) {
                    break;
                }
            }
        }
        length(&self.best) < before
    }
}

/// By which lists are compared.
fn length(list: &[Unusual]) -> (usize, u64) {
    let answers = list.iter().map(|choice| u64::from(choice.answer)).sum();
    (list.len(), answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(at: u64, answer: u32) -> Unusual {
        let kind = if at % 3 == 0 {
            Kind::Cost
        } else {
            Kind::Thread
        };
        Unusual { kind, at, answer }
    }

    #[test]
    fn what_the_failure_needs_is_left_and_nothing_else() {
        let list = List((0..500).map(|at| choice(at, 1 + (at % 7) as u32)).collect());
        // It needs 17 with an answer of at least 2, 100, and 401.
        let has = |list: &List, at, least| {
            list.0
                .iter()
                .any(|choice| choice.at == at && choice.answer >= least)
        };
        let mut runs = 0;
        let shrunk = shrink(&list, &mut |list| {
            runs += 1;
            let fails = has(&list, 17, 2) && has(&list, 100, 1) && has(&list, 401, 1);
            fails.then(|| (list.clone(), list))
        });
        let expected = List(vec![choice(17, 2), choice(100, 1), choice(401, 1)]);
        assert_eq!(shrunk, Some(expected));
        assert!(runs < 200, "{runs}");
    }

    #[test]
    fn a_failure_that_needs_nothing_is_empty_and_one_that_never_comes_again_is_left() {
        let list = List((0..50).map(|at| choice(at, 1)).collect());
        let empty = shrink(&list, &mut |list| Some((list.clone(), list)));
        assert_eq!(empty, Some(List::default()));
        assert_eq!(shrink::<List>(&list, &mut |_| None), None);
    }
}
