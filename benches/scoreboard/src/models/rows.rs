//! What is measured on each model.

use super::Entry;

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What each figure is called, with its unit.
    pub(super) figures: &'static [&'static str],
    /// If not those of all rows.
    pub(super) workers: Option<usize>,
    pub(super) takes_part: fn(&Entry) -> bool,
}

fn all(_: &Entry) -> bool {
    true
}

/// Those that have a number of workers.
fn grows(entry: &Entry) -> bool {
    !matches!(entry.name, "thread_per_task" | "one_thread")
}

/// Those whose threads look for tasks that wait without a thread.
fn has_queues(entry: &Entry) -> bool {
    matches!(entry.name, "shared_queue" | "distributed" | "gosched")
}

const fn row(
    name: &'static str,
    title: &'static str,
    figures: &'static [&'static str],
    takes_part: fn(&Entry) -> bool,
) -> Row {
    Row {
        name,
        title,
        figures,
        workers: None,
        takes_part,
    }
}

const fn growing(
    workers: usize,
    name: &'static str,
    title: &'static str,
    takes_part: fn(&Entry) -> bool,
) -> Row {
    Row {
        workers: Some(workers),
        ..row(name, title, &["time, ns/task"], takes_part)
    }
}

const LATENESS: &[&str] = &[
    "a waiting task runs, p50, us",
    "p99, us",
    "max, us",
    "a new task runs, p50, us",
    "p99, us",
    "max, us",
];
const STEALING: &[&str] = &[
    "fan-out, ns/task",
    "all stolen, ns/task",
    "queues looked at per steal",
    "search, ns",
    "CPU per wake, us",
];

pub(super) const PARKED: &str = "parked";
pub(super) const SPAWN_JOIN: &str = "spawn_join";
pub(super) const YIELD: &str = "yield";
pub(super) const PING_PONG: &str = "ping_pong";
pub(super) const BLOCK_ONE: &str = "block_one";
pub(super) const BLOCK_ALL: &str = "block_all";
pub(super) const BLOCK_UNTOLD: &str = "block_untold";
pub(super) const STEAL_BESIDE_0: &str = "steal_beside_0";
pub(super) const STEAL_BESIDE_200: &str = "steal_beside_200";
/// The rows of tasks per second, by workers.
pub(super) const GROW: [(usize, &str); 5] = [
    (1, "grow_1"),
    (2, "grow_2"),
    (4, "grow_4"),
    (8, "grow_8"),
    (16, "grow_16"),
];

pub(super) const ROWS: &[Row] = &[
    row(
        PARKED,
        "a million tasks wait (10,000 where each keeps a thread)",
        &[
            "tasks",
            "spawn, ns/task",
            "release, ns/task",
            "resident, B/task",
            "address space, B/task",
            "in the kernel, B/task",
        ],
        all,
    ),
    row(SPAWN_JOIN, "spawn + join", &["time, ns/task"], all),
    row(YIELD, "yield, 200 tasks", &["time, ns"], all),
    row(PING_PONG, "ping-pong, 1 pair", &["time, ns/trip"], all),
    growing(1, GROW[0].1, "fan-out, 1 worker", grows),
    growing(2, GROW[1].1, "fan-out, 2 workers", all),
    growing(4, GROW[2].1, "fan-out, 4 workers", grows),
    growing(8, GROW[3].1, "fan-out, 8 workers", grows),
    growing(16, GROW[4].1, "fan-out, 16 workers", grows),
    row(BLOCK_ONE, "one task blocks 100 ms", LATENESS, all),
    row(BLOCK_ALL, "a task per worker blocks 100 ms", LATENESS, all),
    row(
        BLOCK_UNTOLD,
        "likewise, and nobody says so",
        LATENESS,
        has_queues,
    ),
    row(STEAL_BESIDE_0, "stealing", STEALING, has_queues),
    row(
        STEAL_BESIDE_200,
        "stealing beside 200 blocked threads",
        STEALING,
        has_queues,
    ),
];
