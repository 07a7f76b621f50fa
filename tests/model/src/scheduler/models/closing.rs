//! Closing: afterwards every token has run or was cancelled, and nobody sleeps.

use super::DEADLOCK;
use crate::checker::{explore, explore_at_length};
use crate::runner::Check;
use crate::scheduler::model::{Flaw, Model, Plan};

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
        let (model, cores) = Model::new(Plan {
            processors: WORKERS,
            tokens: TOKENS,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(|model| (0..TOKENS).for_each(|number| model.submit(number)));
        model.spawn(Model::clean_up);
        model.close();
        model.settle();
    })
}

/// Somebody closes while a task that waits is woken by a thread that is no worker.
fn closing_wake(flaw: Option<Flaw>) -> usize {
    const TASKS: usize = if cfg!(executor_loom) { 1 } else { 20 };
    explore(1, move || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: TASKS,
            flaw,
            ..Plan::default()
        });
        (0..TASKS).for_each(|_| model.count_spawned());
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(Model::clean_up);
        model.spawn(|model| (0..TASKS).for_each(|number| model.wake(number)));
        model.close();
        model.settle();
    })
}

/// Somebody closes while tasks are spawned, are woken from outside, spawn others on their workers, and end elsewhere.
fn closing_house(flaw: Option<Flaw>) -> usize {
    const PARENTS: usize = 4;
    const SPAWNED: usize = 3 * PARENTS;
    const WOKEN: usize = 5;
    const ELSEWHERE: usize = 3;
    explore_at_length(0, move || {
        let (model, cores) = Model::new(Plan {
            processors: 4,
            tokens: SPAWNED + WOKEN + ELSEWHERE,
            parents: PARENTS,
            seats: true,
            restless: true,
            flaw,
            ..Plan::default()
        });
        (0..WOKEN + ELSEWHERE).for_each(|_| model.count_spawned());
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(Model::clean_up);
        model.spawn(|model| (0..PARENTS).for_each(|number| model.submit(number)));
        model.spawn(|model| (SPAWNED..SPAWNED + WOKEN).for_each(|number| model.wake(number)));
        model.spawn(|model| {
            (SPAWNED + WOKEN..SPAWNED + WOKEN + ELSEWHERE)
                .for_each(|number| model.run_elsewhere(number))
        });
        model.close();
        model.settle();
    })
}

/// Somebody closes while a thread that is no worker (one of the blocking pool, say) finishes the last task: the shutdown thread
/// hears of it.
fn closing_elsewhere(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 1,
            flaw,
            ..Plan::default()
        });
        model.idle.put_cores(cores);
        model.count_spawned();
        model.spawn(Model::clean_up);
        model.spawn(|model| model.run_elsewhere(0));
        model.close();
        model.settle();
    })
}

/// Somebody closes while a claim is made in vain, for a thread has just picked the core up: the shutdown thread hears of the end
/// of the claim.
fn closing_claim(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            flaw,
            ..Plan::default()
        });
        model.idle.put_cores(cores);
        model.spawn(Model::clean_up);
        model.spawn(Model::wake_one);
        model.start_as_worker(|model| {
            if let Some(core) = model.idle.pop_idle() {
                model.retire(core);
            }
        });
        model.close();
        model.settle();
    })
}
