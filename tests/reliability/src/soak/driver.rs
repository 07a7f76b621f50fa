//! A soak from its beginning to its last sum.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::ledger::{self, Event, Kind};
use super::plan::split;
use super::sampler::Sampler;
use super::watch::{self, Watch};
use super::watched::{self, Entry, Handle};
use super::world::World;
use super::{acts, fault, sockets, strangers};
use crate::process::{Usage, settle, usage};
use crate::runtimes::Runtime;

pub(super) const SPAWNERS: u64 = 16;
pub(super) const SERVERS: u64 = 4;
/// Nothing more is spawned while so many tasks are alive; each may spawn a few itself. A bound to memory, and to what is alive
/// behind a worker that blocks.
const CROWD: i64 = 1000;
const ENOUGH: Duration = Duration::from_secs(30);

/// The figures of the row `soak`, in their order.
pub(crate) fn run<R: Runtime>(seconds: u64, seed: u64) -> Vec<f64> {
    fault::watch_panics();
    warm_up::<R>();
    let base = usage();
    let workers = 2 + (seed % 3) as usize;
    let (late, late_threads): (Vec<_>, Vec<_>) = (0..2).map(|_| strangers::late()).unzip();
    let runtime = R::start(workers, 64).expect("threads and descriptors");
    let listeners: Vec<_> = (0..SERVERS)
        .map(|_| runtime.block_on(R::listen()).expect("a listener"))
        .collect();
    let present = Arc::new(AtomicUsize::new(workers));
    let world = Arc::new(World {
        runtime,
        workers: Arc::clone(&present),
        most_workers: 2 * thread::available_parallelism().map_or(1, usize::from),
        seed,
        servers: listeners.iter().map(|(_, addr)| *addr).collect(),
        late,
        orders: AtomicUsize::new(0),
        numbers: AtomicU64::new(0),
        stopping: AtomicBool::new(false),
        lull: AtomicBool::new(false),
    });
    let servers: Vec<_> = (0..)
        .zip(listeners)
        .map(|(number, (listener, _))| sockets::serve(&world, listener, number))
        .collect();
    let sampler = Sampler::start(present);
    let watch = Watch::start(seed, Arc::clone(&sampler.seen));

    let began = Instant::now();
    soak(&world, Duration::from_secs(seconds));
    let per_minute = ledger::totals()[0] as f64 / began.elapsed().as_secs_f64() * 60.0;
    finish(&world, servers);
    let samples = watch.stop();
    let seen = sampler.stop();
    match Arc::try_unwrap(world) {
        Ok(world) => {
            world.runtime.stop(Duration::from_secs(10));
            // Stale wakers are woken still.
            for late in world.late {
                late(None);
            }
        }
        Err(_) => fault::broken("something holds the world though all tasks are gone", ""),
    }
    for thread in late_threads {
        thread.join().expect("a thread for late wakes");
    }
    settle_at(&base);
    let after = usage();
    watch::print_counts();
    vec![
        per_minute / 1e6,
        not_accounted(),
        fault::rules_broken() as f64,
        fault::unplanned() as f64,
        seen.violations.load(Relaxed) as f64,
        seen.longest.load(Relaxed) as f64 / 1000.0,
        after.threads as f64 - base.threads as f64,
        after.descriptors as f64 - base.descriptors as f64,
        (after.allocated as f64 - base.allocated as f64) / 1024.0,
        grown(&samples) / 1024.0,
    ]
}

/// What lives as long as the process: a reactor, a pool, statics.
fn warm_up<R: Runtime>() {
    for _ in 0..10 {
        let runtime = R::start(2, 2).expect("threads and descriptors");
        runtime.block_on(async {
            let (listener, addr) = R::listen().await.expect("a listener");
            let _client = R::connect(addr).await.expect("a connection");
            let _server = R::accept(&listener).await.expect("a connection");
            R::sleep(Duration::from_millis(1)).await;
            runtime.spawn_blocking(|| ()).await;
        });
        runtime.stop(Duration::from_secs(10));
    }
    settle();
    // A pool's idle threads end after half a second, in smol.
    thread::sleep(Duration::from_secs(1));
    settle();
}

/// Idle threads of a pool may need a moment to end.
fn settle_at(base: &Usage) {
    let until = Instant::now() + Duration::from_secs(5);
    while usage().threads > base.threads && Instant::now() < until {
        settle();
    }
}

pub(super) fn next_seed<R>(world: &World<R>) -> u64 {
    split(world.seed, world.numbers.fetch_add(1, Relaxed))
}

/// Spawns for `time`: four seconds of storm, one of lull.
fn soak<R: Runtime>(world: &Arc<World<R>>, time: Duration) {
    let spawners: Vec<_> = (0..SPAWNERS).map(|number| spawner(world, number)).collect();
    let strangers = strangers::strangers::<R>().map(|(name, run)| {
        let world = Arc::clone(world);
        strangers::named(name, move || {
            let said = run(&world);
            if !said.is_empty() {
                eprintln!("{said}");
            }
        })
    });
    let began = Instant::now();
    while began.elapsed() < time {
        thread::sleep(Duration::from_millis(200).min(time));
        let lull = began.elapsed().as_secs() % 5 == 4;
        world.lull.store(lull, Relaxed);
    }
    world.stopping.store(true, Relaxed);
    let until = Instant::now() + ENOUGH;
    for stranger in strangers {
        while !stranger.is_finished() {
            if Instant::now() > until {
                watch::hang("a thread outside waits for a task", world.seed);
            }
            thread::sleep(Duration::from_millis(1));
        }
        if stranger.join().is_err() {
            fault::broken("a thread outside has panicked", "");
        }
    }
    let all = async {
        for spawner in spawners {
            spawner.join().await;
        }
    };
    if world.runtime.block_on(R::timeout(ENOUGH, all)).is_none() {
        watch::hang("a spawner does not end", world.seed);
    }
}

/// Until nothing is left but the listeners, and then those.
fn finish<R: Runtime>(world: &Arc<World<R>>, servers: Vec<Handle<R>>) {
    let drained = |left: i64| {
        let until = Instant::now() + ENOUGH;
        while ledger::outstanding() > left {
            if Instant::now() > until {
                watch::hang("tasks are left", world.seed);
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    drained(servers.len() as i64);
    world.runtime.block_on(async {
        for server in servers {
            server.cancel().await;
        }
    });
    drained(0);
}

pub(super) fn spawner<R: Runtime>(world: &Arc<World<R>>, number: u64) -> Handle<R> {
    let entry = Entry {
        kind: Kind::Spawner,
        seed: split(world.seed, u64::MAX - 100 - number),
        marked: number.is_multiple_of(2),
    };
    let (runtime, world) = (world.runtime.clone(), Arc::clone(world));
    watched::spawn(&runtime, entry, async move {
        let mut rng = Rng::with_seed(entry.seed);
        while !world.stopping.load(Relaxed) {
            if world.lull.load(Relaxed) {
                R::sleep(Duration::from_millis(rng.u64(10..40))).await;
            }
            while ledger::outstanding() > CROWD {
                R::sleep(Duration::from_millis(1)).await;
            }
            let tasks: Vec<_> = (0..rng.u64(1..32))
                .map(|_| acts::spawn(&world, next_seed(&world), 2))
                .collect();
            for (number, (handle, fate, _)) in tasks.into_iter().enumerate() {
                acts::meet(&world, entry, number as u64, handle, fate).await;
            }
            match rng.u32(..4) {
                0 => R::sleep(Duration::from_micros(rng.u64(..2000))).await,
                1 => R::yield_now().await,
                _ => {}
            }
        }
        entry.value()
    })
}

/// Of those spawned: more, or fewer, than ended in one of the three ways.
pub(super) fn not_accounted() -> f64 {
    ledger::KINDS
        .iter()
        .map(|kind| {
            let n = ledger::counts(*kind);
            n[Event::Spawned as usize].abs_diff(n[1] + n[2] + n[3]) as f64
        })
        .sum()
}

/// From the second quarter of the time to the last, by their medians, in bytes. The first is for caches and pools to fill.
fn grown(samples: &[Usage]) -> f64 {
    let quarter = samples.len() / 4;
    let median = |part: &[Usage]| {
        let mut memory: Vec<usize> = part.iter().map(|usage| usage.memory).collect();
        memory.sort_unstable();
        memory
            .get(memory.len() / 2)
            .map_or(0.0, |bytes| *bytes as f64)
    };
    median(&samples[samples.len() - quarter..]) - median(&samples[quarter..2 * quarter])
}
