//! Closing: afterwards every token has run or was cancelled, and nobody sleeps.

use super::DEADLOCK;
use super::model::{Plan, run};
use crate::checker::{explore, explore_at_length, explore_twin_at_length};
use crate::runner::Check;

pub(super) const CHECKS: &[Check] = &[
    Check::model("closing-spawn", || closing_spawn(None)),
    Check::twin("closing-spawn/submitter-ignores-it", DEADLOCK, || {
        closing_spawn(Some("submitter-ignores-closing"))
    })
    .loom_only(),
    Check::twin("closing-spawn/submitter-has-no-fence", DEADLOCK, || {
        closing_spawn(Some("submitter-has-no-fence"))
    })
    .loom_only(),
    Check::twin("closing-spawn/spawner-has-no-fence", "is lost", || {
        closing_spawn(Some("spawner-has-no-fence"))
    })
    .loom_only(),
    Check::twin("closing-spawn/shutdown-has-no-fence", "is lost", || {
        closing_spawn(Some("shutdown-has-no-fence"))
    })
    .loom_only(),
    Check::model("closing", || closing(1, None)),
    Check::twin("closing/call-is-a-store", DEADLOCK, || {
        closing(2, Some("call-is-a-store"))
    })
    .loom_only(),
    Check::twin("closing/worker-ends-quietly", DEADLOCK, || {
        closing(1, Some("worker-ends-quietly"))
    }),
    Check::twin("closing/parker-ignores-it", DEADLOCK, || {
        closing(1, Some("parker-ignores-closing"))
    }),
    Check::model("closing-wake", || closing_wake(None)),
    Check::twin("closing-wake/waker-ignores-it", DEADLOCK, || {
        closing_wake(Some("submitter-ignores-closing"))
    }),
    Check::twin("closing-wake/waker-has-no-fence", DEADLOCK, || {
        closing_wake(Some("submitter-has-no-fence"))
    })
    .loom_only(),
    Check::twin("closing-wake/claim-relaxed", DEADLOCK, || {
        closing_wake(Some("claim-relaxed"))
    })
    .loom_only(),
    Check::model("closing-house", || closing_house(None)).shuttle_only(),
    Check::twin("closing-house/worker-ends-quietly", DEADLOCK, || {
        closing_house(Some("worker-ends-quietly"))
    })
    .shuttle_only(),
    Check::model("closing-claim", || closing_claim(None)),
    Check::twin("closing-claim/claimer-ends-quietly", DEADLOCK, || {
        closing_claim(Some("claimer-ends-quietly"))
    }),
    Check::model("closing-off-processor", || off_processor(None)),
    Check::twin(
        "closing-off-processor/finisher-has-no-fence",
        DEADLOCK,
        || off_processor(Some("finisher-has-no-fence")),
    )
    .loom_only(),
];

/// Somebody closes while somebody submits and the workers park.
fn closing(preemptions: usize, twin: Option<&'static str>) -> usize {
    const WORKERS: usize = if cfg!(executor_loom) { 1 } else { 4 };
    const TASKS: usize = if cfg!(executor_loom) { 1 } else { 20 };
    explore_at_length(preemptions, move || {
        let plan = Plan { stays_open: true, ..Plan::new(WORKERS, TASKS, twin) };
        run(plan, |model| {
            model.start_monitor();
            model.start_workers();
            model.thread(|model| (0..TASKS).for_each(|number| model.spawn(number)));
            model.close();
        });
    })
}

/// Somebody closes while somebody submits, and no worker is there; one may come for what is submitted.
fn closing_spawn(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        let plan = Plan { stays_open: true, ..Plan::new(1, 1, twin) };
        run(plan, |model| {
            model.start_monitor();
            model.thread(|model| model.spawn(0));
            model.close();
        });
    })
}

/// Somebody closes while a task that waits is woken by a thread that is no worker.
fn closing_wake(twin: Option<&'static str>) -> usize {
    const TASKS: usize = if cfg!(executor_loom) { 1 } else { 20 };
    explore(2, move || {
        let plan = Plan { stays_open: true, ..Plan::new(1, TASKS, twin) };
        run(plan, |model| {
            let wakers: Vec<_> = (0..TASKS)
                .map(|number| model.spawn_waiting(number, 1))
                .collect();
            model.start_monitor();
            // A worker is started for what is woken, if it is in time.
            model.thread(move |_| wakers.into_iter().for_each(|waker| waker.wake()));
            model.close();
        });
    })
}

/// Somebody closes while tasks are spawned, are woken from outside, spawn others on their workers, and end elsewhere.
fn closing_house(twin: Option<&'static str>) -> usize {
    const PARENTS: usize = 4;
    const SPAWNED: usize = 3 * PARENTS;
    const WOKEN: usize = 5;
    const JOBS: usize = 3;
    explore_at_length(0, move || {
        let plan = Plan { parents: PARENTS, driver: true, stays_open: true, ..Plan::new(4, SPAWNED + WOKEN + JOBS, twin) };
        run(plan, |model| {
            let wakers: Vec<_> = (SPAWNED..SPAWNED + WOKEN)
                .map(|number| model.spawn_waiting(number, 1))
                .collect();
            model.start_monitor();
            model.start_workers();
            model.thread(|model| (0..PARENTS).for_each(|number| model.spawn(number)));
            model.thread(move |_| wakers.into_iter().for_each(|waker| waker.wake()));
            model.thread(|model| {
                (SPAWNED + WOKEN..SPAWNED + WOKEN + JOBS)
                    .for_each(|number| model.spawn_blocking(number));
            });
            model.close();
        });
    })
}

/// Somebody closes while a thread that is no worker finishes the last task: the shutdown thread hears of it.
fn off_processor(twin: Option<&'static str>) -> usize {
    explore(3, move || {
        let plan = Plan { stays_open: true, ..Plan::new(1, 1, twin) };
        run(plan, |model| {
            model.start_monitor();
            model.run_elsewhere(0);
            model.close();
        });
    })
}

/// Somebody closes while a claim is made in vain, for a thread has just picked the core up: the shutdown thread hears
/// of the end of the claim.
fn closing_claim(twin: Option<&'static str>) -> usize {
    explore_twin_at_length(twin.is_some(), 2, move || {
        let plan = Plan { stays_open: true, ..Plan::new(1, 0, twin) };
        run(plan, |model| {
            model.start_monitor();
            model.thread(|model| model.shared.wake_one());
            model.start_spare();
            model.close();
        });
    })
}
