//! The rows as run on one model.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::cpu_time;
use crate::support::ticks::quantile;
use crate::support::{per_operation, workers, workloads};
use crate::workloads::{parked, wakes};

use super::{Model, rows};

const MILLION: usize = 1_000_000;
const RUNS: usize = 3;

const BLOCK: Duration = Duration::from_millis(100);
const BLOCKS: usize = 5;
const PERIOD: Duration = Duration::from_millis(1);
const CALM: Duration = Duration::from_millis(20);

const HOARD: usize = 10_000;
const HOARDS: usize = 21;
/// `wakes::from_outside` has so many.
const WAKES: f64 = 1_000.0;

/// The figures of a row, in its order. Where a task that waits keeps its thread, there are fewer tasks and switches: a figure is
/// per task or switch, and would take minutes.
pub(super) fn measure<M: Model>(model: &M, row: &str, tasks: Option<usize>) -> Vec<f64> {
    let fewer = |count: usize, by: usize| if M::KEEPS_THREAD { count / by } else { count };
    let time = |operations: usize, work: &dyn Fn()| vec![per_operation(operations, RUNS, work)];
    match row {
        rows::PARKED => {
            let tasks = tasks.unwrap_or(MILLION);
            let mut figures = vec![tasks as f64];
            figures.extend(parked::so_many(model, tasks));
            figures
        }
        rows::SPAWN_JOIN => {
            let tasks = fewer(100_000, 10);
            time(tasks, &|| workloads::spawn_join(model, tasks))
        }
        rows::YIELD => {
            let times = fewer(1_000, 10);
            time(200 * times, &|| workloads::yields(model, 200, times))
        }
        rows::PING_PONG => {
            let trips = fewer(100_000, 20);
            time(trips, &|| workloads::ping_pong(model, 1, trips))
        }
        rows::BLOCK_ONE => beside_blocked(model, 1, true),
        rows::BLOCK_ALL => beside_blocked(model, workers(), true),
        rows::BLOCK_UNTOLD => beside_blocked(model, workers(), false),
        rows::STEAL_BESIDE_0 => stealing_beside(model, 0),
        rows::STEAL_BESIDE_200 => stealing_beside(model, 200),
        _ if row.starts_with("grow_") => {
            let each = fewer(10_000, 10);
            time(16 * each, &|| workloads::fan_out(model, 16, each))
        }
        _ => unreachable!("main has checked the name"),
    }
}

/// Tasks block for a while, a few times. Meanwhile a thread outside sends a message to a task that waits for it, and starts a new
/// task, each millisecond, whether or not the last ones have run. How long it takes until they do.
fn beside_blocked<M: Model>(model: &M, blockers: usize, told: bool) -> Vec<f64> {
    let (messages, inbox) = async_channel::unbounded::<Instant>();
    let (woken, woken_after) = mpsc::channel();
    let (begun, begun_after) = mpsc::channel();
    model.spawn_from_outside(async move {
        while let Ok(sent) = inbox.recv().await {
            woken.send(sent.elapsed()).expect("somebody reads");
        }
    });
    for _ in 0..BLOCKS {
        thread::sleep(CALM);
        block(model, blockers, told);
        let begin = Instant::now();
        for n in 0.. {
            let due = begin + PERIOD * n;
            if due >= begin + BLOCK {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            messages.try_send(sent).expect("the task receives");
            let begun = begun.clone();
            model.spawn_from_outside(async move {
                begun.send(sent.elapsed()).expect("somebody reads");
            });
        }
    }
    let count = BLOCKS * (BLOCK.as_millis() / PERIOD.as_millis()) as usize;
    [woken_after, begun_after]
        .iter()
        .flat_map(|after| {
            let mut times: Vec<f64> = (after.iter().take(count))
                .map(|time: Duration| time.as_secs_f64() * 1e6)
                .collect();
            times.sort_by(f64::total_cmp);
            [0.5, 0.99, 1.0].map(|part| quantile(&times, part))
        })
        .collect()
}

/// Starts tasks that block, and returns when the first one does.
fn block<M: Model>(model: &M, blockers: usize, told: bool) {
    let (begun, first) = mpsc::channel();
    for _ in 0..blockers {
        let begun = begun.clone();
        model.spawn_from_outside(async move {
            let call = || {
                // Nobody waits for the others.
                let _ = begun.send(());
                thread::sleep(BLOCK);
            };
            match told {
                true => M::blocking(call),
                false => call(),
            }
        });
    }
    first.recv().expect("one of them begins");
}

/// While so many threads are blocked in tasks: 16 tasks that spawn 10,000 each; a hoard that others have to steal; then wakes of
/// an idle scheduler, as a thread that has been woken looks everywhere before it sleeps.
fn stealing_beside<M: Model>(model: &M, blocked: usize) -> Vec<f64> {
    static BLOCKED: AtomicUsize = AtomicUsize::new(0);
    let (ends, calls): (Vec<_>, Vec<_>) = (0..blocked).map(|_| mpsc::channel::<()>()).unzip();
    for call in calls {
        model.spawn_from_outside(async move {
            M::blocking(|| {
                BLOCKED.fetch_add(1, Ordering::Relaxed);
                let _ = call.recv();
            });
        });
    }
    while BLOCKED.load(Ordering::Relaxed) < blocked {
        thread::sleep(PERIOD);
    }
    // The last one's place has to be filled, too.
    thread::sleep(CALM);
    let fan_out = per_operation(160_000, RUNS, || workloads::fan_out(model, 16, 10_000));
    let mut hoards: Vec<f64> = (0..HOARDS).map(|_| model.run(hoard::<M>())).collect();
    hoards.sort_by(f64::total_cmp);
    let [looks, search] = M::searches();
    let before = cpu_time();
    wakes::from_outside(model);
    let per_wake = (cpu_time() - before).as_secs_f64() * 1e6 / WAKES;
    drop(ends);
    vec![fan_out, quantile(&hoards, 0.25), looks, search, per_wake]
}

/// Spawns many tasks and keeps its thread, while another one keeps the other workers away; then that one ends, and all there is to run has
/// to be fetched by a worker that does not have it. Nanoseconds per task, from there. Needs a CPU for each worker.
async fn hoard<M: Model>() -> f64 {
    let (begun, go) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    for _ in 1..workers() {
        let (begun, go) = (begun.clone(), go.clone());
        M::detach(async move {
            begun.fetch_add(1, Ordering::Release);
            while !go.load(Ordering::Acquire) {
                spin_loop();
            }
        });
    }
    while begun.load(Ordering::Acquire) + 1 < workers() {
        spin_loop();
    }
    let left = Arc::new(AtomicUsize::new(HOARD));
    for _ in 0..HOARD {
        let left = left.clone();
        M::detach(async move {
            left.fetch_sub(1, Ordering::Release);
        });
    }
    let begin = Instant::now();
    go.store(true, Ordering::Release);
    while left.load(Ordering::Acquire) > 0 {
        spin_loop();
    }
    begin.elapsed().as_nanos() as f64 / HOARD as f64
}
