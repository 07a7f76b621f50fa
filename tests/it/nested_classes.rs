//! Classes of what runs within something else: a `block_on` in a task, a local task in a `block_on`.

use std::future::{Future, poll_fn};
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use executor::task::{self, Priority};
use executor::{Handle, block_on, spawn, spawn_local};

use crate::common::{on_runtimes, processors, wait_until, within_patience};

use Priority::{Background, Interactive, Normal};

async fn here() -> Priority {
    task::priority()
}

/// Ends when its task has been lifted, which alone wakes it.
fn is_lifted() -> impl Future<Output = ()> + Send {
    poll_fn(|_| match task::priority() {
        Interactive => Poll::Ready(()),
        _ => Poll::Pending,
    })
}

fn has_parked(handle: &Handle) -> bool {
    let dump = handle.dump_stacks(Duration::ZERO);
    !dump.block_ons().is_empty()
}

/// Before the `block_on` parks, or while it waits.
#[test]
fn a_lift_goes_on_through_a_block_on_in_a_task() {
    on_runtimes(|runtime| {
        let handle = runtime.handle();
        for class in [Background, Normal] {
            for parks in [false, true] {
                for is_job in [false, true] {
                    let of_class = handle.with_priority(class);
                    let last = of_class.spawn(is_lifted());
                    let waits = move || block_on(last).unwrap();
                    let middle = match is_job {
                        true => of_class.spawn_blocking(waits),
                        false => of_class.spawn(async move { waits() }),
                    };
                    if parks {
                        wait_until("it waits", || has_parked(handle));
                    }
                    let first = handle.with_priority(Interactive).spawn(middle);
                    runtime.block_on(first).unwrap().unwrap();
                }
            }
        }
    });
}

#[test]
fn a_block_on_with_a_class_is_lifted_with_its_task_and_spawns_with_its_own() {
    on_runtimes(|runtime| {
        let handle = runtime.handle().clone();
        let task = handle.with_priority(Interactive).spawn(async move {
            let normal = handle.with_priority(Normal);
            let awaited = normal.spawn(is_lifted());
            normal.block_on(async {
                let spawned = [spawn(here())];
                awaited.await.unwrap();
                spawned
            })
        });
        let [spawned] = runtime.block_on(task).unwrap();
        assert_eq!(runtime.block_on(spawned).unwrap(), Normal);
    });
}

/// The guard is of the `block_on`, or of a task around it.
#[test]
fn a_guard_that_is_dropped_in_a_local_task_is_dropped_for_good() {
    static INTERACTIVE: OnceLock<Handle> = OnceLock::new();

    async fn leaves_elsewhere(own: Priority) {
        let interactive = INTERACTIVE.get().unwrap();
        let guard = interactive.enter();
        assert_eq!(spawn(here()).await.unwrap(), Interactive);
        let leaves = spawn_local(async move {
            let before = spawn(here()).await.unwrap();
            drop(guard);
            (before, spawn(here()).await.unwrap())
        });
        assert_eq!(leaves.await.unwrap(), (Interactive, Interactive));
        assert_eq!(spawn(here()).await.unwrap(), own);
    }

    within_patience(|| {
        let runtime = processors(2);
        let _ = INTERACTIVE.set(runtime.handle().with_priority(Interactive));
        runtime.block_on(leaves_elsewhere(Normal));
        // Of a low class, as what it awaits is lifted to that.
        let background = runtime.handle().with_priority(Background);
        let task = background.spawn(async { block_on(leaves_elsewhere(Background)) });
        runtime.block_on(task).unwrap();
    });
}
