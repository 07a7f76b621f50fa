//! Classes of tasks: who waits for whom, and for how long.
//!
//! Bounds are counted in polls on one processor, where nothing but the scheduler decides whose poll comes next. Where a bound is a time, the
//! best of several rounds has to keep it, as a busy machine may stop any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use executor::runtime::Builder;
use executor::task::{self, JoinSet, Priority, yield_now};
use executor::{Handle, Runtime};

use crate::common::{processors, wait_until, within_patience};

const ROUNDS: usize = 20;

fn of_class(runtime: &Runtime, class: Priority) -> Handle {
    runtime.handle().with_priority(class)
}

#[test]
fn an_interactive_task_waits_for_one_poll_however_many_others_wait() {
    within_patience(|| {
        let runtime = processors(1);
        let handle = runtime.handle().clone();
        let crowd = async move {
            let polls = Arc::new(AtomicUsize::new(0));
            let mut others = JoinSet::new();
            for class in [Priority::Background, Priority::Normal] {
                let _entered = handle.with_priority(class).enter();
                for _ in 0..200 {
                    let polls = polls.clone();
                    others.spawn(async move {
                        polls.fetch_add(1, SeqCst);
                    });
                }
            }
            let before = polls.clone();
            let interactive = task::Builder::new()
                .priority(Priority::Interactive)
                .spawn(async move { before.load(SeqCst) });
            let before = interactive.await.unwrap();
            while others.join_next().await.is_some() {}
            (before, polls.load(SeqCst))
        };
        let (before, all) = runtime.block_on(runtime.spawn(crowd)).unwrap();
        assert!(before <= 1, "{before} polls came first");
        assert_eq!(all, 400);
    });
}

#[test]
fn a_flood_of_interactive_tasks_starves_nobody() {
    within_patience(|| {
        let runtime = processors(1);
        let (stop, polls) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        for _ in 0..32 {
            let (stop, polls) = (stop.clone(), polls.clone());
            of_class(&runtime, Priority::Interactive).spawn(async move {
                while !stop.load(SeqCst) {
                    polls.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            });
        }
        wait_until("the flood", || polls.load(SeqCst) > 1_000);
        let turns = runtime.spawn(async move {
            let mut turns = Vec::new();
            for _ in 0..200 {
                let before = polls.load(SeqCst);
                yield_now().await;
                turns.push(polls.load(SeqCst) - before);
            }
            turns
        });
        let mut turns = runtime.block_on(turns).unwrap();
        turns.sort_unstable();
        assert!(turns[190] <= 9, "{turns:?}");

        let background = of_class(&runtime, Priority::Background).spawn(async {
            let mut gaps = Vec::new();
            for _ in 0..ROUNDS {
                let begin = Instant::now();
                yield_now().await;
                gaps.push(begin.elapsed());
            }
            gaps
        });
        let gaps = runtime.block_on(background).unwrap();
        // The monitor asks each 10 ms, in rounds of 1 ms.
        let shortest = gaps.iter().min().unwrap();
        assert!(*shortest < Duration::from_millis(15), "{gaps:?}");
        stop.store(true, SeqCst);
    });
}

/// Without a class it would wait for 10 ms.
#[test]
fn an_interactive_task_takes_the_processor_of_a_poll_that_computes() {
    for class in [Priority::Background, Priority::Normal] {
        within_patience(move || {
            let runtime = processors(1);
            let waits: Vec<Duration> = (0..ROUNDS).map(|_| wait_beside(&runtime, class)).collect();
            let shortest = waits.iter().min().unwrap();
            assert!(*shortest < Duration::from_millis(6), "{class:?}: {waits:?}");
        });
    }
}

/// How long an interactive task waits while a poll of this class computes until it has come.
fn wait_beside(runtime: &Runtime, class: Priority) -> Duration {
    let (begun, over) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (begins, ends) = (begun.clone(), over.clone());
    let computes = of_class(runtime, class).spawn(async move {
        begins.store(true, SeqCst);
        while !ends.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
    wait_until("the poll", || begun.load(SeqCst));
    let begin = Instant::now();
    let interactive = of_class(runtime, Priority::Interactive).spawn(async move {
        let waited = begin.elapsed();
        over.store(true, SeqCst);
        waited
    });
    let waited = runtime.block_on(interactive).unwrap();
    runtime.block_on(computes).unwrap();
    waited
}

#[test]
fn who_awaits_a_background_task_does_not_wait_for_those_before_it() {
    within_patience(|| {
        const BATCH: usize = 100_000;
        let runtime = processors(2);
        let polled = Arc::new(AtomicUsize::new(0));
        let background = of_class(&runtime, Priority::Background);
        for _ in 0..BATCH {
            let polled = polled.clone();
            background.spawn(async move {
                polled.fetch_add(1, SeqCst);
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_micros(20) {}
            });
        }
        let mut overtook = Vec::new();
        for _ in 0..ROUNDS {
            let (polled, background) = (polled.clone(), background.clone());
            let asks = of_class(&runtime, Priority::Interactive).spawn(async move {
                let before = polled.load(SeqCst);
                let last = background.spawn(async move { polled.load(SeqCst) });
                last.await.unwrap() - before
            });
            overtook.push(runtime.block_on(asks).unwrap());
        }
        assert!(polled.load(SeqCst) < BATCH, "the batch was over too soon");
        overtook.sort_unstable();
        assert!(overtook[ROUNDS / 2] <= 50, "{overtook:?}");
    });
}

#[test]
fn so_many_background_tasks_run_at_once_and_no_more() {
    for (limit, expected) in [(None, 3), (Some(2), 2), (Some(9), 4)] {
        within_patience(move || {
            let mut builder = Builder::new().worker_threads(4);
            if let Some(limit) = limit {
                builder = builder.background_limit(limit);
            }
            let runtime = builder.build().unwrap();
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let mut tasks = Vec::new();
            for _ in 0..2_000 {
                let (running, most) = (running.clone(), most.clone());
                tasks.push(of_class(&runtime, Priority::Background).spawn(async move {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    // Until all have met that may.
                    while most.load(SeqCst) < expected {
                        std::thread::yield_now();
                    }
                    // So that many end and begin at the same time.
                    (0..200).for_each(|_| std::hint::spin_loop());
                    running.fetch_sub(1, SeqCst);
                }));
            }
            for task in tasks {
                runtime.block_on(task).unwrap();
            }
            assert_eq!(most.load(SeqCst), expected);
        });
    }
}
