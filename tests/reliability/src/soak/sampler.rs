//! Is work left waiting while the runtime could do it? Judged from outside, every millisecond.
//!
//! A violation is a span of more than 10 ms in which
//!
//! 1. the task that has been runnable for longest is the same one, and is not polled;
//! 2. at every sample, fewer threads than the runtime had workers then were running or ready to run (states R and D), those of
//!    the soak itself not counted: one more could have run;
//! 3. at every sample either none of them was, or the machine had no more threads ready to run than CPUs. Else one of them may
//!    have been waiting for a CPU with the task in its hands, and the operating system is to blame;
//! 4. no sample came late by more than 2 ms: a process that was stopped, or a machine so busy that the sampler waits, proves
//!    nothing.
//!
//! On a machine that is busy with other things only 1, 2 and "none" are left: a task that everybody has forgotten is still
//! seen, one that is forgotten beside others that run may not be.
//!
//! A poll that blocks its thread does not count as running in 2. Whoever lets it keep the only worker that could run the
//! others violates this as much as one who forgets to wake a worker.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::clock::now;
use super::ledger;
use super::runnable;
use super::strangers::named;

const EACH: Duration = Duration::from_millis(1);
const LATE: u64 = 3_000;
const LIMIT: u64 = 10_000;
const SHOWN: u64 = 5;

/// What it has seen, in microseconds.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) samples: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) violations: AtomicU64,
    pub(crate) longest: AtomicU64,
    ending: AtomicBool,
}

pub(crate) struct Sampler {
    pub(crate) seen: Arc<Seen>,
    thread: JoinHandle<()>,
}

impl Sampler {
    /// For a runtime that has so many workers at present.
    pub(crate) fn start(workers: Arc<AtomicUsize>) -> Sampler {
        let seen = Arc::new(Seen::default());
        let own = Arc::clone(&seen);
        let thread = named("sampler", move || sample(&own, &workers));
        Sampler { seen, thread }
    }

    pub(crate) fn stop(self) -> Arc<Seen> {
        self.seen.ending.store(true, Relaxed);
        self.thread.join().expect("the sampler");
        self.seen
    }
}

/// A task that waits, and since when all conditions have held, if they do.
struct Span {
    task: (u32, u64),
    since: Option<u64>,
    reported: bool,
}

fn sample(seen: &Seen, workers: &AtomicUsize) {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut span: Option<Span> = None;
    let mut last = now() / 1000;
    while !seen.ending.load(Relaxed) {
        thread::sleep(EACH);
        let time = now() / 1000;
        let is_late = time - last > LATE;
        last = time;
        seen.samples.fetch_add(1, Relaxed);
        seen.late.fetch_add(u64::from(is_late), Relaxed);
        let Some((place, mark, waited)) = runnable::oldest().filter(|(.., waited)| *waited > 1000)
        else {
            span = None;
            continue;
        };
        let task = (place, mark);
        let mut current = span
            .take()
            .filter(|span| span.task == task)
            .unwrap_or(Span {
                task,
                since: None,
                reported: false,
            });
        if is_late {
            current.since = None;
        }
        let states = states();
        let excused = states.running > 0 && states.all_running > cpus;
        if states.running >= workers.load(Relaxed) || excused {
            current.since = None;
        } else {
            let length = time - *current.since.get_or_insert(time);
            seen.longest.fetch_max(length, Relaxed);
            if length > LIMIT && !std::mem::replace(&mut current.reported, true) {
                let number = seen.violations.fetch_add(1, Relaxed);
                if number < SHOWN {
                    report(place, waited, &states);
                }
            }
        }
        span = Some(current);
    }
}

fn report(place: u32, waited: u64, states: &States) {
    let place = ledger::place(place);
    eprintln!(
        "LEFT WAITING: {:?}, seed {:#x}, {} polls, runnable for {:.1} ms; threads, of {} ready to run in all: {}",
        place.kind(),
        place.seed.load(Relaxed),
        place.polls.load(Relaxed),
        waited as f64 / 1000.0,
        states.all_running,
        states.text,
    );
}

struct States {
    running: usize,
    /// Of the whole machine.
    all_running: usize,
    text: String,
}

/// The states of this process's threads but the soak's own.
fn states() -> States {
    let mut states = States {
        running: 0,
        all_running: all_running(),
        text: String::new(),
    };
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return states;
    };
    for thread in threads.flatten() {
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else {
            continue;
        };
        let Some((name, rest)) = stat
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'))
        else {
            continue;
        };
        if name.starts_with("soak-") {
            continue;
        }
        let state = rest.trim_start().chars().next().unwrap_or('?');
        states.running += usize::from(matches!(state, 'R' | 'D'));
        states.text.push_str(&format!(" {name}:{state}"));
    }
    states
}

fn all_running() -> usize {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = text
        .split_whitespace()
        .nth(3)
        .and_then(|pair| pair.split_once('/'));
    running
        .and_then(|(running, _)| running.parse().ok())
        .unwrap_or(usize::MAX)
}
