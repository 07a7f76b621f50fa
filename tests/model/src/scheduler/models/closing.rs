//! Closing: afterwards every token has run or was cancelled, and nobody sleeps.

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::yard::{Flaw, Plan, Yard};

pub(super) const CHECKS: &[Check] = &[
    Check::model("closing", || closing(None)),
    Check::twin("closing/submitter-ignores-it", DEADLOCK, || {
        closing(Some(Flaw::SubmitterIgnoresClosing))
    })
    .loom_only(),
    Check::twin("closing/submitter-has-no-fence", DEADLOCK, || {
        closing(Some(Flaw::SubmitterHasNoFence))
    })
    .loom_only(),
    Check::twin("closing/spawner-has-no-fence", "is lost", || {
        closing(Some(Flaw::SpawnerHasNoFence))
    })
    .loom_only(),
    Check::twin("closing/janitor-has-no-fence", "is lost", || {
        closing(Some(Flaw::JanitorHasNoFence))
    })
    .loom_only(),
    Check::twin("closing/worker-ends-quietly", DEADLOCK, || {
        closing(Some(Flaw::WorkerEndsQuietly))
    }),
    Check::twin("closing/sleeper-ignores-it", DEADLOCK, || {
        closing(Some(Flaw::SleeperIgnoresClosing))
    }),
    Check::model("closing-claim", || closing_claim(None)),
    Check::twin("closing-claim/claimer-ends-quietly", DEADLOCK, || {
        closing_claim(Some(Flaw::ClaimerEndsQuietly))
    }),
    Check::model("closing-elsewhere", || closing_elsewhere(None)),
    Check::twin("closing-elsewhere/finisher-has-no-fence", DEADLOCK, || {
        closing_elsewhere(Some(Flaw::FinisherHasNoFence))
    })
    .loom_only(),
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
        yard.spawn(Yard::clean_up);
        yard.close();
        yard.settle();
    })
}

/// Somebody closes while a thread that is no worker (one of the blocking pool, say) finishes the last task: the janitor
/// hears of it.
fn closing_elsewhere(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 1,
            flaw,
            ..Plan::default()
        });
        yard.idle.put_cores(cores);
        yard.count_spawned();
        yard.spawn(Yard::clean_up);
        yard.spawn(|yard| yard.run_elsewhere(0));
        yard.close();
        yard.settle();
    })
}

/// Somebody closes while a claim is made in vain, for a thread has just picked the core up: the janitor hears of the end
/// of the claim.
fn closing_claim(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            flaw,
            ..Plan::default()
        });
        yard.idle.put_cores(cores);
        yard.spawn(Yard::clean_up);
        yard.spawn(Yard::wake_one);
        yard.start_as_worker(|yard| {
            if let Some(core) = yard.idle.pick_up() {
                yard.retire(core);
            }
        });
        yard.close();
        yard.settle();
    })
}
