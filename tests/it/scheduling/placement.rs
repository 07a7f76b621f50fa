//! Where threads run: a worker stays with its processor, and with `pin_workers` on one CPU while it holds one.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use executor::runtime::{Builder, worker_index};
use executor::task::yield_now;
use executor::time::sleep;
use executor::{Runtime, block_in_place, block_on, spawn, spawn_blocking};

use crate::common::stuck::{Stuck, WAYS};
use crate::common::{processors, wait_until, within_patience};

/// The CPUs that the calling thread may run on, as the kernel lists them: `0-3,8`.
fn mask() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = (status.lines()).find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

fn is_one(mask: &str) -> bool {
    mask.bytes().all(|byte| byte.is_ascii_digit())
}

fn pinned(processors: usize) -> Runtime {
    let builder = Builder::new().worker_threads(processors);
    builder.pin_workers(true).build().unwrap()
}

/// Where a task has run: the thread, and the processors.
#[derive(Default)]
struct Pairs(HashMap<ThreadId, Vec<usize>>);

impl Pairs {
    fn note(&mut self) {
        let seen = self.0.entry(thread::current().id()).or_default();
        // `None`: the processor was retaken from this poll.
        let index = worker_index().unwrap_or(usize::MAX);
        if !seen.contains(&index) {
            seen.push(index);
        }
    }
}

/// A task ticks, with the driver's worker, and another is woken from outside, with one that is parked. Gives where they
/// have run; `None` if a poll was taken for a stuck one.
fn run_both(count: usize, rounds: usize) -> Option<Pairs> {
    let runtime = processors(count);
    let ticks = runtime.spawn(async move {
        let mut pairs = Pairs::default();
        for _ in 0..rounds {
            sleep(Duration::from_micros(100)).await;
            pairs.note();
        }
        pairs
    });
    let (sender, receiver) = async_channel::unbounded();
    let woken = runtime.spawn(async move {
        let mut pairs = Pairs::default();
        while receiver.recv().await.is_ok() {
            pairs.note();
        }
        pairs
    });
    for _ in 0..rounds {
        sender.send_blocking(()).unwrap();
        thread::sleep(Duration::from_micros(50));
    }
    drop(sender);
    let (mut pairs, others) =
        runtime.block_on(async { (ticks.await.unwrap(), woken.await.unwrap()) });
    for (thread, processors) in others.0 {
        let seen = pairs.0.entry(thread).or_default();
        seen.extend(processors);
        seen.sort_unstable();
        seen.dedup();
    }
    (runtime.metrics().retake_count() == 0).then_some(pairs)
}

#[test]
fn a_worker_has_the_same_processor_after_a_thousand_waits() {
    within_patience(|| {
        for count in [2, 4] {
            // On a busy machine a poll may look stuck.
            let pairs = std::iter::repeat_with(|| run_both(count, 1000))
                .flatten()
                .next();
            for (thread, processors) in pairs.unwrap().0 {
                assert_eq!(processors.len(), 1, "{thread:?} has had {processors:?}");
            }
        }
    });
}

/// Also where there are more processors than CPUs.
#[test]
fn a_pinned_worker_is_on_the_cpu_of_its_processor() {
    let whole = mask();
    for count in [1, 2, 5] {
        let cpus = within_patience(move || {
            let runtime = pinned(count);
            let cpus = Arc::new(Mutex::new(BTreeMap::<usize, String>::new()));
            let tasks: Vec<_> = (0..200)
                .map(|_| {
                    let cpus = cpus.clone();
                    runtime.spawn(async move {
                        for _ in 0..5 {
                            let (index, mask) = (worker_index().unwrap(), mask());
                            let known = cpus
                                .lock()
                                .unwrap()
                                .entry(index)
                                .or_insert(mask.clone())
                                .clone();
                            assert_eq!(known, mask);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            runtime.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
            cpus.lock().unwrap().clone()
        });
        assert!(cpus.values().all(|mask| is_one(mask)), "{cpus:?}");
        if !is_one(&whole) && cpus.contains_key(&0) && cpus.contains_key(&1) {
            assert_ne!(cpus[&0], cpus[&1]);
        }
        assert_eq!(mask(), whole, "the thread that builds is not pinned");
    }
}

/// Whoever holds a processor is on one CPU, whoever holds none may be on all.
fn assert_placed(whole: &str) {
    match worker_index() {
        Some(_) => assert!(is_one(&mask()), "{}", mask()),
        None => assert_eq!(mask(), whole),
    }
}

#[test]
fn who_blocks_has_all_cpus() {
    let whole = mask();
    within_patience(move || {
        for count in [1, 2] {
            let runtime = pinned(count);
            for _ in 0..20 {
                let whole = whole.clone();
                let task = runtime.spawn(async move {
                    assert!(is_one(&mask()));
                    block_in_place(|| assert_eq!(mask(), whole));
                    assert_placed(&whole);
                    block_on(async { assert_eq!(mask(), whole) });
                    assert_placed(&whole);
                    yield_now().await;
                    assert!(is_one(&mask()));
                    let job = spawn_blocking(mask).await.unwrap();
                    assert_eq!(job, whole);
                });
                runtime.block_on(task).unwrap();
            }
        }
    });
}

/// The monitor gives a thread all CPUs when it takes the processor from it, and whoever has that next is on its CPU.
#[test]
fn who_is_stuck_has_all_cpus() {
    let whole = mask();
    within_patience(move || {
        for way in WAYS {
            let runtime = pinned(1);
            for _ in 0..5 {
                let whole = whole.clone();
                let task = runtime.spawn(async move {
                    let own = mask();
                    assert!(is_one(&own));
                    let (bringer, wait) = mpsc::channel();
                    drop(spawn(async move { bringer.send(mask()).unwrap() }));
                    assert_eq!(way.receive(&wait), Some(own));
                    assert_eq!(worker_index(), None, "it was retaken");
                    wait_until("it has all CPUs", || mask() == whole);
                    yield_now().await;
                    assert!(is_one(&mask()));
                });
                runtime.block_on(task).unwrap();
            }
        }
    });
}

/// Each time with another processor: a worker may come back before the monitor is done with it.
#[test]
fn a_worker_that_comes_back_is_pinned_again() {
    let whole = mask();
    within_patience(move || {
        let runtime = pinned(2);
        let tasks: Vec<_> = (0..100)
            .map(|round| {
                let whole = whole.clone();
                runtime.spawn(async move {
                    assert!(is_one(&mask()));
                    if round % 2 == 0 {
                        Stuck::Blocked.until_another_ran();
                    } else {
                        block_in_place(thread::yield_now);
                        assert_placed(&whole);
                    }
                    yield_now().await;
                    assert!(is_one(&mask()));
                })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

/// A runtime that is built in a task of a pinned one uses all CPUs, pinned or not; a thread of the task's own does not.
#[test]
fn what_a_task_starts() {
    let whole = mask();
    within_patience(move || {
        let runtime = pinned(2);
        let task = runtime.spawn(async move {
            let own = mask();
            let inherits = thread::spawn(mask);
            let inner = processors(2);
            assert_eq!(
                inner.block_on(inner.spawn(async { mask() })).unwrap(),
                whole
            );
            assert_eq!(inner.block_on(inner.spawn_blocking(mask)).unwrap(), whole);
            let inner = pinned(2);
            assert_eq!(inner.block_on(inner.spawn_blocking(mask)).unwrap(), whole);
            (own, inherits.join().unwrap())
        });
        let (own, inherited) = runtime.block_on(task).unwrap();
        assert!(is_one(&own));
        assert_eq!(own, inherited);
    });
}

/// Nobody sets its number.
#[test]
fn a_runtime_that_is_built_in_a_pinned_task_has_as_many_processors_as_elsewhere() {
    let number = || Builder::new().build().unwrap().handle().worker_threads();
    let outside = number();
    within_patience(move || {
        let runtime = pinned(2);
        assert_eq!(
            runtime
                .block_on(runtime.spawn(async move { number() }))
                .unwrap(),
            outside
        );
    });
}

#[test]
fn nobody_is_pinned_unless_that_is_asked_for() {
    let whole = mask();
    let runtime = processors(2);
    let task = runtime.spawn(async { mask() });
    assert_eq!(runtime.block_on(task).unwrap(), whole);
}
