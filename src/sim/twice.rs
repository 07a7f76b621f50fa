//! Runs twice with the same choices, and compares.
//!
//! A program whose runs differ depends on something that is not simulated: the order of a `HashMap`,
//! a real clock, an address, a thread of its own. Then a failure cannot be repeated, so this is a
//! failure by itself.

use std::panic::Location;

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
    /// As [`run`](Self::run), if both runs fail alike; and [`FailureKind::Nondeterminism`] if they
    /// differ. The message says where, and where the tasks of both waited then. (For those
    /// of the first run there is a third run, so they may be those of yet another one.) Tasks are
    /// numbered in the order of their first polls there.
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
    #[track_caller]
    pub fn run_twice<F: Future>(self, make: impl Fn() -> F) -> Result<F::Output, Failure> {
        self.run_twice_at(Location::caller(), make)
    }

    /// For whoever called at that place.
    pub(super) fn run_twice_at<F: Future>(
        self,
        place: &'static Location<'static>,
        make: impl Fn() -> F,
    ) -> Result<F::Output, Failure> {
        let settings = self.settings().clone();
        let again = |comparing| {
            let sim = Sim::comparing(settings.clone(), comparing);
            sim.run_at(place, made_inside(&make))
        };
        let (first, report) = again(Comparing::First);
        let (hash, first_end) = (report.hash(), end_of(&first, &report));
        let events = report.into_events();
        let (second, report) = again(Comparing::Second(events.clone()));
        let is_same = match (&first, &second) {
            (Ok(_), Ok(_)) => true,
            (Err(first), Err(second)) => first.is_like(second),
            _ => false,
        };
        if is_same && report.hash() == hash {
            return first;
        }
        let count = report.num_events();
        let is_differing = |failure: &Failure| failure.kind() == FailureKind::Nondeterminism;
        // The first event that differs, and what the second run did instead.
        let (at, instead) = match (second.as_ref().err(), report.last_event()) {
            (Some(failure), Some(event)) if is_differing(failure) => (count - 1, event.to_string()),
            _ => (count, end_of(&second, &report)),
        };
        let expected = events.get(at).map_or(first_end, Event::to_string);
        let tasks = second.err().map(|failure| failure.tasks().to_owned());
        let mut failed = Failed {
            kind: FailureKind::Nondeterminism,
            message: format!(
                "event {at} was, in the first run: {expected}; in the second: {instead}"
            ),
            tasks: tasks.unwrap_or_default(),
            ..Failed::of(&settings, &report)
        };
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

fn end_of<T>(result: &Result<T, Failure>, report: &Report) -> String {
    let (time, steps) = (report.time(), report.steps());
    match result {
        Ok(_) => format!("the end of the run at {time:?}, after {steps} steps"),
        Err(failure) => {
            let (kind, message) = (failure.kind(), failure.message());
            format!("{kind} at {time:?}, after {steps} steps ({message})")
        }
    }
}
