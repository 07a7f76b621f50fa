//! The hot paths, one at a time, for `ci/instructions.sh` to count what they execute: on one worker, and from outside beside
//! many that are idle.
//!
//! `instructions PATH N` goes through a path `N` times; without `N` as often as the script begins with, and without
//! arguments the program lists the paths and these numbers. No time is measured here: what a path costs is what the
//! threads that count ([`this_thread_counts`]) execute more for a larger `N`.
//!
//! *On one worker.* Everything happens there: a path is a task and wakes nobody outside until its end. So the counts depend
//! on neither threads nor the clock, and what other crates add (channels, streams) is kept out by cells of its own.
//!
//! *`PATH@P`: beside P processors, all of them idle.* A thread outside does something that one worker is woken for, and does
//! it again when that worker has parked and the runtime is quiet. So who is awake when is the same each time:
//!
//! | path | counted are | what they execute |
//! |---|---|---|
//! | `remote_spawn@P` | the thread outside, and the worker that it wakes | spawning a task, waking the worker; there: waking up, finding the task, polling it to its end, looking everywhere for more, parking |
//! | `wake@P` | the same | the same of a task that waits, woken by its waker |
//! | `park@P` | the worker with the driver | its wait ends by an event, it takes a processor, polls the task that receives a byte, looks everywhere for more, and waits again |
//!
//! `wake@64half` is `wake@64` while 32 processors are held by polls that block: a search that finds nothing looks at
//! each of them.
//!
//! Not in here, for it is not the same twice: `spawn_blocking`, whose counts depend on who is awake when.

use std::future::Future;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Poll, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use executor::net::unix::{UnixDatagram, UnixStream};
use executor::task::{JoinSet, unconstrained, yield_now};
use executor::time::{sleep, sleep_until, timeout};
use executor::{JoinHandle, Runtime, spawn};
use futures::future::poll_fn;
use futures::{AsyncReadExt, AsyncWriteExt};

/// Each path, and how often it is gone through before anything is counted: until queues and slabs have grown, and enough
/// for what happens once, a few thousand instructions, to be lost in ten times as many.
const PATHS: &[(&str, usize)] = &[
    ("spawn_join", 2_000),
    ("spawn_await", 2_000),
    ("spawn_set", 2_000),
    ("detached", 2_000),
    ("chained", 2_000),
    ("wake_slot", 5_000),
    ("wake_queue", 5_000),
    ("yield", 5_000),
    ("timeout_ready", 50_000),
    ("timeout_pending", 2_000),
    ("arm_cancel", 5_000),
    ("arm_fire", 2_500),
    ("read_write", 2_000),
    ("remote_spawn@2", QUIET),
    ("remote_spawn@16", QUIET),
    ("remote_spawn@64", QUIET),
    ("remote_spawn@256", QUIET),
    ("wake@2", QUIET),
    ("wake@16", QUIET),
    ("wake@64", QUIET),
    ("wake@256", QUIET),
    ("wake@64half", QUIET),
    ("park@2", QUIET),
    ("park@16", QUIET),
    ("park@64", QUIET),
    ("park@256", QUIET),
];

/// Each takes a millisecond, in which all come to rest.
const QUIET: usize = 100;

/// Tasks that exist at the same time, in the paths that need several.
const BATCH: usize = 100;

/// What a spawned task carries: 64 bytes, so that a copy too many shows.
type Load = [u64; 8];

fn main() -> ExitCode {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let known = |name: &str| PATHS.iter().find(|path| path.0 == name);
    let (path, times) = match args[..] {
        [] => {
            PATHS
                .iter()
                .for_each(|(path, times)| println!("{path} {times}"));
            return ExitCode::SUCCESS;
        }
        [path] => (path, known(path).map(|path| path.1)),
        [path, times] => (path, times.parse().ok().filter(|_| known(path).is_some())),
        _ => ("", None),
    };
    let Some(times) = times else {
        eprintln!("usage: instructions [PATH [N]]; without arguments it lists the paths");
        return ExitCode::from(2);
    };
    go(path, times);
    ExitCode::SUCCESS
}

fn go(path: &str, times: usize) {
    if let Some((path, processors)) = path.split_once('@') {
        return go_beside(path, processors, times);
    }
    let runtime = executor::Builder::new()
        .worker_threads(1)
        .build()
        .expect("threads");
    match path {
        "spawn_join" => on_worker(&runtime, spawn_join(times)),
        "spawn_set" => on_worker(&runtime, spawn_set(times)),
        "spawn_await" => on_worker(&runtime, spawn_await(times)),
        "detached" => on_worker(&runtime, detached(times)),
        "chained" => on_worker(&runtime, chained(times)),
        "wake_slot" => on_worker(&runtime, wake_slot(times)),
        "wake_queue" => on_worker(&runtime, wake_queue(times)),
        "yield" => on_worker(&runtime, yields(times)),
        "timeout_ready" => on_worker(&runtime, timeout_ready(times)),
        "timeout_pending" => on_worker(&runtime, timeout_pending(times)),
        "arm_cancel" => on_worker(&runtime, arm_cancel(times)),
        "arm_fire" => on_worker(&runtime, arm_fire(times)),
        "read_write" => on_worker(&runtime, read_write(times)),
        _ => unreachable!("main has checked the name"),
    }
}

fn on_worker(runtime: &Runtime, path: impl Future<Output = ()> + Send + 'static) {
    let main = runtime.spawn(async {
        this_thread_counts();
        path.await;
    });
    runtime.block_on(main).expect("the path ends");
}

/// The script knows by this name of which threads it is to count what they execute.
#[inline(never)]
fn this_thread_counts() {
    black_box(());
}

/// From outside, beside so many processors.
fn go_beside(path: &str, processors: &str, times: usize) {
    let (processors, held) = match processors.strip_suffix("half") {
        Some(all) => (number(all), number(all) / 2),
        None => (number(processors), 0),
    };
    let runtime = executor::Builder::new()
        .worker_threads(processors)
        .build()
        .expect("threads");
    let quiet = Quiet::of(&runtime, processors);
    let end = Arc::new(AtomicBool::new(false));
    let held: Vec<_> = (0..held).map(|_| quiet.hold(&runtime, &end)).collect();
    match path {
        "remote_spawn" => remote_spawn(&runtime, &quiet, times),
        "wake" => remote_wake(&runtime, &quiet, times),
        "park" => park(&runtime, &quiet, times),
        _ => unreachable!("main has checked the name"),
    }
    end.store(true, Ordering::Relaxed);
    held.iter().for_each(Thread::unpark);
    quiet.end();
}

fn number(digits: &str) -> usize {
    digits.parse().expect("the paths have numbers")
}

fn remote_spawn(runtime: &Runtime, quiet: &Quiet, times: usize) {
    this_thread_counts();
    for number in 0..times {
        let load: Load = black_box([number as u64; 8]);
        drop(runtime.spawn(async move {
            this_thread_counts();
            black_box(load)[0]
        }));
        quiet.wait();
    }
}

fn remote_wake(runtime: &Runtime, quiet: &Quiet, times: usize) {
    this_thread_counts();
    let flag = Flag::leak();
    drop(runtime.spawn(async move {
        loop {
            this_thread_counts();
            flag.raised().await;
        }
    }));
    quiet.wait();
    for _ in 0..times {
        flag.raise();
        quiet.wait();
    }
}

fn park(runtime: &Runtime, quiet: &Quiet, times: usize) {
    // Not streams: what they read with is inlined into `read_write` only if nobody else calls it.
    let (here, there) = std::os::unix::net::UnixDatagram::pair().expect("sockets");
    let there = UnixDatagram::try_from(there).expect("a socket");
    drop(runtime.spawn(async move {
        let mut byte = [0];
        // The worker that polls it first is another one than those that the network wakes.
        while there.recv(&mut byte).await.is_ok() {
            this_thread_counts();
        }
    }));
    quiet.wait();
    for _ in 0..times {
        here.send(&[7]).expect("room for a byte");
        quiet.wait();
    }
}

/// Knows when a runtime has come to rest again. A thread of its own looks, so that what it executes does not count.
struct Quiet {
    looker: std::thread::JoinHandle<()>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Who waits, if the looker is to look.
    waiting: Mutex<Option<Thread>>,
    is_quiet: AtomicBool,
    is_over: AtomicBool,
}

impl Quiet {
    /// Waits until all of its workers have parked.
    fn of(runtime: &Runtime, processors: usize) -> Quiet {
        let state = Arc::new(State::default());
        let looker = {
            let (handle, state) = (runtime.handle().clone(), state.clone());
            std::thread::spawn(move || state.look(&handle, processors))
        };
        let quiet = Quiet { looker, state };
        quiet.wait();
        quiet
    }

    /// Until a worker has parked since the last time, and nothing has gone on since.
    fn wait(&self) {
        *self.state.waiting.lock().expect("no panic") = Some(std::thread::current());
        self.looker.thread().unpark();
        while !self.state.is_quiet.swap(false, Ordering::AcqRel) {
            std::thread::park();
        }
    }

    /// Has a poll hold a processor until `end`, in the kernel; its thread.
    fn hold(&self, runtime: &Runtime, end: &Arc<AtomicBool>) -> Thread {
        let thread = Arc::new(OnceLock::new());
        let (holder, end) = (thread.clone(), end.clone());
        drop(runtime.spawn(async move {
            let _ = holder.set(std::thread::current());
            while !end.load(Ordering::Relaxed) {
                std::thread::park();
            }
        }));
        while thread.get().is_none() {
            std::thread::sleep(State::LOOK);
        }
        thread.get().expect("it was seen").clone()
    }

    fn end(self) {
        self.state.is_over.store(true, Ordering::Release);
        self.looker.thread().unpark();
        self.looker.join().expect("no panic");
    }
}

impl State {
    const LOOK: Duration = Duration::from_micros(300);

    fn look(&self, handle: &executor::Handle, processors: usize) {
        let figures = || {
            let metrics = handle.metrics();
            let workers = 0..metrics.num_workers();
            let parks: u64 = workers
                .clone()
                .map(|at| metrics.worker_park_count(at))
                .sum();
            let polls: u64 = workers.map(|at| metrics.worker_poll_count(at)).sum();
            (parks, polls)
        };
        let mut parked = processors as u64 - 1;
        while !self.is_over.load(Ordering::Acquire) {
            let Some(waiting) = self.waiting.lock().expect("no panic").take() else {
                std::thread::park();
                continue;
            };
            let mut last = (0, 0);
            loop {
                std::thread::sleep(State::LOOK);
                let now = figures();
                if now.0 > parked && now == last {
                    parked = now.0;
                    break;
                }
                last = now;
            }
            self.is_quiet.store(true, Ordering::Release);
            waiting.unpark();
        }
    }
}

fn one(number: usize) -> impl Future<Output = u64> + Send + 'static {
    let load: Load = black_box([number as u64; 8]);
    async move { black_box(load)[0] }
}

fn spawn_one(number: usize) -> JoinHandle<u64> {
    spawn(one(number))
}

/// One task spawns a batch and joins it in order, so that it is woken by each.
async fn spawn_join(times: usize) {
    let mut tasks = Vec::with_capacity(BATCH);
    for _ in 0..times / BATCH {
        tasks.extend((0..BATCH).map(spawn_one));
        for task in tasks.drain(..) {
            task.await.expect("no panic");
        }
    }
}

/// As [`spawn_join`], by a set.
async fn spawn_set(times: usize) {
    let mut set = JoinSet::new();
    for _ in 0..times / BATCH {
        for number in 0..BATCH {
            set.spawn(one(number));
        }
        while let Some(result) = set.join_next().await {
            result.expect("no panic");
        }
    }
}

/// One task spawns another and awaits it at once.
async fn spawn_await(times: usize) {
    for number in 0..times {
        spawn_one(number).await.expect("no panic");
    }
}

/// One task spawns a batch without handles and lets it run.
async fn detached(times: usize) {
    for _ in 0..times / BATCH {
        (0..BATCH).for_each(|number| drop(spawn_one(number)));
        yield_now().await;
    }
}

/// Each task spawns the next one and ends.
async fn chained(times: usize) {
    fn link(left: usize, load: Load, end: &'static Flag) {
        drop(spawn(async move {
            match left {
                0 => end.raise(),
                _ => link(left - 1, black_box(load), end),
            }
        }));
    }
    let end = Flag::leak();
    link(times, [7; 8], end);
    end.raised().await;
}

/// Two tasks wake each other by turns: each wake goes through the next slot.
async fn wake_slot(times: usize) {
    let (ping, pong) = (Flag::leak(), Flag::leak());
    let partner = spawn(async move {
        for _ in 0..times / 2 {
            ping.raised().await;
            pong.raise();
        }
    });
    for _ in 0..times / 2 {
        ping.raise();
        pong.raised().await;
    }
    partner.await.expect("no panic");
}

/// One task wakes a batch of others: each wake pushes the one before out of the next slot into the queue.
async fn wake_queue(times: usize) {
    let rounds = times / BATCH;
    let waiter = |flag: &'static Flag| {
        spawn(async move {
            for _ in 0..rounds {
                flag.raised().await;
            }
        })
    };
    let flags: Vec<_> = (0..BATCH).map(|_| Flag::leak()).collect();
    let tasks: Vec<_> = flags.iter().copied().map(waiter).collect();
    for _ in 0..rounds {
        flags.iter().for_each(|flag| flag.raise());
        yield_now().await;
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

async fn timeout_ready(times: usize) {
    for number in 0..times {
        let ready = timeout(black_box(SECOND), async move { black_box(number) });
        assert_eq!(ready.await, Ok(number));
    }
}

/// A timeout around a future that is ready at its second poll.
async fn timeout_pending(times: usize) {
    for _ in 0..times {
        assert!(timeout(black_box(SECOND), yield_now()).await.is_ok());
    }
}

/// Arms a timer with a single poll and drops it.
async fn arm_cancel(times: usize) {
    for _ in 0..times {
        let mut sleep = std::pin::pin!(sleep(black_box(SECOND)));
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
}

/// A batch of tasks sleeps until the same deadline, again and again. The first to wake sets the next one.
async fn arm_fire(times: usize) {
    /// Long enough for all to arm before it, also under valgrind and on a busy machine.
    const ROUND: Duration = Duration::from_millis(50);
    /// Many, for what is between two rounds (looking for work, waiting in the poller) differs a little each time.
    const SLEEPERS: usize = 500;
    let sleeper = |deadlines: &'static Deadlines| {
        spawn(async move {
            for round in 0..times / SLEEPERS {
                sleep_until(deadlines.of(round, ROUND)).await;
            }
        })
    };
    let deadlines: &'static Deadlines = Box::leak(Box::default());
    let tasks: Vec<_> = (0..SLEEPERS).map(|_| sleeper(deadlines)).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// What tasks agree on that wait together in rounds.
#[derive(Default)]
struct Deadlines(Mutex<Option<(usize, Instant)>>);

impl Deadlines {
    fn of(&self, round: usize, time: Duration) -> Instant {
        match &mut *self.0.lock().expect("no panic") {
            Some((latest, deadline)) if *latest == round => *deadline,
            latest => latest.insert((round, Instant::now() + time)).1,
        }
    }
}

/// Writes a byte to a socket and reads it from the other end, where it is already. In one poll: system calls are slow
/// under valgrind, and the monitor would ask in between.
async fn read_write(times: usize) {
    let (mut here, mut there) = UnixStream::pair().expect("sockets");
    unconstrained(async {
        let mut byte = [0];
        for _ in 0..times {
            here.write_all(&[7]).await.expect("room for a byte");
            there.read_exact(&mut byte).await.expect("a byte");
        }
    })
    .await;
}

const SECOND: Duration = Duration::from_secs(1);

/// One task waits until another has raised it. For a single worker, and for one and the same task that waits.
#[derive(Default)]
struct Flag {
    /// Written and read by tasks of one thread.
    is_up: AtomicBool,
    waiting: OnceLock<Waker>,
}

impl Flag {
    /// For ever: no counts of references among what is counted.
    fn leak() -> &'static Flag {
        Box::leak(Box::default())
    }

    fn raise(&self) {
        self.is_up.store(true, Ordering::Relaxed);
        if let Some(waker) = self.waiting.get() {
            waker.wake_by_ref();
        }
    }

    /// Lowers it again.
    async fn raised(&self) {
        poll_fn(|cx| {
            if self.is_up.load(Ordering::Relaxed) {
                self.is_up.store(false, Ordering::Relaxed);
                return Poll::Ready(());
            }
            self.waiting.get_or_init(|| cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
