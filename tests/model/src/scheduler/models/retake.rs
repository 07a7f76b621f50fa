//! Retaking a processor from a stuck worker: neither the processor nor a token is lost or doubled.

use super::DEADLOCK;
use crate::checker::{explore, explore_at_length};
use crate::runner::Check;
use crate::scheduler::model::{Flaw, Model, Plan};
use crate::scheduler::processor::Core;
use crate::scheduler::worker_copy as worker;
use crate::sync::{Arc, Condvar, Mutex};

pub(super) const CHECKS: &[Check] = &[
    Check::model("retake-pushing", || pushing(1, None)),
    Check::twin("retake-pushing/monitor-leaves-slot", DEADLOCK, || {
        pushing(2, Some(Flaw::MonitorLeavesSlot))
    }),
    Check::twin("retake-pushing/monitor-lists-not", DEADLOCK, || {
        pushing(2, Some(Flaw::MonitorListsNot))
    }),
    Check::twin("retake-pushing/monitor-looks-once", DEADLOCK, || {
        pushing(2, Some(Flaw::MonitorLooksOnce))
    })
    .loom_only(),
    Check::model("retake-pushing-ordered", || pushing_ordered(None)).shuttle_only(),
    Check::twin(
        "retake-pushing-ordered/pusher-looks-first",
        DEADLOCK,
        || pushing_ordered(Some(Flaw::PusherLooksFirst)),
    )
    .shuttle_only(),
    Check::model("retake-late-push", || late_push(None)),
    Check::twin("retake-late-push/pusher-lists-not", DEADLOCK, || {
        late_push(Some(Flaw::PusherListsNot))
    }),
    Check::model("retake-returning", || returning(None)),
    Check::twin("retake-returning/retake-tears", DOUBLED, || {
        returning(Some(Flaw::RetakeTears))
    }),
    Check::twin("retake-returning/end-tears", DOUBLED, || {
        returning(Some(Flaw::EndTears))
    }),
    Check::twin("retake-returning/detached-made-idle", DOUBLED, || {
        returning(Some(Flaw::OrphanLaidDown))
    }),
    Check::twin("retake-returning/leftovers-forgotten", DEADLOCK, || {
        returning(Some(Flaw::LeftoversForgotten))
    })
    .loom_only(),
    Check::model("retake-blocking", || blocking(None)),
    Check::twin("retake-blocking/detached-made-idle", DOUBLED, || {
        blocking(Some(Flaw::OrphanLaidDown))
    }),
    Check::twin("retake-blocking/ends-quietly", DEADLOCK, || {
        blocking(Some(Flaw::HomecomerEndsQuietly))
    })
    .loom_only(),
    Check::model("retake-outside", || outside(None)),
    Check::twin("retake-outside/wakes-nobody", DEADLOCK, || {
        outside(Some(Flaw::RetakeWakesNobody))
    }),
    Check::model("retake-thief", || thief(None)),
    Check::twin("retake-thief/monitor-leaves-slot", DEADLOCK, || {
        thief(Some(Flaw::MonitorLeavesSlot))
    }),
    Check::model("retake-sweep", || tidying(None)),
    Check::twin("retake-sweep/pusher-relaxed", DEADLOCK, || {
        tidying(Some(Flaw::PusherRelaxed))
    })
    .loom_only(),
    Check::twin("retake-sweep/monitor-relaxed", DEADLOCK, || {
        tidying(Some(Flaw::TidyRelaxed))
    })
    .loom_only(),
    Check::twin("retake-sweep/monitor-looks-no-more", DEADLOCK, || {
        tidying(Some(Flaw::TidyLooksNoMore))
    }),
    Check::model("retake-closing", || closing(None)),
    Check::twin("retake-closing/shutdown-drains-nobody", DEADLOCK, || {
        closing(Some(Flaw::JanitorRobsNobody))
    }),
    Check::model("retake-closing-return", || closing_return(None)),
    Check::model("retake-house", || house(None)).shuttle_only(),
    Check::twin("retake-house/detached-made-idle", DOUBLED, || {
        house(Some(Flaw::OrphanLaidDown))
    })
    .shuttle_only(),
];

const DOUBLED: &str = "a core is lost or ";

/// Something has come to pass. Who waits for it sees all that was before: it stands for the time in which every store
/// becomes visible.
#[derive(Clone, Default)]
struct Event(Arc<(Mutex<bool>, Condvar)>);

impl Event {
    fn set(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let mut set = self.0.0.lock();
        while !*set {
            set = self.0.1.wait(set);
        }
    }
}

fn model(processors: usize, tokens: usize, flaw: Option<Flaw>) -> (Model, Vec<Box<Core>>) {
    let (model, cores) = Model::new(Plan {
        processors,
        tokens,
        flaw,
        ..Plan::default()
    });
    let cores = cores.into_iter().map(worker::hold).collect();
    (model, cores)
}

/// A worker pushes within a poll, into the slot and so into the queue, and blocks until all has run, while its processor is
/// retaken. The monitor looks again when the push is past.
fn pushing(preemptions: usize, flaw: Option<Flaw>) -> usize {
    explore(preemptions, move || {
        let pushed = Event::default();
        pushing_and(flaw, pushed.clone(), move || pushed.wait())
    })
}

/// The same where stores are seen at once: then the monitor need not look again.
fn pushing_ordered(flaw: Option<Flaw>) -> usize {
    explore(2, move || pushing_and(flaw, Event::default(), || ()))
}

fn pushing_and(flaw: Option<Flaw>, pushed: Event, before: impl FnOnce() + Send + 'static) {
    let (model, cores) = model(1, 2, flaw);
    for core in cores {
        let pushed = pushed.clone();
        model.start_as_worker(move |model| {
            model.submit_on(&core, 0);
            model.submit_on(&core, 1);
            pushed.set();
            model.wait_ended();
            worker::work(model, Some(core), false);
        });
    }
    model.spawn(move |model| {
        let detached = model.retake(0);
        before();
        if let Some(detached) = detached {
            model.later_round(detached);
        }
    });
    model.settle();
}

/// A worker whose processor was retaken long ago pushes, while whoever has it now goes to sleep.
fn late_push(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = model(1, 2, flaw);
        model.retake(0);
        for core in cores {
            model.start_as_worker(move |model| {
                model.submit_on(&core, 0);
                model.submit_on(&core, 1);
                model.wait_ended();
                worker::work(model, Some(core), false);
            });
        }
        model.settle();
    })
}

/// The poll returns while the processor is retaken.
fn returning(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (model, cores) = model(1, 2, flaw);
        for core in cores {
            model.start_as_worker(move |model| {
                model.submit_on(&core, 0);
                model.submit_on(&core, 1);
                worker::work(model, Some(core), false);
            });
        }
        model.spawn(|model| {
            model.retake(0);
        });
        model.settle();
    })
}

/// A worker is about to block and gives its core away while it is retaken.
fn blocking(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = model(1, 1, flaw);
        for core in cores {
            model.start_as_worker(move |model| {
                model.submit_on(&core, 0);
                if let Some(core) = model.give_up(core) {
                    core.empty_slot();
                    model.pass_on(core);
                }
                model.wait_ended();
                worker::run(model, model.idle.pop_idle(), false);
            });
        }
        model.spawn(|model| {
            model.retake(0);
        });
        model.settle();
    })
}

/// Somebody submits from outside while a stuck worker's processor is retaken.
fn outside(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = model(1, 1, flaw);
        for core in cores {
            model.start_as_worker(move |model| {
                model.wait_ended();
                worker::work(model, Some(core), false);
            });
        }
        model.spawn(|model| {
            model.retake(0);
        });
        model.submit(0);
        model.settle();
    })
}

/// A thief is at the queue and at the slot while the processor is retaken.
fn thief(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (model, mut cores) = model(2, 2, flaw);
        let (stuck, free) = (cores.remove(0), cores.remove(0));
        model.submit_on(&stuck, 0);
        model.submit_on(&stuck, 1);
        model.start_as_worker(move |model| worker::work(model, Some(free), false));
        model.start_as_worker(move |model| {
            model.wait_ended();
            worker::work(model, Some(stuck), false);
        });
        model.retake(0);
        model.settle();
    })
}

/// A detached processor's worker pushes while the monitor takes it off the list, for its queue was empty.
fn tidying(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (model, cores) = model(1, 1, flaw);
        let detached = model.retake(0);
        for core in cores {
            // As it is when thieves have emptied its queue.
            model.detached.list(core.processor);
            model.start_as_worker(move |model| {
                model.submit_on(&core, 0);
                model.wait_ended();
                worker::work(model, Some(core), false);
            });
        }
        if let Some(detached) = detached {
            model.spawn(move |model| model.later_round(detached));
        }
        model.settle();
    })
}

/// The monitor takes the processor, if it is in time, and becomes the shutdown thread.
fn close_while_retaken(model: &Model) {
    model.spawn(|model| {
        model.begin_epoch();
        if !model.is_closed() {
            model.retake(0);
        }
        model.clean_up();
    });
    model.close();
    model.settle();
}

/// The scheduler closes while the processor of a worker is retaken that blocks until its tokens have run or are cancelled.
fn closing(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = model(1, 2, flaw);
        for core in cores {
            model.submit_on(&core, 0);
            model.submit_on(&core, 1);
            model.start_as_worker(move |model| {
                model.wait_ended();
                worker::work(model, Some(core), false);
            });
        }
        close_while_retaken(&model);
    })
}

/// The scheduler closes while a detached processor's worker comes home with what it has pushed.
fn closing_return(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (model, cores) = model(1, 1, flaw);
        for core in cores {
            model.submit_on(&core, 0);
            model.start_as_worker(move |model| worker::work(model, Some(core), false));
        }
        close_while_retaken(&model);
    })
}

/// Everything at once, and a monitor that retakes whatever it finds held, again and again.
fn house(flaw: Option<Flaw>) -> usize {
    const PARENTS: usize = 7;
    const ROUNDS: usize = 4;
    explore_at_length(0, move || {
        let (model, cores) = Model::new(Plan {
            processors: 4,
            tokens: 3 * PARENTS,
            parents: PARENTS,
            seats: true,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(|model| (0..PARENTS / 2).for_each(|number| model.submit(number)));
        model.spawn(|model| {
            let mut detached = Vec::new();
            for round in 0..4 * ROUNDS {
                detached.extend(model.retake(round % 4));
                for detached in &detached {
                    model.later_round(detached);
                }
            }
        });
        (PARENTS / 2..PARENTS).for_each(|number| model.submit(number));
        model.settle();
    })
}
