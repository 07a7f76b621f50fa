//! A third task beside others that keep every worker busy: how many polls of theirs, and how long, before it runs.

use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

use crate::child::Child;
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::Runtime;

const fn polls(name: &'static str, at_most: Option<f64>) -> Figure {
    Figure {
        name,
        unit: "polls",
        at_most,
    }
}

const fn wait(name: &'static str) -> Figure {
    Figure {
        name,
        unit: "ms",
        at_most: Some(100.0),
    }
}

/// With one worker the scheduler alone decides, with two the system may hold one of them up.
pub(super) const ROW: Row = Row {
    name: "starvation",
    what: "a task spawned from outside, spawned by a busy task or woken by one, 150 times each, beside tasks that never pause: polls of the others before it runs, in 99 of 100 cases (the system itself may hold a worker up), and the longest wait",
    figures: &[
        polls("1 worker, a pair that wake each other", Some(128.0)),
        polls("1 worker, a task that wakes itself", Some(128.0)),
        polls("1 worker, 200 tasks that yield", Some(1500.0)),
        wait("1 worker, the longest"),
        polls("2 workers, 2 pairs that wake each other", None),
        polls("2 workers, 2 tasks that wake themselves", None),
        polls("2 workers, 400 tasks that yield", None),
        wait("2 workers, the longest"),
    ],
    scenario: scenario!(run),
    measure,
};

const TIMES: usize = 150;
/// Not run by then counts as never.
const PATIENCE: Duration = Duration::from_secs(3);
const STORM: usize = 200;

fn measure(child: &Child) -> Vec<f64> {
    let mut figures = Vec::new();
    for workers in ["1", "2"] {
        let ended = child.run(&[], &[workers], Duration::from_secs(60));
        match ended.succeeded() {
            true => figures.extend(ended.figures),
            false => figures.extend([NEVER; 4]),
        }
    }
    figures
}

#[derive(Clone, Copy)]
enum Busy {
    Pairs,
    WakeThemselves,
    Yield,
}

/// How the third task comes.
#[derive(Clone, Copy)]
enum Comes {
    FromOutside,
    SpawnedInside,
    WokenInside,
}

/// The polls of the busy ones, and the time, when the third task was made ready.
#[derive(Clone, Copy)]
struct Ready(u64, Instant);

struct Crowd<R> {
    runtime: R,
    polls: AtomicU64,
    stop: AtomicBool,
    /// What the next poll of a busy task is to do: nothing, spawn, wake.
    asked: AtomicUsize,
    bell: AtomicWaker,
    rung: AtomicBool,
    ready_at: std::sync::Mutex<Option<Ready>>,
    results: std::sync::Mutex<Sender<Ready>>,
}

const SPAWN: usize = 1;
const WAKE: usize = 2;

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let workers: usize = args[0].parse().expect("a number of workers");
    let (mut figures, mut longest) = (Vec::new(), 0.0);
    for busy in [Busy::Pairs, Busy::WakeThemselves, Busy::Yield] {
        let (polls, time) = worst::<R>(workers, busy);
        figures.push(polls);
        longest = f64::max(longest, time);
    }
    figures.push(longest);
    figures
}

fn worst<R: Runtime>(workers: usize, busy: Busy) -> (f64, f64) {
    let runtime = R::start(workers, 1).expect("threads and descriptors");
    let (results, come) = mpsc::channel();
    let crowd = Arc::new(Crowd {
        runtime: runtime.clone(),
        polls: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
        bell: AtomicWaker::new(),
        rung: AtomicBool::new(false),
        ready_at: std::sync::Mutex::new(None),
        results: std::sync::Mutex::new(results),
    });
    crowd.start(workers, busy);
    while crowd.polls.load(Ordering::SeqCst) < 1000 {
        thread::yield_now();
    }
    let (mut polls, mut longest) = (Vec::new(), 0.0);
    for time in 0..3 * TIMES {
        let comes = [Comes::FromOutside, Comes::SpawnedInside, Comes::WokenInside];
        crowd.bring(comes[time % 3]);
        let Some((waited, time)) = crowd.third_waited(&come) else {
            polls = vec![u64::MAX];
            longest = NEVER;
            break;
        };
        polls.push(waited);
        longest = f64::max(longest, time.as_secs_f64() * 1000.0);
    }
    crowd.stop.store(true, Ordering::SeqCst);
    runtime.stop(Duration::from_secs(5));
    polls.sort_unstable();
    let most = match polls[(polls.len() - 1) * 99 / 100] {
        u64::MAX => NEVER,
        most => most as f64,
    };
    (most, longest)
}

impl<R: Runtime> Crowd<R> {
    fn start(self: &Arc<Self>, workers: usize, busy: Busy) {
        for _ in 0..workers {
            match busy {
                Busy::Pairs => self.start_pair(),
                Busy::WakeThemselves => {
                    let crowd = Arc::clone(self);
                    drop(self.runtime.spawn(future::poll_fn(move |cx| {
                        cx.waker().wake_by_ref();
                        match crowd.goes_on() {
                            true => Poll::Pending,
                            false => Poll::Ready(()),
                        }
                    })));
                }
                Busy::Yield => {
                    for _ in 0..STORM {
                        let crowd = Arc::clone(self);
                        drop(self.runtime.spawn(async move {
                            while crowd.goes_on() {
                                R::yield_now().await;
                            }
                        }));
                    }
                }
            }
        }
    }

    fn start_pair(self: &Arc<Self>) {
        let wakers: Arc<[AtomicWaker; 2]> = Arc::default();
        let turn = Arc::new(AtomicUsize::new(0));
        for own in 0..2 {
            let (crowd, wakers, turn) = (Arc::clone(self), Arc::clone(&wakers), Arc::clone(&turn));
            drop(self.runtime.spawn(future::poll_fn(move |cx| {
                wakers[own].register(cx.waker());
                if turn.load(Ordering::SeqCst) % 2 != own {
                    return Poll::Pending;
                }
                let goes_on = crowd.goes_on();
                turn.fetch_add(1, Ordering::SeqCst);
                wakers[1 - own].wake();
                match goes_on {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                }
            })));
        }
    }

    /// One poll of a busy task. False: it is to be the last.
    fn goes_on(self: &Arc<Self>) -> bool {
        self.polls.fetch_add(1, Ordering::SeqCst);
        if self.asked.load(Ordering::SeqCst) != 0 {
            match self.asked.swap(0, Ordering::SeqCst) {
                SPAWN => self.spawn_third(),
                WAKE => {
                    self.is_ready();
                    self.rung.store(true, Ordering::SeqCst);
                    self.bell.wake();
                }
                _ => {}
            }
        }
        !self.stop.load(Ordering::SeqCst)
    }

    fn is_ready(&self) {
        *lock(&self.ready_at) = Some(self.now());
    }

    fn now(&self) -> Ready {
        Ready(self.polls.load(Ordering::SeqCst), Instant::now())
    }

    fn spawn_third(self: &Arc<Self>) {
        self.is_ready();
        let crowd = Arc::clone(self);
        drop(self.runtime.spawn(async move { crowd.third_runs() }));
    }

    fn third_runs(&self) {
        let _ = lock(&self.results).send(self.now());
    }

    /// How long it waited. `None`: it has not run.
    fn third_waited(&self, come: &Receiver<Ready>) -> Option<(u64, Duration)> {
        let Ready(polls, ran) = come.recv_timeout(PATIENCE).ok()?;
        let Ready(before, since) = lock(&self.ready_at).take()?;
        Some((
            polls.saturating_sub(before),
            ran.saturating_duration_since(since),
        ))
    }

    fn bring(self: &Arc<Self>, comes: Comes) {
        match comes {
            Comes::FromOutside => {
                self.spawn_third();
                // From here on it is queued: this thread may have been held up before.
                self.is_ready();
            }
            Comes::SpawnedInside => self.asked.store(SPAWN, Ordering::SeqCst),
            Comes::WokenInside => {
                self.rung.store(false, Ordering::SeqCst);
                let waits = Arc::new(AtomicBool::new(false));
                drop(self.runtime.spawn(Third {
                    crowd: Arc::clone(self),
                    waits: Arc::clone(&waits),
                }));
                let until = Instant::now() + PATIENCE;
                while !waits.load(Ordering::SeqCst) && Instant::now() < until {
                    thread::yield_now();
                }
                self.asked.store(WAKE, Ordering::SeqCst);
            }
        }
    }
}

/// Waits for the bell.
struct Third<R> {
    crowd: Arc<Crowd<R>>,
    waits: Arc<AtomicBool>,
}

impl<R: Runtime> Future for Third<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.crowd.bell.register(cx.waker());
        if self.crowd.rung.load(Ordering::SeqCst) {
            self.crowd.third_runs();
            return Poll::Ready(());
        }
        self.waits.store(true, Ordering::SeqCst);
        Poll::Pending
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics here")
}
