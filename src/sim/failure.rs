//! Why a simulation has failed, and how to repeat it.

use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{Builder, Report};
use crate::simulated::{Over, Source};
use crate::sync::Arc;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// All tasks are asleep, and nothing will wake one.
    Deadlock,
    /// The [time limit](super::Builder::time_limit) has passed.
    TimeLimit,
    /// The [step limit](super::Builder::step_limit) has passed.
    StepLimit,
    /// The future has ended, and so has all that was running; tasks of its runtime are left.
    LeftoverTasks,
    /// The future has panicked, or a task or a blocking job has.
    Panic,
    /// A second run with the same choices did something else.
    Nondeterminism,
}

impl FailureKind {
    /// `None`: somebody else has found the reason.
    pub(super) fn of(over: Over) -> Option<FailureKind> {
        match over {
            Over::AllAsleep => Some(FailureKind::Deadlock),
            Over::TimeLimit => Some(FailureKind::TimeLimit),
            Over::StepLimit => Some(FailureKind::StepLimit),
            Over::Differs(_) => Some(FailureKind::Nondeterminism),
            Over::Stopped => None,
        }
    }
}

/// How a run is repeated by whoever reads the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The test asks the environment which runs it makes.
    Environment,
    /// By the settings of the builder.
    Settings,
}

/// A simulation that has failed.
#[derive(Clone)]
pub struct Failure(Box<Failed>);

/// What is known of it.
#[derive(Clone)]
pub(super) struct Failed {
    pub(super) kind: FailureKind,
    pub(super) repeat: Repeat,
    /// 0 if it was repeated by its choices.
    pub(super) seed: u64,
    pub(super) is_by_choices: bool,
    pub(super) choices: String,
    pub(super) num_choices: usize,
    /// How many there were before the run was shrunk.
    pub(super) shrunk_from: Option<usize>,
    /// What is to be said beside the kind: a panic's message, or the first difference.
    pub(super) message: String,
    /// Where the first panic was.
    pub(super) place: Option<String>,
    /// Of the first panic, if the environment asks for it.
    pub(super) backtrace: Option<Arc<Backtrace>>,
    /// Whether it has failed again with the same choices. `None`: nobody has tried.
    pub(super) repeats: Option<bool>,
    /// Where the tasks were, if any was left.
    pub(super) tasks: String,
    pub(super) time: Duration,
    pub(super) steps: u64,
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        Failure(Box::new(failed))
    }
}

/// A list that is longer is no help to a reader.
const MOST_CHOICES_SHOWN: usize = 100;

impl Failed {
    /// Of this run, for no reason yet.
    pub(super) fn of(settings: &Builder, report: &Report) -> Failed {
        let seed = match settings.source() {
            Source::Seed(seed) => Some(seed),
            Source::Replay(_) => None,
        };
        Failed {
            kind: FailureKind::Panic,
            repeat: settings.repeat,
            seed: seed.unwrap_or(0),
            is_by_choices: seed.is_none(),
            choices: report.unusual().to_string(),
            num_choices: report.unusual().0.len(),
            shrunk_from: None,
            message: String::new(),
            place: None,
            backtrace: None,
            repeats: None,
            tasks: String::new(),
            time: report.time(),
            steps: report.steps(),
        }
    }
}

impl Failure {
    pub(super) fn get_mut(&mut self) -> &mut Failed {
        &mut self.0
    }

    /// Whether both are the same failure, as far as that can be told.
    pub(super) fn is_like(&self, other: &Failure) -> bool {
        // Messages tell values, which may differ.
        self.0.kind == other.0.kind && self.0.place == other.0.place
    }

    /// This run was found by shrinking that one.
    pub(super) fn shrunk_from(mut self, first: &Failure) -> Failure {
        self.0.seed = first.0.seed;
        self.0.is_by_choices = first.0.is_by_choices;
        self.0.shrunk_from = Some(first.0.num_choices);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// The seed of the run, which repeats it as it was before it was shrunk. 0 if the run was one
    /// by [choices](super::Builder::choices).
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// The unusual choices of the run, which repeat it without the seed: for
    /// [`Builder::choices`](super::Builder::choices).
    #[must_use]
    pub fn choices(&self) -> &str {
        &self.0.choices
    }

    /// What the panic said, or what differed.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Which tasks there were, and where each waited.
    #[must_use]
    pub fn tasks(&self) -> &str {
        &self.0.tasks
    }

    /// What repeats the run of a [`check`](super::check), as the value of the environment variable
    /// `EXECUTOR_SIM`.
    #[must_use]
    pub fn replay(&self) -> String {
        match self.0.is_by_choices {
            true => self.replay_choices(),
            false => format!("seed={:#x}", self.0.seed),
        }
    }

    fn replay_choices(&self) -> String {
        format!("choices={}", self.0.choices.replace(' ', "+"))
    }

    /// What repeats the run, by its choices or else by its seed.
    fn how_to_repeat(&self, by_choices: bool) -> String {
        match (self.0.repeat, by_choices) {
            (Repeat::Environment, true) => format!("EXECUTOR_SIM={}", self.replay_choices()),
            (Repeat::Environment, false) => format!("EXECUTOR_SIM=seed={:#x}", self.0.seed),
            (Repeat::Settings, true) => format!("sim::Builder::choices({:?})", self.0.choices),
            (Repeat::Settings, false) => format!("sim::Builder::seed({:#x})", self.0.seed),
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Deadlock => "all tasks are asleep",
            FailureKind::TimeLimit => "the time limit has passed",
            FailureKind::StepLimit => "the step limit has passed",
            FailureKind::LeftoverTasks => "tasks are left",
            FailureKind::Panic => "it has panicked",
            FailureKind::Nondeterminism => "a second run with the same choices was another one",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, steps) = (self.0.time, self.0.steps);
        writeln!(f, "{} after {time:?} and {steps} steps", self.0.kind)?;
        if !self.0.message.is_empty() {
            writeln!(f, "{}", self.0.message)?;
        }
        let repeated = self.how_to_repeat(self.0.is_by_choices);
        write!(f, "to repeat it: {repeated}")?;
        if self.0.repeats == Some(false) {
            f.write_str(
                ", but it did not fail again: it depends on what is not simulated (a `select!` that \
                 draws, the order of a `HashMap`, a real clock, a static)",
            )?;
        }
        let count = self.0.num_choices;
        let is_short = count <= MOST_CHOICES_SHOWN;
        match self.0.shrunk_from {
            Some(before) => write!(f, "\nshrunk from {before} to {count} unusual choices")?,
            None if is_short && !self.0.is_by_choices => write!(f, "\n{count} unusual choices")?,
            None => {}
        }
        if is_short && (self.0.shrunk_from.is_some() || !self.0.is_by_choices) {
            write!(f, ": {}", self.how_to_repeat(true))?;
        }
        if !self.0.tasks.is_empty() {
            write!(f, "\n{}", self.0.tasks.trim_end())?;
        }
        if let Some(backtrace) = &self.0.backtrace {
            write!(f, "\nstack backtrace of the panic:\n{backtrace}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    /// As it is displayed, since it is mostly seen by an `unwrap`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}
