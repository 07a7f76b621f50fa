//! More tasks that compute than CPUs: how many threads they get, and what goes on beside them.
//!
//! Each test is a process of its own, since it counts the threads of all. How many there are at most is counted in virtual time,
//! in `it/sim/crowd.rs`.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
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
