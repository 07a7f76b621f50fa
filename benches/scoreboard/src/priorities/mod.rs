//! A batch beside work that somebody waits for: 100,000 tasks that compute for 100 µs, 100 tasks that tick each
//! millisecond, and a server with 64 connections.
//!
//! How late the ticks are, how long an answer takes, how much longer the batch takes than alone, and how long a task waits that
//! awaits one of the batch.

mod client;
mod measure;
mod sides;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::contest::{figures_of, this_program};
use crate::report::{self, machine};
use crate::runtimes::go;
use crate::support::workers;

pub(crate) use client::run as client;

/// Who takes part, as the child is told, and as the table names it.
pub(crate) const SIDES: [(&str, &str); 6] = [
    ("classes", "gosched, with classes"),
    (
        "classes-all",
        "gosched, with classes, the batch on all processors",
    ),
    ("plain", "gosched, without"),
    ("tokio", "tokio, one runtime"),
    ("tokio-two", "tokio, two runtimes"),
    (go::NAME, "Go"),
];

/// What is recorded stands there on the page.
const PART: &str = "priorities";

const USAGE: &str = "usage: scoreboard priorities [--rounds N] [--record FOLDER] [SIDE...]";

/// The figures of a run beside the batch: its time in seconds; p50, p99, p999 and the worst of the ticks and of the
/// answers, in milliseconds; p50, p99 and the worst of what waits for a task of the batch, likewise; how many of these,
/// ticks and answers there were; and how many CPUs the process and the client have used. Alone it has its time only.
pub(crate) const FIGURES: usize = 17;

pub(crate) fn main(args: &[&str]) {
    if let ["--child", side, scene] = args[..] {
        let figures = sides::run(side, scene == "beside");
        let words: Vec<_> = figures.iter().map(f64::to_string).collect();
        println!("{}", words.join(" "));
        std::process::exit(0);
    }
    let Some((rounds, wanted, record)) = plan(args) else {
        let names = SIDES.map(|side| side.0).join(" ");
        eprintln!("{USAGE}\nsides: {names}");
        std::process::exit(2);
    };
    if let Some(checkout) = &record
        && let Err(error) = report::has_part(&page(checkout), PART)
    {
        eprintln!("nothing can be recorded: {error}");
        std::process::exit(2);
    }
    let samples = contest(rounds, &wanted);
    let text = machine::setting(&workers().to_string(), rounds)
        + &format!(
            "; tokio {}, {}.\n\n",
            machine::locked("tokio"),
            go::version().unwrap_or("no Go".to_owned())
        )
        + &table::markdown(&samples);
    print!("{text}");
    if let Some(checkout) = record {
        write(&checkout, &text, &samples).expect("the checkout can be written");
    }
}

fn write(checkout: &Path, text: &str, samples: &[table::Samples]) -> io::Result<()> {
    fs::write(checkout.join("docs/priorities.svg"), table::svg(samples))?;
    report::replace(&page(checkout), PART, text)
}

fn page(checkout: &Path) -> PathBuf {
    checkout.join("docs/priorities.md")
}

fn plan<'a>(args: &[&'a str]) -> Option<(usize, Vec<&'a str>, Option<PathBuf>)> {
    let (mut rounds, mut wanted, mut record) = (5, Vec::new(), None);
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        match arg {
            "--rounds" => rounds = args.next()?.parse().ok().filter(|&rounds| rounds > 0)?,
            "--record" => record = Some(PathBuf::from(args.next()?)),
            side => wanted.push(SIDES.iter().find(|other| other.0 == side)?.0),
        }
    }
    Some((rounds, wanted, record))
}

/// Interleaved, each in a process of its own.
fn contest(rounds: usize, wanted: &[&str]) -> Vec<table::Samples> {
    let folder = this_program()
        .parent()
        .map_or(PathBuf::from("."), Path::to_owned);
    let go = go::build(&folder);
    let takes_part = |side: &str| {
        (wanted.is_empty() || wanted.contains(&side)) && (side != go::NAME || go.is_some())
    };
    let sides: Vec<_> = SIDES
        .into_iter()
        .filter(|side| takes_part(side.0))
        .collect();
    let mut samples: Vec<_> = sides
        .iter()
        .map(|side| table::Samples::new(side.1))
        .collect();
    for round in 0..rounds {
        for turn in 0..sides.len() {
            let index = (round + turn) % sides.len();
            for scene in ["alone", "beside"] {
                let figures = child(sides[index].0, scene, go.as_deref());
                samples[index].add(scene == "beside", figures);
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    samples
}

fn child(side: &str, scene: &str, go: Option<&Path>) -> Vec<f64> {
    let mut command = match go.filter(|_| side == go::NAME) {
        Some(program) => {
            let mut command = Command::new(program);
            command.arg("priorities");
            command
        }
        None => {
            let mut command = Command::new(this_program());
            command.args(["priorities", "--child", side]);
            command
        }
    };
    command
        .arg(scene)
        .env("BENCH_WORKERS", workers().to_string())
        .env("SCOREBOARD_CLIENT", this_program());
    figures_of(&mut command)
}
