//! Closing: afterwards every token has run or was cancelled, and nobody sleeps.

use super::DEADLOCK;
use crate::checker::{explore, explore_at_length};
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
    Check::twin("closing/shutdown-has-no-fence", "is lost", || {
        closing(Some(Flaw::JanitorHasNoFence))
    })
    .loom_only(),
    Check::twin("closing/worker-ends-quietly", DEADLOCK, || {
        closing(Some(Flaw::WorkerEndsQuietly))
    }),
    Check::twin("closing/parker-ignores-it", DEADLOCK, || {
        closing(Some(Flaw::SleeperIgnoresClosing))
    }),
    Check::model("closing-wake", || closing_wake(None)),
    Check::twin("closing-wake/waker-ignores-it", DEADLOCK, || {
        closing_wake(Some(Flaw::SubmitterIgnoresClosing))
    }),
    Check::twin("closing-wake/waker-has-no-fence", DEADLOCK, || {
        closing_wake(Some(Flaw::SubmitterHasNoFence))
    })
    .loom_only(),
    Check::model("closing-house", || closing_house(None)).shuttle_only(),
    Check::twin("closing-house/worker-ends-quietly", DEADLOCK, || {
        closing_house(Some(Flaw::WorkerEndsQuietly))
    })
    .shuttle_only(),
    Check::model("closing-claim", || closing_claim(None)),
    Check::twin("closing-claim/claimer-ends-quietly", DEADLOCK, || {
        closing_claim(Some(Flaw::ClaimerEndsQuietly))
    }),
    Check::model("closing-off-processor", || closing_elsewhere(None)),
    Check::twin(
        "closing-off-processor/finisher-has-no-fence",
        DEADLOCK,
        || closing_elsewhere(Some(Flaw::FinisherHasNoFence)),
    )
    .loom_only(),
];

/// Somebody closes while somebody submits and the workers go to sleep.
fn closing(flaw: Option<Flaw>) -> usize {
    const WORKERS: usize = if cfg!(executor_loom) { 1 } else { 4 };
    const TOKENS: usize = if cfg!(executor_loom) { 1 } else { 20 };
    explore_at_length(2, move || {
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

/// Somebody closes while a task that waits is woken by a thread that is no worker.
fn closing_wake(flaw: Option<Flaw>) -> usize {
    const TASKS: usize = if cfg!(executor_loom) { 1 } else { 20 };
    explore(1, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: TASKS,
            flaw,
            ..Plan::default()
        });
        (0..TASKS).for_each(|_| yard.count_spawned());
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.spawn(Yard::clean_up);
        yard.spawn(|yard| (0..TASKS).for_each(|number| yard.wake(number)));
        yard.close();
        yard.settle();
    })
}

/// Somebody closes while tasks are spawned, are woken from outside, spawn others on their workers, and end elsewhere.
fn closing_house(flaw: Option<Flaw>) -> usize {
    const PARENTS: usize = 4;
    const SPAWNED: usize = 3 * PARENTS;
    const WOKEN: usize = 5;
    const ELSEWHERE: usize = 3;
    explore_at_length(0, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 4,
            tokens: SPAWNED + WOKEN + ELSEWHERE,
            parents: PARENTS,
            seats: true,
            restless: true,
            flaw,
            ..Plan::default()
        });
        (0..WOKEN + ELSEWHERE).for_each(|_| yard.count_spawned());
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.spawn(Yard::clean_up);
        yard.spawn(|yard| (0..PARENTS).for_each(|number| yard.submit(number)));
        yard.spawn(|yard| (SPAWNED..SPAWNED + WOKEN).for_each(|number| yard.wake(number)));
        yard.spawn(|yard| {
            (SPAWNED + WOKEN..SPAWNED + WOKEN + ELSEWHERE)
                .for_each(|number| yard.run_elsewhere(number))
        });
        yard.close();
        yard.settle();
    })
}

/// Somebody closes while a thread that is no worker (one of the blocking pool, say) finishes the last task: the shutdown thread
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

/// Somebody closes while a claim is made in vain, for a thread has just picked the core up: the shutdown thread hears of the end
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
            if let Some(core) = yard.idle.pop_idle() {
                yard.retire(core);
            }
        });
        yard.close();
        yard.settle();
    })
}
