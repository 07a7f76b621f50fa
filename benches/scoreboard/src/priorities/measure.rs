//! One run of one side.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use futures::channel::oneshot;

use super::client::Client;
use crate::support::process::{cpu_seconds_of, cpu_time};
use crate::support::ticks::{TICKERS, quantile};
use crate::support::{Runtime, Scheduler, workloads};

const BATCH: usize = 100_000;
const WORK: Duration = Duration::from_micros(100);
const TICK: Duration = Duration::from_millis(1);
/// What ticks and answers have to themselves before the batch begins.
const CALM: Duration = Duration::from_millis(300);
/// Between two tasks of the batch that are awaited: a few hundred fit into a run.
const PAUSE: Duration = Duration::from_millis(10);

/// How a side runs the two kinds of work.
pub(super) trait Side: Sync + 'static {
    type Runtime: Runtime;

    /// A task that somebody waits for. What it spawns is of its kind.
    fn interactive<F: Future<Output = ()> + Send + 'static>(&self, future: F);
    /// A task of the batch.
    fn batch<F: Future<Output = ()> + Send + 'static>(&self, future: F);

    /// By a task that somebody waits for: spawns a task of the batch, which has nothing to do, and awaits it.
    fn await_one_of_batch(&'static self) -> impl Future<Output = ()> + Send {
        let (ended, end) = oneshot::channel();
        self.batch(async move { _ = ended.send(()) });
        async { _ = end.await }
    }
}

pub(super) fn alone<S: Side>(side: &S) -> Vec<f64> {
    let work = Work::calibrated();
    vec![batch(side, work)]
}

pub(super) fn beside<S: Side>(side: &'static S) -> Vec<f64> {
    let work = Work::calibrated();
    let ticks = Notes::start(TICKERS, side, tick::<S>);
    let client = Client::start(serve(side));
    thread::sleep(CALM);
    let cpus = || [cpu_time().as_secs_f64(), cpu_seconds_of(client.process())];
    let (since, begin, used) = (SystemTime::now(), Instant::now(), cpus());
    let awaiting = Notes::start(1, side, |noted| await_batch(side, noted));
    let took = batch(side, work);
    let (until, end, used_then) = (SystemTime::now(), Instant::now(), cpus());
    let trips = client.stop(since, until);
    let late = ticks.stop(begin, end);
    let awaited = awaiting.stop(begin, end);
    let mut figures = vec![took];
    for sorted in [&late, &trips] {
        figures.extend([0.5, 0.99, 0.999, 1.0].map(|part| quantile(sorted, part)));
    }
    figures.extend([0.5, 0.99, 1.0].map(|part| quantile(&awaited, part)));
    figures.extend([awaited, late, trips].map(|all| all.len() as f64));
    figures.extend([0, 1].map(|who| (used_then[who] - used[who]) / took));
    figures
}

/// Runs the batch; how long it takes, in seconds.
fn batch<S: Side>(side: &S, work: Work) -> f64 {
    let left = Arc::new(AtomicUsize::new(BATCH));
    let (ended, end) = mpsc::channel();
    let begin = Instant::now();
    for _ in 0..BATCH {
        let (left, ended) = (left.clone(), ended.clone());
        side.batch(async move {
            work.run();
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                ended.send(()).expect("somebody waits");
            }
        });
    }
    end.recv().expect("the batch ends");
    begin.elapsed().as_secs_f64()
}

/// So much computing, whoever else has the CPU meanwhile.
#[derive(Clone, Copy)]
struct Work(u64);

impl Work {
    /// As much as takes [`WORK`] on a CPU that has nothing else to do.
    fn calibrated() -> Work {
        const TRIAL: Work = Work(100_000);
        let time = |_| {
            let begin = Instant::now();
            TRIAL.run();
            begin.elapsed()
        };
        let fastest = (0..200).map(time).min().unwrap_or(WORK);
        Work((TRIAL.0 as f64 * WORK.as_secs_f64() / fastest.as_secs_f64()) as u64)
    }

    fn run(self) {
        let mut number = 1_u64;
        for _ in 0..self.0 {
            number = black_box(
                number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
    }
}

/// Starts the server; where it is.
fn serve<S: Side>(side: &S) -> SocketAddr {
    let (bound, addr) = mpsc::channel();
    side.interactive(async move {
        let (mut listener, addr) = S::Runtime::listen().await;
        bound.send(addr).expect("somebody waits");
        loop {
            let stream = S::Runtime::accept(&mut listener).await;
            <S::Runtime as Scheduler>::detach(workloads::serve::<S::Runtime>(stream));
        }
    });
    addr.recv().expect("a listener")
}

/// Tasks that note by themselves when something was due and for how long it was late, so that they share nothing
/// meanwhile.
struct Notes {
    stop: Arc<AtomicBool>,
    tasks: usize,
    notes: mpsc::Receiver<Vec<Note>>,
}

type Note = (Instant, Duration);

impl Notes {
    /// Starts so many.
    fn start<S: Side, F>(tasks: usize, side: &S, task: impl Fn(Arc<AtomicBool>) -> F) -> Notes
    where
        F: Future<Output = Vec<Note>> + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let (note, notes) = mpsc::channel();
        for _ in 0..tasks {
            let (task, note) = (task(stop.clone()), note.clone());
            side.interactive(async move { note.send(task.await).expect("somebody waits") });
        }
        Notes { stop, tasks, notes }
    }

    /// How late they were, in milliseconds and sorted, with what was due in this time.
    fn stop(self, begin: Instant, end: Instant) -> Vec<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let notes = (0..self.tasks).map(|_| self.notes.recv().expect("each task ends"));
        let due = notes.flatten().filter(|(at, _)| (begin..=end).contains(at));
        let mut late: Vec<f64> = due.map(|(_, late)| late.as_secs_f64() * 1e3).collect();
        late.sort_by(f64::total_cmp);
        late
    }
}

async fn tick<S: Side>(stop: Arc<AtomicBool>) -> Vec<Note> {
    let mut seen = Vec::with_capacity(1 << 15);
    while !stop.load(Ordering::Relaxed) {
        let deadline = Instant::now() + TICK;
        S::Runtime::sleep(TICK).await;
        seen.push((deadline, deadline.elapsed()));
    }
    seen
}

async fn await_batch<S: Side>(side: &'static S, stop: Arc<AtomicBool>) -> Vec<Note> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        S::Runtime::sleep(PAUSE).await;
        let begin = Instant::now();
        side.await_one_of_batch().await;
        seen.push((begin, begin.elapsed()));
    }
    seen
}
