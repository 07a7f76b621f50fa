//! The smallest program: two tasks, of which one blocks its thread and the other goes on.
//!
//! Run it with `cargo run --release --example hello`, and with `EXECUTOR_WORKER_THREADS=1` before it: one worker is enough.

use executor::time::sleep;
use std::{thread, time::Duration};

#[executor::main]
async fn main() {
    // Like `go f()`: it runs at once, in parallel, awaited or not.
    let ticks = executor::spawn(async {
        for n in 1..=5 {
            sleep(Duration::from_millis(10)).await;
            println!("tick {n}");
        }
    });
    // Blocks its thread, without `spawn_blocking`. The ticks go on.
    let blocks = executor::spawn(async {
        thread::sleep(Duration::from_millis(200));
        "slow"
    });
    ticks.await.expect("no task panicked");
    println!("{}", blocks.await.expect("no task panicked"));
}
