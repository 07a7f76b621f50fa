//! One program, simulated many times with the same seed: every run is the same.
//!
//! ```text
//! cargo run --features sim --example repeat             # 1,000 runs
//! cargo run --release --features sim --example repeat   # the hash is that of a debug build
//! cargo run --features sim --example repeat -- 20 7     # 20 runs of the seed 7
//! ```

mod busy;

use std::process::ExitCode;
use std::time::Instant;

use executor::sim;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let (runs, seed) = match (arguments.next(), arguments.next()) {
        (None, _) => (1000, 0),
        (Some(Ok(runs)), None) => (runs, 0),
        (Some(Ok(runs)), Some(Ok(seed))) => (runs, seed),
        _ => {
            eprintln!("usage: repeat [RUNS [SEED]]");
            return ExitCode::FAILURE;
        }
    };
    let simulation = sim::Builder::new().seed(seed).processors(4);
    let begin = Instant::now();
    let mut first = None;
    for number in 1..=runs {
        let (sum, report) = simulation.clone().build().run_and_report(busy::busy());
        let run = (sum.expect("it ends"), report.hash());
        if *first.get_or_insert(run) != run {
            eprintln!("run {number} differs: its hash is {:016x}", run.1);
            return ExitCode::FAILURE;
        }
    }
    if let Some((sum, hash)) = first {
        let took = begin.elapsed();
        println!(
            "seed {seed}: {runs} runs in {took:.1?}, each with the hash {hash:016x} and the sum {sum}"
        );
    }
    ExitCode::SUCCESS
}
