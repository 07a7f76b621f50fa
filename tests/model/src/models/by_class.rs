//! Tasks of several classes: none is forgotten, none is taken twice, and each permit ends once.

use super::DEADLOCK;
use super::model::{Event, Model, Plan, begin_as, later_round, retake, run};
use crate::checker::{explore, explore_at_length};
use crate::runner::Check;
use crate::scheduler::enter_blocking;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::run_queues::by_class::{BackgroundQueue, Permits, is_due, take_with};
use crate::scheduler::worker::idle::{Claim, Idle};
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::{Arc, Hole, thread, with_hole};
use crate::tasks::Priority::{Background, Interactive, Normal};
use crate::twin;

pub(super) const CHECKS: &[Check] = &[
    Check::model("classes-house", house).shuttle_only(),
    Check::model("classes-closing", || closing(None)).shuttle_only(),
    Check::twin("classes-closing/shutdown-forgets-them", DEADLOCK, || {
        closing(Some("shutdown-forgets-classes"))
    })
    .shuttle_only(),
    Check::model("classes-on", || on(None)),
    Check::twin("classes-on/is-invisible", DEADLOCK, || {
        on(Some("classes-are-invisible"))
    }),
    Check::model("classes-retake", || retaken(None)),
    Check::twin("classes-retake/pusher-asks-not", DEADLOCK, || {
        retaken(Some("classed-push-asks-not"))
    }),
    Check::model("classes-rest", || rest(true, None)),
    Check::model("classes-rest-idle", || rest(false, None)),
    Check::twin("classes-rest-idle/finder-wakes-nobody", DEADLOCK, || {
        rest(false, Some("classed-finder-wakes-nobody"))
    }),
    Check::model("permit", || permit(None, None, None)),
    Check::twin("permit/poll-has-no-fence", DEADLOCK, || {
        permit(Some(Hole::NoFence), None, None)
    })
    .loom_only(),
    Check::twin("permit/worker-has-no-fence", DEADLOCK, || {
        permit(None, Some(Hole::NoFence), None)
    })
    .loom_only(),
    Check::twin("permit/worker-looks-no-more", DEADLOCK, || {
        permit(None, None, Some("permit-worker-looks-no-more"))
    }),
    Check::model("permit-in-vain", || in_vain(None)),
    Check::twin("permit-in-vain/looks-no-more", FORGOTTEN, || {
        in_vain(Some("permit-vain-looks-no-more"))
    })
    .loom_only(),
    Check::model("permit-blocking", || blocking(true, None)),
    Check::twin("permit-blocking/keeps-it", DEADLOCK, || {
        blocking(true, Some("permit-is-kept"))
    }),
    Check::model("permit-retake", || blocking(false, None)),
    Check::twin("permit-retake/keeps-it", DEADLOCK, || {
        blocking(false, Some("permit-is-kept"))
    }),
    Check::model("permit-ends", || ends(None)),
    Check::twin("permit-ends/tears", MORE_END, || {
        ends(Some("permit-end-tears"))
    }),
    Check::twin("permit-ends/of-any-poll", COUNTED, || {
        ends(Some("permit-end-of-any-poll"))
    }),
    Check::model("reclassed", || reclassed(None)),
    Check::twin("reclassed/push-asks-before", BEHIND, || {
        reclassed(Some("background-push-asks-before"))
    }),
];

const FORGOTTEN: &str = "is forgotten beside a free permit";
const COUNTED: &str = "permits are counted wrongly";
/// One of them, by who comes in between.
const MORE_END: &str = "more permits end than there are|permits are counted wrongly";
const BEHIND: &str = "stays behind";

/// Workers, a monitor, submitters of all classes, and tasks that spawn others and block.
fn house() -> usize {
    const TASKS: usize = 18;
    explore_at_length(2, || {
        let plan = Plan {
            rounds: 3,
            ..Plan::new(3, TASKS, None)
        };
        run(plan, |model| {
            model.start_monitor();
            model.start_workers();
            model.thread(|model| {
                for number in (0..6).step_by(2) {
                    let class = [Interactive, Background, Normal][number / 2];
                    model.spawn_as(class, number, move |model| {
                        model.spawn_as(Interactive, 6 + number, |_| ());
                        model.spawn_as(Background, 7 + number, |_| ());
                    });
                }
            });
            model.spawn_as(Background, 1, |_| {
                let _blocking = enter_blocking();
            });
            model.spawn_as(Interactive, 3, |_| ());
            model.spawn_as(Background, 5, |_| ());
            (12..TASKS).for_each(|number| {
                let class = [Background, Interactive, Normal][number % 3];
                model.spawn_as(class, number, |_| ());
            });
        });
    })
}

/// The first tasks that have classes come while the only worker parks or searches, and knows of no classes.
fn on(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 2, twin), |model| {
            model.start_workers();
            model.spawn_as(Background, 0, |_| ());
            model.spawn_as(Interactive, 1, |_| ());
        });
    })
}

/// Closing while they come: each has run, or was cancelled.
fn closing(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let plan = Plan {
            stays_open: true,
            ..Plan::new(1, 2, twin)
        };
        run(plan, |model| {
            model.start_monitor_after(|_| ());
            model.start_workers();
            model.thread(|model| model.close());
            model.spawn_as(Background, 0, |_| ());
            model.spawn_as(Interactive, 1, |_| ());
        });
    })
}

/// An `Interactive` task spawns another, and blocks until that has run, while its processor is retaken.
fn retaken(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 2, twin), |model| {
            let pushed = Event::default();
            let says = pushed.clone();
            begin_as(Interactive, model, move |model, begun| {
                begun.set();
                model.spawn_as(Interactive, 1, |_| ());
                says.set();
                model.wait_ended();
            });
            retake(&mut model.monitor(), model, 0);
            pushed.wait();
        });
    })
}

/// The only permit ends with a poll after which its worker finds another task first. That one waits for the task that
/// wants the permit, which wakes nobody, as it was pushed before the permit ended. Another worker parks meanwhile and takes
/// it, or is woken; or the other processor is idle from the beginning, and somebody has to be woken.
fn rest(parks: bool, twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(2, 3, twin), |model| {
            model.start_worker_as(Background, 0, |model| {
                model.spawn_as(Background, 1, |_| ());
                // It would inherit its class.
                model.spawn_as(Normal, 2, Model::wait_ended);
            });
            if parks {
                model.start_worker();
            }
        });
    })
}

/// A poll that has the only permit blocks, and says so or not, until another one of its class has run.
fn blocking(announced: bool, twin: Option<&'static str>) -> usize {
    explore(1, move || {
        run(Plan::new(1, 2, twin), |model| {
            begin_as(Background, model, move |model, begun| {
                begun.set();
                let _blocking = announced.then(enter_blocking);
                model.wait_ended();
            });
            model.spawn_as(Background, 1, |_| ());
            if !announced {
                let mut rounds = model.monitor();
                retake(&mut rounds, model, 0);
                later_round(&mut rounds);
            }
        });
    })
}

struct Shared {
    permits: Permits,
    queue: BackgroundQueue<u32>,
    idle: Idle<()>,
    permit: AtomicU64,
}

impl Shared {
    fn is_due(&self) -> bool {
        is_due(&self.permits, &self.queue)
    }
}

/// A worker queues a runnable and parks, while the poll that has the only permit ends elsewhere.
fn permit(poll: Option<Hole>, worker: Option<Hole>, flaw: Option<&'static str>) -> usize {
    explore(3, move || {
        twin::set(flaw);
        let shared = Arc::new(Shared {
            permits: Permits::new(1),
            queue: BackgroundQueue::new(),
            idle: Idle::new(1, 1),
            permit: AtomicU64::new(0),
        });
        assert!(shared.permits.reserve());
        shared.permits.mark(&shared.permit, 5);
        let works = {
            let shared = shared.clone();
            thread::spawn(move || work(&shared, worker))
        };
        let ended = with_hole(poll, || shared.permits.end_of(&shared.permit, 5));
        if ended && shared.is_due() {
            match shared.idle.claim(0) {
                Some(Claim::Worker(parked_worker)) => parked_worker.unpark(),
                Some(Claim::Thread(_)) => unreachable!("its worker is parked too"),
                None => {}
            }
        }
        works.join().expect("it takes what it has queued");
        assert_eq!(shared.permits.num_free(), 0);
    })
}

fn work(shared: &Shared, hole: Option<Hole>) {
    let netpoll = Netpoll::new().expect("without a reactor nothing can fail");
    let parked_worker = Arc::new(ParkedWorker::of_this_thread(netpoll));
    let mut core = Some(());
    assert!(shared.queue.push_if(1, 7, |_| true).is_ok());
    loop {
        if shared.is_due() && shared.permits.reserve() {
            assert_eq!(shared.queue.pop(), Some(7));
            return;
        }
        with_hole(hole, || {
            let idle = &shared.idle;
            idle.park_worker(core.take(), &parked_worker, false, false);
        });
        if twin::is("permit-worker-looks-no-more") || !shared.is_due() {
            while !parked_worker.has_handed() {
                parked_worker.park(None);
            }
        }
        let up = (shared.idle.unpark_worker(&parked_worker, Some(0), 0)).expect("its core is idle");
        if up.searching {
            shared.idle.end_search();
        }
        core = Some(up.core);
    }
}

/// A worker reserves the only permit for what somebody else has taken, who pushes another one meanwhile and sees no permit.
fn in_vain(flaw: Option<&'static str>) -> usize {
    explore(3, move || {
        twin::set(flaw);
        let shared = Arc::new((Permits::new(1), BackgroundQueue::new()));
        assert!(shared.1.push_if(1, 1, |_| true).is_ok());
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || take_all(&shared))
        };
        let mut own = take_all(&shared);
        assert!(shared.1.push_if(2, 2, |_| true).is_ok());
        fence(Ordering::SeqCst);
        if shared.0.num_free() != 0 {
            own += take_all(&shared);
        }
        // Else whoever has it looks afterwards.
        let taken = worker.join().expect("it ends");
        assert_eq!(own + taken, 2, "{FORGOTTEN}");
    })
}

/// Polls what there is, one after the other; how many there were.
fn take_all((permits, queue): &(Permits, BackgroundQueue<u32>)) -> usize {
    let polls = std::iter::from_fn(|| take_with(permits, queue));
    polls.map(|_| permits.give_back()).count()
}

/// The monitor ends the permit of a poll that returns meanwhile, and the worker begins another one.
fn ends(flaw: Option<&'static str>) -> usize {
    explore(3, move || {
        twin::set(flaw);
        let shared = Arc::new((Permits::new(3), AtomicU64::new(0)));
        let (permits, permit) = &*shared;
        assert!(permits.reserve());
        permits.mark(permit, 1);
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (permits, permit) = &*shared;
                permits.end(permit);
                assert!(permits.reserve(), "{COUNTED}");
                permits.mark(permit, 2);
            })
        };
        permits.end_of(permit, 1);
        worker.join().expect("it ends");
        assert_eq!(permits.num_running(), 1, "{COUNTED}");
        assert!(permits.end(permit), "{COUNTED}");
    })
}

/// A task becomes `Interactive` while it is pushed into the queue of class `Background`, where another worker takes what it
/// finds: it comes out once, and does not stay.
fn reclassed(flaw: Option<&'static str>) -> usize {
    explore(3, move || {
        twin::set(flaw);
        let shared = Arc::new((BackgroundQueue::new(), AtomicU32::new(0)));
        let pusher = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (queue, class) = &*shared;
                let belongs = |_: &u32| class.load(Ordering::Relaxed) == 0;
                queue.push_if(3, 7, belongs).err()
            })
        };
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || shared.0.pop())
        };
        let (queue, class) = &*shared;
        class.fetch_add(1, Ordering::Relaxed);
        let extracted = queue.extract(3);
        let pushed = pusher.join().expect("it ends");
        let popped = worker.join().expect("it ends");
        let out = [extracted, pushed, popped];
        assert_eq!(
            out.into_iter().flatten().collect::<Vec<_>>(),
            [7],
            "{BEHIND}"
        );
        assert_eq!(queue.len(), 0);
    })
}
