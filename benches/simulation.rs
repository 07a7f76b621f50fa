//! How fast simulations are.
//!
//! Run it with `cargo bench --features sim --bench simulation`.
//!
//! - `run`: an empty run: the runtime is built, and shut down.
//! - `yield`: 100 tasks that yield, by number of processors; steps per second.
//! - `hour`: 1,000 tickers of 1 s for an hour of virtual time.
//! - `shrink`: a lost update is found among the seeds, and shrunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use executor::sim::Builder;
use executor::task::yield_now;
use executor::time::interval;

const ROUNDS: u64 = 5;

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let runs = 2_000;
    let begin = Instant::now();
    for seed in 0..runs {
        Builder::new()
            .seed(seed)
            .build()
            .run(async {})
            .expect("it does nothing");
    }
    println!("run {:?}", begin.elapsed() / runs as u32);
    for processors in [1, 2, 4] {
        measure(&format!("yield, P={processors}"), processors, yields);
    }
    measure("hour, P=4", 4, tickers);
    let begin = Instant::now();
    for seed in 0..100 {
        let found = Builder::new()
            .seed(seed * 1000)
            .explore(1000, lose_an_update);
        assert!(found.is_err(), "an update is lost under some seed");
    }
    println!("find and shrink {:?}", begin.elapsed() / 100);
}

/// The median of some seeds.
fn measure<F: Future>(name: &str, processors: usize, run: fn() -> F) {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|seed| {
            let sim = Builder::new().seed(seed).processors(processors);
            let sim = sim.step_limit(u64::MAX).build();
            let begin = Instant::now();
            let (result, report) = sim.run_and_report(run());
            assert!(result.is_ok(), "it ends");
            let took = begin.elapsed();
            (took, report.steps() as f64 / took.as_secs_f64() / 1e6)
        })
        .collect();
    rounds.sort_unstable_by_key(|round| round.0);
    let (took, steps) = rounds[rounds.len() / 2];
    let (least, most) = (rounds[0].0, rounds[rounds.len() - 1].0);
    println!("{name}: {took:?} ({least:?} to {most:?}), {steps:.2} million steps/s");
}

async fn yields() {
    let task = || async {
        for _ in 0..10_000 {
            yield_now().await;
        }
    };
    let tasks: Vec<_> = (0..100).map(|_| executor::spawn(task())).collect();
    for task in tasks {
        task.await.expect("it ends");
    }
}

async fn tickers() {
    let task = || async {
        let mut ticks = interval(Duration::from_secs(1));
        for _ in 0..=3600 {
            ticks.tick().await;
        }
    };
    let tasks: Vec<_> = (0..1000).map(|_| executor::spawn(task())).collect();
    for task in tasks {
        task.await.expect("it ends");
    }
}

async fn lose_an_update() {
    let count = Arc::new(AtomicUsize::new(0));
    let add = |count: Arc<AtomicUsize>| async move {
        let before = count.load(Ordering::Relaxed);
        yield_now().await;
        count.store(before + 1, Ordering::Relaxed);
    };
    let other = executor::spawn(add(count.clone()));
    add(count.clone()).await;
    other.await.expect("it ends");
    assert_eq!(count.load(Ordering::Relaxed), 2);
}
