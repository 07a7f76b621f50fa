//! Closing: afterwards every token has run or was cancelled, and nobody sleeps.

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::yard::{Flaw, Plan, Yard};

pub(super) const CHECKS: &[Check] = &[
    Check::model("closing", || closing(None)),
    Check::twin("closing/submitter-ignores-it", "is lost", || {
        closing(Some(Flaw::SubmitterIgnoresClosing))
    }),
    Check::twin("closing/submitter-has-no-fence", "is lost", || {
        closing(Some(Flaw::SubmitterHasNoFence))
    })
    .loom_only(),
    Check::twin("closing/closer-has-no-fence", "is lost", || {
        closing(Some(Flaw::CloserHasNoFence))
    })
    .loom_only(),
    Check::twin("closing/closer-empties-first", "is lost", || {
        closing(Some(Flaw::CloserEmptiesFirst))
    }),
    Check::twin("closing/sleeper-ignores-it", DEADLOCK, || {
        closing(Some(Flaw::SleeperIgnoresClosing))
    }),
];

/// Somebody closes while somebody submits and the workers go to sleep.
fn closing(flaw: Option<Flaw>) -> usize {
    const WORKERS: usize = if cfg!(executor_loom) { 1 } else { 4 };
    const TOKENS: usize = if cfg!(executor_loom) { 1 } else { 20 };
    explore(2, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: WORKERS,
            tokens: TOKENS,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.spawn(|yard| (0..TOKENS).for_each(|number| yard.submit(number)));
        yard.close();
        yard.settle();
    })
}
