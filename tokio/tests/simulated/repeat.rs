//! The same seed gives the same run.

use std::sync::Arc;

use executor::sim::{self, Report};
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Duration, interval, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// 20 workers, which spawn more tasks, and 20 waiters. Everything that may be random: branches,
/// orders of wakes, of aborts.
async fn busy() -> u64 {
    let (sender, mut receiver) = mpsc::channel::<u64>(3);
    let (news, _) = broadcast::channel::<u64>(16);
    let (state, watched) = watch::channel(0_u64);
    let (sum, notify) = (Arc::new(Mutex::new(0_u64)), Arc::new(Notify::new()));
    let (room, table) = (Arc::new(Semaphore::new(3)), Arc::new(RwLock::new(0_u64)));
    let mut tasks = JoinSet::new();
    for index in 0..20_u64 {
        let (sender, notify, sum) = (sender.clone(), notify.clone(), sum.clone());
        let (room, table) = (room.clone(), table.clone());
        let (news, mut heard, mut watched) = (news.clone(), news.subscribe(), watched.clone());
        tasks.spawn(async move {
            let mut ticks = interval(Duration::from_millis(1 + index % 5));
            for round in 0..6 {
                match (index + round) % 8 {
                    0 => sim::block(Duration::from_micros(300 * index)),
                    1 => {
                        let _permit = room.acquire().await.unwrap();
                        *table.write().await += index;
                        sleep(MS).await;
                    }
                    2 => *sum.lock().await += spawn_blocking(move || index).await.unwrap(),
                    3 => {
                        news.send(index).unwrap();
                        notify.notify_waiters();
                    }
                    4 => drop(timeout(2 * MS, watched.changed()).await),
                    5 => drop(timeout(3 * MS, notify.notified()).await),
                    6 => {
                        let (answer, wait) = oneshot::channel();
                        let order = table.clone();
                        tokio::spawn(async move { answer.send(*order.read().await) });
                        *sum.lock().await += wait.await.unwrap();
                    }
                    _ => tokio::task::yield_now().await,
                }
                tokio::select! {
                    _ = ticks.tick() => *sum.lock().await += 1,
                    said = heard.recv() => *sum.lock().await += said.unwrap_or(1000),
                    _ = watched.changed() => *sum.lock().await += 2,
                    _ = notify.notified() => {}
                    _ = std::future::ready(()) => *sum.lock().await += 3,
                }
                sender.send(index * round).await.unwrap();
            }
        });
    }
    drop(sender);
    // Many wait for one sender: they are woken in some order.
    let mut waiting = JoinSet::new();
    for index in 0..20_u64 {
        let (mut watched, sum) = (state.subscribe(), sum.clone());
        waiting.spawn(async move {
            while watched.wait_for(|value| value % 20 == index).await.is_ok() {
                let mut sum = sum.lock().await;
                *sum = sum.wrapping_mul(31) + index;
                drop(sum);
                watched.changed().await.unwrap();
            }
        });
    }
    let mut order = 0_u64;
    while let Some(value) = receiver.recv().await {
        order = order.wrapping_mul(7).wrapping_add(value);
        state.send_modify(|state| *state += 1);
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    waiting.shutdown().await;
    let sum = *sum.lock().await;
    order.wrapping_add(sum)
}

fn run(seed: u64) -> (u64, Report) {
    let sim = sim::Builder::new().seed(seed).processors(3).build();
    let (output, report) = sim.run_and_report(busy());
    (output.unwrap(), report)
}

#[test]
fn a_seed_gives_one_run_and_seeds_differ() {
    let mut hashes: Vec<_> = (0..200)
        .map(|seed| {
            let ((first, report), (second, again)) = (run(seed), run(seed));
            assert_eq!(report.hash(), again.hash(), "seed {seed}");
            assert_eq!(
                (first, report.time()),
                (second, again.time()),
                "seed {seed}"
            );
            report.hash()
        })
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 200);
}

#[test]
fn two_runs_are_compared() {
    for seed in 0..10 {
        sim::Builder::new()
            .seed(seed)
            .build()
            .run_twice(busy)
            .unwrap();
    }
}

/// Tasks of a set are aborted in one order.
#[test]
fn a_set_aborts_in_the_same_order() {
    struct Pushes(u64, Arc<std::sync::Mutex<Vec<u64>>>);

    impl Drop for Pushes {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    let aborted = || {
        let sim = sim::Builder::new().seed(3).build();
        let order = sim.run(async {
            let order = Arc::default();
            let mut set = JoinSet::new();
            for index in 0..20 {
                let pushes = Pushes(index, Arc::clone(&order));
                set.spawn(async move {
                    std::future::pending::<()>().await;
                    drop(pushes);
                });
            }
            sleep(MS).await;
            set.shutdown().await;
            order
        });
        order.unwrap().lock().unwrap().clone()
    };
    assert_eq!(aborted(), aborted());
}

/// Two tasks lose an update if one of them runs between the other's read and write.
async fn racy() {
    let count = Arc::new(RwLock::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let count = count.clone();
            tokio::spawn(async move {
                let seen = *count.read().await;
                tokio::select! {
                    () = std::future::ready(()) => {}
                    () = std::future::ready(()) => tokio::task::yield_now().await,
                }
                *count.write().await = seen + 1;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*count.read().await, 2);
}

#[test]
fn a_failure_is_found_and_replayed_by_its_choices() {
    let run = |sim: sim::Builder| sim.build().run(racy());
    let failures: Vec<_> = (0..200)
        .filter_map(|seed| run(sim::Builder::new().seed(seed)).err())
        .collect();
    assert!(
        !failures.is_empty() && failures.len() < 200,
        "{}",
        failures.len()
    );
    for failure in failures.iter().take(20) {
        let again = run(sim::Builder::new().choices(failure.choices())).unwrap_err();
        assert_eq!(again.message(), failure.message());
        assert!(again.message().contains("left: 1"), "{again}");
    }
}
