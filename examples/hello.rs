//! The smallest program: two tasks, one of which blocks its thread, and nobody waits for that but who awaits it.
//!
//! Run it with `cargo run --release --example hello`, on a single processor with `EXECUTOR_WORKER_THREADS=1` before it.

use executor::time::sleep;
use std::{thread, time::Duration};

fn main() {
    executor::block_on(async {
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
    });
}
