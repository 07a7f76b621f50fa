//! The program that is recorded: it takes a twentieth of a second.

use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};
use executor::time::{interval, sleep};
use executor::{JoinHandle, block_in_place, spawn_blocking, task};
use futures::future::join_all;

const MS: Duration = Duration::from_millis(1);

pub(crate) async fn run() {
    let mut tasks = Vec::new();
    for n in 1..=3 {
        tasks.push(named(
            format!("ticker {n}"),
            ticker(MS * (1 + n), 48 / (1 + n)),
        ));
    }
    let ring: Vec<_> = (0..5).map(|_| bounded(1)).collect();
    for n in 0..5 {
        let relay = relay(ring[n].1.clone(), ring[(n + 1) % 5].0.clone());
        tasks.push(named(format!("relay {}", n + 1), relay));
    }
    let _ = ring[0].0.try_send(100);
    drop(ring);
    tasks.push(named("burst", burst()));
    tasks.push(named("blocker", blocker()));
    tasks.push(named("reader", reader()));
    // Blocking jobs run on threads of their own, which never have a processor.
    tasks.extend((2..5).map(|n| spawn_blocking(move || thread::sleep(MS * 4 * n))));
    join_all(tasks).await;
}

async fn ticker(period: Duration, times: u32) {
    let mut ticks = interval(period);
    for _ in 0..times {
        ticks.tick().await;
        compute(MS / 4);
    }
}

/// Hands a number on, less one, until it is used up: each wakes the next.
async fn relay(inbox: Receiver<u32>, outbox: Sender<u32>) {
    while let Ok(left @ 1..) = inbox.recv().await {
        compute(MS / 10);
        let _ = outbox.send(left - 1).await;
    }
}

/// Much work at once, in one queue: the other processors come and steal.
async fn burst() {
    sleep(MS * 6).await;
    let tile = |n| named(format!("tile {n}"), async { compute(MS) });
    join_all((1..=16).map(tile)).await;
}

/// Blocks its thread without a word: the monitor takes the processor from it, and the others go on.
async fn blocker() {
    sleep(MS * 10).await;
    thread::sleep(MS * 25);
}

/// Says that it blocks: its thread gives the processor away at once.
async fn reader() {
    sleep(MS * 15).await;
    block_in_place(|| thread::sleep(MS * 9));
}

#[track_caller]
fn named(
    name: impl Into<String>,
    future: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    task::Builder::new().name(name).spawn(future)
}

fn compute(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {}
}
