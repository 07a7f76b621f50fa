//! Does it lose a task? Measures the rows of the scorecard for this crate, tokio and smol by the same harness.
//!
//! ```text
//! reliability [--runtime NAME] [--record FILE] [ROW...]    all rows and runtimes unless given; fails if ours misses a limit
//! reliability list
//! reliability soak [--runtime NAME] [--seconds N] [--seed N] [--stops | --simulated]   one soak, with summaries as they come
//! reliability child RUNTIME ROW [ARG...]                   one scenario in this process, for a debugger
//! ```
//!
//! With `RELIABILITY_QUICK=1` the rows of faults do a part of what they do else: about ten seconds each,
//! and may take 20 times as long as on an idle machine.

mod child;
mod process;
mod report;
mod rows;
mod runtimes;
mod soak;
mod tools;
mod workload;

use std::process::ExitCode;

use crate::child::Child;
use crate::report::Measured;
use crate::rows::{ROWS, RUNTIMES, Row};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            for row in ROWS {
                let long = if row.is_long() {
                    "(long: only when named) "
                } else {
                    ""
                };
                println!("{:24} {long}{}", row.name, row.what);
            }
            ExitCode::SUCCESS
        }
        ["soak", ..] => soak::command::soak(&args[1..]),
        ["child", runtime, row, ..] => scenario(runtime, row, &args[3..]),
        _ => match plan(&args) {
            Ok(plan) => measure(&plan),
            Err(error) => usage(&error),
        },
    }
}

fn usage(error: &str) -> ExitCode {
    eprintln!("{error}\nusage: reliability [--runtime NAME] [--record FILE] [ROW...] | list");
    ExitCode::from(2)
}

fn scenario(runtime: &str, row: &str, args: &[String]) -> ExitCode {
    let place = RUNTIMES.iter().position(|name| *name == runtime);
    let (Some(place), Some(row)) = (place, rows::find(row)) else {
        return usage(&format!("no row {row} on {runtime}"));
    };
    let figures: Vec<String> = (row.scenario[place])(args)
        .iter()
        .map(f64::to_string)
        .collect();
    println!("{}", figures.join(" "));
    ExitCode::SUCCESS
}

struct Plan {
    runtimes: Vec<&'static str>,
    rows: Vec<&'static Row>,
    record: Option<String>,
}

fn plan(args: &[String]) -> Result<Plan, String> {
    let mut plan = Plan {
        runtimes: Vec::new(),
        rows: Vec::new(),
        record: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--runtime" => {
                let name = args.next().ok_or("--runtime wants a name")?;
                let known = RUNTIMES.iter().find(|known| *known == name);
                plan.runtimes
                    .push(known.ok_or(format!("no runtime {name}"))?);
            }
            "--record" => {
                plan.record = Some(args.next().ok_or("--record wants a file")?.clone());
            }
            name => plan
                .rows
                .push(rows::find(name).ok_or(format!("no row {name}"))?),
        }
    }
    if plan.runtimes.is_empty() {
        plan.runtimes.extend(RUNTIMES);
    }
    if plan.rows.is_empty() {
        plan.rows.extend(ROWS.iter().filter(|row| !row.is_long()));
    }
    Ok(plan)
}

fn measure(plan: &Plan) -> ExitCode {
    let mut measured = Vec::new();
    for row in &plan.rows {
        let mut figures = [const { Vec::new() }; RUNTIMES.len()];
        for (place, runtime) in RUNTIMES.iter().enumerate() {
            if plan.runtimes.contains(runtime) {
                let child = Child {
                    row: row.name,
                    runtime,
                };
                figures[place] = (row.measure)(&child);
            }
        }
        let done = Measured { row, figures };
        print!("{}", done.text());
        measured.push(done);
    }
    if let Some(file) = &plan.record
        && let Err(error) = report::record(file, &measured)
    {
        eprintln!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    let missed = measured.iter().map(Measured::missed).sum::<usize>();
    let kept = measured.iter().map(Measured::kept).sum::<usize>();
    println!("{kept} passed, {missed} failed");
    match missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
