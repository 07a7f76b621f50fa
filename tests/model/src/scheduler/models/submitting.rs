//! Submitting, parking and finding: no token is left in a queue while everybody sleeps.

use super::DEADLOCK;
use crate::checker::{explore, explore_at_length};
use crate::queues::Queue;
use crate::runner::Check;
use crate::scheduler::model::{Flaw, Model, Plan};
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::worker::idle::{Claim, Idle, Next};
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, thread};

pub(super) const CHECKS: &[Check] = &[
    Check::model("submit", || submit(None)),
    Check::twin("submit/submitter-has-no-fence", DEADLOCK, || {
        submit(Some(Flaw::SubmitterHasNoFence))
    })
    .loom_only(),
    Check::twin("submit/submitter-looks-first", DEADLOCK, || {
        submit(Some(Flaw::SubmitterLooksFirst))
    }),
    Check::twin("submit/parker-has-no-fence", DEADLOCK, || {
        submit(Some(Flaw::SleeperHasNoFence))
    })
    .loom_only(),
    Check::twin("submit/parker-looks-no-more", DEADLOCK, || {
        submit(Some(Flaw::SleeperLooksNoMore))
    }),
    Check::model("submit-to-driver", submit_to_seat),
    Check::model("two-submitters", two_submitters),
    Check::model("wake-budget", || wake_budget(None)),
    Check::twin("wake-budget/wakes-anyway", "a wake-up too many", || {
        wake_budget(Some(Flaw::SubmitterWakesAnyway))
    }),
    Check::model("two-submitters-woken-too-soon", two_submitters_restless),
    Check::model("vain-claim", || vain_claim(false)),
    Check::twin("vain-claim/uncounted-late", DEADLOCK, || vain_claim(true)).loom_only(),
    Check::model("woken-too-soon", restless),
    Check::model("spare-ends", || spare_ends(None)),
    Check::twin("spare-ends/just-ends", "is lost", || {
        spare_ends(Some(Flaw::SpareJustEnds))
    }),
    Check::model("conserving", || conserving(None)).shuttle_only(),
    Check::twin("conserving/parker-searches-not", DEADLOCK, || {
        conserving(Some(Flaw::SleeperSearchesNot))
    })
    .shuttle_only(),
    Check::twin("conserving/finder-wakes-nobody", DEADLOCK, || {
        conserving(Some(Flaw::FinderWakesNobody))
    })
    .shuttle_only(),
    Check::model("house", || house(None)).shuttle_only(),
    Check::twin("house/parker-looks-no-more", DEADLOCK, || {
        house(Some(Flaw::SleeperLooksNoMore))
    })
    .shuttle_only(),
    Check::twin("house/submitter-looks-first", DEADLOCK, || {
        house(Some(Flaw::SubmitterLooksFirst))
    })
    .shuttle_only(),
];

/// One submitter while the only worker goes to sleep.
fn submit(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 1,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.submit(0);
        model.settle();
    })
}

/// The same, and the worker waits with the driver.
fn submit_to_seat() -> usize {
    explore(2, || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 1,
            seats: true,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.submit(0);
        model.settle();
    })
}

/// Two submitters, and as many workers that go to sleep as the checker can stand.
fn two_submitters() -> usize {
    const WORKERS: usize = if cfg!(executor_loom) { 1 } else { 4 };
    const EACH: usize = if cfg!(executor_loom) { 1 } else { 10 };
    explore_at_length(2, || {
        let (model, cores) = Model::new(Plan {
            processors: WORKERS,
            tokens: 2 * EACH,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(|model| (0..EACH).for_each(|number| model.submit(number)));
        (EACH..2 * EACH).for_each(|number| model.submit(number));
        model.settle();
    })
}

/// Two cores lie here, and each claim starts a worker: no more of them are woken than searches have ended.
fn wake_budget(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = Model::new(Plan {
            processors: 2,
            tokens: 2,
            flaw,
            ..Plan::default()
        });
        model.idle.put_cores(cores);
        model.submit(0);
        model.submit(1);
        model.settle();
    })
}

/// Two submitters, and a worker that may take up its core by itself while one of them tries to claim it.
fn two_submitters_restless() -> usize {
    explore(3, || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 2,
            restless: true,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(|model| model.submit(0));
        model.submit(1);
        model.settle();
    })
}

/// Somebody claims a core in vain, because a thread picks it up at that moment: a submitter must not rely on a search
/// that never begins. `late`: the claimer takes its search back when the core may lie here again. Smaller than the model,
/// since it takes many preemptions.
fn vain_claim(late: bool) -> usize {
    explore(3, move || {
        let place = Arc::new(Place {
            idle: Idle::new(),
            queue: Queue::new(),
            done: AtomicBool::new(false),
        });
        place.idle.put_cores(vec![()]);
        let roles: [fn(&Place); 3] = [
            if late {
                Place::claim_late_and_work
            } else {
                Place::claim_and_work
            },
            |place| {
                if let Some(core) = place.idle.pop_idle() {
                    place.work(core, false);
                }
            },
            |place| {
                place.queue.push("token");
                if place.idle.after_submit() == Next::Wake {
                    place.claim_and_work();
                }
            },
        ];
        let threads = roles.map(|role| {
            let place = place.clone();
            thread::spawn(move || role(&place))
        });
        for thread in threads {
            thread.join().expect("a thread panicked");
        }
        assert!(place.queue.is_empty(), "the token is lost");
    })
}

struct Place {
    idle: Idle<()>,
    queue: Queue<&'static str>,
    done: AtomicBool,
}

impl Place {
    fn claim_and_work(&self) {
        match self.idle.claim() {
            None => {}
            Some(Claim::Worker(parked_worker)) => parked_worker.unpark(),
            Some(Claim::Thread(core)) => self.work(core, true),
        }
    }

    /// As if `claim` counted and uncounted its search without the lock.
    fn claim_late_and_work(&self) {
        if self.idle.begin_search(usize::MAX) {
            match self.idle.pop_idle() {
                Some(core) => self.work(core, true),
                None => self.idle.end_search(),
            }
        }
    }

    /// Works until somebody has found the token.
    fn work(&self, mut core: (), mut searching: bool) {
        let netpoll = Netpoll::new().expect("without a reactor nothing can fail");
        let parked_worker = Arc::new(ParkedWorker::of_this_thread(netpoll));
        let is_done = || self.done.load(Ordering::Relaxed);
        while self.queue.pop().is_none() {
            self.idle
                .park_worker(Some(core), &parked_worker, searching, false);
            if self.queue.is_empty() {
                while !is_done() && !parked_worker.has_handed() {
                    parked_worker.park(None);
                }
            }
            if is_done() {
                return;
            }
            match self.idle.unpark_worker(&parked_worker) {
                Some(up) => (core, searching) = (up.core, up.searching),
                None => return,
            }
        }
        if searching {
            self.idle.end_search();
        }
        self.idle.put_cores(vec![core]);
        self.done.store(true, Ordering::Relaxed);
        for parked_worker in self.idle.close() {
            parked_worker.unpark();
        }
    }
}

/// A worker resumes by itself while it is given a core.
fn restless() -> usize {
    explore(3, || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 2,
            restless: true,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.submit(0);
        model.submit(1);
        model.settle();
    })
}

/// A spare's keep-alive passes while it is given a core.
fn spare_ends(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 1,
            restless: true,
            spares_end: true,
            flaw,
            ..Plan::default()
        });
        model.idle.put_cores(cores);
        model.start(None, false);
        model.submit(0);
        model.settle();
    })
}

/// All workers but one are blocked by what they run: the others must have been woken for it, and the last one runs the
/// rest.
fn conserving(flaw: Option<Flaw>) -> usize {
    const WORKERS: usize = 4;
    explore_at_length(0, move || {
        let (model, cores) = Model::new(Plan {
            processors: WORKERS,
            tokens: 20,
            blockers: WORKERS - 1,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(|model| (0..10).for_each(|number| model.submit(number)));
        (10..20).for_each(|number| model.submit(number));
        model.settle();
    })
}

/// Everything at once: four workers, one of them with the driver, two submitters, tokens that submit others on their worker.
fn house(flaw: Option<Flaw>) -> usize {
    const PARENTS: usize = 7;
    explore_at_length(0, move || {
        let (model, cores) = Model::new(Plan {
            processors: 4,
            tokens: 3 * PARENTS,
            parents: PARENTS,
            seats: true,
            restless: true,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| model.start(Some(core), false));
        model.spawn(|model| (0..PARENTS / 2).for_each(|number| model.submit(number)));
        (PARENTS / 2..PARENTS).for_each(|number| model.submit(number));
        model.settle();
    })
}
