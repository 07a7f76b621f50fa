//! The same seed gives the same run.

use std::time::Duration;

use async_channel::unbounded;
use executor::sim::{self, Report};
use executor::time::{interval, sleep, timeout};

/// 100 tasks with timers, a channel, blocking jobs and polls that block.
async fn busy() -> u64 {
    let (sender, receiver) = unbounded();
    let workers: Vec<_> = (0..100_u64)
        .map(|index| {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            executor::spawn(async move {
                let mut sum = 0;
                let mut ticks = interval(Duration::from_millis(1 + index % 5));
                for round in 0..6 {
                    match (index + round) % 7 {
                        0 => sim::block(Duration::from_micros(300 * index)),
                        1 => sim::compute(Duration::from_micros(500 * index)),
                        2 => {
                            let job = move || {
                                sim::block(Duration::from_millis(index % 4));
                                index
                            };
                            sum += executor::spawn_blocking(job).await.unwrap();
                        }
                        3 => drop(timeout(Duration::from_millis(2), receiver.recv()).await),
                        4 => drop(ticks.tick().await),
                        5 => {
                            sum += executor::spawn(async move {
                                sleep(Duration::from_micros(index)).await;
                                index
                            })
                            .await
                            .unwrap();
                        }
                        _ => executor::task::yield_now().await,
                    }
                    sender.send(sum + round).await.unwrap();
                }
                sum
            })
        })
        .collect();
    drop(sender);
    let mut sum = 0;
    for worker in workers {
        sum += worker.await.unwrap();
    }
    while let Ok(sent) = receiver.try_recv() {
        sum += sent;
    }
    sum
}

fn run(seed: u64) -> (u64, Report) {
    let sim = sim::Builder::new().seed(seed).processors(4).build();
    let (sum, report) = sim.run_and_report(busy());
    (sum.unwrap(), report)
}

#[test]
fn a_seed_gives_one_run_and_seeds_differ() {
    let mut hashes = Vec::new();
    for seed in 0..20 {
        let (sum, first) = run(seed);
        for _ in 0..4 {
            let (again, report) = run(seed);
            assert_eq!(
                (again, report.time(), report.steps()),
                (sum, first.time(), first.steps())
            );
            assert_eq!(report.hash(), first.hash(), "seed {seed}");
        }
        hashes.push(first.hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn two_runs_are_compared() {
    for seed in 0..5 {
        let sim = sim::Builder::new().seed(seed).processors(4).build();
        sim.run_twice(busy).unwrap();
    }
}
