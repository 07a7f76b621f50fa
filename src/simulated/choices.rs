//! The choices of one run: where they come from, and which of them were unusual.
//!
//! # What it guarantees
//!
//! - Choice 0 of each question is the ordinary answer: the thread goes on, the poll is short, the
//!   packet arrives. So a run is described by its other choices, the **unusual** ones.
//! - A run is repeated by its seed, or by the text of its unusual choices. Questions of each
//!   [`Kind`] are counted by themselves. So a choice that is left out does not move those of
//!   another kind.
//!
//! # Text
//!
//! `t17=2 n3=1`: the answer to question 17 about threads was 2, and that to question 3 about the
//! network was 1.

use std::fmt;
use std::str::FromStr;

use crate::rng::Rng;

/// The random numbers of a seed have streams. Those of choices are numbered by their [`Kind`]; these
/// are not among them.
pub(super) mod streams {
    /// How one run chooses among threads.
    pub(in super::super) const ORDER: u64 = 97;
    /// How many polls keep their thread for a while.
    pub(in super::super) const SLOW_POLLS: u64 = 98;
}

/// What a choice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Which thread runs next: 0 is the one that has run, or the next in turn.
    Thread,
    /// How long a poll takes.
    Cost,
    /// What the scheduler draws: where a thief begins to look.
    Scheduler,
    /// What the network does to a packet, a read or a write.
    Network,
    /// What the program asks for.
    Program,
}

/// Of more, none is kept: a run that went on for so long is repeated by its seed.
const MOST_KEPT: usize = 1_000_000;

/// In the order of [`Kind`].
const KINDS: [(Kind, char); 5] = [
    (Kind::Thread, 't'),
    (Kind::Cost, 'c'),
    (Kind::Scheduler, 's'),
    (Kind::Network, 'n'),
    (Kind::Program, 'p'),
];

/// An answer other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unusual {
    pub(crate) kind: Kind,
    /// The number of the question, among those of its kind.
    pub(crate) at: u64,
    pub(crate) answer: u32,
}

/// The unusual choices of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List(pub(crate) Vec<Unusual>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, unusual) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let (_, letter) = KINDS[unusual.kind as usize];
            write!(f, "{space}{letter}{}={}", unusual.at, unusual.answer)?;
        }
        Ok(())
    }
}

impl FromStr for List {
    /// The word that is no choice.
    type Err = String;

    fn from_str(text: &str) -> Result<List, String> {
        let parse = |word: &str| {
            let mut letters = word.chars();
            let letter = letters.next()?;
            let &(kind, _) = KINDS.iter().find(|(_, known)| *known == letter)?;
            let (at, answer) = letters.as_str().split_once('=')?;
            Some(Unusual {
                kind,
                at: at.parse().ok()?,
                answer: answer.parse().ok()?,
            })
        };
        text.split_whitespace()
            .map(|word| parse(word).ok_or_else(|| word.to_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map(List)
    }
}

/// Where the answers come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Seed(u64),
    /// These, and else 0.
    Replay(List),
}

/// Answers questions, and keeps the unusual answers.
#[derive(Debug)]
pub(crate) struct Choices {
    random: Option<[Rng; KINDS.len()]>,
    /// What is still to be replayed, by kind, in order of `at`.
    replay: [Vec<Unusual>; KINDS.len()],
    asked: [u64; KINDS.len()],
    unusual: Vec<Unusual>,
    /// The greatest length that has.
    most_kept: usize,
}

impl Choices {
    pub(crate) fn new(source: &Source) -> Choices {
        let mut choices = Choices {
            random: None,
            replay: [const { Vec::new() }; KINDS.len()],
            asked: [0; KINDS.len()],
            unusual: Vec::new(),
            most_kept: MOST_KEPT,
        };
        match source {
            Source::Seed(seed) => {
                choices.random = Some(KINDS.map(|(kind, _)| Rng::new(*seed, kind as u64)));
            }
            Source::Replay(List(list)) => {
                let mut list = list.clone();
                // The last is taken first.
                list.sort_by(|a, b| b.cmp(a));
                for unusual in list {
                    choices.replay[unusual.kind as usize].push(unusual);
                }
            }
        }
        choices
    }

    /// An answer below `n`. `draw` gives it where answers are random.
    pub(crate) fn choose(&mut self, kind: Kind, n: u32, draw: impl FnOnce(&Rng) -> u32) -> u32 {
        let at = self.asked[kind as usize];
        self.asked[kind as usize] += 1;
        let answer = match &self.random {
            Some(random) => draw(&random[kind as usize]),
            None => {
                let replay = &mut self.replay[kind as usize];
                while replay.last().is_some_and(|next| next.at < at) {
                    replay.pop();
                }
                let next = replay.last().filter(|next| next.at == at);
                next.map_or(0, |next| next.answer)
            }
        };
        // A replayed answer may be to a question that had more answers.
        let answer = answer.min(n.saturating_sub(1));
        if answer != 0 && self.unusual.len() < self.most_kept {
            self.unusual.push(Unusual { kind, at, answer });
        }
        answer
    }

    /// None that follows is kept.
    pub(crate) fn forget_those_to_come(&mut self) {
        self.most_kept = self.unusual.len();
    }

    /// The unusual choices that were kept.
    pub(crate) fn take_unusual(&mut self) -> List {
        List(std::mem::take(&mut self.unusual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(source: &Source) -> (Vec<u32>, List) {
        let mut choices = Choices::new(source);
        let answers = (0..40)
            .map(|index| {
                let kind = [Kind::Thread, Kind::Cost, Kind::Network][index % 3];
                choices.choose(kind, 4, |random| random.below(8).saturating_sub(4))
            })
            .collect();
        (answers, choices.take_unusual())
    }

    #[test]
    fn a_seed_and_its_text_give_the_same_answers() {
        let (by_seed, list) = answers(&Source::Seed(7));
        assert_eq!(answers(&Source::Seed(7)).0, by_seed);
        assert_ne!(answers(&Source::Seed(8)).0, by_seed);
        let text = list.to_string();
        let replayed: List = text.parse().expect("its own text");
        assert_eq!(replayed, list);
        let (by_text, again) = answers(&Source::Replay(replayed));
        assert_eq!(by_text, by_seed);
        assert_eq!(again, list);
    }

    #[test]
    fn a_choice_that_is_left_out_moves_none_of_another_kind() {
        let (before, mut list) = answers(&Source::Seed(3));
        list.0.retain(|unusual| unusual.kind != Kind::Thread);
        let (after, _) = answers(&Source::Replay(list));
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(*after, if index % 3 == 0 { 0 } else { *before });
        }
    }

    #[test]
    fn what_is_no_choice_is_named() {
        assert_eq!("t1=2 x3=4".parse::<List>(), Err("x3=4".to_owned()));
        assert_eq!("t1=".parse::<List>(), Err("t1=".to_owned()));
        assert_eq!("t1".parse::<List>(), Err("t1".to_owned()));
        assert_eq!("".parse::<List>(), Ok(List::default()));
    }

    #[test]
    fn an_answer_beyond_the_question_is_the_last_one() {
        let list = "t0=9".parse().expect("a choice");
        let mut choices = Choices::new(&Source::Replay(list));
        assert_eq!(choices.choose(Kind::Thread, 3, |_| 0), 2);
        assert_eq!(choices.choose(Kind::Thread, 3, |_| 0), 0);
    }
}
