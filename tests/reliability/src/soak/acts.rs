//! What the tasks do, by kind.

use std::future::{self, Future};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use futures::channel::mpsc;
use futures::task::AtomicWaker;
use futures::{SinkExt, StreamExt};

use super::fault;
use super::ledger::Kind;
use super::plan::{Fate, Panics, Plan, split};
use super::sockets;
use super::strangers::Order;
use super::watched::{self, Bomb, Entry, Handle};
use super::world::World;
use crate::runtimes::Runtime;

/// Spawns the task that `seed` stands for.
pub(crate) fn spawn<R: Runtime>(
    world: &Arc<World<R>>,
    seed: u64,
    depth: u32,
) -> (Handle<R>, Fate, Rng) {
    let Plan {
        entry,
        panics,
        fate,
        mut rng,
    } = Plan::draw(seed, depth, R::DROP_MAY_PANIC);
    let others = rng.fork();
    let world = Arc::clone(world);
    let handle = match entry.kind {
        Kind::Yield => acted(&world.clone(), entry, panics, yields::<R>(rng)),
        Kind::Wait => acted(&world.clone(), entry, panics, wait(world, entry, rng)),
        Kind::Sleep => acted(&world.clone(), entry, panics, sleep::<R>(rng)),
        Kind::Timeout => acted(&world.clone(), entry, panics, timeout(world, entry, rng)),
        Kind::Channel => acted(&world.clone(), entry, panics, channel(world, entry, rng)),
        Kind::Parent => acted(
            &world.clone(),
            entry,
            panics,
            parent(world, entry, depth, rng),
        ),
        Kind::Blocking => acted(&world.clone(), entry, panics, blocking(world, entry, rng)),
        Kind::Socket => acted(
            &world.clone(),
            entry,
            panics,
            sockets::client(world, entry, rng),
        ),
        Kind::Stall => acted(&world, entry, panics, async {
            R::block(Duration::from_millis(50));
        }),
        _ => acted(&world, entry, panics, future::ready(())),
    };
    (handle, fate, others)
}

fn acted<R, A>(world: &Arc<World<R>>, entry: Entry, panics: Panics, act: A) -> Handle<R>
where
    R: Runtime,
    A: Future<Output = ()> + Send + 'static,
{
    watched::spawn(&world.runtime, entry, async move {
        let _bomb = (panics == Panics::InDrop).then(|| Bomb);
        if panics == Panics::AtOnce {
            fault::planned();
        }
        act.await;
        if panics == Panics::AfterAll {
            fault::planned();
        }
        entry.value()
    })
}

/// A part of another task, with a ledger entry of its own.
pub(crate) fn part<R, A>(
    world: &Arc<World<R>>,
    parent: Entry,
    kind: Kind,
    number: u64,
    act: A,
) -> Handle<R>
where
    R: Runtime,
    A: Future<Output = ()> + Send + 'static,
{
    let entry = Entry {
        kind,
        seed: split(parent.seed, number),
        marked: parent.marked,
    };
    acted(world, entry, Panics::Never, act)
}

/// Lets a handle's fate come true, within the calling task.
pub(crate) async fn meet<R: Runtime>(
    world: &Arc<World<R>>,
    parent: Entry,
    number: u64,
    handle: Handle<R>,
    fate: Fate,
) {
    match fate {
        Fate::Joined => {
            handle.join().await;
        }
        Fate::JoinedByOther => {
            let other = async move {
                handle.join().await;
            };
            let waiter = part(world, parent, Kind::Waiter, number, other);
            waiter.join().await;
        }
        Fate::Detached => drop(handle),
        Fate::CancelledAtOnce => handle.cancel().await,
        Fate::Cancelled(after) => {
            R::sleep(after).await;
            handle.cancel().await;
        }
        Fate::CancelledUnheard(after) => {
            R::sleep(after).await;
            let _ = futures::poll!(std::pin::pin!(handle.cancel()));
        }
    }
}

async fn yields<R: Runtime>(mut rng: Rng) {
    for _ in 0..rng.u32(1..12) {
        R::yield_now().await;
    }
}

async fn sleep<R: Runtime>(mut rng: Rng) {
    for _ in 0..rng.u32(1..3) {
        R::sleep(Duration::from_micros(rng.u64(..4000))).await;
    }
}

/// Something that a task waits for, and whoever brings it about.
pub(crate) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(crate) fn new() -> Arc<Bell> {
        Arc::new(Bell {
            rung: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) async fn rung(&self) {
        future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            match self.rung.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// Woken a few times: from outside, by another task, by itself; sometimes twice, sometimes once more when it is long gone.
async fn wait<R: Runtime>(world: Arc<World<R>>, entry: Entry, mut rng: Rng) {
    for number in 0..rng.u64(1..4) {
        let bell = Bell::new();
        let delay = match rng.u32(..4) {
            0 => Duration::ZERO,
            _ => Duration::from_micros(rng.u64(..2000)),
        };
        match rng.u32(..4) {
            0 | 1 => {
                let stale = rng.bool();
                let ring = Arc::clone(&bell);
                let waker = future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                world.ask(Order::new::<R>(delay, move || ring.ring()));
                if stale {
                    let late = delay + Duration::from_micros(rng.u64(..100_000));
                    world.ask(Order::new::<R>(late, move || waker.wake()));
                }
            }
            2 => {
                let ring = Arc::clone(&bell);
                let waker = part(&world, entry, Kind::Waker, number, async move {
                    if delay > Duration::from_millis(1) {
                        R::yield_now().await;
                    }
                    ring.ring();
                });
                drop(waker);
            }
            _ => {
                let mut own = false;
                future::poll_fn(|cx| {
                    if std::mem::replace(&mut own, true) {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
                bell.ring();
            }
        }
        bell.rung().await;
    }
}

/// Times out what never comes, or what comes in time, or at about the same time.
async fn timeout<R: Runtime>(world: Arc<World<R>>, _: Entry, mut rng: Rng) {
    let limit = Duration::from_micros(rng.u64(..2000));
    match rng.u32(..3) {
        0 => {
            if R::timeout(limit, future::pending::<()>()).await.is_some() {
                fault::broken("a timeout let through what never came", "");
            }
        }
        1 => {
            let came = R::timeout(Duration::from_secs(3600), R::sleep(limit)).await;
            if came.is_none() {
                fault::broken("a timeout of an hour came at once", "");
            }
        }
        _ => {
            let bell = Bell::new();
            let ring = Arc::clone(&bell);
            world.ask(Order::new::<R>(limit, move || ring.ring()));
            R::timeout(limit, bell.rung()).await;
        }
    }
}

/// Receives from a child what it sends, through a channel with hardly any room.
async fn channel<R: Runtime>(world: Arc<World<R>>, entry: Entry, mut rng: Rng) {
    let (mut sender, mut receiver) = mpsc::channel::<u64>(rng.usize(..3));
    let messages = rng.u64(1..16);
    let child = part(&world, entry, Kind::Sender, 0, async move {
        for message in 0..messages {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    });
    let gives_up = rng.u32(..10) == 0;
    let mut received = 0;
    while let Some(message) = receiver.next().await {
        if message != received {
            fault::broken("a message came out of turn", &format!("{message}"));
        }
        received += 1;
        if gives_up {
            return;
        }
    }
    if received != messages {
        fault::broken("messages lost", &format!("{received} of {messages}"));
    }
    child.join().await;
}

async fn parent<R: Runtime>(world: Arc<World<R>>, entry: Entry, depth: u32, mut rng: Rng) {
    let mut handles = Vec::new();
    for number in 0..rng.u64(1..5) {
        handles.push(spawn(&world, split(entry.seed, 100 + number), depth - 1));
    }
    for (number, (handle, fate, _)) in handles.into_iter().enumerate() {
        meet(&world, entry, number as u64, handle, fate).await;
    }
}

async fn blocking<R: Runtime>(world: Arc<World<R>>, parent: Entry, mut rng: Rng) {
    let time = Duration::from_micros(rng.u64(..1000));
    let panics = rng.u32(..20) == 0;
    let entry = Entry {
        kind: Kind::Job,
        seed: split(parent.seed, 0),
        marked: false,
    };
    let job = watched::spawn_blocking(&world.runtime, entry, move || {
        R::block(time);
        if panics {
            fault::planned();
        }
    });
    match rng.u32(..10) {
        0 => job.cancel().await,
        1 => drop(job),
        _ => {
            job.join().await;
        }
    }
}
