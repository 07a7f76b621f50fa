//! Seven faults that everybody has written once, each in a small program, and beside it the program
//! without it.
//!
//! Each is looked for among the first thousand seeds, found, shrunk to one unusual choice, and replayed. The program
//! without the fault runs under the same seeds. None of them fails in the ordinary run, in which
//! nothing unusual happens.

use std::future::Future;

use executor::sim::{self, Failure, FailureKind};

mod bookings;
mod channel;
#[cfg(all(unix, feature = "net"))]
mod frames;
mod pool;
#[cfg(all(unix, feature = "net"))]
mod retries;
mod shutdown;
mod transfers;

/// All are found among this many seeds, from 0 on.
const SEEDS: usize = 1_000;

/// Finds the fault of `wrong`; `right` has none.
fn compare<A, B>(kind: FailureKind, says: &str, wrong: fn() -> A, right: fn() -> B)
where
    A: Future<Output = ()>,
    B: Future<Output = ()>,
{
    // Nothing unusual happens, and nothing is seen.
    sim::Builder::new()
        .choices("")
        .build()
        .run(wrong())
        .unwrap();

    let failure = sim::Builder::new()
        .explore(SEEDS, wrong)
        .expect_err("a fault");
    let is_it = |failure: &Failure| failure.kind() == kind && failure.message().contains(says);
    assert!(is_it(&failure), "{failure}");
    let choices = failure.choices();
    assert_eq!(choices.split_whitespace().count(), 1, "{failure}");

    let replayed = sim::Builder::new().choices(choices).build().run(wrong());
    let replayed = replayed.expect_err("the same fault");
    assert!(is_it(&replayed), "{replayed}");
    assert_eq!(replayed.choices(), choices);

    sim::Builder::new().explore(SEEDS, right).unwrap();
    print_count(wrong);
}

/// For the table of `docs/testing.md`: with `SIM_FAULTS=10000`, this many seeds are tried.
fn print_count<A: Future<Output = ()>>(wrong: fn() -> A) {
    let seeds = std::env::var("SIM_FAULTS").unwrap_or_default();
    let Ok(seeds) = seeds.parse::<u64>() else {
        return;
    };
    let fails = |seed: &u64| {
        sim::Builder::new()
            .seed(*seed)
            .build()
            .run(wrong())
            .is_err()
    };
    let found = (0..seeds).filter(fails).count();
    let shortest = sim::Builder::new().explore(SEEDS, wrong);
    println!("{found} of {seeds}: {shortest:?}");
}
