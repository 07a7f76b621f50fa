//! tokio programs in a simulation.
#![cfg(all(feature = "full", feature = "test-util"))]

use executor::sim::{self, Failure};
use tokio::time::Duration;

mod channels;
mod programs;
mod repeat;
mod runtimes;
mod task_locals;
mod values;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn run<T>(seed: u64, program: impl Future<Output = T>) -> Result<T, Failure> {
    sim::Builder::new().seed(seed).build().run(program)
}

/// Under several seeds.
fn simulate<F: Future<Output = ()>>(program: impl Fn() -> F) {
    for seed in 0..20 {
        run(seed, program()).unwrap();
    }
}

/// Likewise, and no poll is slow: for programs that rely on others being in time.
fn simulate_in_time<F: Future<Output = ()>>(program: impl Fn() -> F) {
    for seed in 0..20 {
        let sim = sim::Builder::new().seed(seed).slow_polls(false).build();
        sim.run(program()).unwrap();
    }
}
