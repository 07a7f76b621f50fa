//! Is work left waiting while a worker is idle? Judged from outside, see [`sampler`](crate::soak::sampler).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::Runtime;
use crate::soak::ledger::Kind;
use crate::soak::sampler::Sampler;
use crate::soak::watched::{self, Entry};

const fn figure(name: &'static str, unit: &'static str, at_most: Option<f64>) -> Figure {
    Figure {
        name,
        unit,
        at_most,
    }
}

pub(super) const ROW: Row = Row {
    name: "conservation",
    what: "2 workers, 20 s each: bursts of 1 to 8 tasks from outside whenever the workers have lain down; the same beside \
           tasks that compute for 5 ms at a time; the same beside 3 tasks that block their worker for 20 to 60 ms",
    figures: &[
        figure("bursts: times work was left waiting > 10 ms", "", Some(0.0)),
        figure("bursts: longest", "ms", Some(10.0)),
        figure(
            "computing: times work was left waiting > 10 ms",
            "",
            Some(0.0),
        ),
        figure("computing: longest", "ms", Some(10.0)),
        figure(
            "blocking: times work was left waiting > 10 ms",
            "",
            Some(0.0),
        ),
        figure("blocking: longest", "ms", Some(10.0)),
    ],
    scenario: scenario!(run),
    measure,
};

const WORKERS: usize = 2;
const SECONDS: u64 = 20;

fn measure(child: &Child) -> Vec<f64> {
    let figures = ["bursts", "computing", "blocking"].map(|variant| {
        let ended = child.run(&[], &[variant], Duration::from_secs(60 + SECONDS));
        eprint!("{}", ended.errors);
        match ended.succeeded() {
            true => ended.figures,
            false => vec![NEVER; 2],
        }
    });
    figures.concat()
}

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let runtime = R::start(WORKERS, 4).expect("threads and descriptors");
    let stopping = Arc::new(AtomicBool::new(false));
    let beside = match args.first().map(String::as_str) {
        Some("computing") => neighbours(&runtime, &stopping, 1, compute::<R>),
        Some("blocking") => neighbours(&runtime, &stopping, 3, block::<R>),
        _ => Vec::new(),
    };
    let sampler = Sampler::start(Arc::new(WORKERS.into()));
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        burst(&runtime, &mut number);
    }
    stopping.store(true, Relaxed);
    for neighbour in beside {
        runtime.block_on(neighbour.join());
    }
    let seen = sampler.stop();
    runtime.stop(Duration::from_secs(10));
    vec![
        seen.violations.load(Relaxed) as f64,
        seen.longest.load(Relaxed) as f64 / 1000.0,
    ]
}

fn entry(kind: Kind, seed: u64) -> Entry {
    Entry {
        kind,
        seed,
        marked: true,
    }
}

/// A few tasks from outside, and a wait for all: by then, or soon after, the workers lie down.
fn burst<R: Runtime>(runtime: &R, number: &mut u64) {
    let done = Arc::new(AtomicU64::new(0));
    let size = fastrand::u64(1..=8);
    for _ in 0..size {
        *number += 1;
        let (entry, done) = (entry(Kind::Quick, *number), Arc::clone(&done));
        let children = runtime.clone();
        drop(watched::spawn(runtime, entry, async move {
            for turn in 0..fastrand::u64(1..4) {
                spin(Duration::from_micros(fastrand::u64(1..200)));
                if turn == 0 && entry.seed % 4 == 0 {
                    // Within: the child is in the next slot while its parent goes on.
                    let child = Entry {
                        kind: Kind::Waker,
                        ..entry
                    };
                    drop(watched::spawn(
                        &children,
                        child,
                        async move { child.value() },
                    ));
                    spin(Duration::from_micros(300));
                }
                R::yield_now().await;
            }
            done.fetch_add(1, Relaxed);
            entry.value()
        }));
    }
    let until = Instant::now() + Duration::from_secs(10);
    while done.load(Relaxed) < size && Instant::now() < until {
        thread::sleep(Duration::from_micros(200));
    }
    thread::sleep(Duration::from_micros(fastrand::u64(..3000)));
}

fn neighbours<R: Runtime, F>(
    runtime: &R,
    stopping: &Arc<AtomicBool>,
    count: u64,
    act: fn() -> F,
) -> Vec<watched::Handle<R>>
where
    F: Future<Output = ()> + Send + 'static,
{
    (0..count)
        .map(|number| {
            let (entry, stopping) = (entry(Kind::Stall, number), Arc::clone(stopping));
            watched::spawn(runtime, entry, async move {
                while !stopping.load(Relaxed) {
                    act().await;
                }
                entry.value()
            })
        })
        .collect()
}

async fn compute<R: Runtime>() {
    spin(Duration::from_millis(5));
    R::yield_now().await;
}

async fn block<R: Runtime>() {
    thread::sleep(Duration::from_millis(fastrand::u64(20..60)));
    R::sleep(Duration::from_millis(fastrand::u64(..20))).await;
}

fn spin(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}
