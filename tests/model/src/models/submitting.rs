//! Submitting, parking and finding: no token is left in a queue while everybody sleeps.

use super::DEADLOCK;
use super::model::{Model, Plan, run};
use crate::checker::{explore, explore_at_length};
use crate::queues::Queue;
use crate::runner::Check;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::worker::idle::{Claim, Idle, Indexed, Look, Next};
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, thread};

pub(super) const CHECKS: &[Check] = &[
    Check::model("submit", || submit(false, None)),
    Check::twin("submit/submitter-has-no-fence", DEADLOCK, || {
        submit(false, Some("submitter-has-no-fence"))
    })
    .loom_only(),
    Check::twin("submit/submitter-looks-first", DEADLOCK, || {
        submit(false, Some("submitter-looks-first"))
    }),
    Check::twin("submit/parker-has-no-fence", DEADLOCK, || {
        submit(false, Some("parker-has-no-fence"))
    })
    .loom_only(),
    Check::twin("submit/parker-looks-no-more", DEADLOCK, || {
        submit(false, Some("parker-looks-no-more"))
    }),
    Check::model("submit-to-driver", || submit(true, None)),
    Check::model("two-submitters", two_submitters),
    Check::model("wake-budget", || wake_budget(None)),
    Check::twin("wake-budget/wakes-anyway", "a wake-up too many", || {
        wake_budget(Some("submitter-wakes-anyway"))
    }),
    Check::model("two-submitters-woken-too-soon", || woken_too_soon(2)),
    Check::model("vain-claim", || vain_claim(false)),
    Check::twin("vain-claim/uncounted-late", DEADLOCK, || vain_claim(true)).loom_only(),
    Check::model("last-searcher", || last_searcher(None)),
    Check::twin("last-searcher/leaves-it", DEADLOCK, || {
        last_searcher(Some("last-searcher-leaves-it"))
    }),
    Check::twin("last-searcher/searchers-tear", DEADLOCK, || {
        last_searcher(Some("searchers-tear"))
    }),
    Check::model("marks", || marks(None)),
    Check::twin("marks/taker-marks-not", DEADLOCK, || {
        marks(Some("taker-marks-not"))
    }),
    Check::twin("marks/taker-marks-late", DEADLOCK, || {
        marks(Some("taker-marks-late"))
    }),
    Check::model("marks-churn", || marks_churn(None)).shuttle_only(),
    Check::twin("marks-churn/mark-taken-off-late", DEADLOCK, || {
        marks_churn(Some("mark-taken-off-late"))
    })
    .shuttle_only(),
    Check::model("woken-too-soon", || woken_too_soon(1)),
    Check::model("spare-ends", || spare_ends(None)),
    Check::twin("spare-ends/just-ends", "is lost", || {
        spare_ends(Some("spare-just-ends"))
    }),
    Check::model("conserving", || conserving(None)).shuttle_only(),
    Check::twin("conserving/parker-searches-not", DEADLOCK, || {
        conserving(Some("parker-searches-not"))
    })
    .shuttle_only(),
    Check::twin("conserving/finder-wakes-nobody", DEADLOCK, || {
        conserving(Some("finder-wakes-nobody"))
    })
    .shuttle_only(),
    Check::model("house", || house(None)).shuttle_only(),
    Check::twin("house/parker-looks-no-more", DEADLOCK, || {
        house(Some("parker-looks-no-more"))
    })
    .shuttle_only(),
    Check::twin("house/submitter-looks-first", DEADLOCK, || {
        house(Some("submitter-looks-first"))
    })
    .shuttle_only(),
];

/// One submitter while the only worker parks; or, `driver`, begins to wait with the driver.
fn submit(driver: bool, twin: Option<&'static str>) -> usize {
    explore(3 - usize::from(driver), move || {
        let plan = Plan {
            driver,
            ..Plan::new(1, 1, twin)
        };
        run(plan, |model| {
            model.start_workers();
            model.spawn(0);
        });
    })
}

/// Two submitters, and as many workers that park as the checker can stand.
fn two_submitters() -> usize {
    const WORKERS: usize = if cfg!(executor_loom) { 1 } else { 4 };
    const EACH: usize = if cfg!(executor_loom) { 1 } else { 10 };
    explore_at_length(2, || {
        let plan = Plan::new(WORKERS, 2 * EACH, None);
        run(plan, |model| {
            model.start_workers();
            model.thread(|model| (0..EACH).for_each(|number| model.spawn(number)));
            (EACH..2 * EACH).for_each(|number| model.spawn(number));
        });
    })
}

/// Two processors are idle, and each claim starts a worker: no second search begins while one lasts.
fn wake_budget(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        let plan = Plan::new(2, 2, twin);
        run(plan, |model| {
            let check = || {
                // Who claims is this thread, so it sees its own last claim.
                let searching = model.shared.workers.idle.num_searching();
                assert!(searching <= 1, "a wake-up too many");
            };
            model.spawn(0);
            check();
            model.spawn(1);
            check();
        });
    })
}

/// One or two submitters, and a worker that may take up its core by itself while one of them tries to claim it, since
/// its wait with the driver ends for nothing.
fn woken_too_soon(submitters: usize) -> usize {
    explore(3, move || {
        let plan = Plan {
            driver: true,
            ..Plan::new(1, 2, None)
        };
        run(plan, |model| {
            model.start_workers();
            if submitters == 2 {
                model.thread(|model| model.spawn(0));
            } else {
                model.thread(|model| model.shared.wake_driver());
                model.spawn(0);
            }
            model.shared.wake_driver();
            model.spawn(1);
        });
    })
}

/// Somebody claims a core in vain, because a thread picks it up at that moment: a submitter must not rely on a search
/// that never begins. `late`: the claimer takes its search back when the core may be idle again. Smaller than the model,
/// since it takes many preemptions.
fn vain_claim(late: bool) -> usize {
    explore(3, move || {
        let place = Arc::new(Place {
            idle: Idle::new(1, 1),
            queue: Queue::new(),
            done: AtomicBool::new(false),
        });
        place.idle.add(());
        let roles: [fn(&Place); 3] = [
            if late {
                Place::claim_late_and_work
            } else {
                Place::claim_and_work
            },
            |place| {
                if let Some(core) = place.idle.pop_idle(0) {
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

impl Indexed for u32 {
    fn index(&self) -> usize {
        *self as usize
    }
}

impl Indexed for () {
    fn index(&self) -> usize {
        0
    }
}

struct Place {
    idle: Idle<()>,
    queue: Queue<&'static str>,
    done: AtomicBool,
}

impl Place {
    fn claim_and_work(&self) {
        match self.idle.claim(0) {
            None => {}
            Some(Claim::Worker(parked_worker)) => parked_worker.unpark(),
            Some(Claim::Thread(core)) => self.work(core, true),
        }
    }

    /// As if `claim` counted and uncounted its search without the lock.
    fn claim_late_and_work(&self) {
        self.idle.begin_search_anyway();
        match self.idle.pop_idle(0) {
            Some(core) => self.work(core, true),
            None => _ = self.idle.end_search(),
        }
    }

    /// Works until somebody has found the token.
    fn work(&self, mut core: (), mut searching: bool) {
        let netpoll = Netpoll::new().expect("without a reactor nothing can fail");
        let parked_worker = Arc::new(ParkedWorker::of_this_thread(netpoll));
        let is_done = || self.done.load(Ordering::Relaxed);
        while self.queue.pop().is_none() {
            let look = (self.idle).park_worker(Some(core), &parked_worker, searching, false);
            if look == Look::Left || self.queue.is_empty() {
                while !is_done() && !parked_worker.has_handed() {
                    parked_worker.park(None);
                }
            }
            if is_done() {
                return;
            }
            match self.idle.unpark_worker(&parked_worker, Some(0), 0) {
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

/// Two workers search, and find one token each, of which they do not come back: whoever stops searching last looks for
/// both.
fn last_searcher(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        crate::twin::set(twin);
        let pair = Arc::new(Pair {
            idle: Idle::new(2, 1),
            queue: Queue::new(),
            found: AtomicUsize::new(0),
        });
        (0..2).for_each(|number| pair.idle.add(Numbered(number)));
        let cores = pair.idle.take_cores();
        let searchers: Vec<_> = cores
            .into_iter()
            .map(|core| {
                pair.idle.begin_search_anyway();
                let pair = pair.clone();
                thread::spawn(move || pair.work(core))
            })
            .collect();
        for token in ["one", "other"] {
            pair.queue.push(token);
            if pair.idle.after_submit() == Next::Wake {
                pair.claim_and_work();
            }
        }
        for searcher in searchers {
            searcher.join().expect("a thread panicked");
        }
        assert!(pair.queue.is_empty(), "a token is lost");
    })
}

/// The core of the processor with this number.
#[derive(Debug)]
struct Numbered(usize);

impl Indexed for Numbered {
    fn index(&self) -> usize {
        self.0
    }
}

struct Pair {
    idle: Idle<Numbered>,
    queue: Queue<&'static str>,
    found: AtomicUsize,
}

impl Pair {
    fn claim_and_work(&self) {
        match self.idle.claim(0) {
            None => {}
            Some(Claim::Worker(parked_worker)) => parked_worker.unpark(),
            Some(Claim::Thread(core)) => self.work(core),
        }
    }

    /// Searches until it has a token, with which it keeps its core, or both are found.
    fn work(&self, mut core: Numbered) {
        let netpoll = Netpoll::new().expect("without a reactor nothing can fail");
        let parked_worker = Arc::new(ParkedWorker::of_this_thread(netpoll));
        let is_done = || self.found.load(Ordering::Relaxed) == 2;
        let mut searching = true;
        while self.queue.pop().is_none() {
            let own = Some(core.0);
            let look = (self.idle).park_worker(Some(core), &parked_worker, searching, false);
            let found = look == Look::Due && !self.queue.is_empty();
            while !found && !is_done() && !parked_worker.has_handed() {
                parked_worker.park(None);
            }
            if is_done() {
                return;
            }
            match self.idle.unpark_worker(&parked_worker, own, 0) {
                Some(up) => (core, searching) = (up.core, up.searching),
                None => return,
            }
            if !searching {
                self.idle.begin_search_anyway();
                searching = true;
            }
        }
        if self.idle.end_search() == Look::Due && !self.queue.is_empty() {
            self.claim_and_work();
        }
        if self.found.fetch_add(1, Ordering::Relaxed) == 1 {
            for parked_worker in self.idle.close() {
                parked_worker.unpark();
            }
        }
    }
}

/// A poll pushes into its worker's queue while another worker parks, and waits for what it has pushed.
fn marks(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        let plan = Plan::new(2, 2, twin);
        run(plan, |model| {
            model.start_worker_with(0, |model| {
                model.queue(1);
                model.wait_ended();
            });
            model.start_worker();
        });
    })
}

/// The same of several, each on a core that another worker has just let go of.
fn marks_churn(twin: Option<&'static str>) -> usize {
    const WORKERS: usize = 4;
    const PARENTS: usize = WORKERS - 1;
    explore_at_length(0, move || {
        let plan = Plan {
            single: true,
            ..Plan::new(WORKERS, 3 * PARENTS, twin)
        };
        run(plan, |model| {
            model.start_workers();
            let parent = |model: &Model, number: usize| {
                model.spawn_with(number, move |model| {
                    model.queue(PARENTS + 2 * number);
                    model.queue(PARENTS + 2 * number + 1);
                    model.wait_ended();
                });
            };
            model.thread(move |model| parent(model, 0));
            (1..PARENTS).for_each(|number| parent(model, number));
        });
    })
}

/// A spare's keep-alive passes while it is given a core.
fn spare_ends(twin: Option<&'static str>) -> usize {
    explore(3, move || {
        let plan = Plan {
            keep_alives: 1,
            ..Plan::new(1, 1, twin)
        };
        run(plan, |model| {
            // One that blocks, say: the spare is one too many.
            let staying = &model.shared.workers.staying;
            staying.fetch_add(1, Ordering::Relaxed);
            model.start_spare();
            model.spawn(0);
        });
    })
}

/// All workers but one are blocked by what they run: the others must have been woken for it, and the last one runs the
/// rest.
fn conserving(twin: Option<&'static str>) -> usize {
    const WORKERS: usize = 4;
    explore_at_length(0, move || {
        let plan = Plan {
            blockers: WORKERS - 1,
            single: true,
            ..Plan::new(WORKERS, 20, twin)
        };
        run(plan, |model| {
            model.start_workers();
            model.thread(|model| (0..10).for_each(|number| model.spawn(number)));
            (10..20).for_each(|number| model.spawn(number));
        });
    })
}

/// Everything at once: four workers, one of them with the driver, two submitters, tasks that spawn others on their
/// worker, and waits with the driver that end for nothing.
fn house(twin: Option<&'static str>) -> usize {
    const PARENTS: usize = 7;
    explore_at_length(0, move || {
        let plan = Plan {
            processors: 4,
            tasks: 3 * PARENTS,
            parents: PARENTS,
            driver: true,
            // In its rounds the monitor would find what a twin forgets.
            rounds: if twin.is_some() { 0 } else { 8 },
            twin,
            ..Plan::default()
        };
        run(plan, |model| {
            model.start_monitor();
            model.start_workers();
            model.thread(|model| (0..PARENTS / 2).for_each(|number| model.spawn(number)));
            model.thread(|model| (0..4).for_each(|_| model.shared.wake_driver()));
            (PARENTS / 2..PARENTS).for_each(|number| model.spawn(number));
        });
    })
}
