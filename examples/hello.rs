//! The smallest program: tasks, a sleep, and what they give back.
//!
//! Run it with `cargo run --release --example hello`.

use std::time::{Duration, Instant};

use executor::task::JoinError;
use executor::time::sleep;

fn main() -> Result<(), JoinError> {
    let begin = Instant::now();
    let total = executor::block_on(async {
        let tasks: Vec<_> = (1..=10u64)
            .map(|n| {
                executor::spawn(async move {
                    sleep(Duration::from_millis(10 * n)).await;
                    n * n
                })
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await?;
        }
        Ok::<_, JoinError>(total)
    })?;
    println!(
        "ten tasks slept side by side for {:?} and found {total}",
        begin.elapsed()
    );
    Ok(())
}
