//! Runs each model and each twin in a process of its own, and prints what came of it.
//!
//! A process: a checker that has found a deadlock may abort while it cleans up, and the others must go on.
//!
//! ```text
//! models [--models-only] [FILTER...] [=NAME...] [-NAME...]
//!                            all of them, or those whose name contains a filter or is one of these; without these
//! models --only NAME         this one, in this process
//! ```

use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// One check.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// `model`, or `model/flaw` for a twin.
    name: &'static str,
    /// `None`: must pass. Else must fail, and say this.
    fails_with: Option<&'static str>,
    /// Returns the number of executions explored.
    explore: fn() -> usize,
    here: bool,
}

impl Check {
    pub(crate) const fn model(name: &'static str, explore: fn() -> usize) -> Check {
        Check {
            name,
            fails_with: None,
            explore,
            here: true,
        }
    }

    /// A twin, and what it says when it fails; several such messages are separated by '|'.
    pub(crate) const fn twin(
        name: &'static str,
        fails_with: &'static str,
        explore: fn() -> usize,
    ) -> Check {
        Check {
            fails_with: Some(fails_with),
            ..Check::model(name, explore)
        }
    }

    /// Of loom only: it is about the memory model, or needs every interleaving.
    pub(crate) const fn loom_only(self) -> Check {
        Check {
            here: cfg!(executor_loom),
            ..self
        }
    }

    /// Of shuttle only: it is too large for loom, or needs time-outs.
    pub(crate) const fn shuttle_only(self) -> Check {
        Check {
            here: cfg!(executor_shuttle),
            ..self
        }
    }
}

const EXECUTIONS: &str = if cfg!(executor_loom) {
    "executions"
} else {
    "schedules"
};

const EXPLORED: &str = "explored ";

/// How many schedules a model has, if not as many as usual; a twin has those.
pub(crate) const SCHEDULES: &str = "MODEL_SCHEDULES";

pub(crate) fn run(checks: &[Check]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--only", name] => match checks.iter().find(|check| check.name == name) {
            Some(check) => {
                println!("{EXPLORED}{}", (check.explore)());
                ExitCode::SUCCESS
            }
            None => {
                eprintln!("there is no model `{name}`");
                ExitCode::FAILURE
            }
        },
        ["--only", ..] => {
            eprintln!(
                "usage: models [--models-only] [FILTER...] [=NAME...] [-NAME...] | --only NAME"
            );
            ExitCode::FAILURE
        }
        ref filters => run_all(checks, filters),
    }
}

#[derive(Default)]
struct Tally {
    failed: usize,
    models: usize,
    executions: usize,
    twins: usize,
}

fn run_all(checks: &[Check], filters: &[&str]) -> ExitCode {
    let mut filters = filters.to_vec();
    let before = filters.len();
    filters.retain(|filter| *filter != "--models-only");
    let models_only = filters.len() != before;
    let named = |sign: char| {
        filters
            .iter()
            .filter_map(move |filter| filter.strip_prefix(sign))
    };
    let (without, exactly): (Vec<&str>, Vec<&str>) = (named('-').collect(), named('=').collect());
    filters.retain(|filter| !filter.starts_with(['-', '=']));
    let mut names = without.iter().chain(&exactly);
    if let Some(unknown) = names.find(|name| checks.iter().all(|check| check.name != **name)) {
        eprintln!("there is no model `{unknown}`");
        return ExitCode::FAILURE;
    }
    let is_wanted = |check: &Check| {
        let all = filters.is_empty() && exactly.is_empty();
        let is_named =
            exactly.contains(&check.name) || filters.iter().any(|part| check.name.contains(part));
        let is_left_out = models_only && check.fails_with.is_some();
        (all || is_named) && !is_left_out && !without.contains(&check.name)
    };
    let chosen: Vec<&Check> = checks
        .iter()
        .filter(|check| check.here && is_wanted(check))
        .collect();
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(check) = chosen.get(next.fetch_add(1, Relaxed)) {
                    run_one(check, &tally);
                }
            });
        }
    });
    let Tally {
        failed,
        models,
        executions,
        twins,
    } = tally.into_inner().expect("no check panics in here");
    println!("{models} models, {executions} {EXECUTIONS}; {twins} twins caught; {failed} failed");
    if failed == 0 && !chosen.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_one(check: &Check, tally: &Mutex<Tally>) {
    let start = Instant::now();
    let output = std::env::current_exe().and_then(|this| {
        let mut command = Command::new(this);
        if check.fails_with.is_some() {
            // It ends with the first schedule that shows the flaw, wherever that comes.
            command.env_remove(SCHEDULES).env("RUST_BACKTRACE", "0");
        }
        command
            .args(["--only", check.name])
            .stdin(Stdio::null())
            .output()
    });
    let seconds = start.elapsed().as_secs_f32();
    let (passed, said) = match &output {
        Ok(output) => (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        ),
        Err(error) => (false, error.to_string()),
    };
    let executions: usize = said
        .lines()
        .find_map(|line| line.strip_prefix(EXPLORED)?.parse().ok())
        .unwrap_or(0);
    let mut tally = tally.lock().expect("no check panics in here");
    let (good, verdict) = match check.fails_with {
        None => (passed, format!("{executions} {EXECUTIONS}")),
        Some(message) => (
            !passed && message.split('|').any(|message| said.contains(message)),
            format!("fails: {message}"),
        ),
    };
    if good {
        println!("{:<44} {verdict:<40} {seconds:6.1} s", check.name);
    } else {
        println!(
            "{:<44} WRONG: {} expected. It said:",
            check.name,
            match check.fails_with {
                None => "success".to_owned(),
                Some(message) => format!("failure with `{message}`"),
            }
        );
        println!("{}", tail(&said));
    }
    match (good, check.fails_with) {
        (false, _) => tally.failed += 1,
        (true, None) => {
            tally.models += 1;
            tally.executions += executions;
        }
        (true, Some(_)) => tally.twins += 1,
    }
}

/// The end of a long output.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
