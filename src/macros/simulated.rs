//! A test with seeds: its runs are simulated, each under another one.
//!
//! Here an `Err` panics, so that the report of the run has it. By its exit code a test would print
//! it once for each run with which the failure is shrunk. So its type has to be known: [`Outcome`].

use std::fmt::Debug;
use std::future::Future;
use std::process::ExitCode;

use super::Test;
use crate::sim;

/// What a test in a simulation may return.
#[diagnostic::on_unimplemented(
    message = "a test in a simulation cannot return `{Self}`",
    label = "it returns `()`, an `ExitCode`, or a `Result` with one of them"
)]
pub trait Outcome {
    /// Panics if it is a failure.
    fn unwrap_outcome(self);
}

impl Outcome for () {
    fn unwrap_outcome(self) {}
}

impl Outcome for ExitCode {
    fn unwrap_outcome(self) {
        assert_eq!(self, ExitCode::SUCCESS, "the test's exit code");
    }
}

impl<T: Outcome, E: Debug> Outcome for Result<T, E> {
    fn unwrap_outcome(self) {
        match self {
            Ok(output) => output.unwrap_outcome(),
            Err(error) => panic!("Error: {error:?}"),
        }
    }
}

/// Its type is named like the future's: see `tasks::future_name`.
async fn outcome_of<F>(future: F)
where
    F: Future,
    F::Output: Outcome,
{
    future.await.unwrap_outcome();
}

impl Test {
    /// The number of runs.
    pub fn seeds(mut self, count: usize) -> Test {
        self.seeds = Some(count);
        self
    }

    /// The seed of the first one.
    pub fn seed(mut self, seed: u64) -> Test {
        self.seed = Some(seed);
        self
    }

    /// Runs the function under each of its seeds. The time limit is of virtual time.
    #[track_caller]
    pub fn simulate<F>(self, function: impl Fn() -> F + Sync) -> ExitCode
    where
        F: Future,
        F::Output: Outcome,
    {
        let mut builder = sim::Builder::new();
        if let Some(count) = self.worker_threads {
            builder = builder.processors(count);
        }
        if let Some(limit) = self.timeout {
            builder = builder.time_limit(limit);
        }
        let run = || outcome_of(function());
        let runs = self.seeds.unwrap_or(1);
        if let Some(seed) = self.seed {
            builder = builder.seed(seed);
        }
        builder.check(runs, run);
        ExitCode::SUCCESS
    }
}
