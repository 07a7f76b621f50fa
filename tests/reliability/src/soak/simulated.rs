//! `reliability soak --simulated`: the soak in simulations, one after the other, each of another seed. In virtual time, so that what
//! is rare on real threads is not; with one to four processors; and from its seed each comes again as it was.
//!
//! Sockets are those of the simulation. What the soak asks of the operating system (threads, descriptors, memory, how long work is
//! left waiting) is left to the real one. A task that is lost, a wait that does not end and a panic that nobody planned end the run.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use executor::{sim, time};
use futures::StreamExt;
use futures::channel::mpsc;

use super::strangers::{self, Late, Orders};
use super::world::World;
use super::{driver, fault, ledger, sockets, watch};
use crate::runtimes::{Gosched, Outcome, Runtime, Task};

/// How long one lasts, in virtual time. What is left to do then takes up to a tenth of a second more.
const LASTS: Duration = Duration::from_millis(300);
/// Its tasks end within a second or two by their nature.
const LIMIT: Duration = Duration::from_secs(60);
/// So that the number of workers also grows, whatever it is in the beginning.
const MOST_WORKERS: usize = 4;

/// True: nothing was wrong.
pub(crate) fn soak(seconds: u64, seed: u64) -> bool {
    // The first simulation sets a hook for panics: that of the faults comes before it, and counts those that nobody planned.
    let empty = sim::Builder::new().build().run(async {});
    empty.expect("it does nothing");
    fault::watch_panics();
    let began = Instant::now();
    let (mut runs, mut steps, mut virtually) = (0, 0, Duration::ZERO);
    while began.elapsed() < Duration::from_secs(seconds) {
        let seed = seed.wrapping_add(runs);
        let sim = sim::Builder::new()
            .seed(seed)
            .processors(1 + (seed % 4) as usize)
            .time_limit(LIMIT)
            .step_limit(u64::MAX)
            .allow_task_panics(true)
            .build();
        let (result, report) = sim.run_and_report(life(seed));
        runs += 1;
        steps += report.steps();
        virtually += report.time();
        let faults = driver::not_accounted() as u64 + fault::rules_broken() + fault::unplanned();
        if result.is_err() || faults != 0 {
            if let Err(failure) = result {
                // Not all of it: what it says of repeating it is for runs that read the environment.
                println!("{}", failure.kind());
                println!("{}", failure.message());
                println!("{}", failure.tasks().trim_end());
            }
            watch::print_counts();
            println!("FAILED: again with ci/soak.sh --simulated 1 {seed}");
            return false;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{runs} runs, {} tasks, {virtually:.0?} of virtual time; {:.1} million steps, {:.2} million per second",
        ledger::totals()[0],
        steps as f64 / 1e6,
        steps as f64 / 1e6 / seconds,
    );
    true
}

async fn life(seed: u64) {
    let runtime = Gosched::current();
    let (late, late_threads): (Vec<_>, Vec<_>) = (0..2).map(|_| late(&runtime)).unzip();
    let workers = executor::Handle::current().worker_threads();
    let mut listeners = Vec::new();
    for _ in 0..driver::SERVERS {
        listeners.push(Gosched::listen().await.expect("a listener"));
    }
    let world = Arc::new(World {
        runtime: runtime.clone(),
        workers: Arc::new(AtomicUsize::new(workers)),
        most_workers: MOST_WORKERS,
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
    let spawners: Vec<_> = (0..driver::SPAWNERS)
        .map(|number| driver::spawner(&world, number))
        .collect();
    let strangers = strangers::strangers().map(|(name, run)| {
        let world = Arc::clone(&world);
        (name, runtime.spawn_blocking(move || run(&world)))
    });
    time::sleep(LASTS).await;
    world.stopping.store(true, Relaxed);
    for (name, stranger) in strangers {
        let ended = stranger.await;
        if !matches!(ended, Outcome::Finished(_)) {
            fault::broken(
                "a thread outside has not finished",
                &format!("{name}: {ended:?}"),
            );
        }
    }
    for spawner in spawners {
        spawner.join().await;
    }
    drained(servers.len() as i64).await;
    for server in servers {
        server.cancel().await;
    }
    drained(0).await;
    let Ok(world) = Arc::try_unwrap(world) else {
        return fault::broken("something holds the world though all tasks are gone", "");
    };
    for late in world.late {
        late(None);
    }
    for thread in late_threads {
        thread.await;
    }
}

/// Until no more tasks are left.
async fn drained(left: i64) {
    while ledger::outstanding() > left {
        time::sleep(Duration::from_millis(1)).await;
    }
}

/// A thread of the pool that carries out orders, until it is told that no more will come.
fn late(runtime: &Gosched) -> (Late, impl Task<()> + use<>) {
    let (sender, mut receiver) = mpsc::unbounded();
    let thread = runtime.spawn_blocking(move || {
        executor::block_on(async move {
            let (mut orders, mut ending) = (Orders::default(), false);
            while !ending || !orders.is_empty() {
                let next = orders.next_in(time::now());
                let wait = next.unwrap_or(Duration::from_secs(1));
                if ending {
                    time::sleep(wait).await;
                } else if let Ok(order) = time::timeout(wait, receiver.next()).await {
                    match order.flatten() {
                        Some(order) => orders.add(order),
                        None => ending = true,
                    }
                }
                orders.act(time::now());
            }
        });
    });
    let late = move |order| {
        sender
            .unbounded_send(order)
            .expect("a thread for late wakes")
    };
    (Box::new(late), thread)
}
