//! Background tasks that lie in their queue, behind others that have every permit: who gets them out of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use executor::runtime::Builder;
use executor::task::{self, JoinSet, Priority};
use executor::{Runtime, block_on};

use crate::common::{wait_until, within_patience};

use Priority::{Background, Interactive, Normal};

/// More than have their turn within the time of a test, as each computes until it loses its permit.
const CROWD: usize = 200;

/// Background tasks that compute until this is dropped. One of them has the only permit.
struct Crowd {
    is_over: Arc<AtomicBool>,
    begun: Arc<AtomicUsize>,
}

impl Crowd {
    fn begin(runtime: &Runtime) -> Crowd {
        let crowd = Crowd {
            is_over: Arc::default(),
            begun: Arc::default(),
        };
        for _ in 0..CROWD {
            let (is_over, begun) = (crowd.is_over.clone(), crowd.begun.clone());
            runtime
                .handle()
                .with_priority(Background)
                .spawn(async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    spin_until(&is_over);
                });
        }
        wait_until("the first one runs", || crowd.has_begun() > 0);
        crowd
    }

    fn has_begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// What comes after the crowd has not waited for it.
    #[track_caller]
    fn is_waiting(&self) {
        assert!(
            self.has_begun() < CROWD,
            "all before it have had their turn"
        );
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

fn spin_until(is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}

/// One processor computes for the crowd, the other one is free for the rest.
fn with_crowd(body: fn(&Runtime)) {
    with_crowd_after(|_| (), move |runtime, ()| body(runtime));
}

/// The first body is called before the crowd comes.
fn with_crowd_after<T>(
    first: impl FnOnce(&Runtime) -> T + Send + 'static,
    body: impl FnOnce(&Runtime, T) + Send + 'static,
) {
    within_patience(move || {
        let builder = Builder::new().worker_threads(2).background_limit(1);
        let builder = builder.stall_threshold(Duration::MAX);
        let runtime = builder.build().unwrap();
        let before = first(&runtime);
        let crowd = Crowd::begin(&runtime);
        body(&runtime, before);
        crowd.is_waiting();
    });
}

async fn here() -> Priority {
    task::priority()
}

#[test]
fn an_abort_does_not_wait_for_the_turn_of_its_task() {
    with_crowd(|runtime| {
        let background = runtime.handle().with_priority(Background);
        let (by_itself, by_other) = (background.spawn(here()), background.spawn(here()));
        by_itself.abort();
        by_other.abort_handle().abort();
        assert!(block_on(by_itself).unwrap_err().is_cancelled());
        assert!(block_on(by_other).unwrap_err().is_cancelled());
    });
}

#[test]
fn the_end_of_a_set_does_not_wait_for_the_turns_of_its_tasks() {
    with_crowd(|runtime| {
        let _guard = runtime.handle().with_priority(Background).enter();
        let buffer = Arc::new(());
        let spawn_two = || {
            let mut set = JoinSet::new();
            for _ in 0..2 {
                let kept = buffer.clone();
                set.spawn(async move { drop(kept) });
            }
            set
        };
        let mut set = spawn_two();
        block_on(set.shutdown());
        assert_eq!((set.len(), Arc::strong_count(&buffer)), (0, 1));
        drop(spawn_two());
        wait_until("its tasks are gone", || Arc::strong_count(&buffer) == 1);
    });
}

#[test]
fn a_set_that_is_awaited_lifts_its_tasks_out_of_their_queue() {
    with_crowd(|runtime| {
        let background = runtime.handle().with_priority(Background);
        let owner = runtime.spawn(async move {
            let mut set = JoinSet::new();
            {
                let _guard = background.enter();
                for _ in 0..3 {
                    set.spawn(here());
                }
            }
            let mut seen = Vec::new();
            while let Some(class) = set.join_next().await {
                seen.push(class.unwrap());
            }
            seen
        });
        assert_eq!(block_on(owner).unwrap(), [Normal; 3]);
    });
}

/// Whether its class falls before its first poll, or with it.
#[test]
fn a_set_that_is_awaited_lifts_a_task_whose_handle_has_lowered_it() {
    with_crowd(|runtime| {
        let owner = runtime.handle().with_priority(Interactive).spawn(async {
            let mut set = JoinSet::new();
            for waits in [false, true] {
                let lowered = set.spawn(async move {
                    if waits {
                        task::yield_now().await;
                    }
                });
                lowered.set_priority(Background);
                set.join_next().await.unwrap().unwrap();
            }
        });
        block_on(owner).unwrap();
    });
}

#[test]
fn an_abort_handle_raises_a_task_that_was_lowered_before_its_first_poll() {
    with_crowd(|runtime| {
        let is_over = Arc::new(AtomicBool::new(false));
        let (is_busy, ends) = (Arc::new(AtomicBool::new(false)), is_over.clone());
        let tells = is_busy.clone();
        // So that the task is not polled before its class falls.
        let busy = runtime.spawn(async move {
            tells.store(true, Ordering::SeqCst);
            spin_until(&ends);
        });
        wait_until("all processors compute", || is_busy.load(Ordering::SeqCst));
        let lowered = runtime.spawn(here());
        lowered.set_priority(Background);
        let raises = lowered.abort_handle();
        is_over.store(true, Ordering::SeqCst);
        block_on(busy).unwrap();
        wait_until("it is in the queue of its class", || {
            runtime.metrics().priority_queue_depth(Background) >= CROWD
        });
        raises.set_priority(Interactive);
        assert_eq!(block_on(lowered).unwrap(), Interactive);
    });
}

/// A dump asks neither the crowd, which was never polled, nor first those that would be polled after it.
#[test]
#[cfg(feature = "stacks")]
fn a_dump_does_not_wait_for_the_queue() {
    use crate::common::PATIENCE;
    use executor::runtime::TaskState;
    use std::future::pending;

    let waiting = |runtime: &Runtime| {
        let waits: Vec<_> = (0..40)
            .map(|_| {
                let background = runtime.handle().with_priority(Background);
                background.spawn(async { pending::<()>().await })
            })
            .collect();
        wait_until("all wait", || {
            let dump = runtime.handle().dump_tasks();
            let mut states = dump.tasks().iter().map(|task| task.state());
            states.len() == 40 && states.all(|state| state == TaskState::Waiting)
        });
        waits
    };
    for raised in [1, 40] {
        with_crowd_after(waiting, move |runtime, waits| {
            // Those that came last, so that a dump that knows no classes comes to them last.
            let raised = &waits[40 - raised..];
            for task in raised {
                task.set_priority(Interactive);
            }
            let within = match raised.len() {
                40 => PATIENCE * 3 / 4,
                _ => PATIENCE / 10,
            };
            let dump = runtime.handle().dump_stacks(within);
            for task in dump.tasks() {
                if raised.iter().any(|raised| raised.id() == task.id()) {
                    assert!(task.future().is_some(), "{task}");
                }
            }
            assert!(dump.num_unreached() <= 40 - raised.len(), "{dump}");
        });
    }
}
