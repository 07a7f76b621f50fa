//! Retaking a processor from a stuck worker: neither the processor nor a token is lost or doubled.

use super::DEADLOCK;
use crate::checker::{explore, explore_at_length};
use crate::runner::Check;
use crate::scheduler::processor::Core;
use crate::scheduler::worker_copy as worker;
use crate::scheduler::yard::{Flaw, Plan, Yard};
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

fn yard(processors: usize, tokens: usize, flaw: Option<Flaw>) -> (Yard, Vec<Box<Core>>) {
    let (yard, cores) = Yard::new(Plan {
        processors,
        tokens,
        flaw,
        ..Plan::default()
    });
    let cores = cores.into_iter().map(worker::hold).collect();
    (yard, cores)
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
    let (yard, cores) = yard(1, 2, flaw);
    for core in cores {
        let pushed = pushed.clone();
        yard.start_as_worker(move |yard| {
            yard.submit_on(&core, 0);
            yard.submit_on(&core, 1);
            pushed.set();
            yard.wait_ended();
            worker::work(yard, Some(core), false);
        });
    }
    yard.spawn(move |yard| {
        let detached = yard.retake(0);
        before();
        if let Some(detached) = detached {
            yard.later_round(detached);
        }
    });
    yard.settle();
}

/// A worker whose processor was retaken long ago pushes, while whoever has it now goes to sleep.
fn late_push(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = yard(1, 2, flaw);
        yard.retake(0);
        for core in cores {
            yard.start_as_worker(move |yard| {
                yard.submit_on(&core, 0);
                yard.submit_on(&core, 1);
                yard.wait_ended();
                worker::work(yard, Some(core), false);
            });
        }
        yard.settle();
    })
}

/// The poll returns while the processor is retaken.
fn returning(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (yard, cores) = yard(1, 2, flaw);
        for core in cores {
            yard.start_as_worker(move |yard| {
                yard.submit_on(&core, 0);
                yard.submit_on(&core, 1);
                worker::work(yard, Some(core), false);
            });
        }
        yard.spawn(|yard| {
            yard.retake(0);
        });
        yard.settle();
    })
}

/// A worker is about to block and gives its core away while it is retaken.
fn blocking(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = yard(1, 1, flaw);
        for core in cores {
            yard.start_as_worker(move |yard| {
                yard.submit_on(&core, 0);
                if let Some(core) = yard.give_up(core) {
                    core.empty_slot();
                    yard.pass_on(core);
                }
                yard.wait_ended();
                worker::run(yard, yard.idle.pop_idle(), false);
            });
        }
        yard.spawn(|yard| {
            yard.retake(0);
        });
        yard.settle();
    })
}

/// Somebody submits from outside while a stuck worker's processor is retaken.
fn outside(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = yard(1, 1, flaw);
        for core in cores {
            yard.start_as_worker(move |yard| {
                yard.wait_ended();
                worker::work(yard, Some(core), false);
            });
        }
        yard.spawn(|yard| {
            yard.retake(0);
        });
        yard.submit(0);
        yard.settle();
    })
}

/// A thief is at the queue and at the slot while the processor is retaken.
fn thief(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (yard, mut cores) = yard(2, 2, flaw);
        let (stuck, free) = (cores.remove(0), cores.remove(0));
        yard.submit_on(&stuck, 0);
        yard.submit_on(&stuck, 1);
        yard.start_as_worker(move |yard| worker::work(yard, Some(free), false));
        yard.start_as_worker(move |yard| {
            yard.wait_ended();
            worker::work(yard, Some(stuck), false);
        });
        yard.retake(0);
        yard.settle();
    })
}

/// A detached processor's worker pushes while the monitor takes it off the list, for its queue was empty.
fn tidying(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (yard, cores) = yard(1, 1, flaw);
        let detached = yard.retake(0);
        for core in cores {
            // As it is when thieves have emptied its queue.
            yard.detached.list(core.processor);
            yard.start_as_worker(move |yard| {
                yard.submit_on(&core, 0);
                yard.wait_ended();
                worker::work(yard, Some(core), false);
            });
        }
        if let Some(detached) = detached {
            yard.spawn(move |yard| yard.later_round(detached));
        }
        yard.settle();
    })
}

/// The monitor takes the processor, if it is in time, and becomes the shutdown thread.
fn close_while_retaken(yard: &Yard) {
    yard.spawn(|yard| {
        yard.begin_epoch();
        if !yard.is_closed() {
            yard.retake(0);
        }
        yard.clean_up();
    });
    yard.close();
    yard.settle();
}

/// The scheduler closes while the processor of a worker is retaken that blocks until its tokens have run or are cancelled.
fn closing(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = yard(1, 2, flaw);
        for core in cores {
            yard.submit_on(&core, 0);
            yard.submit_on(&core, 1);
            yard.start_as_worker(move |yard| {
                yard.wait_ended();
                worker::work(yard, Some(core), false);
            });
        }
        close_while_retaken(&yard);
    })
}

/// The scheduler closes while a detached processor's worker comes home with what it has pushed.
fn closing_return(flaw: Option<Flaw>) -> usize {
    explore(1, move || {
        let (yard, cores) = yard(1, 1, flaw);
        for core in cores {
            yard.submit_on(&core, 0);
            yard.start_as_worker(move |yard| worker::work(yard, Some(core), false));
        }
        close_while_retaken(&yard);
    })
}

/// Everything at once, and a monitor that retakes whatever it finds held, again and again.
fn house(flaw: Option<Flaw>) -> usize {
    const PARENTS: usize = 7;
    const ROUNDS: usize = 4;
    explore_at_length(0, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 4,
            tokens: 3 * PARENTS,
            parents: PARENTS,
            seats: true,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.spawn(|yard| (0..PARENTS / 2).for_each(|number| yard.submit(number)));
        yard.spawn(|yard| {
            let mut detached = Vec::new();
            for round in 0..4 * ROUNDS {
                detached.extend(yard.retake(round % 4));
                for detached in &detached {
                    yard.later_round(detached);
                }
            }
        });
        (PARENTS / 2..PARENTS).for_each(|number| yard.submit(number));
        yard.settle();
    })
}
