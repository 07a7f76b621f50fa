//! A test under many seeds.

use std::future::Future;
use std::panic::Location;

use super::environment::Environment;
use super::failure::Repeat;
use super::shrink::shrink;
use super::{Builder, Failure, FailureKind};
use crate::rng;
use crate::simulated::Source;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::thread;

/// Runs a test under this many seeds.
///
/// The seeds are new ones each time, unless the environment variable `EXECUTOR_SIM` says otherwise:
///
/// | setting | meaning |
/// |---|---|
/// | `seed=N` | the run with this seed, or with `runs=` the first of them |
/// | `runs=N` | this many runs, whatever the test asks for |
/// | `jobs=N` | on this many threads |
/// | `choices=t17=2+n3=1` | the one run with these choices |
/// | `twice=1` | each run twice, see [`Sim::run_twice`](super::Sim::run_twice) |
///
/// Settings are separated by commas. Numbers may be hexadecimal (`0x2a`). For other settings of the
/// simulation, see [`Builder::check`].
///
/// `make` is called in the simulation.
///
/// # Panics
///
/// If a run fails. The message says how to repeat it, and with how few unusual choices it fails.
/// Also if `EXECUTOR_SIM` cannot be understood.
///
/// # Examples
///
/// ```
/// executor::sim::check(100, || async {
///     let (sender, receiver) = async_channel::bounded(1);
///     let task = executor::spawn(async move { sender.send(5).await.unwrap() });
///     assert_eq!(receiver.recv().await.unwrap(), 5);
///     task.await.unwrap();
/// });
/// ```
#[track_caller]
pub fn check<F: Future>(runs: usize, make: impl Fn() -> F + Sync) {
    Builder::new().check(runs, make);
}

impl Builder {
    /// [`check`] with these settings. With a [seed](Builder::seed) it begins there; with
    /// [choices](Builder::choices) it makes that one run. `EXECUTOR_SIM` comes before both.
    ///
    /// # Panics
    ///
    /// As `check`.
    #[track_caller]
    pub fn check<F: Future>(mut self, runs: usize, make: impl Fn() -> F + Sync) {
        self.repeat = Repeat::Environment;
        let environment = Environment::read();
        let seed = rng::random_seed();
        if let Err(failure) = self.explore_as(&environment, seed, runs, Location::caller(), &make) {
            panic!("{failure}");
        }
    }

    /// Runs a test under this many seeds, from that of this builder on. Does not ask `EXECUTOR_SIM`.
    ///
    /// # Errors
    ///
    /// The first run that fails, shrunk to few choices.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::sim;
    ///
    /// let failure = sim::Builder::new().explore(100, || async { assert!(sim::choose(10) != 7) });
    /// assert_eq!(failure.unwrap_err().choices(), "p0=7");
    /// ```
    #[track_caller]
    pub fn explore<F: Future>(
        self,
        runs: usize,
        make: impl Fn() -> F + Sync,
    ) -> Result<(), Failure> {
        let place = Location::caller();
        self.explore_as(&Environment::default(), 0, runs, place, &make)
    }

    fn explore_as<F: Future>(
        &self,
        environment: &Environment,
        seed: u64,
        runs: usize,
        place: &'static Location<'static>,
        make: &(impl Fn() -> F + Sync),
    ) -> Result<(), Failure> {
        let run_once = |source| self.run_once(source, environment.twice, place, make);
        let source = match (&environment.choices, environment.seed, &self.source) {
            (Some(choices), ..) => Source::Replay(choices.clone()),
            (None, Some(seed), _) => Source::Seed(seed),
            (None, None, Some(source)) => source.clone(),
            (None, None, None) => Source::Seed(seed),
        };
        let first = match source {
            Source::Seed(first) => first,
            Source::Replay(_) => return run_once(source),
        };
        let runs = match (environment.runs, environment.seed) {
            (Some(runs), _) => runs,
            (None, Some(_)) => 1,
            (None, None) => runs as u64,
        };
        let seeds = Seeds {
            first,
            runs,
            next: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        let jobs = environment.jobs.unwrap_or(1).min(runs.max(1));
        let take = || seeds.take(|seed| run_once(Source::Seed(seed)));
        if jobs == 1 {
            take();
        } else {
            thread::scope(|scope| {
                for _ in 0..jobs {
                    scope.spawn(take);
                }
            });
        }
        match seeds.failure.lock().take() {
            None => Ok(()),
            // Who repeats one run wants that one, and once.
            Some((_, failure)) if environment.seed.is_some() && runs == 1 => Err(failure),
            Some((_, failure)) => Err(self.shrink(failure, place, make)),
        }
    }

    fn run_once<F: Future>(
        &self,
        source: Source,
        twice: bool,
        place: &'static Location<'static>,
        make: &impl Fn() -> F,
    ) -> Result<(), Failure> {
        let sim = self.clone().by(source).build();
        match twice {
            true => sim.run_twice_at(place, make).map(drop),
            false => sim.run_at(place, made_inside(make)).0.map(drop),
        }
    }

    fn by(self, source: Source) -> Builder {
        Builder {
            source: Some(source),
            ..self
        }
    }

    /// The same failure, with few choices. First, whether it comes again.
    fn shrink<F: Future>(
        &self,
        mut failure: Failure,
        place: &'static Location<'static>,
        make: &impl Fn() -> F,
    ) -> Failure {
        // It takes two runs; or a thread was abandoned while it unwound, and to `std` this one does.
        if failure.kind() == FailureKind::Nondeterminism || thread::panicking() {
            return failure;
        }
        let run = |source| {
            let sim = self.clone().by(source).build();
            let (result, report) = sim.run_at(place, made_inside(make));
            let again = result.err().filter(|again| again.is_like(&failure))?;
            Some((again, report.unusual().clone()))
        };
        if run(Source::Seed(failure.seed())).is_none() {
            failure.get_mut().repeats = Some(false);
            return failure;
        }
        let list = failure.choices().parse().unwrap_or_default();
        match shrink(&list, &mut |list| run(Source::Replay(list))) {
            Some(shrunk) => shrunk.shrunk_from(&failure),
            None => failure,
        }
    }
}

/// The future that this makes, which is made when it is polled first: in the simulation, by its
/// clock, on its runtime.
pub(super) async fn made_inside<F: Future>(make: &impl Fn() -> F) -> F::Output {
    make().await
}

/// Seeds that several threads take.
struct Seeds {
    first: u64,
    runs: u64,
    /// Relaxed: only that each is taken once counts.
    next: AtomicU64,
    /// Relaxed: a hint. Whoever wants the failure has waited for all threads.
    has_failed: AtomicBool,
    /// With the number of its run: the first one counts.
    failure: Mutex<Option<(u64, Failure)>>,
}

impl Seeds {
    fn take(&self, run: impl Fn(u64) -> Result<(), Failure>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.runs || self.has_failed.load(Ordering::Relaxed) {
                return;
            }
            if let Err(failure) = run(self.first.wrapping_add(number)) {
                self.has_failed.store(true, Ordering::Relaxed);
                let mut first = self.failure.lock();
                if first.as_ref().is_none_or(|(other, _)| number < *other) {
                    *first = Some((number, failure));
                }
            }
        }
    }
}
