//! Watches a soak: that it goes on, and what it takes.
//!
//! A hang is a task that does not end within [`PATIENCE`], though each ends within a second or two by its nature; or no
//! task ending at all for [`STANDSTILL`]. A single wake that is lost shows as the former, with the task's kind and seed,
//! while the others go on.

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::fault;
use super::ledger::{self, Event, KINDS, Kind, POLLING};
use super::sampler;
use crate::process::{Usage, usage};

const PATIENCE: Duration = Duration::from_secs(20);
const STANDSTILL: Duration = Duration::from_secs(10);
const SUMMARY: u64 = 10;

pub(super) struct Watch {
    ending: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Usage>>,
}

impl Watch {
    pub(super) fn start(seed: u64, seen: Arc<sampler::Seen>) -> Watch {
        let ending = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&ending);
        let builder = thread::Builder::new().name("soak-watch".to_owned());
        let thread = builder
            .spawn(move || watch(&own, seed, &seen))
            .expect("a thread");
        Watch { ending, thread }
    }

    /// Gives a sample per second, of memory, threads and descriptors.
    pub(super) fn stop(self) -> Vec<Usage> {
        self.ending.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().expect("the watch")
    }
}

/// Those that live as long as the soak.
fn is_service(kind: Kind) -> bool {
    matches!(kind, Kind::Spawner | Kind::Listener)
}

fn watch(ending: &AtomicBool, seed: u64, seen: &sampler::Seen) -> Vec<Usage> {
    let began = Instant::now();
    let mut samples = Vec::new();
    let (mut ended, mut since) = (0, Instant::now());
    while !ending.load(Relaxed) {
        thread::park_timeout(Duration::from_secs(1));
        let now: u64 = ledger::totals()[1..4].iter().sum();
        if now != ended {
            (ended, since) = (now, Instant::now());
        }
        let late = ledger::alive()
            .filter(|(place, _)| !is_service(place.kind()))
            .find(|(_, age)| *age > PATIENCE.as_nanos() as u64);
        let stands = since.elapsed() > STANDSTILL && ledger::outstanding() > 0;
        if late.is_some() || stands {
            eprintln!(
                "HANG after {:.0} s, seed {seed}",
                began.elapsed().as_secs_f64()
            );
            print_outstanding();
            print_counts();
            process::exit(1);
        }
        samples.push(usage());
        if (samples.len() as u64).is_multiple_of(SUMMARY) {
            summary(began, samples.last().expect("a sample"), seen);
        }
    }
    samples
}

fn summary(began: Instant, usage: &Usage, seen: &sampler::Seen) {
    let sums = ledger::totals();
    let count = |event: Event| sums[event as usize];
    eprintln!(
        "{:5.0} s: {} spawned, {} finished, {} cancelled, {} panicked, {} outstanding; {} rules broken, \
         {} unplanned panics; {} left waiting, longest {:.1} ms; {:.1} MiB, {:.1} of them allocated, \
         {} threads, {} descriptors",
        began.elapsed().as_secs_f64(),
        count(Event::Spawned),
        count(Event::Finished),
        count(Event::Cancelled),
        count(Event::Panicked),
        ledger::outstanding(),
        fault::rules_broken(),
        fault::unplanned(),
        seen.violations.load(Relaxed),
        seen.longest.load(Relaxed) as f64 / 1000.0,
        usage.memory as f64 / f64::from(1 << 20),
        usage.allocated as f64 / f64::from(1 << 20),
        usage.threads,
        usage.descriptors,
    );
}

/// By kind: how many, the oldest of them, and what is known of it.
pub(super) fn print_outstanding() {
    for kind in KINDS {
        let alive = ledger::alive().filter(|(place, _)| place.kind() == *kind);
        let number = ledger::alive()
            .filter(|(place, _)| place.kind() == *kind)
            .count();
        let Some((place, age)) = alive.max_by_key(|(_, age)| *age) else {
            continue;
        };
        eprintln!(
            "  {kind:?}: {number} outstanding; the oldest is {:.3} s old, seed {:#x}, {} polls{}",
            age as f64 / 1e9,
            place.seed.load(Relaxed),
            place.polls.load(Relaxed),
            match place.word.load(Relaxed) & POLLING {
                0 => "",
                _ => ", being polled",
            },
        );
    }
}

pub(super) fn print_counts() {
    eprintln!(
        "  {:10} {:>9} {:>9} {:>9} {:>9}  told: {:>9} {:>9} {:>9} {:>9}",
        "",
        "spawned",
        "finished",
        "panicked",
        "cancelled",
        "finished",
        "panicked",
        "cancelled",
        "not asked"
    );
    for kind in KINDS {
        let n = ledger::counts(*kind);
        if n[0] > 0 {
            eprintln!(
                "  {:10} {:>9} {:>9} {:>9} {:>9}        {:>9} {:>9} {:>9} {:>9}",
                format!("{kind:?}"),
                n[0],
                n[1],
                n[2],
                n[3],
                n[4],
                n[5],
                n[6],
                n[7]
            );
        }
    }
}

/// A hand to those who wait with a limit.
pub(super) fn hang(what: &str, seed: u64) -> ! {
    eprintln!("HANG: {what}, seed {seed}");
    print_outstanding();
    print_counts();
    process::exit(1);
}
