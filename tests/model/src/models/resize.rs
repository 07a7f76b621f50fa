//! The number of processors changes: no core is lost, none beyond the number is given out, and each task runs.

use super::DEADLOCK;
use super::model::{Event, Plan, begin, retake, run};
use crate::checker::{explore, explore_at_length};
use crate::clock;
use crate::runner::Check;
use crate::scheduler::this_thread;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};

pub(super) const CHECKS: &[Check] = &[
    Check::model("resize-acquiring", || acquiring(None)),
    Check::twin("resize-acquiring/acquirer-looks-not", UNASKED, || {
        acquiring(Some("acquirer-looks-not"))
    }),
    Check::twin("resize-acquiring/no-fence", UNASKED, || {
        acquiring(Some("wanted-has-no-fence"))
    })
    .loom_only(),
    Check::model("resize-retiring", || retiring(None)),
    Check::twin("resize-retiring/resizer-asks-not", STAYS, || {
        retiring(Some("resizer-asks-not"))
    }),
    Check::twin("resize-retiring/made-idle-anyway", TOO_MANY, || {
        retiring(Some("retired-made-idle"))
    })
    // Under shuttle the processor goes round in circles: its worker gets it back each time.
    .loom_only(),
    Check::model("resize-more", || more(None)),
    Check::twin("resize-more/resizer-looks-no-more", DEADLOCK, || {
        more(Some("resizer-looks-no-more"))
    }),
    Check::twin("resize-more/no-fence", DEADLOCK, || {
        more(Some("wanted-has-no-fence"))
    })
    .loom_only(),
    Check::model("resize-stuck", || stuck(None)),
    Check::model("resize-agreed", || agreed(None)),
    Check::twin("resize-agreed/agrees-before-its-turn", UNDONE, || {
        agreed(Some("agrees-before-its-turn"))
    }),
    Check::model("resize-house", house).shuttle_only(),
];

const UNASKED: &str = "a worker is not asked";
const STAYS: &str = "a processor does not retire";
const UNDONE: &str = "who follows undoes what was set";
const TOO_MANY: &str = "a core is lost or counted wrongly";

/// A thread acquires a processor while it is to retire: it is asked to look up, by itself or by who resizes.
fn acquiring(twin: Option<&'static str>) -> usize {
    explore(3, move || {
        let plan = Plan::new(2, 1, twin);
        run(plan, |model| {
            let (has_acquired, is_checked) = (Event::default(), Event::default());
            let (acquired, checked) = (has_acquired.clone(), is_checked.clone());
            // The cores are taken from the last.
            let first = model.shared.workers.idle.pop_idle(0).expect("all are idle");
            let second = model.shared.workers.idle.pop_idle(0).expect("all are idle");
            model.shared.take_back(first, false);
            model.thread(move |model| {
                this_thread::set_worker_of(Some(model.shared));
                model.shared.acquire(second, clock::now());
                acquired.set();
                is_checked.wait();
                if let Some(core) = model.shared.release() {
                    model.shared.take_back(core, false);
                }
                this_thread::set_worker_of(None);
                model.spawn(0);
            });
            model.shared.set_num_processors(1, || true).expect("there is one");
            has_acquired.wait();
            let is_asked = model.processor(1).ownership.has_request();
            checked.set();
            assert!(is_asked, "a worker is not asked");
        });
    })
}

/// A worker with more in its queue lets go of its processor when it is asked, while somebody submits.
fn retiring(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let plan = Plan::new(2, 4, twin);
        let stays = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = stays.clone();
        run(plan, |model| {
            let resized = Event::default();
            let is_resized = resized.clone();
            let first = model.shared.workers.idle.pop_idle(0).expect("all are idle");
            begin(model, move |model, begun| {
                begun.set();
                is_resized.wait();
                for number in [1, 2] {
                    let seen = seen.clone();
                    model.spawn_with(number, move |_| {
                        if this_thread::processor_index() == Some(1) {
                            seen.store(true, std::sync::atomic::Ordering::SeqCst);
                        }
                    });
                }
            });
            model.shared.take_back(first, false);
            model.shared.set_num_processors(1, || true).expect("there is one");
            resized.set();
            model.spawn(3);
        });
        let stays = stays.load(std::sync::atomic::Ordering::SeqCst);
        assert!(!stays, "a processor does not retire");
    })
}

/// The only processor is busy for long, another one comes, and somebody submits.
fn more(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let mut plan = Plan::new(1, 2, twin);
        plan.more_processors = 1;
        run(plan, |model| {
            begin(model, |model, begun| {
                begun.set();
                model.wait_ended();
            });
            model.thread(|model| model.spawn(1));
            model.shared.set_num_processors(2, || true).expect("there is room");
        });
    })
}

/// A worker is stuck on a processor that is to retire, with a task in its queue, while the monitor retakes it.
fn stuck(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let plan = Plan::new(2, 2, twin);
        run(plan, |model| {
            let first = model.shared.workers.idle.pop_idle(0).expect("all are idle");
            begin(model, |model, begun| {
                model.spawn(1);
                begun.set();
                model.wait_ended();
            });
            model.shared.take_back(first, false);
            model.thread(|model| {
                // An error: it has closed meanwhile.
                let _ = model.shared.set_num_processors(1, || true);
            });
            let mut rounds = model.monitor();
            retake(&mut rounds, model, 1);
        });
    })
}

/// Somebody follows another number until the user sets one.
fn agreed(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        let mut plan = Plan::new(1, 1, twin);
        plan.more_processors = 2;
        run(plan, |model| {
            let follows = Arc::new(AtomicBool::new(true));
            let is_followed = follows.clone();
            let has_followed = Event::default();
            let done = has_followed.clone();
            model.thread(move |model| {
                let agreed = || is_followed.load(Ordering::Relaxed);
                model.shared.set_num_processors(2, agreed).expect("there is room");
                done.set();
            });
            let agreed = || {
                follows.store(false, Ordering::Relaxed);
                true
            };
            model.shared.set_num_processors(3, agreed).expect("there is room");
            has_followed.wait();
            let wanted = model.shared.workers.idle.num_wanted();
            assert_eq!(wanted, 3, "who follows undoes what was set");
            model.spawn(0);
        });
    })
}

/// All of it, up and down.
fn house() -> usize {
    explore_at_length(2, move || {
        let mut plan = Plan::new(2, 18, None);
        plan.more_processors = 2;
        plan.parents = 4;
        plan.driver = true;
        plan.rounds = 3;
        plan.keep_alives = 2;
        run(plan, |model| {
            model.start_monitor();
            model.start_workers();
            model.thread(|model| (0..4).for_each(|number| model.spawn(number)));
            model.thread(|model| (12..18).for_each(|number| model.spawn(number)));
            for wanted in [4, 1, 3, 2] {
                // An error: it has closed meanwhile.
                let _ = model.shared.set_num_processors(wanted, || true);
            }
        });
    })
}
