//! Foreign code that panics, wherever a runtime calls it: is that contained, and do all workers go on?

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use crate::child::Child;
use crate::process;
use crate::rows::{Figure, Row, scenario};
use crate::runtimes::{Outcome, Runtime, Task};

pub(super) const ROW: Row = Row {
    name: "panics",
    what: "15 ways in which foreign code panics (poll, destructors, what was thrown, jobs, wakers; joined, detached, at the end), 20 times each, each way in a process of its own",
    figures: &[
        Figure {
            name: "ways that ended the process or hung",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "ways in which it came out elsewhere, or the handle told otherwise",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "ways that cost a worker",
            unit: "",
            at_most: Some(0.0),
        },
        // async-task, under this crate and smol, calls such a waker where a panic cannot be contained.
        Figure {
            name: "ended by a joiner's waker that panics",
            unit: "",
            at_most: None,
        },
    ],
    scenario: scenario!(run),
    measure,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Poll,
    PollDetached,
    PollAndDestructor,
    DestructorCancelled,
    DestructorFinished,
    OutputDetached,
    PayloadDetached,
    Job,
    JobDetached,
    JobPayloadDetached,
    WaitingAtTheEnd,
    NeverRunAtTheEnd,
    RunningAtTheEnd,
    TimerWaker,
    SocketWaker,
    JoinerWaker,
}

/// The last one is told apart.
const WAYS: [Way; 16] = [
    Way::Poll,
    Way::PollDetached,
    Way::PollAndDestructor,
    Way::DestructorCancelled,
    Way::DestructorFinished,
    Way::OutputDetached,
    Way::PayloadDetached,
    Way::Job,
    Way::JobDetached,
    Way::JobPayloadDetached,
    Way::WaitingAtTheEnd,
    Way::NeverRunAtTheEnd,
    Way::RunningAtTheEnd,
    Way::TimerWaker,
    Way::SocketWaker,
    Way::JoinerWaker,
];

const TIMES: usize = 20;
const WORKERS: usize = 2;

fn measure(child: &Child) -> Vec<f64> {
    let mut figures = vec![0.0; ROW.figures.len()];
    for (index, way) in WAYS.iter().enumerate() {
        let ended = child.run(&[], &[&index.to_string()], Duration::from_secs(15));
        if *way == Way::JoinerWaker {
            figures[3] = f64::from(u8::from(!ended.succeeded()));
            continue;
        }
        if !ended.succeeded() {
            eprintln!("  {}: {way:?} ended the process or hung", child.runtime);
            figures[0] += 1.0;
            continue;
        }
        for (place, what) in [(1, "told otherwise"), (2, "cost a worker")] {
            if ended.figures[place - 1] == 0.0 {
                eprintln!("  {}: {way:?} {what}", child.runtime);
                figures[place] += 1.0;
            }
        }
    }
    figures
}

/// Drops that throw, counted.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

struct Throws(Drops);

impl Drop for Throws {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        panic_any("a destructor");
    }
}

impl Drops {
    fn throws(&self) -> Throws {
        Throws(self.clone())
    }

    /// Waits until there are so many. False: not in time.
    fn reach(&self, number: usize) -> bool {
        within(|| self.0.load(Ordering::SeqCst) == number)
    }
}

fn within(mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        if Instant::now() > until {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Throws in its poll, if asked to, and when it is dropped, which an `async` block could not tell apart.
struct Thrower {
    in_poll: bool,
    drops: Drops,
}

impl Future for Thrower {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.in_poll {
            panic_any("a poll");
        }
        Poll::Ready(())
    }
}

impl Drop for Thrower {
    fn drop(&mut self) {
        self.drops.0.fetch_add(1, Ordering::SeqCst);
        panic_any("a destructor");
    }
}

struct Angry(AtomicUsize);

impl Wake for Angry {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic_any("a waker");
    }
}

/// Whether the handles told what happened, and whether all workers are there afterwards.
fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let way = WAYS[args[0].parse::<usize>().expect("a way")];
    std::panic::set_hook(Box::new(|_| ()));
    if matches!(
        way,
        Way::WaitingAtTheEnd | Way::NeverRunAtTheEnd | Way::RunningAtTheEnd
    ) {
        let told = (0..TIMES).all(|_| at_the_end::<R>(way));
        return vec![f64::from(u8::from(told)), 1.0];
    }
    let runtime = R::start(WORKERS, 2).expect("threads and descriptors");
    all_meet(&runtime);
    process::settle();
    let threads = process::usage().threads;
    let told = (0..TIMES).all(|_| once(&runtime, way));
    let met = all_meet(&runtime);
    process::settle();
    // Those for jobs come and go by themselves.
    let is_job = matches!(way, Way::Job | Way::JobDetached | Way::JobPayloadDetached);
    let whole = met && (is_job || process::usage().threads >= threads);
    runtime.stop(Duration::from_secs(5));
    [told, whole].map(|good| f64::from(u8::from(good))).to_vec()
}

/// As many tasks as there are workers run at once.
fn all_meet<R: Runtime>(runtime: &R) -> bool {
    let (barrier, met) = (
        Arc::new(Barrier::new(WORKERS)),
        Arc::new(AtomicUsize::new(0)),
    );
    for _ in 0..WORKERS {
        let (barrier, met) = (Arc::clone(&barrier), Arc::clone(&met));
        drop(runtime.spawn(async move {
            barrier.wait();
            met.fetch_add(1, Ordering::SeqCst);
        }));
    }
    within(|| met.load(Ordering::SeqCst) == WORKERS)
}

fn once<R: Runtime>(runtime: &R, way: Way) -> bool {
    let drops = Drops::default();
    let inner = drops.clone();
    match way {
        Way::Poll => is_panicked(runtime, runtime.spawn(async { panic_any("a poll") })),
        Way::PollDetached => {
            let marks = Marks(drops.clone());
            drop(runtime.spawn(async move {
                let _marks = marks;
                panic_any("a poll");
            }));
            drops.reach(1)
        }
        Way::PollAndDestructor | Way::DestructorFinished => {
            let in_poll = way == Way::PollAndDestructor;
            let task = runtime.spawn(Thrower {
                in_poll,
                drops: inner,
            });
            is_panicked(runtime, task) && drops.reach(1)
        }
        Way::DestructorCancelled => {
            let throws = drops.throws();
            let task = runtime.spawn(async move {
                let _throws = throws;
                pending::<()>().await;
            });
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(task.cancel())));
            !matches!(outcome, Ok(Outcome::Finished(()))) && drops.reach(1)
        }
        Way::OutputDetached => {
            // Not before its handle is gone: this thread would drop the output.
            let (detached, wait) = oneshot::channel();
            drop(runtime.spawn(async move {
                let _ = wait.await;
                inner.throws()
            }));
            detached.send(()).is_ok() && drops.reach(1)
        }
        Way::PayloadDetached => {
            let (detached, wait) = oneshot::channel();
            drop(runtime.spawn(async move {
                let _ = wait.await;
                panic_any(inner.throws())
            }));
            detached.send(()).is_ok() && drops.reach(1)
        }
        Way::Job => {
            let job = runtime.spawn_blocking(|| -> () { panic_any("a job") });
            is_panicked(runtime, job)
        }
        Way::JobDetached => {
            let marks = Marks(inner);
            drop(runtime.spawn_blocking(move || {
                let _marks = marks;
                panic_any("a job");
            }));
            drops.reach(1) && job_runs(runtime)
        }
        Way::JobPayloadDetached => {
            let (detached, wait) = mpsc::channel();
            drop(runtime.spawn_blocking(move || {
                let _ = wait.recv();
                panic_any(inner.throws())
            }));
            detached.send(()).is_ok() && drops.reach(1) && job_runs(runtime)
        }
        Way::TimerWaker => {
            let angry = Arc::new(Angry(AtomicUsize::new(0)));
            poll_with(runtime, &angry, R::sleep(Duration::from_millis(1)))
        }
        Way::SocketWaker => {
            let angry = Arc::new(Angry(AtomicUsize::new(0)));
            let listens = runtime.block_on(runtime.spawn(R::listen()));
            let Outcome::Finished(Ok((listener, address))) = listens else {
                return false;
            };
            let knock = thread::spawn(move || {
                thread::sleep(Duration::from_millis(2));
                std::net::TcpStream::connect(address).is_ok()
            });
            let listener = Arc::new(listener);
            let waits = async move { R::accept(&listener).await.map(drop) };
            poll_with(runtime, &angry, waits) && knock.join().is_ok_and(|knocked| knocked)
        }
        Way::JoinerWaker => {
            let angry = Arc::new(Angry(AtomicUsize::new(0)));
            let task = runtime.spawn(R::sleep(Duration::from_millis(1)));
            poll_with(runtime, &angry, task)
        }
        Way::WaitingAtTheEnd | Way::NeverRunAtTheEnd | Way::RunningAtTheEnd => false,
    }
}

/// Polls the future once with a waker that throws, in a task, and keeps it there until the waker has been called. Then timers,
/// tasks and what else there is must go on.
fn poll_with<R: Runtime, F>(runtime: &R, angry: &Arc<Angry>, future: F) -> bool
where
    F: Future + Send + 'static,
{
    let (waker, called) = (Waker::from(Arc::clone(angry)), Arc::clone(angry));
    let task = runtime.spawn(async move {
        let mut future = Box::pin(future);
        let pending = future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending();
        for _ in 0..2000 {
            if called.0.load(Ordering::SeqCst) != 0 {
                break;
            }
            R::sleep(Duration::from_millis(1)).await;
        }
        pending
    });
    runtime.block_on(task) == Outcome::Finished(true) && angry.0.load(Ordering::SeqCst) != 0
}

fn at_the_end<R: Runtime>(way: Way) -> bool {
    let runtime = R::start(WORKERS, 2).expect("threads and descriptors");
    let drops = Drops::default();
    let throws = drops.throws();
    let waits = async move {
        let _throws = throws;
        pending::<()>().await;
    };
    match way {
        Way::RunningAtTheEnd => {
            let begun = Arc::new(Barrier::new(2));
            let inner = Arc::clone(&begun);
            drop(runtime.spawn(async move {
                inner.wait();
                thread::sleep(Duration::from_millis(2));
                waits.await;
            }));
            begun.wait();
        }
        Way::NeverRunAtTheEnd => drop(runtime.spawn(waits)),
        _ => {
            drop(runtime.spawn(waits));
            runtime.block_on(runtime.spawn(R::sleep(Duration::from_millis(1))));
        }
    }
    let stopped = catch_unwind(AssertUnwindSafe(|| runtime.stop(Duration::from_secs(5))));
    drops.reach(1) && stopped.is_ok()
}

/// What a handle tells may be an outcome, or the panic itself.
fn is_panicked<R: Runtime, T>(runtime: &R, task: impl Task<T>) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(task)));
    matches!(outcome, Ok(Outcome::Panicked) | Err(_))
}

fn job_runs<R: Runtime>(runtime: &R) -> bool {
    runtime.block_on(runtime.spawn_blocking(|| 5)) == Outcome::Finished(5)
}

/// Counts its drop, quietly.
struct Marks(Drops);

impl Drop for Marks {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}
