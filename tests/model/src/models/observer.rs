//! Turning a switch of the observer on: no worker goes on without having seen it.

use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::processor::ownership::Ownership;
use crate::sync::atomic::{AtomicU32, Ordering, fence};
use crate::sync::{Arc, Hole, thread, with_hole};

pub(super) const CHECKS: &[Check] = &[
    Check::model("switch", || switch(None, None)),
    Check::twin("switch/worker-unfenced", UNSEEN, || {
        switch(Some(Hole::NoFence), None)
    })
    .loom_only(),
    Check::twin("switch/switcher-unfenced", UNSEEN, || {
        switch(None, Some(Hole::NoFence))
    })
    .loom_only(),
    Check::model("switch-everywhere", || everywhere(None, None)),
    Check::twin("switch-everywhere/beginner-unfenced", UNSEEN, || {
        everywhere(Some(Hole::NoFence), None)
    })
    .loom_only(),
    Check::twin("switch-everywhere/switcher-unfenced", UNSEEN, || {
        everywhere(None, Some(Hole::NoFence))
    })
    .loom_only(),
];

const UNSEEN: &str = "goes on unobserved";

/// A worker acquires a processor while a switch is turned on.
fn switch(worker: Option<Hole>, switcher: Option<Hole>) -> usize {
    explore(3, move || {
        let shared = Arc::new((Ownership::new(), AtomicU32::new(0)));
        let turns = {
            let shared = shared.clone();
            thread::spawn(move || {
                with_hole(switcher, || {
                    let (ownership, switches) = &*shared;
                    switches.store(1, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    ownership.request_yield();
                });
            })
        };
        let (ownership, switches) = &*shared;
        let look = || {
            fence(Ordering::SeqCst);
            switches.load(Ordering::Relaxed)
        };
        let mut seen = with_hole(worker, || {
            ownership.acquire(7);
            look()
        });
        turns.join().expect("it ends");
        // Before its next poll.
        if ownership.has_request() {
            ownership.acknowledge();
            seen = look();
        }
        assert_eq!(seen, 1, "{UNSEEN}");
    })
}

/// A runtime begins while all are told to record: it looks after it has come into the table, as who tells them looks into the
/// table after the change.
fn everywhere(beginner: Option<Hole>, switcher: Option<Hole>) -> usize {
    explore(3, move || {
        let shared = Arc::new([(); 3].map(|()| AtomicU32::new(0)));
        let tells = {
            let shared = shared.clone();
            thread::spawn(move || {
                let [everywhere, table, records] = &*shared;
                with_hole(switcher, || {
                    everywhere.store(1, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    if table.load(Ordering::Acquire) == 1 {
                        records.store(1, Ordering::Relaxed);
                    }
                });
            })
        };
        let [everywhere, table, records] = &*shared;
        with_hole(beginner, || {
            table.store(1, Ordering::Release);
            fence(Ordering::SeqCst);
            if everywhere.load(Ordering::Relaxed) == 1 {
                records.store(1, Ordering::Relaxed);
            }
        });
        tells.join().expect("it ends");
        assert_eq!(records.load(Ordering::Relaxed), 1, "{UNSEEN}");
    })
}
