//! Retaking a processor from a stuck worker: neither the processor nor a token is lost or doubled.

use super::DEADLOCK;
use super::model::{Event, Model, Plan, begin, later_round, retake, run};
use crate::checker::{explore, explore_at_length};
use crate::runner::Check;
use crate::scheduler::enter_blocking;

pub(super) const CHECKS: &[Check] = &[
    Check::model("retake-pushing", || pushing(1, None)),
    Check::twin("retake-pushing/monitor-leaves-slot", DEADLOCK, || {
        pushing(2, Some("monitor-leaves-slot"))
    }),
    Check::twin("retake-pushing/monitor-lists-not", DEADLOCK, || {
        pushing(2, Some("monitor-lists-not"))
    }),
    Check::twin("retake-pushing/monitor-looks-once", DEADLOCK, || {
        pushing(2, Some("monitor-looks-once"))
    })
    .loom_only(),
    Check::model("retake-pushing-ordered", || pushing_ordered(None)).shuttle_only(),
    Check::twin(
        "retake-pushing-ordered/pusher-looks-first",
        DEADLOCK,
        || pushing_ordered(Some("pusher-looks-first")),
    )
    .shuttle_only(),
    Check::model("retake-late-push", || late_push(None)),
    Check::twin("retake-late-push/pusher-lists-not", DEADLOCK, || {
        late_push(Some("pusher-lists-not"))
    }),
    Check::model("retake-returning", || returning(None)),
    Check::twin("retake-returning/retake-tears", DOUBLED, || {
        returning(Some("retake-tears"))
    }),
    Check::twin("retake-returning/end-tears", DOUBLED, || {
        returning(Some("release-tears"))
    }),
    Check::twin("retake-returning/detached-made-idle", DOUBLED, || {
        returning(Some("detached-made-idle"))
    }),
    Check::twin("retake-returning/leftovers-forgotten", DEADLOCK, || {
        returning(Some("leftovers-forgotten"))
    })
    .loom_only(),
    Check::model("retake-blocking", || blocking(None)),
    Check::twin("retake-blocking/detached-made-idle", DOUBLED, || {
        blocking(Some("detached-made-idle"))
    }),
    Check::twin("retake-blocking/ends-quietly", DEADLOCK, || {
        blocking(Some("reclaim-ends-quietly"))
    })
    .loom_only(),
    Check::model("retake-outside", || outside(None)),
    Check::twin("retake-outside/wakes-nobody", DEADLOCK, || {
        outside(Some("handover-looks-no-more"))
    }),
    Check::model("retake-thief", || thief(None)),
    Check::twin("retake-thief/monitor-leaves-slot", DEADLOCK, || {
        thief(Some("monitor-leaves-slot"))
    }),
    Check::model("retake-sweep", || sweep(None)),
    Check::twin("retake-sweep/pusher-relaxed", DEADLOCK, || {
        sweep(Some("pusher-relaxed"))
    })
    .loom_only(),
    Check::twin("retake-sweep/monitor-relaxed", DEADLOCK, || {
        sweep(Some("monitor-relaxed"))
    })
    .loom_only(),
    Check::twin("retake-sweep/monitor-looks-no-more", DEADLOCK, || {
        sweep(Some("monitor-looks-no-more"))
    }),
    Check::model("retake-closing", || closing(None)),
    Check::twin("retake-closing/shutdown-drains-nobody", DEADLOCK, || {
        closing(Some("shutdown-drains-nobody"))
    }),
    Check::model("retake-closing-return", || closing_return(None)),
    Check::model("retake-house", || house(None)).shuttle_only(),
    Check::twin("retake-house/detached-made-idle", DOUBLED, || {
        house(Some("detached-made-idle"))
    })
    .shuttle_only(),
];

const DOUBLED: &str = "a core is lost or ";

/// A worker pushes within a poll, into the slot and so into the queue, and blocks until all has run, while its processor
/// is retaken. The monitor looks again when the push is past.
fn pushing(preemptions: usize, twin: Option<&'static str>) -> usize {
    explore(preemptions, move || pushing_and(twin, true))
}

/// The same where stores are seen at once: then the monitor need not look again for what was pushed.
fn pushing_ordered(twin: Option<&'static str>) -> usize {
    explore(2, move || pushing_and(twin, false))
}

fn pushing_and(twin: Option<&'static str>, waits: bool) {
    run(Plan::new(1, 3, twin), |model| {
        let pushed = Event::default();
        let says = pushed.clone();
        begin(model, move |model, begun| {
            begun.set();
            model.spawn(1);
            model.spawn(2);
            says.set();
            model.wait_ended();
        });
        let mut rounds = model.monitor();
        retake(&mut rounds, model, 0);
        if waits {
            pushed.wait();
        }
        later_round(&mut rounds);
    });
}

/// A worker whose processor was retaken long ago pushes, while whoever has it now parks.
fn late_push(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 3, twin), |model| {
            let retaken = Event::default();
            let is_retaken = retaken.clone();
            begin(model, move |model, begun| {
                begun.set();
                is_retaken.wait();
                model.spawn(1);
                model.spawn(2);
                model.wait_ended();
            });
            retake(&mut model.monitor(), model, 0);
            retaken.set();
        });
    })
}

/// The poll returns while the processor is retaken.
fn returning(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(1, 3, twin), |model| {
            begin(model, |model, begun| {
                begun.set();
                model.spawn(1);
                model.spawn(2);
            });
            retake(&mut model.monitor(), model, 0);
        });
    })
}

/// A worker is about to block and gives its core away while it is retaken.
fn blocking(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 2, twin), |model| {
            begin(model, |model, begun| {
                begun.set();
                model.spawn(1);
                let _blocking = enter_blocking();
                model.wait_ended();
            });
            retake(&mut model.monitor(), model, 0);
        });
    })
}

/// Somebody submits from outside while a stuck worker's processor is retaken.
fn outside(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 2, twin), |model| {
            begin(model, |model, begun| {
                begun.set();
                model.wait_ended();
            });
            model.thread(|model| model.spawn(1));
            retake(&mut model.monitor(), model, 0);
        });
    })
}

/// A thief is at the queue and at the slot while the processor is retaken.
fn thief(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(2, 3, twin), |model| {
            begin(model, |model, pushed| {
                model.spawn(1);
                model.spawn(2);
                pushed.set();
                model.wait_ended();
            });
            model.start_workers();
            retake(&mut model.monitor(), model, 0);
        });
    })
}

/// A detached processor's worker pushes while the monitor takes it off the list, for its queue was empty.
fn sweep(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(1, 2, twin), |model| {
            let listed = Event::default();
            let is_listed = listed.clone();
            begin(model, move |model, begun| {
                begun.set();
                is_listed.wait();
                model.spawn(1);
                model.wait_ended();
            });
            let stuck = model.processor(0);
            let mut rounds = model.monitor();
            retake(&mut rounds, model, 0);
            // As it is when thieves have emptied its queue.
            model.shared.queues.detached.list(stuck);
            listed.set();
            later_round(&mut rounds);
        });
    })
}

/// The scheduler closes while the processor of a worker is retaken that blocks until what it has spawned has run or is
/// cancelled.
fn closing(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(1, 3, twin), |model| {
            close_while_retaken(model, |model, pushed| {
                model.spawn(1);
                model.spawn(2);
                pushed.set();
                model.wait_ended();
            });
        });
    })
}

/// The scheduler closes while a detached processor's worker returns with what it has pushed.
fn closing_return(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(1, 2, twin), |model| {
            close_while_retaken(model, |model, begun| {
                begun.set();
                model.spawn(1);
            });
        });
    })
}

/// The monitor takes the processor of a worker that does this, if it is in time, and becomes the shutdown thread.
fn close_while_retaken(model: &Model, body: impl FnOnce(&Model, &Event) + Send + 'static) {
    let begun = Event::default();
    let has_begun = begun.clone();
    model.start_monitor_after(move |model| {
        has_begun.wait();
        if !model.shared.is_closed() {
            retake(&mut model.monitor(), model, 0);
        }
    });
    begin(model, body);
    begun.set();
    model.close();
}

/// Everything at once, and a monitor that retakes whatever it finds held, again and again.
fn house(twin: Option<&'static str>) -> usize {
    const PARENTS: usize = 7;
    const ROUNDS: usize = 4;
    explore_at_length(0, move || {
        let plan = Plan { parents: PARENTS, driver: true, ..Plan::new(4, 3 * PARENTS, twin) };
        run(plan, |model| {
            model.start_workers();
            model.thread(|model| (0..PARENTS / 2).for_each(|number| model.spawn(number)));
            model.thread(|model| {
                let mut rounds = model.monitor();
                for round in 0..4 * ROUNDS {
                    retake(&mut rounds, model, round % 4);
                    later_round(&mut rounds);
                }
            });
            (PARENTS / 2..PARENTS).for_each(|number| model.spawn(number));
        });
    })
}
