//! Very many tasks from one place: each runs once, others are not starved meanwhile, and nothing is kept of them.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;

use executor::runtime::Builder;
use executor::task::yield_now;
use executor::{JoinHandle, Runtime, spawn};

#[cfg(target_os = "linux")]
use crate::common::alone;
use crate::common::{on_runtimes, processors, wait_until, within_patience};

const MANY: usize = 1_000_000;

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Resident bytes of this process.
#[cfg(target_os = "linux")]
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// From one poll of one task: they are all queued at its worker before the first of them runs there.
fn spawn_many_from_one_worker(runtime: &Runtime) {
    let ran = Count::default();
    let inner = ran.clone();
    let spawner = runtime.spawn(async move {
        for _ in 0..MANY {
            let ran = inner.clone();
            drop(spawn(async move { ran.add() }));
        }
    });
    runtime.block_on(spawner).unwrap();
    wait_until("all have run", || runtime.metrics().num_alive_tasks() == 0);
    assert_eq!(ran.get(), MANY);
}

#[test]
fn a_million_tasks_from_one_worker_all_run_once() {
    within_patience(|| {
        let runtime = processors(2);
        spawn_many_from_one_worker(&runtime);
        assert_eq!(runtime.metrics().spawned_tasks_count(), MANY as u64 + 1);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_million_tasks_from_one_worker_is_used_again() {
    if !alone(
        module_path!(),
        "the_memory_of_a_million_tasks_from_one_worker_is_used_again",
    ) {
        return;
    }
    within_patience(|| {
        let runtime = processors(2);
        for _ in 0..5 {
            spawn_many_from_one_worker(&runtime);
        }
        // A million at once are a hundred megabytes, of which the allocator may keep what it likes. A round may peak
        // anywhere below: it depends on how many tasks run while the others are spawned.
        assert!(memory() < 250 << 20, "{}", memory());
    });
}

/// The global queue has its turn while a worker's own queue is as long as it can be.
#[test]
fn a_task_from_outside_runs_before_the_backlog_of_a_worker() {
    within_patience(|| {
        for workers in [1, 2] {
            // Without a spare thread: who spawns for so long would have its processor taken, and the next holder begins
            // with an empty queue.
            let builder = Builder::new().worker_threads(workers);
            let runtime = builder.max_threads(workers).build().unwrap();
            let (ran, spawned) = (Count::default(), Arc::new(AtomicBool::new(false)));
            let (inner, all) = (ran.clone(), spawned.clone());
            drop(runtime.spawn(async move {
                for _ in 0..MANY / 4 {
                    let ran = inner.clone();
                    drop(spawn(async move {
                        yield_now().await;
                        ran.add();
                    }));
                }
                all.store(true, SeqCst);
            }));
            wait_until("the backlog is there", || spawned.load(SeqCst));
            let inner = ran.clone();
            let outsider = runtime.spawn(async move { inner.get() });
            let ran_before = runtime.block_on(outsider).unwrap();
            assert!(ran_before < MANY / 4, "it came last");
            wait_until("all have run", || ran.get() == MANY / 4);
        }
    });
}

/// Spawned, polled or not, aborted, joined or not.
#[cfg(target_os = "linux")]
fn cancel_many(runtime: &Runtime, many: usize, drops: &Count) {
    const BATCH: usize = 1000;
    for batch in 0..many / BATCH {
        let handles: Vec<JoinHandle<()>> = (0..BATCH)
            .map(|_| {
                let held = Counted(drops.clone());
                runtime.spawn(async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        handles.iter().for_each(JoinHandle::abort);
        if batch % 2 == 0 {
            for handle in handles {
                assert!(runtime.block_on(handle).unwrap_err().is_cancelled());
            }
        }
    }
    wait_until("all are dropped", || drops.get() == many);
    wait_until("all are gone", || runtime.metrics().num_alive_tasks() == 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_million_cancels_keep_no_task_and_no_memory() {
    if !alone(
        module_path!(),
        "a_million_cancels_keep_no_task_and_no_memory",
    ) {
        return;
    }
    within_patience(|| {
        let runtime = processors(2);
        cancel_many(&runtime, MANY / 10, &Count::default());
        let before = memory();
        cancel_many(&runtime, MANY, &Count::default());
        assert!(memory() < before + (16 << 20), "{before} {}", memory());
    });
}

/// A waker keeps what is left of its task, and that is not the future, nor its output, nor whoever has joined it.
#[test]
fn stale_wakers_keep_no_future_and_no_joiner() {
    on_runtimes(|runtime| {
        const TASKS: usize = 1000;
        let (drops, wakers) = (Count::default(), Arc::new(Mutex::new(Vec::<Waker>::new())));
        let polls = Count::default();
        for number in 0..TASKS {
            let (held, kept) = (Counted(drops.clone()), wakers.clone());
            let (output, polled) = (Counted(drops.clone()), polls.clone());
            let mut output = Some(output);
            let waits = runtime.spawn(std::future::poll_fn(move |cx| {
                let _held = &held;
                polled.add();
                kept.lock().unwrap().push(cx.waker().clone());
                match number % 2 {
                    0 => Poll::Ready(output.take()),
                    _ => Poll::Pending,
                }
            }));
            let abort = waits.abort_handle();
            let held = Counted(drops.clone());
            let joins = runtime.spawn(async move {
                let _held = held;
                drop(waits.await);
            });
            wait_until("it was polled", || polls.get() == number + 1);
            abort.abort();
            runtime.block_on(joins).unwrap();
        }
        assert_eq!(drops.get(), 3 * TASKS);
        assert_eq!(polls.get(), TASKS);
        wait_until("all are gone", || runtime.metrics().num_alive_tasks() == 0);
        // They wake nobody.
        let stale = std::mem::take(&mut *wakers.lock().unwrap());
        assert_eq!(stale.len(), TASKS);
        stale.into_iter().for_each(Waker::wake);
        runtime.block_on(runtime.spawn(async {})).unwrap();
        assert_eq!(polls.get(), TASKS);
    });
}

/// Each waits for the other: nobody can end that but an abort, from anywhere.
#[test]
fn two_tasks_that_await_each_other_end_with_one_abort() {
    async fn awaits(other: async_channel::Receiver<JoinHandle<()>>, held: Counted) {
        let _held = held;
        let other = other.recv().await.unwrap();
        assert!(other.await.is_err());
    }
    on_runtimes(|runtime| {
        for _ in 0..100 {
            let drops = Count::default();
            let (to_one, one) = async_channel::bounded(1);
            let (to_two, two) = async_channel::bounded(1);
            let one = runtime.spawn(awaits(one, Counted(drops.clone())));
            let two = runtime.spawn(awaits(two, Counted(drops.clone())));
            let abort = one.abort_handle();
            to_one.try_send(two).unwrap();
            to_two.try_send(one).unwrap();
            for _ in 0..10 {
                thread::yield_now();
            }
            abort.abort();
            wait_until("both have ended", || drops.get() == 2);
        }
        wait_until("all are gone", || runtime.metrics().num_alive_tasks() == 0);
    });
}
