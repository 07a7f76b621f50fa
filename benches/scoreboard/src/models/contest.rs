//! Rounds of all rows on all models in rotated order, each measurement in a process of its own. All rows are within a round: they
//! are compared as well, so a slow minute should not be one row's.

use std::collections::HashMap;
use std::process::Command;

use crate::contest::figures_of;
use crate::support::workers;

use super::rows::{PARKED, Row};
use super::{Entry, MODELS};

/// Threads that wait: so many, or fewer if the system has no more.
const WAITING_THREADS: [usize; 4] = [10_000, 5_000, 2_000, 500];

/// What has been measured.
pub(super) struct Contest {
    pub(super) rounds: usize,
    /// By the names of the row and of the model, the figures of each round.
    samples: HashMap<(&'static str, &'static str), Vec<Vec<f64>>>,
}

impl Contest {
    pub(super) fn run(rounds: usize, rows: &[&'static Row]) -> Contest {
        let mut samples: HashMap<_, Vec<_>> = HashMap::new();
        for round in 0..rounds {
            for row in rows {
                let models: Vec<_> = (MODELS.iter())
                    .filter(|&entry| (row.takes_part)(entry))
                    .collect();
                for turn in 0..models.len() {
                    let entry = models[(round + turn) % models.len()];
                    let key = (row.name, entry.name);
                    let figures = figures(entry, row);
                    samples.entry(key).or_default().push(figures);
                }
            }
            eprintln!("round {} of {rounds}", round + 1);
        }
        Contest { rounds, samples }
    }

    /// The median of a figure. `None`: the model did not take part, or failed.
    pub(super) fn median(&self, row: &str, entry: &Entry, figure: usize) -> Option<f64> {
        let key = |name: &&(&str, &str)| **name == (row, entry.name);
        let rounds = &self.samples[self.samples.keys().find(key)?];
        let mut figures: Vec<f64> = (rounds.iter())
            .filter_map(|figures| figures.get(figure).copied())
            .filter(|figure| !figure.is_nan())
            .collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }
}

fn figures(entry: &Entry, row: &Row) -> Vec<f64> {
    if row.name != PARKED || !entry.keeps_thread {
        return figures_of(&mut child(entry, row));
    }
    (WAITING_THREADS.iter())
        .map(|tasks| figures_of(child(entry, row).arg(tasks.to_string())))
        .find(|figures| !figures.is_empty())
        .unwrap_or_default()
}

fn child(entry: &Entry, row: &Row) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    let workers = row.workers.unwrap_or_else(workers);
    command
        .args(["models", "--child", entry.name, row.name])
        .env("BENCH_WORKERS", workers.to_string());
    command
}
