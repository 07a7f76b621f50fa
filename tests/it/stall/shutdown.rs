//! The end of a runtime in which tasks are stuck: it waits for their polls and for nothing else, drops each future once, and
//! drops what they wait for.

use std::future::pending;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use executor::{Runtime, spawn};

use crate::common::stuck::{Count, Stuck, each_way, each_way_without_spares};
use crate::common::{processors, wait_until, within_patience};

/// A task that keeps `never` for ever, unless it is cancelled.
fn keep(never: Sender<()>, dropped: &Count) {
    let counted = dropped.drops();
    drop(spawn(async move {
        let _counted = counted;
        pending::<()>().await;
        drop(never);
    }));
}

/// On each processor a task that is stuck until the end of the runtime drops what `arrange` has arranged for; it gives
/// how many futures that makes besides.
fn a_shutdown_releases(
    way: Stuck,
    runtime: Runtime,
    arrange: fn(Stuck, Sender<()>, &Count) -> usize,
) {
    let count = runtime.metrics().num_workers();
    let (begun, dropped, expected) = (Count::default(), Count::default(), Count::default());
    let released = Count::default();
    for _ in 0..count {
        let (begun, dropped, expected) = (begun.clone(), dropped.clone(), expected.clone());
        let released = released.clone();
        let counted = dropped.drops();
        drop(runtime.spawn(async move {
            let _counted = counted;
            let (never, wait) = mpsc::channel();
            let others = arrange(way, never, &dropped);
            (0..=others).for_each(|_| expected.add());
            begun.add();
            assert!(!way.until(&wait), "nobody sends");
            // Nobody joins this task: a panic above shows in this count.
            released.add();
        }));
    }
    begun.reaches(count).recv().unwrap();
    drop(runtime);
    assert_eq!(dropped.get(), expected.get());
    assert_eq!(released.get(), count);
}

#[test]
fn a_shutdown_drops_what_a_stuck_task_waits_for() {
    each_way(|way, runtime| {
        a_shutdown_releases(way, runtime, |way, never, dropped| {
            way.until_another_ran();
            keep(never, dropped);
            1
        });
    });
}

#[test]
fn a_shutdown_drops_what_is_in_the_slot_of_a_stuck_task() {
    each_way_without_spares(|way, runtime| {
        a_shutdown_releases(way, runtime, |_, never, dropped| {
            keep(never, dropped);
            1
        });
    });
}

#[test]
fn a_shutdown_drops_what_is_queued_behind_a_stuck_task() {
    each_way_without_spares(|way, runtime| {
        a_shutdown_releases(way, runtime, |_, never, dropped| {
            keep(never, dropped);
            for _ in 0..1000 {
                let (never, _) = mpsc::channel();
                keep(never, dropped);
            }
            1001
        });
    });
}

/// Spawned when the runtime is closed already, so that whoever cleans up has been there before.
fn a_closed_runtime_drops_what_a_stuck_task_spawns(way: Stuck, runtime: Runtime, children: usize) {
    let (closing, dropped) = (Count::default(), Count::default());
    let (begun, has_begun) = mpsc::channel();
    let told = closing.drops();
    drop(runtime.spawn(async move {
        let _told = told;
        begun.send(()).unwrap();
        pending::<()>().await;
    }));
    has_begun.recv().unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (inner, released) = (dropped.clone(), Count::default());
    let counted = released.clone();
    drop(runtime.spawn(async move {
        begun.send(()).unwrap();
        way.until_count(&closing, 1);
        for _ in 0..children {
            let (never, wait) = mpsc::channel();
            keep(never, &inner);
            assert!(!way.until(&wait), "nobody sends");
            counted.add();
        }
    }));
    has_begun.recv().unwrap();
    drop(runtime);
    assert_eq!((dropped.get(), released.get()), (children, children));
}

#[test]
fn a_closed_runtime_drops_what_a_task_spawns_and_waits_for() {
    each_way(|way, runtime| a_closed_runtime_drops_what_a_stuck_task_spawns(way, runtime, 3));
}

#[test]
fn a_closed_runtime_without_spares_drops_what_a_task_spawns_and_waits_for() {
    each_way_without_spares(|way, runtime| {
        a_closed_runtime_drops_what_a_stuck_task_spawns(way, runtime, 3);
    });
}

/// A stuck task with as many children in its queue, until released. Gives what counts dropped children, the release, and
/// what brings something when its poll has ended.
fn stuck_with_children(
    way: Stuck,
    runtime: &Runtime,
    children: usize,
) -> (Count, Sender<()>, mpsc::Receiver<()>) {
    let dropped = Count::default();
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (end, ended) = mpsc::channel();
    let inner = dropped.clone();
    drop(runtime.spawn(async move {
        way.until_another_ran();
        for _ in 0..children {
            let (never, _) = mpsc::channel();
            keep(never, &inner);
        }
        begun.send(()).unwrap();
        way.until(&released);
        end.send(()).unwrap();
    }));
    has_begun.recv().unwrap();
    (dropped, release, ended)
}

const CHILDREN: usize = 1000;

#[test]
fn a_drop_waits_for_stuck_polls() {
    each_way(|way, runtime| {
        let (dropped, release, ended) = stuck_with_children(way, &runtime, CHILDREN);
        let handle = runtime.handle().clone();
        let dropping = thread::spawn(move || drop(runtime));
        dropped.reaches(CHILDREN).recv().unwrap();
        // The others are cancelled; this one's poll is waited for.
        assert!(ended.try_recv().is_err() && !dropping.is_finished());
        drop(release);
        dropping.join().unwrap();
        ended.try_recv().unwrap();
        assert_eq!(dropped.get(), CHILDREN);
        assert_eq!(handle.metrics().num_alive_tasks(), 0);
    });
}

#[test]
fn a_shutdown_with_a_time_out_does_not_wait_for_stuck_polls() {
    each_way(|way, runtime| {
        let (dropped, release, ended) = stuck_with_children(way, &runtime, CHILDREN);
        let handle = runtime.handle().clone();
        runtime.shutdown_timeout(Duration::from_millis(1));
        assert!(ended.try_recv().is_err());
        dropped.reaches(CHILDREN).recv().unwrap();
        drop(release);
        ended.recv().unwrap();
        wait_until("nothing is left", || {
            handle.metrics().num_alive_tasks() == 0
        });
        assert_eq!(dropped.get(), CHILDREN);
    });
}

/// What is used again after a runtime has ended must not remember its stuck tasks.
#[test]
fn the_runtimes_after_one_with_stuck_tasks_begin_anew() {
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        let begins_anew = || {
            let successor = processors(count);
            let metrics = successor.metrics();
            assert_eq!(
                (metrics.retake_count(), metrics.spawned_tasks_count()),
                (0, 0),
                "{metrics}"
            );
            assert_eq!(metrics.num_alive_tasks(), 0, "{metrics}");
            (0..count).for_each(|n| assert_eq!(metrics.worker_poll_count(n), 0, "{metrics}"));
            let stuck = successor.spawn(async move { way.until_another_ran() });
            successor.block_on(stuck).unwrap();
            assert_eq!(successor.metrics().spawned_tasks_count(), 2);
        };
        let (dropped, release, ended) = stuck_with_children(way, &runtime, 100);
        runtime.shutdown_background();
        begins_anew();
        drop(release);
        ended.recv().unwrap();
        (0..5).for_each(|_| begins_anew());
        assert_eq!(dropped.get(), 100);
    });
}

#[test]
fn a_stuck_task_may_drop_its_runtime() {
    each_way(|way, runtime| {
        let dropped = Count::default();
        let (end, ended) = mpsc::channel();
        let inner = dropped.clone();
        let handle = runtime.handle().clone();
        drop(handle.spawn(async move {
            way.until_another_ran();
            let (never, wait) = mpsc::channel();
            keep(never, &inner);
            drop(runtime);
            assert!(!way.until(&wait), "nobody sends");
            end.send(()).unwrap();
        }));
        ended.recv().unwrap();
        assert_eq!(dropped.get(), 1);
        wait_until("nothing is left", || {
            handle.metrics().num_alive_tasks() == 0
        });
    });
}

/// The end comes at any moment of a retake.
#[test]
fn shutdowns_race_with_retakes() {
    within_patience(|| {
        for round in 0..200 {
            let runtime = processors(1 + round % 2);
            let (begun, dropped, released) = (Count::default(), Count::default(), Count::default());
            for _ in 0..4 {
                let (begun, counted, dropped) = (begun.clone(), dropped.drops(), dropped.clone());
                let released = released.clone();
                drop(runtime.spawn(async move {
                    let _counted = counted;
                    begun.add();
                    let (never, wait) = mpsc::channel();
                    keep(never, &dropped);
                    assert!(!Stuck::Blocked.until(&wait), "nobody sends");
                    released.add();
                }));
            }
            begun.reaches(1 + round % 4).recv().unwrap();
            drop(runtime);
            let stuck = begun.get();
            assert_eq!((dropped.get(), released.get()), (4 + stuck, stuck));
        }
    });
}
