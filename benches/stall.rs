//! What the monitor costs, and whether it takes a processor from anybody who is not stuck.
//!
//! `cargo bench --bench stall [-- ROW [ROUNDS]]` prints the medians. Each measurement is a process of its own
//! (`--child ROW`). With and without: the same binary, without by `EXECUTOR_DEBUG=retake=0`.

mod support;

use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use support::process::threads;
use support::ticks::Ticks;
use support::workloads::{self, at_once, spin_until};
use support::{Gosched, Scheduler, per_operation, workers};

const ROWS: [&str; 8] = [
    "five_ms",
    "spawn",
    "yield",
    "ping_pong",
    "burners",
    "stopped",
    "spares",
    "steal",
];

/// How long one figure takes; short ones vary by more than what is looked for.
const LOAD_TIME: Duration = Duration::from_secs(3);
const BURNERS: usize = 6;

const ROUNDS: usize = 5;

fn main() {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--child", row] if is_row(row) => {
            let words: Vec<_> = measure(row).iter().map(f64::to_string).collect();
            println!("{}", words.join(" "));
        }
        [] => compare(ROUNDS, |_| true),
        [row] if is_row(row) => compare(ROUNDS, |name| name == row),
        [row, rounds] if is_row(row) && rounds.parse().is_ok_and(|rounds: usize| rounds > 0) => {
            compare(rounds.parse().unwrap_or(ROUNDS), |name| name == row);
        }
        _ => {
            eprintln!("usage: stall [ROW [ROUNDS]]\nrows: {}", ROWS.join(" "));
            std::process::exit(2);
        }
    }
}

fn is_row(name: &str) -> bool {
    ROWS.contains(&name) || ["load", "burn", "steal_beside_0", "steal_beside_200"].contains(&name)
}

fn compare(rounds: usize, is_wanted: impl Fn(&str) -> bool) {
    let wanted = |names: &[&str]| names.iter().any(|name| is_wanted(name));
    if wanted(&ROWS[..4]) {
        println!("\n| gosched | with retakes | without | with / without |\n|---|--:|--:|--:|");
        for (row, title) in [
            ("five_ms", "8 tasks, 40 polls of 5 ms each, ms"),
            ("spawn", "spawn + join, ns/op"),
            ("yield", "yield, ns/op"),
            ("ping_pong", "ping-pong, 1 pair, ns/trip"),
        ] {
            if is_wanted(row) {
                with_and_without(row, title, rounds);
            }
        }
    }
    if wanted(&ROWS[4..6]) {
        println!("\n| gosched, 4 tasks with polls of 2 ms | retakes |\n|---|--:|");
    }
    if is_wanted("burners") {
        let mut burners: Vec<_> = (0..BURNERS).map(|_| start("burn")).collect();
        let retakes = figures_of(this_program().arg("load"));
        burners.iter_mut().for_each(end);
        println!(
            "| beside {BURNERS} processes that burn CPU | {} |",
            show(retakes.first().copied())
        );
    }
    if is_wanted("stopped") {
        println!("| stopped and continued 40 times | {} |", show(stopped()));
    }
    if is_wanted("steal") {
        println!("\n| gosched, fan-out 8 x 20k, ns/op | threads that block beside |\n|--:|--:|");
        for blocked in [0, 200] {
            let row = format!("steal_beside_{blocked}");
            let samples: Vec<_> = (0..rounds)
                .flat_map(|_| figures_of(this_program().arg(&row)))
                .collect();
            println!("| {} | {blocked} |", show(median(samples.iter())));
        }
    }
    if is_wanted("spares") {
        println!(
            "\n| gosched, 200 tasks block at once | threads then | 11 s later |\n|---|--:|--:|"
        );
        let threads = figures_of(this_program().arg("spares"));
        let at = |index| show(threads.get(index).copied());
        println!("| keep-alive 10 s | {} | {} |", at(0), at(1));
    }
}

fn with_and_without(row: &str, title: &str, rounds: usize) {
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..2 * rounds {
        let index = (round + round / 2) % 2;
        let mut command = this_program();
        if index == 1 {
            command.env("EXECUTOR_DEBUG", "retake=0");
        }
        samples[index].extend(figures_of(command.arg(row)));
    }
    let [with, without] = samples.map(|samples| median(samples.iter()));
    let ratio = with.zip(without).map(|(with, without)| with / without);
    println!(
        "| {title} | {} | {} | {} |",
        show(with),
        show(without),
        show(ratio)
    );
}

fn measure(row: &str) -> Vec<f64> {
    if row == "burn" {
        loop {
            std::hint::spin_loop();
        }
    }
    let runtime = Gosched::start();
    match row {
        "five_ms" => vec![polls_of(&runtime, 8, Duration::from_millis(5), 40).as_secs_f64() * 1e3],
        "load" => {
            let ticks = runtime.run(async { Ticks::start::<Gosched>(10) });
            let poll = Duration::from_millis(2);
            let polls = LOAD_TIME.as_millis() / poll.as_millis() * workers() as u128 / 4;
            polls_of(&runtime, 4, poll, polls as usize);
            ticks.stop();
            vec![runtime.metrics().retake_count() as f64]
        }
        "spares" => {
            at_once(&runtime, 200, || thread::sleep(Duration::from_millis(100)));
            let then = threads();
            thread::sleep(Duration::from_secs(11));
            vec![then, threads()]
        }
        "steal_beside_0" => steal_beside(&runtime, 0),
        "steal_beside_200" => steal_beside(&runtime, 200),
        "spawn" => vec![per_operation(100_000, 7, || {
            workloads::spawn_join(&runtime, 100_000)
        })],
        "yield" => vec![per_operation(1_000_000, 7, || {
            workloads::yields(&runtime, 200, 5_000)
        })],
        "ping_pong" => vec![per_operation(500_000, 7, || {
            workloads::ping_pong(&runtime, 1, 500_000)
        })],
        _ => unreachable!("main has checked the name"),
    }
}

/// Work that is stolen all the time, while so many threads are blocked in tasks.
fn steal_beside(runtime: &Gosched, blocked: usize) -> Vec<f64> {
    let (end, ends): (Vec<_>, Vec<_>) = (0..blocked).map(|_| mpsc::channel::<()>()).unzip();
    for end in ends {
        runtime.spawn_from_outside(async move {
            let _ = end.recv();
        });
    }
    while (runtime.metrics().retake_count() as usize) < blocked {
        thread::sleep(Duration::from_millis(1));
    }
    let figure = per_operation(160_000, 7, || workloads::fan_out(runtime, 8, 20_000));
    drop(end);
    vec![figure]
}

/// Tasks with polls of so much work each; the time for all.
fn polls_of(runtime: &Gosched, tasks: usize, poll: Duration, polls: usize) -> Duration {
    let work = calibrate(poll);
    let begin = Instant::now();
    runtime.run(async move {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                Gosched::spawn(async move {
                    for _ in 0..polls {
                        (0..work).for_each(|_| std::hint::spin_loop());
                        Gosched::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
    begin.elapsed()
}

/// How often to spin for so long on a CPU of one's own.
fn calibrate(time: Duration) -> u64 {
    const SPINS: u64 = 200_000;
    spin_until(Instant::now() + Duration::from_millis(20));
    let best = (0..20).map(|_| {
        let begin = Instant::now();
        (0..SPINS).for_each(|_| std::hint::spin_loop());
        begin.elapsed()
    });
    let best = best.min().unwrap_or(time);
    (SPINS as f64 * time.as_secs_f64() / best.as_secs_f64()) as u64
}

fn start(row: &str) -> Child {
    let mut command = this_program();
    command.arg(row).stdout(std::process::Stdio::piped());
    command.spawn().expect("child process")
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Stops and continues a process under load; how many retakes it counts in the end.
fn stopped() -> Option<f64> {
    let child = start("load");
    let pid = Pid::from_child(&child);
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(20));
        let _ = kill_process(pid, Signal::STOP);
        thread::sleep(Duration::from_millis(50));
        let _ = kill_process(pid, Signal::CONT);
    }
    let output = child.wait_with_output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.arg("--child");
    command
}

/// The figures that a child prints, on one line.
fn figures_of(command: &mut Command) -> Vec<f64> {
    let output = command.output().expect("child process");
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        eprintln!("{command:?} failed ({}): {errors}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    (text.split_whitespace().map(|word| word.parse()))
        .map(|figure| figure.unwrap_or(f64::NAN))
        .collect()
}

fn median<'a>(figures: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.copied().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// Three digits or so.
fn show(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.3}"),
    }
}
