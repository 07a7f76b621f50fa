//! The two checkers behind one function.

/// Explores a model; returns how many executions there were. Panics, or worse, when one of them fails.
///
/// Preemptions that loom explores: `LOOM_MAX_PREEMPTIONS`, else as many as the model names.
#[cfg(executor_loom)]
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    // What a process learns once, it has to have learned before: executions must be alike.
    loom::model(crate::scheduler::models::learn);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 10_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let count = executions.clone();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    executions.load(Relaxed)
}

/// Loom has no more than every interleaving.
#[cfg(executor_loom)]
pub(crate) use explore as explore_at_length;

/// Schedules of each of the two schedulers: `MODEL_SCHEDULES`, else [`SCHEDULES`].
#[cfg(executor_shuttle)]
pub(crate) fn explore(_: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    explore_times(1, model)
}

/// Ten times as many: for a model of four workers, in which much can happen.
#[cfg(executor_shuttle)]
pub(crate) fn explore_at_length(_: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    explore_times(10, model)
}

#[cfg(executor_shuttle)]
fn explore_times(factor: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    use std::sync::Arc;

    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, MaxSteps, Runner};

    /// All models together have more than a million, in about a minute on two cores.
    const SCHEDULES: usize = 5_000;
    /// Of PCT: finds any bug that takes so many ordering constraints, with a probability known beforehand.
    const DEPTH: usize = 3;

    let schedules = std::env::var(crate::runner::SCHEDULES)
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(SCHEDULES)
        * factor;
    let mut config = Config::new();
    // The default is 32 KiB, little for formatting a panic.
    config.stack_size = 1 << 17;
    // A good execution takes a tenth of it; what takes more does not end.
    config.max_steps = MaxSteps::FailAfter(100_000);
    let model = Arc::new(model);
    let random = model.clone();
    // PCT first: it finds most of what is to be found, and sooner.
    Runner::new(PctScheduler::new(DEPTH, schedules), config.clone()).run(move || model());
    Runner::new(RandomScheduler::new(schedules), config).run(move || random());
    2 * schedules
}

/// [`explore`] for a model, [`explore_at_length`] for its twin: what that shows is rare.
pub(crate) fn explore_twin_at_length(
    is_twin: bool,
    preemptions: usize,
    model: impl Fn() + Send + Sync + 'static,
) -> usize {
    match is_twin {
        true => explore_at_length(preemptions, model),
        false => explore(preemptions, model),
    }
}

/// An assertion on a thread of the source, which may catch panics: this is the end of all executions.
pub(crate) fn must(holds: bool, what: &str) {
    if !holds {
        eprintln!("{what}");
        std::process::abort();
    }
}
