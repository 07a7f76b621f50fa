//! More tasks that compute than processors: how many threads they get. `it/scheduling/crowd.rs` has what else there is to say of
//! them, on CPUs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use executor::task::yield_now;
use executor::time::sleep;
use executor::{Handle, JoinHandle, sim, spawn};

const PROCESSORS: usize = 2;
const SEEDS: usize = 15;
const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn check<F: Future>(program: fn() -> F) {
    let sim = sim::Builder::new().processors(PROCESSORS);
    sim.slow_polls(false).check(SEEDS, program);
}

/// Counts the threads of the runtime, again and again; those of the blocking pool and the monitor are no workers.
struct Watched {
    end: Arc<AtomicBool>,
    most: JoinHandle<usize>,
}

impl Watched {
    fn begin() -> Watched {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let most = executor::spawn_blocking(move || {
            let mut most = 0;
            while !ended.load(SeqCst) {
                let metrics = Handle::current().metrics();
                most = most.max(metrics.num_threads() - metrics.num_blocking_threads() - 1);
                sim::block(MS);
            }
            most
        });
        Watched { end, most }
    }

    async fn end(self) -> usize {
        self.end.store(true, SeqCst);
        self.most.await.unwrap()
    }
}

#[test]
fn many_tasks_that_compute_need_a_few_threads() {
    check(|| async {
        let watched = Watched::begin();
        let tasks: Vec<_> = (0..60)
            .map(|_| spawn(async { sim::compute(100 * MS) }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let most = watched.end().await;
        assert!(most <= 4 * PROCESSORS, "{most} threads");
    });
}

/// The same for tasks that one task spawns, that have waited before, and that compute in several polls.
#[test]
fn tasks_that_compute_after_they_have_waited_need_a_few_threads() {
    check(|| async {
        let watched = Watched::begin();
        let all = spawn(async {
            let tasks: Vec<_> = (0..40)
                .map(|_| {
                    spawn(async {
                        for _ in 0..3 {
                            sleep(MS).await;
                            sim::compute(30 * MS);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        all.await.unwrap();
        let most = watched.end().await;
        assert!(most <= 4 * PROCESSORS, "{most} threads");
    });
}

/// What computes counts for some CPU time only: else these would wait for each other for ever.
#[test]
fn tasks_that_wait_for_each_other_while_they_compute_all_begin() {
    check(|| async {
        const TASKS: usize = 2 * PROCESSORS + 3;
        let begun = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let begun = begun.clone();
                spawn(async move {
                    begun.fetch_add(1, SeqCst);
                    while begun.load(SeqCst) < TASKS {
                        sim::compute(MS);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
