//! Stuck tasks beside busy ones: what the stuck ones have queued has its turn although all processors are busy with their own.

use std::sync::mpsc;

use executor::spawn;

use crate::common::busy::{Busy, FEW};
use crate::common::stuck::{Count, each_way};

/// A crowd keeps each processor busy with short polls, so that no worker ever looks for work elsewhere.
#[test]
fn what_a_stuck_task_has_queued_is_not_starved_by_a_busy_crowd() {
    const CHILDREN: usize = 100;
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        for kind in FEW {
            let (begun, ran) = (Count::default(), Count::default());
            let start = runtime.spawn(async move {
                let crowds: Vec<Busy> = (0..2 * count).map(|_| Busy::start(kind)).collect();
                crowds
            });
            let crowds = runtime.block_on(start).unwrap();
            let stuck: Vec<_> = (0..count)
                .map(|_| {
                    let (begun, ran) = (begun.clone(), ran.clone());
                    runtime.spawn(async move {
                        begun.add();
                        way.until_count(&begun, count);
                        ran.spawn(CHILDREN);
                        way.until_count(&ran, count * CHILDREN);
                    })
                })
                .collect();
            for task in stuck {
                runtime.block_on(task).unwrap();
            }
            assert_eq!(ran.get(), count * CHILDREN);
            crowds.iter().for_each(Busy::stop);
        }
    });
}

/// The same after the retake, one at a time: each child is all that its parent's queue has.
#[test]
fn each_child_of_a_stuck_task_has_its_turn_beside_a_busy_crowd() {
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        for kind in FEW {
            let start = runtime.spawn(async move {
                let crowds: Vec<Busy> = (0..2 * count).map(|_| Busy::start(kind)).collect();
                crowds
            });
            let crowds = runtime.block_on(start).unwrap();
            let stuck = runtime.spawn(async move {
                for _ in 0..10 {
                    let (bringer, wait) = mpsc::channel();
                    drop(spawn(async move { bringer.send(()).unwrap() }));
                    assert!(way.until(&wait));
                }
            });
            runtime.block_on(stuck).unwrap();
            crowds.iter().for_each(Busy::stop);
        }
    });
}
