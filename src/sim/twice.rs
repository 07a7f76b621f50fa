//! Runs twice with the same choices, and compares.
//!
//! A program whose runs differ depends on something that is not simulated: the order of a `HashMap`,
//! a real clock, an address, a thread of its own. Then a failure cannot be repeated, so this is a
//! failure by itself.

use std::fmt::Write;

use super::failure::{Failed, Failure, FailureKind};
use super::run::{Comparing, Sim};
use crate::simulated::Event;

impl Sim {
    /// Runs the future twice, and compares: at each poll the virtual time, the thread and the task.
    ///
    /// Gives the output of the first run.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); and [`FailureKind::Nondeterminism`] if the runs differ. It says where,
    /// and where the tasks of both waited then. (For those of the first run it is run once more, so
    /// they may be those of yet another one.)
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
        let again = |comparing| Sim::comparing(settings.clone(), comparing);
        let (first, report) = again(Comparing::First).run_and_report(make());
        let output = first?;
        let events = report.into_events();
        let (second, report) = again(Comparing::Second(events.clone())).run_and_report(make());
        let mut failure = match second {
            Ok(_) if report.num_events() == events.len() => return Ok(output),
            // It has ended sooner.
            Ok(_) => Failure::from(Failed {
                kind: FailureKind::Nondeterminism,
                ..Failed::of(&settings, &report)
            }),
            Err(failure) => failure,
        };
        if failure.kind() != FailureKind::Nondeterminism {
            return Err(failure);
        }
        let at = report.num_events().saturating_sub(1);
        let text = |event: Option<&Event>| match event {
            None => "the end of the run".to_owned(),
            Some(event) => event.to_string(),
        };
        let failed = failure.get_mut();
        failed.message = format!(
            "event {at} was, in the first run: {}; in the second: {}",
            text(events.get(at)),
            text(report.last_event()),
        );
        let (third, _) = again(Comparing::Until(at)).run_and_report(make());
        if let Err(third) = third {
            let tasks = std::mem::take(&mut failed.tasks);
            let _ = write!(
                failed.tasks,
                "the first run, then:\n{}\n\nthe second:\n{tasks}",
                third.tasks().trim_end()
            );
        }
        Err(failure)
    }
}
