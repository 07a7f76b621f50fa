//! Six faults that everybody has written once, each in a small program, and beside it the program
//! without it.
//!
//! Each is looked for among the first thousand seeds, found, made short, and replayed. The program
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

/// All are found among so many seeds, from 0 on.
const SEEDS: usize = 1_000;

/// A failing run is made as short.
const CHOICES: usize = 20;

/// Finds the fault of `wrong`; `right` has none.
fn compare<A, B>(kind: FailureKind, says: &str, wrong: fn() -> A, right: fn() -> B)
where
    A: Future<Output = ()>,
    B: Future<Output = ()>,
{
    // Nothing unusual happens, and nothing is seen.
    sim::Builder::new().choices("").build().run(wrong()).unwrap();

    let failure = sim::Builder::new().explore(SEEDS, wrong).expect_err("a fault");
    let is_it = |failure: &Failure| failure.kind() == kind && failure.message().contains(says);
    assert!(is_it(&failure), "{failure}");
    let choices = failure.choices();
    assert!(choices.split_whitespace().count() < CHOICES, "{failure}");

    let replayed = sim::Builder::new().choices(choices).build().run(wrong());
    let replayed = replayed.expect_err("the same fault");
    assert!(is_it(&replayed), "{replayed}");
    assert_eq!(replayed.choices(), choices);

    sim::Builder::new().explore(SEEDS, right).unwrap();
}

/// How often each is found: for the table of `docs/testing.md`.
#[allow(unused)]
fn count<A: Future<Output = ()>>(name: &str, wrong: fn() -> A) {
    let mut found = 0;
    let mut first = None;
    let begin = std::time::Instant::now();
    for seed in 0..10_000 {
        if sim::Builder::new().seed(seed).build().run(wrong()).is_err() {
            found += 1;
            first.get_or_insert(seed);
        }
    }
    let shrunk = sim::Builder::new().explore(10_000, wrong);
    eprintln!("{name}: {found} of 10,000, first {first:?}, {:?}; {shrunk:?}", begin.elapsed());
}

#[test]
#[ignore]
fn table() {
    count("pool", pool::a_wake_is_dropped);
    count("between two locks", channel::between_two_locks);
    count("transfers", transfers::in_any_order);
    count("frames", frames::read_with_timeout);
    count("bookings", bookings::checked_before_paid);
    count("retries", retries::without_pause);
    count("shutdown", shutdown::stops_at_once);
}
