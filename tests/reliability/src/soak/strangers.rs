//! Threads that are no worker's: they wake tasks late, spawn from outside, ask where tasks wait, change the number of workers, and
//! start and stop other runtimes.

use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::acts::{self, Bell};
use super::fault;
use super::ledger::Kind;
use super::plan::{self, split};
use super::watched::{self, Entry, Handle};
use super::world::World;
use crate::runtimes::Runtime;

/// Long enough for the crowd that waits, mostly.
const ASK_FOR: Duration = Duration::from_millis(20);
const ASK_EACH: Duration = Duration::from_millis(50);
const RESIZE_EACH: Duration = Duration::from_millis(10);

/// Something to be done at a time.
pub(crate) struct Order {
    due: Instant,
    act: Box<dyn FnOnce() + Send>,
}

impl Order {
    pub(crate) fn new(delay: Duration, act: impl FnOnce() + Send + 'static) -> Order {
        Order {
            due: Instant::now() + delay,
            act: Box::new(act),
        }
    }
}

pub(super) fn named(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let builder = thread::Builder::new().name(format!("soak-{name}"));
    builder.spawn(run).expect("a thread")
}

/// Carries out orders, those on hand too when it is told to end (`None`).
pub(super) fn late() -> (Sender<Option<Order>>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel::<Option<Order>>();
    let thread = named("late", move || {
        let mut orders = BTreeMap::new();
        let mut number = 0_u64;
        let mut ending = false;
        while !ending || !orders.is_empty() {
            let next = orders.first_key_value().map(|((due, _), _)| *due);
            let wait = next.map_or(Duration::from_secs(1), |due: Instant| {
                due.saturating_duration_since(Instant::now())
            });
            match receiver.recv_timeout(wait) {
                Ok(Some(order)) => {
                    number += 1;
                    orders.insert((order.due, number), order.act);
                }
                Ok(None) => ending = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    ending = true;
                    thread::sleep(wait);
                }
            }
            let now = Instant::now();
            while let Some(entry) = orders.first_entry().filter(|entry| entry.key().0 <= now) {
                entry.remove()();
            }
        }
    });
    (sender, thread)
}

/// Spawns from outside and waits from outside.
pub(super) fn spawn_from_outside<R: Runtime>(world: Arc<World<R>>) -> JoinHandle<()> {
    named("foreign", move || {
        let mut rng = Rng::with_seed(split(world.seed, u64::MAX));
        while !world.stopping.load(Relaxed) {
            let own = Entry {
                kind: Kind::Spawner,
                seed: rng.u64(..),
                marked: false,
            };
            let tasks: Vec<_> = (0..rng.u64(1..16))
                .map(|_| acts::spawn(&world, super::driver::next_seed(&world), 2))
                .collect();
            for (number, (handle, fate, _)) in tasks.into_iter().enumerate() {
                let met = acts::meet(&world, own, number as u64, handle, fate);
                world.runtime.block_on(met);
            }
            thread::sleep(Duration::from_micros(rng.u64(..5000)));
        }
    })
}

/// Asks all tasks where they wait, again and again: that polls them with another waker, and may lose none.
pub(super) fn ask_where_they_wait<R: Runtime>(world: Arc<World<R>>) -> JoinHandle<()> {
    named("asker", move || {
        let mut told = 0;
        while !world.stopping.load(Relaxed) {
            match world.runtime.ask_where_they_wait(ASK_FOR) {
                Some(tasks) => told += tasks,
                None => return,
            }
            thread::sleep(ASK_EACH);
        }
        eprintln!("{told} times a task has told where it waits");
    })
}

/// Changes the number of workers each 10 ms, to any from 1 to twice the CPUs. For the next five seconds it stays what it was in
/// the beginning, and so on in turn.
pub(super) fn resize<R: Runtime>(world: Arc<World<R>>) -> JoinHandle<()> {
    named("resizer", move || {
        let mut rng = Rng::with_seed(split(world.seed, u64::MAX - 2));
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let (began, usual) = (Instant::now(), world.workers.load(Relaxed));
        let mut times = 0;
        while !world.stopping.load(Relaxed) {
            let rests = began.elapsed().as_secs() % 10 >= 5;
            let workers = if rests {
                usual
            } else {
                rng.usize(1..=2 * cpus)
            };
            if workers != world.workers.load(Relaxed) {
                match world.runtime.resize(workers) {
                    None => return,
                    Some(Ok(())) => {
                        world.workers.store(workers, Relaxed);
                        times += 1;
                    }
                    Some(Err(error)) => {
                        let detail = format!("to {workers}: {error}");
                        fault::broken("the number of workers could not be changed", &detail);
                    }
                }
            }
            thread::sleep(RESIZE_EACH);
        }
        eprintln!("{times} times the number of workers has changed");
        // It has drawn a hundred numbers by then.
        if times == 0 && began.elapsed() > Duration::from_secs(1) {
            fault::broken("the number of workers never changed", "");
        }
    })
}

/// Starts runtimes beside the one that is soaked, and stops them with whatever is in them.
pub(super) fn start_and_stop<R: Runtime>(world: Arc<World<R>>) -> JoinHandle<()> {
    named("starter", move || {
        let mut rng = Rng::with_seed(split(world.seed, u64::MAX - 1));
        while !world.stopping.load(Relaxed) {
            one_runtime(&world, &mut rng);
            thread::sleep(Duration::from_micros(rng.u64(..30_000)));
        }
    })
}

fn one_runtime<R: Runtime>(world: &Arc<World<R>>, rng: &mut Rng) {
    let runtime = match R::start(2, 2) {
        Ok(runtime) => runtime,
        Err(error) => return fault::broken("no further runtime", &error.to_string()),
    };
    let handles: Vec<Handle<R>> = (0..rng.u32(..12))
        .map(|_| {
            let entry = Entry {
                kind: plan::small(rng),
                seed: rng.u64(..),
                marked: false,
            };
            small(world, &runtime, entry, rng.fork())
        })
        .collect();
    if rng.bool() {
        thread::sleep(Duration::from_micros(rng.u64(..3000)));
    }
    for handle in &handles {
        handle.will_be_stopped();
    }
    runtime.stop(Duration::from_secs(10));
    for handle in handles {
        let told = R::timeout(Duration::from_secs(10), handle.join());
        if world.runtime.block_on(told).is_none() {
            fault::broken("a stopped runtime's handle never told", "");
        }
    }
}

/// A task that holds nothing of a runtime, so that the runtime can be stopped around it.
fn small<R: Runtime>(world: &Arc<World<R>>, runtime: &R, entry: Entry, mut rng: Rng) -> Handle<R> {
    let bell = Bell::new();
    let ring = Arc::clone(&bell);
    let delay = Duration::from_micros(rng.u64(..6000));
    world.ask(super::strangers::Order::new(delay, move || ring.ring()));
    watched::spawn(runtime, entry, async move {
        match rng.u32(..3) {
            0 => R::yield_now().await,
            1 => R::sleep(Duration::from_micros(rng.u64(..4000))).await,
            _ => {}
        }
        bell.rung().await;
        if entry.kind == Kind::Forever {
            match rng.bool() {
                true => R::sleep(Duration::from_secs(3600)).await,
                false => future::pending().await,
            }
        }
        entry.value()
    })
}
