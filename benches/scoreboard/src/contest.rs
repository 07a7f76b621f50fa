//! Rounds of measurements in rotated order, each in a process of its own, so that no runtime inherits another one's
//! threads or heap, and a slow minute of the machine hits all of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rows::{ROWS, Row, SMOL, TOKIO};
use crate::runtimes::go;
use crate::support::{Gosched, Scheduler, workers};

/// What to measure.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// All, if none is named.
    pub(crate) rows: Vec<&'static Row>,
    /// This program with mimalloc.
    pub(crate) mimalloc: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            rounds: 5,
            rows: Vec::new(),
            mimalloc: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocator {
    /// Go's is its own.
    System,
    Mimalloc,
}

/// A runtime with an allocator.
pub(crate) struct Contestant {
    pub(crate) runtime: &'static str,
    pub(crate) allocator: Allocator,
    program: PathBuf,
}

impl Contestant {
    fn figures(&self, row: &str) -> Vec<f64> {
        let mut command = Command::new(&self.program);
        if self.runtime != go::NAME {
            command.args(["--child", self.runtime]);
        }
        command
            .arg(row)
            .env("BENCH_WORKERS", workers().to_string())
            .env("SMOL_THREADS", workers().to_string())
            .env("SCOREBOARD_CLIENT", this_program());
        figures_of(&mut command)
    }
}

pub(crate) fn this_program() -> PathBuf {
    std::env::current_exe().expect("own path")
}

/// The figures that a child prints, on one line; none if it fails, which is said.
pub(crate) fn figures_of(command: &mut Command) -> Vec<f64> {
    let output = command.output().expect("child process");
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        eprintln!("{command:?} failed ({}): {errors}", output.status);
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&output.stdout);
    (text.split_whitespace().map(|word| word.parse()))
        .map(|figure| figure.unwrap_or(f64::NAN))
        .collect()
}

/// What has been measured.
pub(crate) struct Contest {
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) contestants: Vec<Contestant>,
    /// By row, contestant and round, the row's figures.
    samples: Vec<Vec<Vec<Vec<f64>>>>,
}

/// The rounds of one figure in one number each.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Contest {
    pub(crate) fn run(plan: &Plan) -> Contest {
        let rows = match plan.rows.is_empty() {
            true => ROWS.iter().collect(),
            false => plan.rows.clone(),
        };
        let contestants = contestants(plan.mimalloc.as_deref());
        let samples = rows
            .iter()
            .map(|row| measure(row, &contestants, plan.rounds))
            .collect();
        Contest {
            rounds: plan.rounds,
            rows,
            contestants,
            samples,
        }
    }

    /// By the index of a row, the index of one of its figures, and a contestant. `None`: it did not take part, or failed.
    pub(crate) fn summary(
        &self,
        row: usize,
        figure: usize,
        runtime: &str,
        allocator: Allocator,
    ) -> Option<Summary> {
        let contestant = self.contestants.iter().position(|contestant| {
            contestant.runtime == runtime
                && (contestant.allocator == allocator || runtime == go::NAME)
        })?;
        let rounds = &self.samples[row][contestant];
        let mut figures: Vec<f64> = (rounds.iter())
            .filter_map(|figures| figures.get(figure).copied())
            .collect();
        figures.sort_by(f64::total_cmp);
        Some(Summary {
            median: *figures.get(figures.len() / 2)?,
            min: *figures.first()?,
            max: *figures.last()?,
        })
    }
}

fn contestants(mimalloc: Option<&Path>) -> Vec<Contestant> {
    let rust = |allocator, program: &Path| {
        [Gosched::NAME, TOKIO, SMOL].map(|runtime| Contestant {
            runtime,
            allocator,
            program: program.to_owned(),
        })
    };
    let this = this_program();
    let folder = this.parent().unwrap_or(Path::new("."));
    let go = go::build(folder).map(|program| Contestant {
        runtime: go::NAME,
        allocator: Allocator::System,
        program,
    });
    let mut all = Vec::from(rust(Allocator::System, &this));
    all.extend(go);
    all.extend(
        mimalloc
            .into_iter()
            .flat_map(|program| rust(Allocator::Mimalloc, program)),
    );
    all
}

fn measure(row: &Row, contestants: &[Contestant], rounds: usize) -> Vec<Vec<Vec<f64>>> {
    let mut samples = vec![Vec::new(); contestants.len()];
    for round in 0..rounds {
        for turn in 0..contestants.len() {
            let index = (round + turn) % contestants.len();
            samples[index].push(contestants[index].figures(row.name));
        }
    }
    eprintln!("{}", row.name);
    samples
}
