//! Fairness: every runnable task runs within a bounded number of polls, however busy the others are.
//!
//! Bounds are counted on one processor, where nothing but the scheduler decides whose poll comes next. The tests on all
//! processors, with timers and I/O, only ask that what is due happens at all: how soon is the machine's affair.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use executor::runtime::Builder;
use executor::task::{consume_budget, unconstrained, yield_now};
use executor::{JoinHandle, Runtime, block_on, spawn};

use crate::common::busy::{ALL, Busy, FEW, Kind};
use crate::common::{processors, within_patience};

/// Polls of others before a task that is alone in the queue: what the promise of `src/lib.rs` allows.
const BOUND: usize = 7;

/// Runs `main` as a task of a runtime with one processor, which then schedules all that it spawns.
fn on_one_processor<F>(main: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = processors(1);
    runtime.block_on(runtime.spawn(main)).unwrap()
}

/// Nineteen turns of twenty must keep within the bound: the operating system may stop a thread between two steps of ours
/// and leave another one running. Starvation shows in every turn.
fn assert_bounded(kind: Kind, mut turns: Vec<usize>, bound: usize) {
    turns.sort_unstable();
    let worst = turns[(turns.len() - 1) * 19 / 20];
    assert!(worst <= bound, "{kind:?}: {worst} polls in between");
}

/// Yields, and tells how many polls of the others there were each time.
async fn turns_beside(busy: &Busy, times: usize) -> Vec<usize> {
    let mut turns = Vec::new();
    for _ in 0..times {
        let before = busy.polls();
        yield_now().await;
        turns.push(busy.polls() - before);
    }
    turns
}

/// Polls of the others before a task that is spawned from outside has its turn.
fn turn_of_foreign_spawn(runtime: &Runtime, busy: &Busy) -> usize {
    let inner = busy.clone();
    let handle = runtime.spawn(async move { inner.polls() });
    // From here on it is queued.
    let before = busy.polls();
    let at = runtime.block_on(handle).unwrap();
    at.saturating_sub(before)
}

#[test]
fn a_task_beside_a_busy_crowd_waits_for_a_few_polls() {
    within_patience(|| {
        for kind in FEW {
            let turns = on_one_processor(async move {
                let busy = Busy::start(kind);
                let turns = turns_beside(&busy, 1000).await;
                busy.stop();
                turns
            });
            assert_bounded(kind, turns, BOUND);
        }
    });
}

#[test]
fn a_busy_crowd_is_not_starved_by_a_yield_loop() {
    within_patience(|| {
        for kind in FEW {
            let polls = on_one_processor(async move {
                let busy = Busy::start(kind);
                for _ in 0..1000 {
                    yield_now().await;
                }
                busy.stop();
                busy.polls()
            });
            assert!(polls >= 500, "{kind:?}: {polls}");
        }
    });
}

#[test]
fn a_foreign_spawn_beside_a_busy_crowd_waits_for_a_few_polls() {
    within_patience(|| {
        for kind in ALL {
            let runtime = processors(1);
            let busy = runtime.block_on(runtime.spawn(async move { Busy::start(kind) }));
            let busy = busy.unwrap();
            let turns = (0..20).map(|_| turn_of_foreign_spawn(&runtime, &busy));
            let turns = turns.collect();
            busy.stop();
            assert_bounded(kind, turns, 128);
        }
    });
}

/// The 61st poll is fair only if polls are short: of 5 ms each it comes after 300 ms. So busy workers are asked to look beyond
/// their own queue every 10 ms.
fn a_foreign_spawn_waits_for_long_polls(kinds: &[Kind], work: Duration, bound: usize) {
    for &kind in kinds {
        let runtime = processors(1);
        let start = runtime.spawn(async move { Busy::start_with(kind, work) });
        let busy = runtime.block_on(start).unwrap();
        let turns = (0..20).map(|_| turn_of_foreign_spawn(&runtime, &busy));
        let turns = turns.collect();
        busy.stop();
        assert_bounded(kind, turns, bound);
    }
}

#[test]
fn a_foreign_spawn_beside_polls_of_5_ms_waits_for_a_handful() {
    within_patience(|| {
        a_foreign_spawn_waits_for_long_polls(&FEW, Duration::from_millis(5), 12);
    });
}

#[test]
fn a_foreign_spawn_beside_a_pair_with_polls_of_2_ms_waits_for_a_slice() {
    within_patience(|| {
        a_foreign_spawn_waits_for_long_polls(&[Kind::PingPong], Duration::from_millis(2), 25);
    });
}

#[test]
fn a_queued_task_beside_a_pair_with_polls_of_2_ms_waits_for_a_few() {
    within_patience(|| {
        let turns = on_one_processor(async {
            let busy = Busy::start_with(Kind::PingPong, Duration::from_millis(2));
            let turns = turns_beside(&busy, 50).await;
            busy.stop();
            turns
        });
        assert_bounded(Kind::PingPong, turns, BOUND);
    });
}

#[test]
fn a_foreign_spawn_is_not_starved_by_saturating_pairs() {
    within_patience(|| {
        let runtime = Builder::new().build().unwrap();
        let pairs = 4 * runtime.metrics().num_workers();
        let busy = runtime.spawn(async move {
            let crowds: Vec<Busy> = (0..pairs).map(|_| Busy::start(Kind::PingPong)).collect();
            crowds
        });
        let crowds = runtime.block_on(busy).unwrap();
        for n in 0..20 {
            assert_eq!(
                runtime.block_on(runtime.spawn(async move { n })).unwrap(),
                n
            );
        }
        crowds.iter().for_each(Busy::stop);
    });
}

#[test]
fn a_flood_of_foreign_spawns_does_not_starve_a_task() {
    within_patience(|| {
        let runtime = processors(1);
        let (started, begin) = mpsc::channel();
        let handle = runtime.spawn(async move {
            started.send(()).unwrap();
            for _ in 0..1000 {
                yield_now().await;
            }
        });
        begin.recv().unwrap();
        let mut flood = 0;
        while !handle.is_finished() {
            let spawned = runtime.spawn(async {});
            flood += 1;
            if flood % 1000 == 0 {
                runtime.block_on(spawned).unwrap();
            }
        }
        runtime.block_on(handle).unwrap();
    });
}

/// The last tasks of a crowd wake each other under the locks of their channels while they are being dropped.
#[test]
fn a_runtime_ends_under_a_busy_crowd() {
    within_patience(|| {
        for kind in ALL {
            for count in [1, 2] {
                for _ in 0..8 {
                    let runtime = processors(count);
                    let start = runtime.spawn(async move { [kind; 4].map(Busy::start) });
                    let crowds = runtime.block_on(start).unwrap();
                    while crowds.iter().any(|busy| busy.polls() < 10) {
                        thread::yield_now();
                    }
                    drop(runtime);
                    assert_eq!(crowds.each_ref().map(Busy::holders), [1; 4], "{kind:?}");
                }
            }
        }
    });
}

#[test]
fn a_ping_pong_pair_and_a_polite_one_share_a_processor() {
    within_patience(|| {
        let (hogs, lights) = on_one_processor(async {
            let (hogs, lights) = (Busy::default(), Busy::default());
            drop(hogs.ping_pong(false));
            drop(lights.ping_pong(true));
            while lights.polls() < 500 {
                yield_now().await;
            }
            hogs.stop();
            lights.stop();
            (hogs.polls(), lights.polls())
        });
        assert!(hogs <= 8 * lights && lights <= 8 * hogs, "{hogs} {lights}");
    });
}

#[test]
fn yielding_tasks_take_turns() {
    on_one_processor(async {
        let turns: Arc<[AtomicUsize; 5]> = Arc::default();
        let handles: Vec<_> = (0..turns.len())
            .map(|this| {
                let turns = turns.clone();
                spawn(async move {
                    for turn in 1..=200 {
                        turns[this].store(turn, SeqCst);
                        let ahead_or_behind =
                            |other: &AtomicUsize| other.load(SeqCst).abs_diff(turn);
                        assert!(turns.iter().map(ahead_or_behind).all(|turns| turns <= 1));
                        yield_now().await;
                    }
                })
            })
            .collect();
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[cfg(feature = "time")]
#[test]
fn timers_fire_while_every_processor_is_busy() {
    beside_crowds(|| async {
        let sleepers: Vec<_> = (1..=3)
            .map(|n| {
                spawn(async move {
                    for _ in 0..n {
                        executor::time::sleep(Duration::from_millis(1)).await;
                    }
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
    });
}

#[cfg(feature = "net")]
#[test]
fn sockets_are_served_while_every_processor_is_busy() {
    use crate::common::streams::pair;
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    beside_crowds(|| async {
        let (mut near, mut far) = pair();
        let echo = spawn(async move {
            let mut byte = [0];
            while far.read(&mut byte).await.unwrap() == 1 {
                far.write_all(&byte).await.unwrap();
            }
        });
        for n in 0..3 {
            near.write_all(&[n]).await.unwrap();
            let mut byte = [0];
            near.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [n]);
        }
        drop(near);
        echo.await.unwrap();
    });
}

/// Runs a task beside each kind of crowd: on one processor, then on all, two crowds for each.
#[cfg(any(feature = "time", feature = "net"))]
fn beside_crowds<F>(task: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    within_patience(move || {
        for kind in ALL {
            for runtime in [processors(1), Builder::new().build().unwrap()] {
                let crowds = 2 * runtime.metrics().num_workers();
                let main = runtime.spawn(async move {
                    let crowds: Vec<Busy> = (0..crowds).map(|_| Busy::start(kind)).collect();
                    spawn(task()).await.unwrap();
                    crowds.iter().for_each(Busy::stop);
                });
                runtime.block_on(main).unwrap();
            }
        }
    });
}

/// Runs `future` in this task beside a yield loop on the same processor, and tells how many turns that had meanwhile.
async fn turns_of_another(future: impl Future<Output = ()>) -> usize {
    let other = Busy::start(Kind::Yields);
    // To a new poll, with a full budget, behind the other's first.
    yield_now().await;
    let before = other.polls();
    future.await;
    let turns = other.polls() - before;
    other.stop();
    turns
}

async fn consume(calls: usize) {
    for _ in 0..calls {
        consume_budget().await;
    }
}

/// Counts the polls of a future.
fn counting<F: Future>(polls: &AtomicUsize, future: F) -> impl Future<Output = F::Output> {
    let mut future: Pin<Box<F>> = Box::pin(future);
    poll_fn(move |cx| {
        polls.fetch_add(1, SeqCst);
        future.as_mut().poll(cx)
    })
}

#[test]
fn joining_finished_tasks_yields_at_each_129th() {
    within_patience(|| {
        let turns = on_one_processor(async {
            let handles: Vec<JoinHandle<()>> = (0..1000).map(|_| spawn(async {})).collect();
            while !handles.iter().all(JoinHandle::is_finished) {
                yield_now().await;
            }
            turns_of_another(async {
                for handle in handles {
                    handle.await.unwrap();
                }
            })
            .await
        });
        assert_eq!(turns, 7);
    });
}

#[test]
fn consume_budget_yields_at_each_129th_call() {
    for (calls, yields) in [(0, 0), (128, 0), (129, 1), (256, 1), (257, 2), (1280, 9)] {
        let turns = on_one_processor(turns_of_another(consume(calls)));
        assert_eq!(turns, yields, "{calls} calls");
    }
}

#[test]
fn a_wait_gives_a_fresh_budget() {
    on_one_processor(async {
        let polls = AtomicUsize::new(0);
        counting(&polls, async {
            yield_now().await;
            for _ in 0..5 {
                consume(128).await;
                yield_now().await;
            }
        })
        .await;
        assert_eq!(polls.load(SeqCst), 7);
    });
}

#[test]
fn unconstrained_does_not_yield() {
    let turns = on_one_processor(turns_of_another(unconstrained(consume(10_000))));
    assert_eq!(turns, 0);
}

#[test]
fn a_block_on_does_not_yield() {
    let polls = AtomicUsize::new(0);
    block_on(counting(&polls, consume(10_000)));
    assert_eq!(polls.load(SeqCst), 1);
}
