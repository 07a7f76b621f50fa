//! A mixed workload of units whose fate is told one by one: tasks, timers, sockets and blocking jobs, each of a kind that
//! can be done whenever the runtime has a thread at all. The main thread only watches: it needs nothing of the runtime,
//! starts no thread, and gives up by the clock, so a unit that is lost is counted and not waited for.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::{SinkExt, StreamExt};

use crate::child::Ended;
use crate::runtimes::{Outcome, Runtime};
use crate::tools::cpu_and_sleeps;

/// What a unit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Right,
    /// The system's error came through: allowed where one was injected.
    Error,
    /// Not what had to come: other bytes, a sleep that ended early.
    Wrong,
}

/// The fates of all units of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// The runtime started.
    pub(crate) started: bool,
    pub(crate) right: usize,
    pub(crate) errors: usize,
    pub(crate) wrong: usize,
    /// The handle tells that the unit was cancelled or panicked.
    pub(crate) refused: usize,
    /// Not ended in time and no word of it.
    pub(crate) lost: usize,
    /// Calls of the runtime that panicked in the caller: starting it, spawning a job.
    pub(crate) panics: usize,
    /// CPU time while there is nothing to do afterwards, in per cent of a CPU.
    pub(crate) resting: f64,
}

impl Tally {
    pub(crate) fn figures(&self) -> Vec<f64> {
        let counts = [
            usize::from(self.started),
            self.right,
            self.errors,
            self.wrong,
            self.refused,
            self.lost,
            self.panics,
        ];
        let mut figures = counts.map(|count| count as f64).to_vec();
        figures.push(self.resting);
        figures
    }

    fn read(figures: &[f64]) -> Option<Tally> {
        let [
            started,
            right,
            errors,
            wrong,
            refused,
            lost,
            panics,
            resting,
        ] = *figures
        else {
            return None;
        };
        Some(Tally {
            started: started > 0.0,
            right: right as usize,
            errors: errors as usize,
            wrong: wrong as usize,
            refused: refused as usize,
            lost: lost as usize,
            panics: panics as usize,
            resting,
        })
    }
}

/// How a process with this workload went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Ended(Tally),
    /// It had to be killed.
    Hung,
    /// It was aborted, or its main thread panicked.
    Crashed,
}

impl Fate {
    /// What a process left; says on standard error what was not as it should be.
    pub(crate) fn of(ended: &Ended, case: &str) -> Fate {
        let fate = match Tally::read(&ended.figures) {
            _ if ended.hung() => Fate::Hung,
            Some(tally) => Fate::Ended(tally),
            None => Fate::Crashed,
        };
        let last = ended.errors.lines().rev().take(3).collect::<Vec<_>>();
        match fate {
            Fate::Ended(tally) if tally.lost + tally.wrong + tally.panics > 0 => {
                eprintln!("{case}: {tally:?} {last:?}");
            }
            Fate::Ended(tally) if std::env::var_os("RELIABILITY_VERBOSE").is_some() => {
                eprintln!("{case}: {tally:?} {last:?}");
            }
            Fate::Ended(_) => {}
            Fate::Hung | Fate::Crashed => eprintln!("{case}: {fate:?} {last:?}"),
        }
        fate
    }
}

/// The sums over many processes.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) cases: usize,
    /// Processes that were killed, or had lost units.
    pub(crate) hangs: usize,
    pub(crate) crashes: usize,
    pub(crate) lost: usize,
    pub(crate) wrong: usize,
    pub(crate) panics: usize,
    /// Units that failed though what was injected is no failure.
    pub(crate) disturbed: usize,
    /// The highest [`Tally::resting`].
    pub(crate) resting: f64,
}

impl Sums {
    /// `harmless`: every unit has to succeed all the same.
    pub(crate) fn add(&mut self, fate: Fate, harmless: bool) {
        self.cases += 1;
        match fate {
            Fate::Hung => self.hangs += 1,
            Fate::Crashed => self.crashes += 1,
            Fate::Ended(tally) => {
                self.hangs += usize::from(tally.lost > 0);
                self.lost += tally.lost;
                self.wrong += tally.wrong;
                self.panics += tally.panics;
                self.resting = self.resting.max(tally.resting);
                if harmless {
                    self.disturbed += tally.errors + tally.refused;
                    self.disturbed += usize::from(!tally.started);
                }
            }
        }
    }
}

/// How much of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Tasks that exchange 20 messages in pairs.
    pub(crate) pairs: usize,
    /// Sleeps of 1 to 50 ms, as many timeouts.
    pub(crate) timers: usize,
    /// Tasks whose one poll blocks its thread for 20 ms.
    pub(crate) blockers: usize,
    /// Jobs of `spawn_blocking`; each waits for the one before.
    pub(crate) jobs: usize,
    /// Connections, with ten echoed messages each.
    pub(crate) echoes: usize,
    /// The whole is done so often, one after the other.
    pub(crate) waves: usize,
}

/// All on one runtime of two workers. Units that are not done `limit` after the last was spawned are lost.
pub(crate) fn run<R: Runtime>(size: Size, limit: Duration) -> Tally {
    let mut tally = Tally::default();
    let Some(started) = calling(&mut tally, || R::start(2, 16)) else {
        return tally;
    };
    let Ok(runtime) = started else {
        return tally;
    };
    tally.started = true;
    for wave in 0..size.waves {
        if wave > 0 {
            // Everything falls asleep.
            thread::sleep(Duration::from_millis(50));
        }
        let mut units = spawn(&runtime, size, &mut tally);
        watch::<R>(&mut units, limit, &mut tally);
        if tally.lost > 0 {
            break;
        }
    }
    tally.resting = resting();
    calling(&mut tally, || runtime.stop(Duration::from_secs(2)));
    tally
}

/// See [`Tally::resting`]. A thread that goes round and round takes all of a CPU, and behind strace a good part of one.
fn resting() -> f64 {
    const TIME: Duration = Duration::from_millis(250);
    // Until all have fallen asleep.
    thread::sleep(Duration::from_millis(50));
    let (before, _) = cpu_and_sleeps();
    let begin = Instant::now();
    thread::sleep(TIME);
    let (after, _) = cpu_and_sleeps();
    (after - before) / begin.elapsed().as_secs_f64() * 100.0
}

/// `None`: it panicked.
fn calling<T>(tally: &mut Tally, call: impl FnOnce() -> T) -> Option<T> {
    let called = catch_unwind(AssertUnwindSafe(call));
    tally.panics += usize::from(called.is_err());
    called.ok()
}

type Units<R> = Vec<<R as Runtime>::Task<Found>>;

/// Polls the handles until all have ended.
pub(crate) fn watch<R: Runtime>(units: &mut Units<R>, limit: Duration, tally: &mut Tally) {
    let until = Instant::now() + limit;
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        units.retain_mut(|unit| {
            let Poll::Ready(outcome) = Pin::new(unit).poll(&mut cx) else {
                return true;
            };
            match outcome {
                Outcome::Finished(Found::Right) => tally.right += 1,
                Outcome::Finished(Found::Error) => tally.errors += 1,
                Outcome::Finished(Found::Wrong) => tally.wrong += 1,
                Outcome::Cancelled | Outcome::Panicked => tally.refused += 1,
            }
            false
        });
        if units.is_empty() {
            return;
        }
        if Instant::now() >= until {
            tally.lost += units.len();
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn spawn<R: Runtime>(runtime: &R, size: Size, tally: &mut Tally) -> Units<R> {
    let mut units = Vec::new();
    for _ in 0..size.blockers {
        units.push(runtime.spawn(async {
            thread::sleep(Duration::from_millis(20));
            Found::Right
        }));
    }
    // The sender goes with its job, however that ends.
    let mut before = None::<mpsc::Receiver<()>>;
    for _ in 0..size.jobs {
        let (done, ended) = mpsc::channel();
        let waits_for = before.replace(ended);
        let job = move || {
            let _done = done;
            if let Some(waits_for) = waits_for {
                let _ = waits_for.recv();
            }
            Found::Right
        };
        units.extend(calling(tally, || runtime.spawn_blocking(job)));
    }
    for number in 0..size.timers {
        let time = Duration::from_millis(1 + number as u64 * 7 % 50);
        units.push(runtime.spawn(sleeping::<R>(time)));
        units.push(runtime.spawn(timing_out::<R>(time)));
    }
    for _ in 0..size.pairs {
        spawn_pair(runtime, &mut units);
    }
    if size.echoes > 0 {
        let echoes = size.echoes;
        let own = runtime.clone();
        units.push(runtime.spawn(echoing(own, echoes)));
    }
    units
}

async fn sleeping<R: Runtime>(time: Duration) -> Found {
    let begin = Instant::now();
    R::sleep(time).await;
    match begin.elapsed() >= time {
        true => Found::Right,
        false => Found::Wrong,
    }
}

async fn timing_out<R: Runtime>(time: Duration) -> Found {
    let begin = Instant::now();
    let late = R::timeout(time, pending::<()>()).await;
    let early = R::timeout(Duration::from_secs(3600), R::yield_now()).await;
    match (late, early) {
        (None, Some(())) if begin.elapsed() >= time => Found::Right,
        _ => Found::Wrong,
    }
}

fn spawn_pair<R: Runtime>(runtime: &R, units: &mut Units<R>) {
    let (mut to_other, mut other) = futures::channel::mpsc::channel::<u32>(0);
    let (mut to_one, mut one) = futures::channel::mpsc::channel::<u32>(0);
    units.push(runtime.spawn(async move {
        for number in 0..20 {
            if to_other.send(number).await.is_err() || one.next().await != Some(number) {
                return Found::Wrong;
            }
        }
        Found::Right
    }));
    units.push(runtime.spawn(async move {
        while let Some(number) = other.next().await {
            if to_one.send(number).await.is_err() {
                return Found::Wrong;
            }
        }
        Found::Right
    }));
}

/// A server, and clients that are units in this one: the worst of what they found.
async fn echoing<R: Runtime>(runtime: R, echoes: usize) -> Found {
    let Ok((listener, addr)) = R::listen().await else {
        return Found::Error;
    };
    let listener = Arc::new(listener);
    let server = runtime.spawn(serve(runtime.clone(), Arc::clone(&listener)));
    let clients: Vec<_> = (0..echoes)
        .map(|number| runtime.spawn(client::<R>(addr, number as u8)))
        .collect();
    let mut worst = Found::Right;
    for client in clients {
        match client.await {
            Outcome::Finished(Found::Right) => {}
            Outcome::Finished(Found::Wrong) => worst = Found::Wrong,
            _ if worst == Found::Right => worst = Found::Error,
            _ => {}
        }
    }
    crate::runtimes::Task::cancel(server).await;
    worst
}

/// Accepts until it is cancelled; after an error it waits a moment, as servers do.
async fn serve<R: Runtime>(runtime: R, listener: Arc<R::Listener>) {
    loop {
        match R::accept(&listener).await {
            Ok(mut stream) => drop(runtime.spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(()) = stream.read_exact(&mut buffer).await {
                    if stream.write_all(&buffer).await.is_err() {
                        break;
                    }
                }
            })),
            Err(_) => R::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn client<R: Runtime>(addr: SocketAddr, number: u8) -> Found {
    let Ok(mut stream) = R::connect(addr).await else {
        return Found::Error;
    };
    for round in 0..10 {
        let message = [number.wrapping_mul(31).wrapping_add(round); 64];
        let mut answer = [0; 64];
        if stream.write_all(&message).await.is_err()
            || stream.read_exact(&mut answer).await.is_err()
        {
            return Found::Error;
        }
        if answer != message {
            return Found::Wrong;
        }
    }
    Found::Right
}
