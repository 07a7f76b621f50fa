//! What does a task cost from its birth to its join: spawned by one task, by many, in a chain, from outside?
//!
//! The rows `spawn/set_10k` beside `spawn/join_10k` say what a `JoinSet` adds, and the rows `spawn/lines` what it matters how many
//! lines spawn, and onto how many runtimes: they time threads that spawn onto runtimes whose worker is held.
//!
//! Run it with `cargo bench --bench spawn`.

mod support;

use std::hint::black_box;
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use executor::runtime::Builder;
use executor::task::JoinSet;
use executor::{Handle, Runtime, block_on};
use support::{bench, config};

/// Spawned by a thread in a row of `spawn/lines`.
const SPAWNS: usize = 3_200;

/// From one line, onto these runtimes in turn.
fn one_line(runtimes: &[Handle]) {
    for count in 0..SPAWNS {
        drop(runtimes[count % runtimes.len()].spawn(async {}));
    }
}

/// From 32 lines: a call of the macro is a place of its own.
fn many_lines(runtimes: &[Handle]) {
    macro_rules! line {
        () => {
            drop(runtimes[0].spawn(async {}))
        };
    }
    for _ in 0..SPAWNS / 32 {
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
        line!();
    }
}

/// Holds the worker of each until the senders are dropped, so that only who spawns runs.
fn hold(runtimes: &[Runtime]) -> Vec<mpsc::Sender<()>> {
    let hold_one = |runtime: &Runtime| {
        let (release, released) = mpsc::channel::<()>();
        let (tell, held) = mpsc::channel();
        drop(runtime.spawn(async move {
            tell.send(()).unwrap();
            black_box(released.recv().is_err());
        }));
        held.recv().unwrap();
        release
    };
    runtimes.iter().map(hold_one).collect()
}

/// The time that `threads` threads take on average, each with runtimes of its own.
fn time_lines(runtimes: &[Runtime], threads: usize, spawn: fn(&[Handle])) -> Duration {
    let handles: Vec<Handle> = runtimes
        .iter()
        .map(|runtime| runtime.handle().clone())
        .collect();
    let held = hold(runtimes);
    let barrier = Barrier::new(threads);
    let time = |own: &[Handle]| {
        barrier.wait();
        let begin = Instant::now();
        spawn(own);
        begin.elapsed()
    };
    let sum: Duration = thread::scope(|scope| {
        let time = &time;
        let own = handles.chunks(handles.len() / threads);
        let spawners: Vec<_> = own.map(|own| scope.spawn(move || time(own))).collect();
        spawners
            .into_iter()
            .map(|spawner| spawner.join().unwrap())
            .sum()
    });
    drop(held);
    for runtime in runtimes {
        block_on(runtime.spawn(async {})).unwrap();
    }
    sum / threads as u32
}

fn lines(criterion: &mut Criterion) {
    type Row = (&'static str, usize, fn(&[Handle]));
    let rows: [Row; 3] = [
        ("one_line_one_runtime", 1, one_line),
        ("one_line_two_runtimes", 2, one_line),
        ("32_lines_one_runtime", 1, many_lines),
    ];
    let mut group = criterion.benchmark_group("spawn/lines");
    group.throughput(Throughput::Elements(SPAWNS as u64));
    for threads in [1, 2] {
        for (name, each, spawn) in rows {
            let start = || Builder::new().worker_threads(1).build().unwrap();
            let runtimes: Vec<Runtime> = (0..threads * each).map(|_| start()).collect();
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|rounds| {
                    (0..rounds)
                        .map(|_| time_lines(&runtimes, threads, spawn))
                        .sum()
                });
            });
        }
    }
    group.finish();
}

/// Spawns tasks into a set, and joins them.
fn set(runtime: &support::Gosched, count: usize) {
    support::Scheduler::run(runtime, async move {
        let mut set = JoinSet::new();
        for _ in 0..count {
            set.spawn(async {});
        }
        while set.join_next().await.is_some() {}
    });
}

fn benches(criterion: &mut Criterion) {
    bench!(criterion, "spawn/join_10k", 10_000, spawn_join(10_000));
    bench!(criterion, "spawn/fan_out_8x2k", 16_000, fan_out(8, 2_000));
    bench!(criterion, "spawn/chained_10k", 10_000, chained(10_000));
    bench!(
        criterion,
        "spawn/remote_2x5k",
        10_000,
        remote_spawn(2, 5_000)
    );
    let gosched = <support::Gosched as support::Scheduler>::start();
    let mut group = criterion.benchmark_group("spawn/set_10k");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("gosched", |bencher| bencher.iter(|| set(&gosched, 10_000)));
    group.finish();
    lines(criterion);
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
