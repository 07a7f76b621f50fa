//! What Go's own tests ask of its scheduler, asked of this one.
//!
//! The tests are those of Go's `runtime/proc_test.go` of the same names in idea, not in text. What differs is said at each.

use std::future::Future;
use std::hint::spin_loop;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use executor::task::yield_now;
use executor::time::sleep;
use executor::{JoinHandle, Runtime, block_in_place};
use futures::FutureExt;

use crate::common::stuck::{Count, each_way, join};
use crate::common::{processors, wait_until, within_patience};

/// Two tasks that pass a token to and fro and count to `work` each time they have it, until told to stop.
fn pair(
    runtime: &Runtime,
    work: usize,
    turns: &Arc<AtomicUsize>,
    stop: &Arc<AtomicBool>,
) -> Vec<JoinHandle<()>> {
    let (there, from_here) = async_channel::bounded::<()>(1);
    let (back, from_there) = async_channel::bounded::<()>(1);
    there.try_send(()).unwrap();
    [(from_here, back), (from_there, there)]
        .into_iter()
        .map(|(receive, send)| {
            let (turns, stop) = (turns.clone(), stop.clone());
            runtime.spawn(async move {
                while !stop.load(SeqCst) && receive.recv().await.is_ok() {
                    (0..work).for_each(|_| spin_loop());
                    turns.fetch_add(1, SeqCst);
                    if send.send(()).await.is_err() {
                        return;
                    }
                }
            })
        })
        .collect()
}

/// `TestPingPongHog`: a pair with a lot of work and one with little, on one processor. In Go each pair shares one time
/// slice, and the *work* done is balanced, to a factor of 20. A future cannot be preempted within its poll, so here the *turns*
/// are: a pair counts as one, whatever wakes whom, and the pair with little to do waits for three turns of the other.
#[test]
fn a_ping_pong_pair_does_not_hog_the_processor() {
    const FACTOR: usize = 20;
    within_patience(|| {
        let runtime = processors(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (hog, light) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = pair(&runtime, 20_000, &hog, &stop);
        tasks.extend(pair(&runtime, 20, &light, &stop));
        wait_until("the hog has had its turns", || hog.load(SeqCst) > 300);
        let (hog, light) = (hog.load(SeqCst), light.load(SeqCst));
        stop.store(true, SeqCst);
        join(&runtime, tasks);
        assert!(
            hog <= light * FACTOR && light <= hog * FACTOR,
            "turns: hog {hog}, light {light}"
        );
    });
}

/// Two tasks that keep each other busy through a channel until their timers fire. `each`: called in each turn.
fn timers_fire_beside(each: impl Fn() + Clone + Send + 'static) {
    within_patience(move || {
        let runtime = processors(1);
        let (sender, receiver) = async_channel::bounded::<()>(1);
        let tasks = (0..2).map(|_| {
            let (sender, receiver, each) = (sender.clone(), receiver.clone(), each.clone());
            runtime.spawn(async move {
                let mut timer = Box::pin(sleep(Duration::from_millis(20)).fuse());
                loop {
                    each();
                    futures::select_biased! {
                        () = timer => return,
                        sent = sender.send(()).fuse() => sent.unwrap(),
                        received = receiver.recv().fuse() => received.unwrap(),
                    }
                }
            })
        });
        join(&runtime, tasks.collect());
    });
}

/// `TestTimerFairness`.
#[test]
fn timers_fire_while_tasks_keep_each_other_busy() {
    timers_fire_beside(|| {});
}

/// `TestTimerFairness2`: with a short system call in each turn, which must not look like being stuck either.
#[test]
fn timers_fire_while_tasks_are_busy_with_system_calls() {
    let null = Arc::new(std::fs::File::open("/dev/null").unwrap());
    timers_fire_beside(move || {
        assert_eq!((&*null).read(&mut [0]).unwrap(), 0);
    });
}

/// `TestPreemptionAfterSyscall`: what blocks and then computes can be taken its processor from in either part, so that
/// something else goes on (in Go, a garbage collection; here, another task).
fn others_go_on_beside<F>(block: fn(Duration) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    within_patience(move || {
        for processors in [1, 2].map(processors) {
            for time in [1, 5, 10] {
                let stop = Arc::new(AtomicBool::new(false));
                let begun = Arc::new(AtomicUsize::new(0));
                let tasks: Vec<_> = (0..2)
                    .map(|_| {
                        let (stop, begun) = (stop.clone(), begun.clone());
                        processors.spawn(async move {
                            begun.fetch_add(1, SeqCst);
                            while !stop.load(SeqCst) {
                                block(Duration::from_millis(time)).await;
                                (0..10_000).for_each(|_| spin_loop());
                            }
                        })
                    })
                    .collect();
                wait_until("both have begun", || begun.load(SeqCst) == 2);
                let other = processors.spawn(async {
                    for _ in 0..10 {
                        yield_now().await;
                    }
                });
                processors.block_on(other).unwrap();
                stop.store(true, SeqCst);
                join(&processors, tasks);
            }
        }
    });
}

#[test]
fn a_task_that_blocks_and_computes_in_turn_keeps_nobody_waiting() {
    others_go_on_beside(|time| async move { thread::sleep(time) });
}

#[test]
fn a_task_that_hands_over_and_computes_in_turn_keeps_nobody_waiting() {
    others_go_on_beside(|time| async move { block_in_place(|| thread::sleep(time)) });
}

/// `TestPreemptionAfterSyscall`, as it stands: eight tasks on two processors do nothing but short system calls, without an
/// end, and all of them get to begin. The times are Go's.
fn all_begin_beside_endless_calls(call: fn(Duration)) {
    const TASKS: usize = 8;
    within_patience(move || {
        for time in [10, 100, 1000].map(Duration::from_micros) {
            let runtime = processors(2);
            for _ in 0..3 {
                let (begun, stop) = (Count::default(), Arc::new(AtomicBool::new(false)));
                let tasks = (0..TASKS).map(|_| {
                    let (begun, stop) = (begun.clone(), stop.clone());
                    runtime.spawn(async move {
                        begun.add();
                        while !stop.load(SeqCst) {
                            call(time);
                        }
                    })
                });
                let tasks = tasks.collect();
                begun.reaches(TASKS).recv().unwrap();
                stop.store(true, SeqCst);
                join(&runtime, tasks);
            }
        }
    });
}

#[test]
fn all_tasks_begin_beside_some_that_do_short_calls_for_ever() {
    all_begin_beside_endless_calls(thread::sleep);
}

#[test]
fn all_tasks_begin_beside_some_that_hand_over_for_ever() {
    all_begin_beside_endless_calls(|time| {
        block_in_place(|| {
            let begin = Instant::now();
            while begin.elapsed() < time {
                spin_loop();
            }
        });
    });
}

/// The heart of `TestPreemptionAfterSyscall`: the processor that comes back from a call can be taken again.
#[test]
fn a_task_that_is_stuck_after_a_hand_over_keeps_no_processor() {
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        for _ in 0..5 {
            let stuck = (0..count).map(|_| {
                runtime.spawn(async move {
                    block_in_place(|| ());
                    way.until_another_ran();
                    block_in_place(thread::yield_now);
                    way.until_another_ran();
                })
            });
            join(&runtime, stuck.collect());
        }
    });
}

/// `TestYieldProgress`: a loop that only yields lets the one run that ends it.
#[test]
fn a_yield_loop_lets_others_end_it() {
    within_patience(|| {
        let runtime = processors(1);
        for _ in 0..10 {
            let (end, ended) = async_channel::bounded::<()>(1);
            let looping = runtime.spawn(async move {
                while ended.try_recv().is_err() {
                    yield_now().await;
                }
            });
            let ending = runtime.spawn(async move { end.send(()).await.unwrap() });
            join(&runtime, vec![looping, ending]);
        }
    });
}

/// `TestGoroutineParallelism`: as many tasks as processors go on only while all the others run. With more processors than
/// CPUs they let each other onto a CPU; on a busy machine each step may take a slice of the system's, so there are as few as
/// in Go.
#[test]
fn p_tasks_that_wait_for_each_other_in_turn_all_run() {
    const ROUNDS: usize = 10;
    const STEPS: usize = 10;
    within_patience(|| {
        for count in [2, 4] {
            let runtime = processors(count);
            for _ in 0..ROUNDS {
                let step = Arc::new(AtomicUsize::new(0));
                let tasks = (0..count).map(|own| {
                    let step = step.clone();
                    runtime.spawn(async move {
                        for _ in 0..STEPS {
                            while step.load(SeqCst) % count != own {
                                thread::yield_now();
                            }
                            step.fetch_add(1, SeqCst);
                        }
                    })
                });
                join(&runtime, tasks.collect());
                assert_eq!(step.load(SeqCst), count * STEPS);
            }
        }
    });
}
