//! What has been measured, as tables: of all rows on the terminal; arranged for the reader with `--record`, between the marks of
//! docs/models.md.

use std::fmt::Write;
use std::io;
use std::path::Path;

use crate::report::{machine, number, replace};
use crate::support::workers;

use crate::support::{Gosched, Scheduler};

use super::contest::Contest;
use super::rows::{
    BLOCK_ALL, BLOCK_ONE, BLOCK_UNTOLD, GROW, PARKED, PING_PONG, Row, SPAWN_JOIN, STEAL_BESIDE_0,
    STEAL_BESIDE_200, YIELD,
};
use super::{Entry, MODELS};

/// A part of the page: its mark and what stands there.
type Part = (&'static str, String);

/// All figures of the rows, as they are.
pub(super) fn all(contest: &Contest, rows: &[&Row]) -> String {
    let mut text = format!("{}.\n", setting(contest));
    for row in rows {
        let mut head = vec![row.title];
        head.extend(row.figures);
        let entries = MODELS.iter().filter(|&entry| (row.takes_part)(entry));
        let lines = entries.map(|entry| {
            let figures = 0..row.figures.len();
            let figures = figures.map(|figure| number(contest.median(row.name, entry, figure)));
            std::iter::once(numbered(entry)).chain(figures).collect()
        });
        let _ = write!(text, "\n{}", table(&head, lines));
    }
    text
}

/// Puts the tables into the page.
pub(super) fn record(contest: &Contest, page: &Path) -> io::Result<()> {
    parts(contest)
        .iter()
        .try_for_each(|(mark, text)| replace(page, mark, text))
}

fn parts(contest: &Contest) -> [Part; 5] {
    [
        ("setting", format!("{}.\n", setting(contest))),
        ("cost", cost(contest)),
        ("growth", growth(contest)),
        ("blocking", blocking(contest)),
        ("stealing", stealing(contest)),
    ]
}

pub(super) fn setting(contest: &Contest) -> String {
    let [task, deque] = ["async-task", "crossbeam-deque"].map(machine::locked);
    format!(
        "{}, async-task {task}, crossbeam-deque {deque}",
        machine::setting(&workers().to_string(), contest.rounds)
    )
}

/// The number of a model in the story, and its title.
pub(super) fn numbered(entry: &Entry) -> String {
    let before = MODELS.iter().take_while(|model| model.name != entry.name);
    format!("{}. {}", before.count() + 1, entry.title)
}

fn table(head: &[&str], lines: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!(
        "| {} |\n|---|{}\n",
        head.join(" | "),
        "--:|".repeat(head.len() - 1)
    );
    for line in lines {
        let _ = writeln!(text, "| {} |", line.join(" | "));
    }
    text
}

fn cost(contest: &Contest) -> String {
    let head = [
        "model",
        "waiting tasks",
        "resident, B/task",
        "kernel, B/task",
        "addresses, B/task",
        "spawn + join, ns",
        "yield, ns",
        "ping-pong, ns/trip",
    ];
    let lines = MODELS.iter().map(|entry| {
        let get = |row, figure| contest.median(row, entry, figure);
        let kernel = match get(PARKED, 5) {
            // Other processes' comings and goings are as much.
            Some(bytes) if bytes < 200.0 => "too little to tell".to_owned(),
            bytes => number(bytes),
        };
        vec![
            numbered(entry),
            number(get(PARKED, 0)),
            number(get(PARKED, 3)),
            kernel,
            number(get(PARKED, 4)),
            number(get(SPAWN_JOIN, 0)),
            number(get(YIELD, 0)),
            number(get(PING_PONG, 0)),
        ]
    });
    table(&head, lines)
}

/// Millions of tasks per second.
pub(super) fn throughput(contest: &Contest, entry: &Entry) -> [Option<f64>; GROW.len()] {
    GROW.map(|(_, row)| contest.median(row, entry, 0).map(|nanos| 1e3 / nanos))
}

fn growth(contest: &Contest) -> String {
    let workers = GROW.map(|(workers, _)| workers.to_string());
    let mut head = vec!["million tasks per second, by workers"];
    head.extend(workers.iter().map(String::as_str));
    let lines = MODELS.iter().map(|entry| {
        let mut line = vec![numbered(entry)];
        line.extend(throughput(contest, entry).map(number));
        line
    });
    table(&head, lines)
}

/// The rows of what a blocking call does, as they are told in the table and in the chart.
pub(super) fn latencies() -> impl Iterator<Item = (String, &'static str, &'static Entry)> {
    let told = MODELS.iter().map(|entry| {
        let title = match entry.name {
            Gosched::NAME => "6. M:P:N, never told".to_owned(),
            _ => numbered(entry),
        };
        (title, BLOCK_ALL, entry)
    });
    let asks = |entry: &&Entry| matches!(entry.name, "shared_queue" | "distributed");
    let untold = MODELS.iter().filter(asks).map(|entry| {
        let number = numbered(entry);
        let title = format!("{}, not told", number.split(',').next().unwrap_or(&number));
        (title, BLOCK_UNTOLD, entry)
    });
    told.chain(untold)
}

fn blocking(contest: &Contest) -> String {
    let head = [
        "microseconds until it runs",
        "one blocks: a waiting task, p50",
        "p99",
        "max",
        "a new task, p50",
        "p99",
        "max",
        "as many as workers: a waiting task, p50",
        "p99",
        "max",
        "a new task, p50",
        "p99",
        "max",
    ];
    let lines = latencies().map(|(title, row, entry)| {
        let mut line = vec![title];
        let one = if row == BLOCK_ALL { BLOCK_ONE } else { "" };
        for row in [one, row] {
            line.extend((0..6).map(|figure| number(contest.median(row, entry, figure))));
        }
        line
    });
    table(&head, lines)
}

/// The models whose threads look for work, as the stealing rows have them.
pub(super) fn thieves() -> impl Iterator<Item = &'static Entry> {
    MODELS[3..].iter()
}

fn stealing(contest: &Contest) -> String {
    let head = [
        "model",
        "blocked threads",
        "queues looked at per steal",
        "one search, ns",
        "all stolen, ns/task",
        "fan-out, ns/task",
        "CPU per wake, us",
    ];
    let beside = [(STEAL_BESIDE_0, "0"), (STEAL_BESIDE_200, "200")];
    let lines = thieves().flat_map(|entry| {
        beside.map(|(row, blocked)| {
            let get = |figure| number(contest.median(row, entry, figure));
            vec![
                numbered(entry),
                blocked.to_owned(),
                get(2),
                get(3),
                get(1),
                get(0),
                get(4),
            ]
        })
    });
    table(&head, lines)
}
