//! What is held back while polls compute: a worker takes it when they end, and none of them stays counted.

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::processor::ownership::Ownership;
use crate::scheduler::run_queues::compute_limit::held_back::HeldBack;
use crate::scheduler::worker::idle::{Claim, Idle};
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Arc, Hole, thread, with_hole};

pub(super) const CHECKS: &[Check] = &[
    Check::model("held-back", || held_back(None)),
    Check::twin("held-back/poll-has-no-fence", DEADLOCK, || {
        held_back(Some(Flaw::PollHasNoFence))
    })
    .loom_only(),
    Check::twin("held-back/worker-has-no-fence", DEADLOCK, || {
        held_back(Some(Flaw::WorkerHasNoFence))
    })
    .loom_only(),
    Check::twin("held-back/worker-looks-no-more", DEADLOCK, || {
        held_back(Some(Flaw::WorkerLooksNoMore))
    }),
    Check::model("counted", || counted(None)),
    Check::twin("counted/monitor-looks-first", COUNTED, || {
        counted(Some(Flaw::MonitorLooksFirst))
    }),
    Check::twin("counted/end-tears", COUNTED, || {
        counted(Some(Flaw::EndTears))
    }),
];

const COUNTED: &str = "a poll that is over is counted";
const NOT_DUE: &str = "what is held back waits for nobody";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    PollHasNoFence,
    WorkerHasNoFence,
    WorkerLooksNoMore,
    MonitorLooksFirst,
    EndTears,
}

struct Shared {
    held_back: HeldBack<u32>,
    idle: Idle<()>,
    counted: AtomicBool,
}

/// One processor, and one poll that computes beside it. A worker holds a runnable back and parks while the poll ends.
fn held_back(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let shared = Arc::new(Shared {
            held_back: HeldBack::new(1),
            idle: Idle::new(1, 1),
            counted: AtomicBool::new(false),
        });
        shared.held_back.begin(&shared.counted);
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || work(&shared, flaw))
        };
        let hole = (flaw == Some(Flaw::PollHasNoFence)).then_some(Hole::NoFence);
        if with_hole(hole, || shared.held_back.end(&shared.counted)) {
            match shared.idle.claim(0) {
                Some(Claim::Worker(parked_worker)) => parked_worker.unpark(),
                Some(Claim::Thread(_)) => unreachable!("its worker is parked too"),
                None => {}
            }
        }
        worker.join().expect("it takes what it held back");
        assert!(shared.held_back.is_idle());
    })
}

fn work(shared: &Shared, flaw: Option<Flaw>) {
    let netpoll = Netpoll::new().expect("without a reactor nothing can fail");
    let parked_worker = Arc::new(ParkedWorker::of_this_thread(netpoll));
    let mut core = Some(());
    if shared.held_back.is_limit_reached() {
        shared.held_back.push(7);
    } else {
        return;
    }
    loop {
        if shared.held_back.is_due() {
            assert_eq!(shared.held_back.take(), Some(7));
            return;
        }
        let hole = (flaw == Some(Flaw::WorkerHasNoFence)).then_some(Hole::NoFence);
        with_hole(hole, || {
            shared
                .idle
                .park_worker(core.take(), &parked_worker, false, false);
        });
        if flaw == Some(Flaw::WorkerLooksNoMore) || !shared.held_back.is_due() {
            while !parked_worker.has_handed() {
                parked_worker.park(None);
            }
        }
        let up = shared
            .idle
            .unpark_worker(&parked_worker, Some(0), 0)
            .expect("its core is idle");
        if up.searching {
            shared.idle.end_search();
        }
        core = Some(up.core);
    }
}

/// The monitor counts a detached poll that returns meanwhile, while a runnable is held back: either the worker or the monitor finds that
/// it is due.
fn counted(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let shared = Arc::new((
            HeldBack::<u32>::new(1),
            Ownership::new(),
            AtomicBool::new(false),
        ));
        shared.1.acquire(1);
        assert!(shared.1.retake());
        shared.0.push(7);
        let worker = {
            let shared = shared.clone();
            let hole = (flaw == Some(Flaw::EndTears)).then_some(Hole::TornSwap);
            thread::spawn(move || {
                let (held_back, ownership, counted) = &*shared;
                assert!(!ownership.release());
                with_hole(hole, || held_back.end(counted))
            })
        };
        let (held_back, ownership, counted) = &*shared;
        let was_over = !ownership.is_detached();
        held_back.begin(counted);
        let is_over = match flaw {
            Some(Flaw::MonitorLooksFirst) => was_over,
            _ => !ownership.is_detached(),
        };
        let found_by_monitor = is_over && held_back.end(counted);
        let found_by_worker = worker.join().expect("it ends");
        assert!(held_back.is_due(), "{COUNTED}");
        assert!(found_by_monitor || found_by_worker, "{NOT_DUE}");
    })
}
