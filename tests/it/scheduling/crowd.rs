//! More tasks that compute than CPUs: how many threads they get, and what goes on beside them.
//!
//! Each test is a process of its own, since it counts the threads of all.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use executor::runtime::Builder;
use executor::task::yield_now;
use executor::time::sleep;
use executor::{JoinHandle, Runtime, spawn};

use crate::common::stuck::Count;
use crate::common::{PATIENCE, alone, within_patience};

const PROCESSORS: usize = 2;
const MS: Duration = Duration::from_millis(1);

/// Runs `f` in a process of the test's own.
fn alone_within_patience(this_test: &str, f: impl FnOnce() + Send + 'static) {
    if alone(module_path!(), this_test) {
        within_patience(f);
    }
}

fn runtime() -> Runtime {
    let builder = Builder::new().worker_threads(PROCESSORS).on_stall(|_| {});
    builder.build().unwrap()
}

/// The CPU time of the calling thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Computes for so long, whoever else does.
fn compute(time: Duration) {
    let begin = cpu_time();
    while cpu_time() - begin < time {
        (0..1000).for_each(|_| spin_loop());
    }
}

/// Counts the threads of this runtime, again and again.
struct Watched {
    end: Arc<AtomicBool>,
    most: thread::JoinHandle<usize>,
}

impl Watched {
    fn begin(runtime: &Runtime) -> Watched {
        let end = Arc::new(AtomicBool::new(false));
        let (handle, ended) = (runtime.handle().clone(), end.clone());
        let most = thread::spawn(move || {
            let mut most = 0;
            while !ended.load(SeqCst) {
                let metrics = handle.metrics();
                // Those of the blocking pool make reports; one is the monitor.
                most = most.max(metrics.num_threads() - metrics.num_blocking_threads() - 1);
                thread::sleep(MS);
            }
            most
        });
        Watched { end, most }
    }

    /// The most that there were.
    fn end(self) -> usize {
        self.end.store(true, SeqCst);
        self.most.join().unwrap()
    }
}

/// Tasks of one spawn site that compute until they are told to end.
struct Spinning {
    end: Arc<AtomicBool>,
    begun: Count,
    tasks: Vec<JoinHandle<()>>,
}

impl Spinning {
    /// So many, of which more have begun than there are processors.
    fn begin(runtime: &Runtime, count: usize) -> Spinning {
        let (end, begun) = (Arc::new(AtomicBool::new(false)), Count::default());
        let spin = |_| {
            let (end, begun) = (end.clone(), begun.clone());
            runtime.spawn(async move {
                begun.add();
                while !end.load(SeqCst) {
                    spin_loop();
                }
            })
        };
        let tasks = (0..count).map(spin).collect();
        begun.reaches(PROCESSORS + 1).recv().unwrap();
        Spinning { end, begun, tasks }
    }

    /// How many have run.
    fn end(self, runtime: &Runtime) -> usize {
        self.end.store(true, SeqCst);
        for task in self.tasks {
            runtime.block_on(task).unwrap();
        }
        self.begun.get()
    }
}

#[test]
fn many_tasks_that_compute_need_a_few_threads() {
    alone_within_patience("many_tasks_that_compute_need_a_few_threads", || {
        let runtime = runtime();
        let watched = Watched::begin(&runtime);
        let tasks: Vec<_> = (0..60)
            .map(|_| runtime.spawn(async { compute(100 * MS) }))
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        let most = watched.end();
        assert!(most <= 4 * PROCESSORS, "{most} threads");
    });
}

/// The same for tasks that one task spawns, that have waited before, and that compute in several polls.
#[test]
fn tasks_that_compute_after_they_have_waited_need_a_few_threads() {
    alone_within_patience(
        "tasks_that_compute_after_they_have_waited_need_a_few_threads",
        || {
            let runtime = runtime();
            let watched = Watched::begin(&runtime);
            let all = runtime.spawn(async {
                let tasks: Vec<_> = (0..40)
                    .map(|_| {
                        spawn(async {
                            for _ in 0..3 {
                                sleep(MS).await;
                                compute(30 * MS);
                                yield_now().await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            runtime.block_on(all).unwrap();
            let most = watched.end();
            assert!(most <= 4 * PROCESSORS, "{most} threads");
        },
    );
}

/// Counts polls of others and not time: light tasks go on although many more compute than there are processors, and each of
/// a chain of them runs while not a single one of those that compute has ended.
#[test]
fn light_tasks_go_on_beside_any_number_that_compute() {
    alone_within_patience("light_tasks_go_on_beside_any_number_that_compute", || {
        let runtime = runtime();
        let watched = Watched::begin(&runtime);
        let crowd = Spinning::begin(&runtime, 100);
        let ticks = runtime.spawn(async {
            for _ in 0..100 {
                sleep(MS).await;
                // A task of its own, which has never been polled: not those, another place.
                spawn(async { yield_now().await }).await.unwrap();
            }
        });
        runtime.block_on(ticks).unwrap();
        let job = runtime.spawn_blocking(|| ());
        runtime.block_on(job).unwrap();
        assert_eq!(crowd.end(&runtime), 100, "each of them has run");
        // Some seconds of CPU time may have been used up: a thread for each.
        let most = watched.end();
        assert!(most < 50, "{most} threads");
    });
}

/// What computes counts for some CPU time only: else these would wait for each other for ever.
#[test]
fn tasks_that_wait_for_each_other_while_they_compute_all_begin() {
    alone_within_patience(
        "tasks_that_wait_for_each_other_while_they_compute_all_begin",
        || {
            const TASKS: usize = 2 * PROCESSORS + 3;
            let runtime = runtime();
            let begun = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let begun = begun.clone();
                    runtime.spawn(async move {
                        begun.fetch_add(1, SeqCst);
                        while begun.load(SeqCst) < TASKS {
                            spin_loop();
                        }
                    })
                })
                .collect();
            for task in tasks {
                runtime.block_on(task).unwrap();
            }
        },
    );
}

/// Those that block are not held back, whatever computes: all of them are stuck at once.
#[test]
fn tasks_that_block_lose_their_processors_beside_any_number_that_compute() {
    alone_within_patience(
        "tasks_that_block_lose_their_processors_beside_any_number_that_compute",
        || {
            let runtime = runtime();
            let crowd = Spinning::begin(&runtime, 20);
            let (blocked, mut bells) = (Count::default(), Vec::new());
            let blocking: Vec<_> = (0..50)
                .map(|_| {
                    let (bell, wait) = mpsc::channel();
                    bells.push(bell);
                    let blocked = blocked.clone();
                    runtime.spawn(async move {
                        blocked.add();
                        wait.recv().unwrap();
                    })
                })
                .collect();
            assert!(blocked.reaches(50).recv_timeout(PATIENCE).is_ok());
            bells.iter().for_each(|bell| bell.send(()).unwrap());
            for task in blocking {
                runtime.block_on(task).unwrap();
            }
            crowd.end(&runtime);
        },
    );
}

/// What is held back at the end is dropped, once.
#[test]
fn a_runtime_ends_with_tasks_held_back() {
    alone_within_patience("a_runtime_ends_with_tasks_held_back", || {
        for _ in 0..5 {
            let runtime = runtime();
            let (end, drops) = (Arc::new(AtomicBool::new(false)), Count::default());
            for _ in 0..100 {
                let (end, dropped) = (end.clone(), drops.drops());
                drop(runtime.spawn(async move {
                    let _dropped = dropped;
                    while !end.load(SeqCst) {
                        spin_loop();
                    }
                }));
            }
            let begin = Instant::now();
            while runtime.metrics().retake_count() < PROCESSORS as u64 {
                assert!(begin.elapsed() < PATIENCE);
                thread::sleep(MS);
            }
            let ended = thread::spawn(move || drop(runtime));
            // Those that were held back are dropped although the others compute on.
            while drops.get() < 100 - 4 * PROCESSORS {
                assert!(begin.elapsed() < PATIENCE);
                thread::sleep(MS);
            }
            end.store(true, SeqCst);
            ended.join().unwrap();
            assert_eq!(drops.get(), 100);
        }
    });
}
