//! The scoreboard: every row on gosched, tokio and smol, two workers each, in interleaved rounds.
//!
//! `cargo bench --bench compare [-- ROW [ROUNDS]]` prints the medians and the ratios (below 1.00: gosched is better).
//! Each measurement is a process of its own (`--child RUNTIME ROW`), so that no runtime inherits another one's threads
//! or heap. A child runs the row once to warm up and then reports the median of three runs.

mod parked;
mod support;

use std::process::Command;
use std::time::Instant;

use support::{Gosched, Runtime, Smol, Tokio, WORKERS, workloads};

/// Name, unit and what is measured.
const ROWS: &[(&str, &str, &str)] = &[
    ("spawn_join", "ns/op", "spawn + join, 100k from one task"),
    ("fan_out", "ns/op", "fan-out, 8 spawners x 20k"),
    ("chained", "ns/op", "chained spawn, 100k deep"),
    ("ping_pong_1", "ns/trip", "ping-pong, 1 pair"),
    ("ping_pong_1000", "ns/trip", "ping-pong, 1000 pairs"),
    ("yield", "ns/op", "yield, 200 tasks x 1000"),
    (
        "remote_spawn",
        "ns/op",
        "spawn from 2 foreign threads, 100k",
    ),
    ("skynet", "ms", "skynet, 1M leaves"),
    ("blocking", "ns/op", "spawn_blocking, batch of 20k"),
    ("timeout_ready", "ns/op", "timeout of a ready future"),
    ("arm_cancel", "ns/op", "arm + cancel a timer"),
    ("echo", "ns/trip", "TCP echo, 64 connections"),
    ("parked_spawn", "ns/task", "a million parked tasks: spawn"),
    (
        "parked_release",
        "ns/task",
        "a million parked tasks: release",
    ),
    ("parked_memory", "B/task", "a million parked tasks: memory"),
];
const RUNTIMES: [&str; 3] = [Gosched::NAME, Tokio::NAME, Smol::NAME];
const ROUNDS: usize = 5;

fn main() {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--child", Gosched::NAME, row] => println!("{}", measure(&Gosched::start(), row)),
        ["--child", Tokio::NAME, row] => println!("{}", measure(&Tokio::start(), row)),
        ["--child", Smol::NAME, row] => println!("{}", measure(&Smol::start(), row)),
        [] => compare(None, ROUNDS),
        [row] if is_row(row) => compare(Some(row), ROUNDS),
        [row, rounds] if is_row(row) && rounds.parse().is_ok_and(|rounds: usize| rounds > 0) => {
            compare(Some(row), rounds.parse().unwrap_or(ROUNDS));
        }
        _ => {
            let rows: Vec<_> = ROWS.iter().map(|(name, ..)| *name).collect();
            eprintln!("usage: compare [ROW [ROUNDS]]\nrows: {}", rows.join(" "));
            std::process::exit(2);
        }
    }
}

fn is_row(name: &str) -> bool {
    ROWS.iter().any(|row| row.0 == name)
}

fn compare(only: Option<&str>, rounds: usize) {
    println!("{WORKERS} workers each, medians of {rounds} rounds, lower is better\n");
    let [ours, tokio, smol] = RUNTIMES;
    println!("| workload | unit | {ours} | {tokio} | {smol} | ours / {tokio} | ours / best |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for (name, unit, title) in ROWS {
        if only.is_some_and(|only| only != *name) {
            continue;
        }
        let mut figures = [const { Vec::new() }; RUNTIMES.len()];
        for _ in 0..rounds {
            for (figures, runtime) in figures.iter_mut().zip(RUNTIMES) {
                figures.push(child(runtime, name));
            }
        }
        let [ours, tokio, smol] = figures.map(median);
        let (to_tokio, to_best) = (ours / tokio, ours / tokio.min(smol));
        println!(
            "| {title} | {unit} | {ours:.0} | {tokio:.0} | {smol:.0} | {to_tokio:.2} | {to_best:.2} |"
        );
    }
}

/// One figure, measured in a new process.
fn child(runtime: &str, row: &str) -> f64 {
    let this = std::env::current_exe().expect("own path");
    let output = Command::new(this)
        .args(["--child", runtime, row])
        .env("SMOL_THREADS", WORKERS.to_string())
        .output()
        .expect("child process");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        eprintln!("{runtime} failed at {row} ({}): {errors}", output.status);
        f64::NAN
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn measure<R: Runtime>(runtime: &R, row: &str) -> f64 {
    use workloads as w;
    let time = |operations: usize, work: &dyn Fn()| {
        work();
        let run = || {
            let begin = Instant::now();
            work();
            begin.elapsed().as_nanos() as f64 / operations as f64
        };
        median(vec![run(), run(), run()])
    };
    match row {
        "spawn_join" => time(100_000, &|| w::spawn_join(runtime, 100_000)),
        "fan_out" => time(160_000, &|| w::fan_out(runtime, 8, 20_000)),
        "chained" => time(100_000, &|| w::chained(runtime, 100_000)),
        "ping_pong_1" => time(100_000, &|| w::ping_pong(runtime, 1, 100_000)),
        "ping_pong_1000" => time(200_000, &|| w::ping_pong(runtime, 1_000, 200)),
        "yield" => time(200_000, &|| w::yields(runtime, 200, 1_000)),
        "remote_spawn" => time(100_000, &|| w::remote_spawn(runtime, 2, 50_000)),
        // Nanoseconds over a million: milliseconds for the whole tree.
        "skynet" => time(1_000_000, &|| w::skynet(runtime, 1_000_000)),
        "blocking" => time(20_000, &|| w::blocking_batch(runtime, 20_000)),
        "timeout_ready" => time(100_000, &|| w::timeout_of_ready(runtime, 100_000)),
        "arm_cancel" => time(100_000, &|| w::arm_and_cancel(runtime, 100_000)),
        "echo" => time(64_000, &|| w::echo(runtime, 64, 1_000)),
        "parked_spawn" => parked::measure(runtime).spawn,
        "parked_release" => parked::measure(runtime).release,
        "parked_memory" => parked::measure(runtime).bytes,
        _ => unreachable!("main has checked the name"),
    }
}
