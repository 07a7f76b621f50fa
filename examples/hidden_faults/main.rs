//! Four programs that misbehave, to practise on. `docs/debugging.md` finds out what is wrong with each, in a minute.
//!
//! `cargo run --release --example hidden_faults -- shop`, or `warehouse`, `library` or `gallery`; it says each second how it fares,
//! and ends after ten, or after so many as are given as a second argument. Enter prints what the runtime is doing, which any
//! program can offer in a few lines: see `on_enter`.

mod gallery;
mod library;
mod shop;
mod warehouse;

use std::error::Error;
use std::time::{Duration, Instant};
use std::{env, io, thread};

use executor::time::{interval, sleep};
use executor::{Builder, Handle};

/// How long it took, of what was finished since the last report.
type Latencies = async_channel::Receiver<Duration>;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let (what, start): (_, fn() -> Latencies) = match args.first().map(String::as_str) {
        Some("shop") => ("orders", shop::open),
        Some("warehouse") => ("parcels", warehouse::open),
        Some("library") => ("readers", library::open),
        Some("gallery") => ("visitors", gallery::open),
        _ => return Err("usage: hidden_faults shop|warehouse|library|gallery [SECONDS]".into()),
    };
    let seconds = args.get(1).map_or(Ok(10), |seconds| seconds.parse())?;
    let runtime = Builder::new()
        .worker_threads(2)
        .max_blocking_threads(4)
        .build()?;
    on_enter(runtime.handle().clone());
    runtime.block_on(async {
        drop(executor::spawn(report(what, start())));
        sleep(Duration::from_secs(seconds)).await;
    });
    println!("{}", runtime.shutdown_timeout(Duration::from_secs(1)));
    Ok(())
}

/// Each second: how many were served, and how long they took.
async fn report(what: &str, latencies: Latencies) {
    let begin = Instant::now();
    let mut seconds = interval(Duration::from_secs(1));
    seconds.tick().await; // the first is at once
    loop {
        seconds.tick().await;
        let mut took: Vec<Duration> = std::iter::from_fn(|| latencies.try_recv().ok()).collect();
        took.sort_unstable();
        let quantile = |of_hundred| took[(took.len() - 1) * of_hundred / 100];
        let second = begin.elapsed().as_secs_f64().round();
        match took.len() {
            0 => println!("{second:2} s: no {what}"),
            count => println!(
                "{second:2} s: {count:5} {what}: half of them within {:.1?}, 99 of 100 within {:.1?}, all within {:.1?}",
                quantile(50),
                quantile(99),
                quantile(100)
            ),
        }
    }
}

/// A line on standard input prints figures and tasks. A server would do this for a request that only its operators can make.
fn on_enter(runtime: Handle) {
    thread::spawn(move || {
        for _ in io::stdin().lines().map_while(Result::ok) {
            let tasks = runtime.dump_stacks(Duration::from_secs(1));
            println!("{}\n{tasks}", runtime.metrics());
        }
    });
}
