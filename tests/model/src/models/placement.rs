//! A worker and its processor stay together, and with it stays the CPU that it is pinned to.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::model::{Event, Model, Plan, run};
use crate::checker::explore;
use crate::clock;
use crate::machine::affinity;
use crate::runner::Check;
use crate::scheduler::{enter_blocking, this_thread};

pub(super) const CHECKS: &[Check] = &[
    Check::model("pair-resumes", || pair_resumes(None)),
    Check::twin("pair-resumes/own-first", LOST_OR_STUCK, || {
        pair_resumes(Some("own-first"))
    })
    // Under loom the worker goes round in circles.
    .shuttle_only(),
    Check::model("pinned-retaken", || pinned_retaken(None)),
    Check::twin("pinned-retaken/reclaim-waits-not", ELSEWHERE, || {
        pinned_retaken(Some("reclaim-waits-not"))
    }),
    Check::twin("pinned-retaken/reclaim-doubts-not", ELSEWHERE, || {
        pinned_retaken(Some("reclaim-doubts-not"))
    }),
    Check::model("pinned-blocking", || pinned_blocking(None)),
    Check::twin("pinned-blocking/stays-pinned", ELSEWHERE, || {
        pinned_blocking(Some("blocker-stays-pinned"))
    }),
];

const CPUS: usize = 2;
/// In the end, or before, when somebody waits for it.
const LOST_OR_STUCK: &str = "a core is lost or counted wrongly|deadlock! blocked tasks:";
const ELSEWHERE: &str = "a thread is on the wrong CPUs";

/// A task has run on the wrong CPUs, in this execution.
static IS_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Who holds a processor is on its CPU. Who holds none may be on all. A panic would end the task, and not the model.
fn look() {
    let expected = match this_thread::processor_index() {
        Some(index) => vec![index % CPUS],
        None => (0..CPUS).collect(),
    };
    if affinity::mask() != Some(expected) {
        IS_ELSEWHERE.store(true, SeqCst);
    }
}

fn run_pinned(
    processors: usize,
    tasks: usize,
    twin: Option<&'static str>,
    scene: impl FnOnce(&Model),
) {
    let plan = Plan {
        pinned: CPUS,
        ..Plan::new(processors, tasks, twin)
    };
    IS_ELSEWHERE.store(false, SeqCst);
    run(plan, scene);
    assert!(!IS_ELSEWHERE.load(SeqCst), "{ELSEWHERE}");
}

/// Somebody claims a worker with its core, while the worker comes back from the driver by itself and looks for a core.
fn pair_resumes(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let plan = Plan {
            driver: true,
            ..Plan::new(2, 2, twin)
        };
        run(plan, |model| {
            model.start_workers();
            model.thread(|model| model.shared.wake_driver());
            model.spawn(0);
            model.spawn(1);
        });
    })
}

/// A worker lets go of its processor while that is retaken, and gets another one before the monitor is done.
fn pinned_retaken(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run_pinned(2, 1, twin, |model| {
            let (has_acquired, is_done) = (Event::default(), Event::default());
            let (acquired, done) = (has_acquired.clone(), is_done.clone());
            let first = model.shared.workers.idle.pop_idle(0).expect("all are idle");
            let index = first.index;
            model.thread(move |model| {
                let shared = model.shared;
                this_thread::set_worker_of(Some(shared));
                shared.acquire(first, clock::now());
                acquired.set();
                if let Some(core) = shared.release() {
                    shared.take_back(core, false);
                }
                if let Some(core) = shared.workers.idle.pop_idle(0) {
                    shared.acquire(core, clock::now());
                    is_done.wait();
                    look();
                }
                if let Some(core) = shared.release() {
                    shared.take_back(core, false);
                }
                this_thread::set_worker_of(None);
                model.spawn(0);
            });
            has_acquired.wait();
            model.shared.retake(index, model.processor(index));
            done.set();
        });
    })
}

/// A task blocks, and says so, and goes on with a processor or without one.
fn pinned_blocking(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run_pinned(1, 2, twin, |model| {
            model.start_worker_with(0, |model| {
                look();
                model.spawn_with(1, |_| look());
                let blocking = enter_blocking();
                look();
                drop(blocking);
                look();
            });
        });
    })
}
