//! Nobody waits for long beside tasks that are always ready.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use executor::task::{Priority, yield_now};
use executor::time::{now, sleep};
use executor::{Handle, sim, spawn_blocking};

use super::{Tokens, millis};

/// Some hundred polls.
const PATIENCE: Duration = Duration::from_millis(3);
/// What `docs/priorities.md` promises, and a round of the monitor.
const PATIENCE_OF_BACKGROUND: Duration = Duration::from_millis(13);

#[track_caller]
fn check<F: Future>(runs: usize, program: fn() -> F) {
    for processors in [1, 2] {
        let sim = sim::Builder::new().processors(processors);
        let sim = sim.slow_polls(false).time_limit(Duration::from_secs(1));
        sim.check(runs, program);
    }
}

/// Tasks of a class that are ready for as long as this lives.
struct Flood {
    stop: Arc<AtomicBool>,
    handle: Handle,
}

impl Flood {
    fn begin(class: Priority) -> Flood {
        let handle = Handle::current().with_priority(class);
        let stop = Arc::new(AtomicBool::new(false));
        let kind = sim::choose(3);
        for _ in 0..3 {
            let (stop, other) = (stop.clone(), stop.clone());
            match kind {
                0 => drop(handle.spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        yield_now().await;
                    }
                })),
                // Each comes next when the other one has run.
                1 => {
                    let (one, two) = (Tokens::new(), Tokens::new());
                    drop(handle.spawn(pass_on(one.clone(), two.clone(), stop)));
                    drop(handle.spawn(pass_on(two, one.clone(), other)));
                    one.give();
                }
                _ => drop(handle.spawn(spawn_the_next(handle.clone(), stop))),
            }
        }
        Flood { stop, handle }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn pass_on(from: Arc<Tokens>, to: Arc<Tokens>, stop: Arc<AtomicBool>) {
    for count in 1.. {
        from.have_come(count).await;
        to.give();
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn spawn_the_next(
    handle: Handle,
    stop: Arc<AtomicBool>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if !stop.load(Ordering::Relaxed) {
            drop(handle.spawn(spawn_the_next(handle.clone(), stop)));
        }
    })
}

#[track_caller]
fn assert_in_time(what: &str, since: Instant) {
    let late = now() - since;
    let patience = match executor::task::priority() {
        Priority::Background => PATIENCE_OF_BACKGROUND,
        _ => PATIENCE,
    };
    assert!(late < patience, "{what}: {late:?} late");
}

#[test]
fn what_comes_from_outside_or_by_a_timer_has_its_turn() {
    check(60, || async {
        let flood = Flood::begin(Priority::Normal);
        for _ in 0..4 {
            let handle = flood.handle.clone();
            let outside = spawn_blocking(move || {
                sim::block(millis(sim::choose(3)));
                let since = now();
                handle.spawn(async move { assert_in_time("a task from outside", since) })
            });
            let timer = flood.handle.spawn(async {
                let deadline = now() + millis(sim::choose(3));
                executor::time::sleep_until(deadline).await;
                assert_in_time("a timer", deadline);
            });
            outside.await.unwrap().await.unwrap();
            timer.await.unwrap();
        }
    });
}

#[test]
fn each_class_has_its_turn_beside_a_flood_of_another() {
    check(60, || async {
        for flooded in [Priority::Interactive, Priority::Normal] {
            let flood = Flood::begin(flooded);
            sleep(millis(1)).await;
            let others: Vec<_> = [Priority::Background, Priority::Normal]
                .into_iter()
                .map(|class| {
                    let since = now();
                    let handle = Handle::current().with_priority(class);
                    handle.spawn(async move {
                        assert_in_time("a task of another class", since);
                        let since = now();
                        yield_now().await;
                        assert_in_time("its next poll", since);
                    })
                })
                .collect();
            for other in others {
                other.await.unwrap();
            }
            drop(flood);
        }
    });
}
