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
mod frames;
mod retries;
mod shutdown;
mod transfers;

const SEEDS: u64 = 1_000;

fn sim() -> sim::Builder {
    sim::Builder::new()
}

/// How many of these seeds fail, and the first failure.
fn failures<F: Future<Output = ()>>(seeds: u64, program: fn() -> F) -> (u64, Option<Failure>) {
    let mut first = None;
    let mut count = 0;
    for seed in 0..seeds {
        if let Err(failure) = sim().seed(seed).build().run(program()) {
            count += 1;
            first.get_or_insert(failure);
        }
    }
    (count, first)
}

/// Finds the fault of `wrong`; `right` has none.
fn compare<A, B>(kind: FailureKind, says: &str, wrong: fn() -> A, right: fn() -> B)
where
    A: Future<Output = ()>,
    B: Future<Output = ()>,
{
    sim().choices("").build().run(wrong()).unwrap();
    let (count, first) = failures(SEEDS, wrong);
    eprintln!("{count} of {SEEDS}: {first:?}");
    let first = first.expect("a fault among so many seeds");
    assert_eq!(first.kind(), kind, "{first}");
    assert!(first.message().contains(says), "{first}");
    let (_, none) = failures(SEEDS, right);
    assert!(none.is_none(), "{none:?}");
}
