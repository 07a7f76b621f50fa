//! The same seed gives the same run.

#[path = "../../../examples/repeat/busy.rs"]
mod busy;

use std::cell::Cell;
use std::time::Duration;

use executor::sim::{self, FailureKind, Report};
use executor::time::sleep;

use busy::busy;

fn run(seed: u64) -> (u64, Report) {
    let sim = sim::Builder::new().seed(seed).processors(4).build();
    let (sum, report) = sim.run_and_report(busy());
    (sum.unwrap(), report)
}

#[test]
fn a_seed_gives_one_run_and_seeds_differ() {
    let mut hashes = Vec::new();
    for seed in 0..20 {
        let (sum, first) = run(seed);
        for _ in 0..4 {
            let (again, report) = run(seed);
            assert_eq!(
                (again, report.time(), report.steps()),
                (sum, first.time(), first.steps())
            );
            assert_eq!(report.hash(), first.hash(), "seed {seed}");
        }
        hashes.push(first.hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn two_runs_are_compared() {
    for seed in 0..5 {
        let sim = sim::Builder::new().seed(seed).processors(4).build();
        sim.run_twice(busy).unwrap();
    }
}

/// The message of two runs that differ in this.
fn differ<F: Future>(make: impl Fn(u64) -> F) -> String {
    let runs = Cell::new(0);
    let sim = sim::Builder::new().build();
    let failure = sim.run_twice(|| make(runs.replace(runs.get() + 1)));
    let failure = failure.err().expect("the runs differ");
    assert_eq!(failure.kind(), FailureKind::Nondeterminism, "{failure}");
    failure.message().to_owned()
}

#[test]
fn the_first_difference_is_told() {
    let millis = Duration::from_millis;
    let later = differ(|run| sleep(millis(1 + run)));
    assert!(later.contains("event 1 was"), "{later}");
    assert!(later.contains("polls in a `block_on` at 1."), "{later}");
    assert!(later.contains("polls in a `block_on` at 2."), "{later}");
    let sooner = differ(|run| async move {
        for _ in run..2 {
            sleep(millis(1)).await;
        }
    });
    assert!(sooner.contains("event 2 was"), "{sooner}");
    assert!(
        sooner.contains("in the second: the end of the run"),
        "{sooner}"
    );
    let longer = differ(|run| async move {
        for _ in 0..=run {
            sleep(millis(1)).await;
        }
    });
    assert!(
        longer.contains("in the first run: the end of the run"),
        "{longer}"
    );
    let choices = differ(|run| async move {
        for _ in 0..=run {
            let _ = sim::choose(5);
        }
    });
    assert!(choices.contains("event 1 was"), "{choices}");
    let fails = differ(|run| async move { assert_eq!(run, 0, "a static") });
    assert!(fails.contains("it has panicked"), "{fails}");
    assert!(fails.contains("a static"), "{fails}");
}

#[test]
fn a_runtime_has_as_many_processors_as_the_one_around_it() {
    let sim = sim::Builder::new().processors(3).build();
    let count = sim.run(async {
        let inner = executor::Builder::new().build().unwrap();
        inner.metrics().num_workers()
    });
    assert_eq!(count.unwrap(), 3);
}
