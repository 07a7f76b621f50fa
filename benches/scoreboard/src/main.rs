//! The scoreboard: gosched, tokio, smol and Go side by side.
//!
//! `benches/scoreboard/run` builds and starts it.

mod contest;
mod http;
mod models;
mod priorities;
mod report;
mod rows;
mod runtimes;
mod scaling;
#[path = "../../support/mod.rs"]
mod support;
mod workloads;

use std::path::PathBuf;

use contest::{Contest, Plan};
use rows::{SMOL, TOKIO};
use runtimes::{Smol, Tokio};
use support::{Gosched, Scheduler};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: scoreboard [--rounds N] [--mimalloc PROGRAM] [--record FOLDER] [ROW...]
--mimalloc: the same program built with another allocator, measured as well
--record: write the table, the chart and the README's picture into this checkout";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--child", runtime, row] => child(runtime, row),
        ["--client", addr, requests] => {
            let addr = addr.parse().expect("an address");
            http::client(addr, requests.parse().expect("a number"));
        }
        ["priorities-client", addr] => priorities::client(addr.parse().expect("an address")),
        ["models", ref rest @ ..] => models::main(rest),
        ["priorities", ref rest @ ..] => priorities::main(rest),
        ["scaling", ref rest @ ..] => scaling::main(rest),
        ref rest => match plan(rest) {
            Some((plan, record)) => {
                let contest = Contest::run(&plan);
                print!("{}", report::table(&contest));
                if let Some(folder) = record {
                    report::record(&contest, &folder).expect("the checkout can be written");
                }
            }
            None => {
                let rows: Vec<_> = rows::ROWS.iter().map(|row| row.name).collect();
                eprintln!("{USAGE}\nrows: {}", rows.join(" "));
                std::process::exit(2);
            }
        },
    }
}

/// What the arguments ask for.
fn plan(args: &[&str]) -> Option<(Plan, Option<PathBuf>)> {
    let mut plan = Plan::default();
    let mut record = None;
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        match arg {
            "--rounds" => plan.rounds = args.next()?.parse().ok().filter(|&rounds| rounds > 0)?,
            "--mimalloc" => plan.mimalloc = Some(PathBuf::from(args.next()?)),
            "--record" => record = Some(PathBuf::from(args.next()?)),
            row => plan.rows.push(rows::find(row)?),
        }
    }
    Some((plan, record))
}

/// One row on one runtime: its figures, on a line.
fn child(runtime: &str, row: &str) {
    let figures = match runtime {
        Gosched::NAME => rows::measure(&Gosched::start(), row),
        TOKIO => rows::measure(&Tokio::start(), row),
        SMOL => rows::measure(&Smol::start(), row),
        _ => panic!("no runtime is called {runtime}"),
    };
    let words: Vec<_> = figures.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
    // Whatever still spins or blocks ends here.
    std::process::exit(0);
}
