//! How throughput grows with the workers: four workloads with 1 to 16 workers each.
//!
//! Beside the time stand the context switches and the CPU time of the whole process per operation, as the kernel counts
//! them for a child that has ended: the same way for every runtime.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::contest::{figures_of, this_program};
use crate::report::{self, machine};
use crate::rows::{SMOL, TOKIO};
use crate::runtimes::go;
use crate::support::{Gosched, Scheduler};

const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];

/// Name, title and the operations of one run, of which a child makes four.
const WORKLOADS: [(&str, &str, usize); 4] = [
    (
        "skynet",
        "skynet, 1M leaves: ms; the rest per task",
        1_111_111,
    ),
    ("ping_pong_1000", "ping-pong, 1000 pairs: ns/trip", 200_000),
    ("echo_64", "TCP echo, 64 connections: ns/trip", 64_000),
    ("fan_out", "spawn storm, 8 spawners x 20k: ns/op", 160_000),
];
const RUNS: usize = 4;
const RUNTIMES: [&str; 4] = [Gosched::NAME, TOKIO, SMOL, go::NAME];

const USAGE: &str = "usage: scoreboard scaling [--rounds N] [--record FOLDER] [WORKLOAD...]";

/// One child: the row's figure, context switches and CPU nanoseconds per operation.
type Sample = [f64; 3];

pub(crate) fn main(args: &[&str]) {
    let Some((rounds, wanted, record)) = plan(args) else {
        let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.0).collect();
        eprintln!("{USAGE}\nworkloads: {}", names.join(" "));
        std::process::exit(2);
    };
    let folder = this_program()
        .parent()
        .map_or(PathBuf::from("."), Path::to_owned);
    let go = go::build(&folder);
    let mut text = machine::describe_with("1 to 16", rounds);
    for (row, title, operations) in WORKLOADS {
        if wanted.is_empty() || wanted.contains(&row) {
            let samples = measure(row, operations, rounds, go.as_deref());
            tables(&mut text, title, &samples);
        }
    }
    print!("{text}");
    if let Some(checkout) = record {
        write(&checkout, &text).expect("the checkout can be written");
    }
}

fn write(checkout: &Path, text: &str) -> io::Result<()> {
    let page = checkout.join("docs/scaling.md");
    fs::metadata(&page)?;
    report::replace(&page, "scaling", text)
}

fn plan<'a>(args: &[&'a str]) -> Option<(usize, Vec<&'a str>, Option<PathBuf>)> {
    let (mut rounds, mut wanted, mut record) = (3, Vec::new(), None);
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        match arg {
            "--rounds" => rounds = args.next()?.parse().ok().filter(|&rounds| rounds > 0)?,
            "--record" => record = Some(PathBuf::from(args.next()?)),
            row => wanted.push(WORKLOADS.iter().find(|workload| workload.0 == row)?.0),
        }
    }
    Some((rounds, wanted, record))
}

/// By workers and runtime, the rounds' samples.
fn measure(
    row: &str,
    operations: usize,
    rounds: usize,
    go: Option<&Path>,
) -> Vec<Vec<Vec<Sample>>> {
    let mut samples = vec![vec![Vec::new(); RUNTIMES.len()]; WORKERS.len()];
    for round in 0..rounds {
        for (at, &workers) in WORKERS.iter().enumerate() {
            for turn in 0..RUNTIMES.len() {
                let index = (round + turn) % RUNTIMES.len();
                let mut command = match (RUNTIMES[index], go) {
                    (go::NAME, None) => continue,
                    (go::NAME, Some(program)) => Command::new(program),
                    (runtime, _) => {
                        let mut command = Command::new(this_program());
                        command.args(["--child", runtime]);
                        command
                    }
                };
                command
                    .arg(row)
                    .env("BENCH_WORKERS", workers.to_string())
                    .env("SMOL_THREADS", workers.to_string());
                samples[at][index].extend(sample(&mut command, operations));
            }
        }
        eprintln!("{row}: round {} of {rounds}", round + 1);
    }
    samples
}

fn sample(command: &mut Command, operations: usize) -> Option<Sample> {
    let before = ended_children();
    let figure = *figures_of(command).first()?;
    let after = ended_children();
    let each = |figure: usize| (after[figure] - before[figure]) / (operations * RUNS) as f64;
    Some([figure, each(0), each(1)])
}

/// Context switches and CPU nanoseconds of all children that have ended.
fn ended_children() -> [f64; 2] {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage`, and zeros are one, should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let nanos = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    let switches = usage.ru_nvcsw + usage.ru_nivcsw;
    [
        switches as f64,
        nanos(usage.ru_utime) + nanos(usage.ru_stime),
    ]
}

fn tables(text: &mut String, title: &str, samples: &[Vec<Vec<Sample>>]) {
    let _ = writeln!(
        text,
        "\n{title}, context switches per thousand, CPU ns:\n\n| workers | gosched | tokio | smol | Go | ours / best |\n|--:|---|---|---|---|--:|"
    );
    for (&workers, runtimes) in WORKERS.iter().zip(samples) {
        let medians: Vec<_> = runtimes.iter().map(|samples| medians(samples)).collect();
        let cells: Vec<_> = medians.iter().map(|sample| cell(*sample)).collect();
        let figure = |sample: &Option<Sample>| sample.map(|sample| sample[0]);
        let best = medians[1..].iter().filter_map(figure).reduce(f64::min);
        let ratio = figure(&medians[0])
            .zip(best)
            .map(|(ours, best)| ours / best);
        let _ = writeln!(
            text,
            "| {workers} | {} | {} |",
            cells.join(" | "),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
        );
    }
}

fn cell(sample: Option<Sample>) -> String {
    sample.map_or("-".to_owned(), |[figure, switches, cpu]| {
        let [figure, switches, cpu] =
            [figure, switches * 1e3, cpu].map(|figure| report::number(Some(figure)));
        format!("**{figure}**, {switches}, {cpu}")
    })
}

fn medians(samples: &[Sample]) -> Option<Sample> {
    let median = |figure: usize| {
        let mut figures: Vec<f64> = samples.iter().map(|sample| sample[figure]).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    };
    Some([median(0)?, median(1)?, median(2)?])
}
