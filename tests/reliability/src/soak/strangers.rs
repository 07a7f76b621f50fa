//! Threads that are no worker's: they wake tasks late, spawn from outside, ask where tasks wait, change the number of workers, and
//! start and stop other runtimes.

use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError};
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
/// Not all of so many numbers of workers are the usual one. A simulation draws more.
const ENOUGH_DRAWN: u32 = 20;

/// Something to be done at a time.
pub(crate) struct Order {
    due: Instant,
    act: Box<dyn FnOnce() + Send>,
}

impl Order {
    pub(crate) fn new<R: Runtime>(delay: Duration, act: impl FnOnce() + Send + 'static) -> Order {
        Order {
            due: R::now() + delay,
            act: Box::new(act),
        }
    }
}

/// Gives a thread an order, or tells it that no more will come.
pub(crate) type Late = Box<dyn Fn(Option<Order>) + Send + Sync>;

/// What has been ordered and not been done, by the time at which it is due.
#[derive(Default)]
pub(super) struct Orders {
    orders: BTreeMap<(Instant, u64), Box<dyn FnOnce() + Send>>,
    number: u64,
}

impl Orders {
    pub(super) fn add(&mut self, order: Order) {
        self.number += 1;
        self.orders.insert((order.due, self.number), order.act);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// How long it is until the next one is due.
    pub(super) fn next_in(&self, now: Instant) -> Option<Duration> {
        let ((due, _), _) = self.orders.first_key_value()?;
        Some(due.saturating_duration_since(now))
    }

    /// Does what is due.
    pub(super) fn act(&mut self, now: Instant) {
        while let Some(entry) = self
            .orders
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            entry.remove()();
        }
    }
}

pub(super) fn named(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let builder = thread::Builder::new().name(format!("soak-{name}"));
    builder.spawn(run).expect("a thread")
}

/// Carries out orders, those on hand too when it is told to end (`None`).
pub(super) fn late() -> (Late, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel::<Option<Order>>();
    let thread = named("late", move || {
        let mut orders = Orders::default();
        let mut ending = false;
        while !ending || !orders.is_empty() {
            let next = orders.next_in(Instant::now());
            let wait = next.unwrap_or(Duration::from_secs(1));
            match receiver.recv_timeout(wait) {
                Ok(Some(order)) => orders.add(order),
                Ok(None) => ending = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    ending = true;
                    thread::sleep(wait);
                }
            }
            orders.act(Instant::now());
        }
    });
    let late = move |order| sender.send(order).expect("a thread for late wakes");
    (Box::new(late), thread)
}

/// What a thread outside does until the soak ends; what there is to say of it then.
pub(super) type Stranger<R> = fn(&Arc<World<R>>) -> String;

/// With their names.
pub(super) fn strangers<R: Runtime>() -> [(&'static str, Stranger<R>); 4] {
    [
        ("foreign", spawn_from_outside),
        ("starter", start_and_stop),
        ("asker", ask_where_they_wait),
        ("resizer", resize),
    ]
}

/// Spawns from outside and waits from outside.
fn spawn_from_outside<R: Runtime>(world: &Arc<World<R>>) -> String {
    let mut rng = Rng::with_seed(split(world.seed, u64::MAX));
    while !world.stopping.load(Relaxed) {
        let own = Entry {
            kind: Kind::Spawner,
            seed: rng.u64(..),
            marked: false,
        };
        let tasks: Vec<_> = (0..rng.u64(1..16))
            .map(|_| acts::spawn(world, super::driver::next_seed(world), 2))
            .collect();
        for (number, (handle, fate, _)) in tasks.into_iter().enumerate() {
            let met = acts::meet(world, own, number as u64, handle, fate);
            world.runtime.block_on(met);
        }
        R::block(Duration::from_micros(rng.u64(..5000)));
    }
    String::new()
}

/// Asks all tasks where they wait, again and again: that polls them with another waker, and may lose none.
fn ask_where_they_wait<R: Runtime>(world: &Arc<World<R>>) -> String {
    let mut told = 0;
    while !world.stopping.load(Relaxed) {
        match world.runtime.ask_where_they_wait(ASK_FOR) {
            Some(tasks) => told += tasks,
            None => return String::new(),
        }
        R::block(ASK_EACH);
    }
    format!("{told} times a task has told where it waits")
}

/// Changes the number of workers each 10 ms, to any from 1 to the most. For the next five seconds it stays what it was in
/// the beginning, and so on in turn.
fn resize<R: Runtime>(world: &Arc<World<R>>) -> String {
    let mut rng = Rng::with_seed(split(world.seed, u64::MAX - 2));
    let (began, usual) = (R::now(), world.workers.load(Relaxed));
    let (mut drawn, mut times) = (0, 0);
    while !world.stopping.load(Relaxed) {
        let rests = (R::now() - began).as_secs() % 10 >= 5;
        let workers = if rests {
            usual
        } else {
            drawn += 1;
            rng.usize(1..=world.most_workers)
        };
        if workers != world.workers.load(Relaxed) {
            match world.runtime.resize(workers) {
                None => return String::new(),
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
        R::block(RESIZE_EACH);
    }
    if times == 0 && world.most_workers > 1 && drawn >= ENOUGH_DRAWN {
        fault::broken("the number of workers never changed", "");
    }
    format!("{times} times the number of workers has changed")
}

/// Starts runtimes beside the one that is soaked, and stops them with whatever is in them.
fn start_and_stop<R: Runtime>(world: &Arc<World<R>>) -> String {
    let mut rng = Rng::with_seed(split(world.seed, u64::MAX - 1));
    while !world.stopping.load(Relaxed) {
        one_runtime(world, &mut rng);
        R::block(Duration::from_micros(rng.u64(..30_000)));
    }
    String::new()
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
        R::block(Duration::from_micros(rng.u64(..3000)));
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
    world.ask(Order::new::<R>(delay, move || ring.ring()));
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
