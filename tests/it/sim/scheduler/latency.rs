//! How late something may be. The monitor makes up for a wake-up that is lost, a millisecond later or ten. So nobody hangs for it,
//! and no test on real threads can tell it from a busy machine; in virtual time it is exact.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use executor::task::yield_now;
use executor::time::{now, sleep, sleep_until};
use executor::{Handle, block_on, sim, spawn, spawn_blocking};

use super::{LIMIT, Tokens, millis};

/// Polls of a few microseconds each add up to this at most. The monitor's first round comes after a millisecond.
const SOON: Duration = Duration::from_micros(400);

/// Runs a program so often with `processors`, and with no poll that takes long by chance.
#[track_caller]
fn check<F: Future>(runs: usize, processors: usize, program: fn() -> F) {
    let sim = sim::Builder::new().processors(processors).slow_polls(false);
    sim.time_limit(LIMIT).check(runs, program);
}

#[track_caller]
fn assert_soon(what: &str, since: Instant) {
    let late = now() - since;
    assert!(late < SOON, "{what}: {late:?} late");
}

/// So many tasks that compute, each told when it should have begun.
async fn compute(count: usize, since: Instant) {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            spawn(async move {
                assert_soon("a task", since);
                sim::compute(millis(8));
            })
        })
        .collect();
    // What was spawned last is in the next slot, and the poll before it may hide it from others for some rounds of the monitor.
    spawn(async {}).await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn as_many_tasks_as_processors_begin_at_once() {
    check(200, 4, || async {
        let others = spawn(async {
            compute(4, now()).await;
            for _ in 0..3 {
                sleep(millis(1 + sim::choose(30))).await;
                compute(4, now()).await;
            }
        });
        others.await.unwrap();
    });
}

#[test]
fn what_waits_for_a_blocking_thread_s_processor_begins_at_once() {
    check(200, 2, || async {
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                spawn(async {
                    for _ in 0..3 {
                        let since = now();
                        let child = spawn(async move { assert_soon("a child", since) });
                        // Gives its processor away, to the child.
                        block_on(async {
                            child.await.unwrap();
                            sleep(millis(sim::choose(12))).await;
                        });
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_wake_from_a_thread_without_a_processor_comes_at_once() {
    check(200, 2, || async {
        let given = Arc::new(Mutex::new(now()));
        let tokens = Tokens::new();
        let job = {
            let (given, tokens) = (given.clone(), tokens.clone());
            spawn_blocking(move || {
                for _ in 0..6 {
                    // Around the times at which workers and the monitor go to sleep, and long after that.
                    sim::block(match sim::choose(3) {
                        0 => Duration::from_micros(sim::choose(60).into()),
                        1 => millis(sim::choose(30)),
                        _ => Duration::from_secs(20),
                    });
                    *given.lock().unwrap() = now();
                    tokens.give();
                }
            })
        };
        let taker = spawn(async move {
            for count in 1..=6 {
                tokens.have_come(count).await;
                let since = *given.lock().unwrap();
                assert_soon("a token", since);
            }
        });
        taker.await.unwrap();
        job.await.unwrap();
    });
}

#[test]
fn timers_are_in_time_whoever_has_armed_them() {
    check(200, 2, || async {
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                spawn(async move {
                    for _ in 0..4 {
                        let deadline = now() + millis(1 + sim::choose(40));
                        match number {
                            0 | 1 => sleep_until(deadline).await,
                            2 => block_on(sleep_until(deadline)),
                            _ => spawn_blocking(move || block_on(sleep_until(deadline)))
                                .await
                                .unwrap(),
                        }
                        assert_soon("a timer", deadline);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn jobs_begin_at_once_however_long_others_take() {
    check(200, 2, || async {
        let since = now();
        let jobs: Vec<_> = (0..6)
            .map(|_| {
                spawn_blocking(move || {
                    assert_soon("a job", since);
                    sim::block(millis(30));
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    });
}

/// What the shutdown thread is not told of, it finds ten milliseconds later.
#[test]
fn a_runtime_whose_polls_are_short_ends_at_once() {
    check(200, 2, || async {
        let workers = 1 + sim::choose(3) as usize;
        let builder = executor::Builder::new().worker_threads(workers);
        let runtime = builder.build().unwrap();
        for number in 0..6 {
            drop(runtime.spawn(async move {
                match number % 3 {
                    0 => pending().await,
                    1 => loop {
                        yield_now().await;
                    },
                    _ => loop {
                        sleep(Duration::from_micros(sim::choose(300).into())).await;
                        drop(spawn(async {}));
                    },
                }
            }));
        }
        if sim::choose(4) > 0 {
            sim::block(Duration::from_micros(sim::choose(2000).into()));
        }
        let since = now();
        drop(runtime);
        assert_soon("the end", since);
    });
}

/// Its processor is taken from it after 10 ms, and what it spawns from then on goes where others look.
#[test]
fn what_a_stuck_poll_spawns_begins_while_it_is_stuck() {
    check(100, 2, || async {
        let stuck: Vec<_> = (0..2)
            .map(|_| {
                spawn(async {
                    let mut children = Vec::new();
                    for number in 0..5 {
                        let since = now();
                        children.push(spawn(async move {
                            let late = now() - since;
                            assert!(late < millis(25), "child {number}: {late:?} late");
                        }));
                        sim::block(match sim::choose(3) {
                            0 => Duration::ZERO,
                            _ => millis(60),
                        });
                    }
                    children
                })
            })
            .collect();
        for task in stuck {
            for child in task.await.unwrap() {
                child.await.unwrap();
            }
        }
    });
}

#[test]
fn a_processor_that_comes_takes_what_waits() {
    check(100, 2, || async {
        let handle = Handle::current();
        for _ in 0..4 {
            handle.set_worker_threads(1).unwrap();
            let first = spawn(async { sim::compute(millis(8)) });
            sleep(Duration::from_micros(500)).await;
            let resized = Arc::new(Mutex::new(None::<Instant>));
            let at = resized.clone();
            let waits = spawn(async move {
                let at = *at.lock().unwrap();
                if let Some(at) = at {
                    assert_soon("what waits", at);
                }
            });
            *resized.lock().unwrap() = Some(now());
            handle.set_worker_threads(2).unwrap();
            waits.await.unwrap();
            first.await.unwrap();
        }
    });
}
