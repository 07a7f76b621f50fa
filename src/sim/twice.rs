//! Runs twice with the same choices, and compares.
//!
//! A program whose runs differ depends on something that is not simulated: the order of a `HashMap`,
//! a real clock, an address, a thread of its own. Then a failure cannot be repeated, so this is a
//! failure by itself.

use super::check::made_inside;
use super::failure::{Failed, Failure, FailureKind};
use super::run::{Comparing, Report, Sim};
use crate::simulated::Event;

impl Sim {
    /// Runs the future twice, and compares: at each poll the virtual time, the thread and the task,
    /// and at the end all choices.
    ///
    /// Gives the output of the first run. `make` is called in the simulation.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), if the first run fails; and [`FailureKind::Nondeterminism`] if the second
    /// one differs or fails. The message says where, and where the tasks of both waited then. (For those
    /// of the first run there is a third run, so they may be those of yet another one.)
    ///
    /// # Panics
    ///
    /// As `run`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    ///
    /// static RUNS: AtomicU64 = AtomicU64::new(1);
    /// let sim = executor::sim::Builder::new().build();
    /// let failure = sim.run_twice(|| async {
    ///     let millis = RUNS.fetch_add(1, Ordering::Relaxed);
    ///     let sleeper = executor::spawn(executor::time::sleep(Duration::from_millis(millis)));
    ///     sleeper.await.unwrap();
    /// });
    /// assert_eq!(failure.unwrap_err().kind(), executor::sim::FailureKind::Nondeterminism);
    /// ```
    pub fn run_twice<F: Future>(self, make: impl Fn() -> F) -> Result<F::Output, Failure> {
        let settings = self.settings().clone();
        let again = |comparing| {
            let sim = Sim::comparing(settings.clone(), comparing);
            sim.run_and_report(made_inside(&make))
        };
        let (first, report) = again(Comparing::First);
        let output = first?;
        let (hash, end) = (report.hash(), end_of(&report));
        let events = report.into_events();
        let (second, report) = again(Comparing::Second(events.clone()));
        let count = report.num_events();
        // The first event that differs, and what the second run did instead.
        let (at, instead, failure) = match second {
            Ok(_) if report.hash() == hash => return Ok(output),
            Ok(_) => (count, end_of(&report), None),
            Err(failure) if failure.kind() == FailureKind::Nondeterminism => {
                let event = report.last_event().map(Event::to_string);
                (
                    count.saturating_sub(1),
                    event.unwrap_or_default(),
                    Some(failure),
                )
            }
            Err(failure) => {
                let how = format!("{} ({})", failure.kind(), failure.message());
                (count, how, Some(failure))
            }
        };
        let expected = events.get(at).map_or(end, Event::to_string);
        let mut failed = Failed {
            kind: FailureKind::Nondeterminism,
            message: format!(
                "event {at} was, in the first run: {expected}; in the second: {instead}"
            ),
            ..Failed::of(&settings, &report)
        };
        let tasks = failure.map(|mut failure| std::mem::take(&mut failure.get_mut().tasks));
        failed.tasks = tasks.unwrap_or_default();
        let (third, _) = again(Comparing::Until(at));
        if let Err(third) = third {
            failed.tasks = format!(
                "the first run, then:\n{}\n\nthe second:\n{}",
                third.tasks().trim_end(),
                failed.tasks
            );
        }
        Err(Failure::from(failed))
    }
}

fn end_of(report: &Report) -> String {
    let (time, steps) = (report.time(), report.steps());
    format!("the end of the run at {time:?}, after {steps} steps")
}
