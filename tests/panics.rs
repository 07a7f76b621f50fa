//! Panics of foreign code, wherever it is called: they end one task at most, and no thread.
//!
//! What is thrown is a [`Payload`] whose destructor throws again. Afterwards the runtime still runs as many tasks in
//! parallel as it has processors.

mod common;

use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use executor::runtime::Builder;
use executor::task::yield_now;
use executor::{JoinError, JoinHandle, Runtime, block_on, spawn_local};

use common::{processors, within_patience};

/// Runs the body of a test on a thread of its own with runtimes of different sizes; a hang becomes a failure.
fn on_runtimes(body: fn(Runtime)) {
    within_patience(move || [1, 2, 4].into_iter().map(processors).for_each(body));
}

/// As many tasks as there are processors meet, and as many jobs.
fn assert_all_usable(runtime: &Runtime) {
    let count = runtime.metrics().num_workers();
    let (tasks, jobs) = (Arc::new(Barrier::new(count)), Arc::new(Barrier::new(count)));
    let mut handles = Vec::new();
    for _ in 0..count {
        let (tasks, jobs) = (tasks.clone(), jobs.clone());
        handles.push(runtime.spawn(async move {
            let _ = tasks.wait();
        }));
        handles.push(runtime.spawn_blocking(move || {
            let _ = jobs.wait();
        }));
    }
    for handle in handles {
        runtime.block_on(handle).unwrap();
    }
}

/// What was dropped or called, each once per value.
#[derive(Default)]
struct Tally {
    futures: AtomicUsize,
    outputs: AtomicUsize,
    payloads: AtomicUsize,
    wakes: AtomicUsize,
}

/// Waits until the count is reached, and finds that it is exact.
fn await_count(count: &AtomicUsize, expected: usize) {
    while count.load(SeqCst) < expected {
        thread::yield_now();
    }
    assert_eq!(count.load(SeqCst), expected);
}

/// Its destructor throws another one; that one's throws a string.
struct Payload {
    tally: Arc<Tally>,
    last: bool,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.tally.payloads.fetch_add(1, SeqCst);
        if self.last {
            panic!("the payload's payload");
        }
        throw(&self.tally, true);
    }
}

fn throw(tally: &Arc<Tally>, last: bool) -> ! {
    let tally = tally.clone();
    panic_any(Payload { tally, last })
}

/// The handle's error carries the payload.
fn assert_thrown<T>(result: Result<T, JoinError>) {
    let payload = result.err().unwrap().into_panic();
    let payload = payload.downcast::<Payload>().unwrap_or_else(|_| panic!());
    assert!(!payload.last);
    std::mem::forget(payload);
}

/// Where a task throws.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hazard {
    /// In a poll.
    Poll,
    /// In the destructor of the future, which waits.
    Drop,
    /// There, after it has completed.
    DropAtEnd,
    /// In the destructor of the output.
    Output,
}

/// Dropped payloads of one that nobody takes: it throws another one. Of a value whose destructor throws the first, the
/// boundary drops no more than that, and forgets what comes out of it.
fn unclaimed(hazard: Hazard) -> usize {
    if hazard == Hazard::Output { 1 } else { 2 }
}

const ALL: [Hazard; 4] = [
    Hazard::Poll,
    Hazard::Drop,
    Hazard::DropAtEnd,
    Hazard::Output,
];

/// A future that throws. Its first poll waits for a wake, which it gives itself.
struct Thrower {
    hazard: Hazard,
    polled: bool,
    tally: Arc<Tally>,
}

struct Output {
    throws: bool,
    tally: Arc<Tally>,
}

impl Thrower {
    fn new(hazard: Hazard, tally: &Arc<Tally>) -> Thrower {
        Thrower {
            hazard,
            polled: false,
            tally: tally.clone(),
        }
    }
}

impl Future for Thrower {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        if !self.polled {
            self.polled = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.hazard {
            Hazard::Poll => throw(&self.tally, false),
            Hazard::Drop => Poll::Pending,
            Hazard::DropAtEnd | Hazard::Output => Poll::Ready(Output {
                throws: self.hazard == Hazard::Output,
                tally: self.tally.clone(),
            }),
        }
    }
}

impl Drop for Thrower {
    fn drop(&mut self) {
        self.tally.futures.fetch_add(1, SeqCst);
        if matches!(self.hazard, Hazard::Drop | Hazard::DropAtEnd) {
            throw(&self.tally, false);
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.tally.outputs.fetch_add(1, SeqCst);
        if self.throws {
            throw(&self.tally, false);
        }
    }
}

/// Waits for the task as its hazard demands.
async fn join(hazard: Hazard, handle: JoinHandle<Output>) {
    match hazard {
        Hazard::Poll | Hazard::DropAtEnd => assert_thrown(handle.await),
        Hazard::Output => std::mem::forget(handle.await.ok().unwrap()),
        Hazard::Drop => {
            for _ in 0..3 {
                yield_now().await;
            }
            handle.abort();
            assert!(handle.await.err().unwrap().is_cancelled());
        }
    }
}

#[test]
fn a_joined_task_on_a_worker() {
    on_runtimes(|runtime| {
        for hazard in ALL {
            let tally = Arc::new(Tally::default());
            for round in 1..=5 {
                let handle = runtime.spawn(Thrower::new(hazard, &tally));
                runtime.block_on(join(hazard, handle));
                assert_eq!(tally.futures.load(SeqCst), round, "{hazard:?}");
            }
            assert_all_usable(&runtime);
        }
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    });
}

#[test]
fn a_detached_task_on_a_worker() {
    on_runtimes(|runtime| {
        for hazard in ALL {
            let tally = Arc::new(Tally::default());
            let handle = runtime.spawn(Thrower::new(hazard, &tally));
            let abort = handle.abort_handle();
            drop(handle);
            if hazard == Hazard::Drop {
                abort.abort();
            }
            await_count(&tally.payloads, unclaimed(hazard));
            assert_eq!(tally.futures.load(SeqCst), 1);
            while !abort.is_finished() {
                thread::yield_now();
            }
            assert_all_usable(&runtime);
        }
    });
}

#[test]
fn tasks_at_shutdown() {
    on_runtimes(|runtime| {
        let tally = Arc::new(Tally::default());
        // Those that wait, and one that was never polled: the workers are busy until the runtime closes.
        for _ in 0..5 {
            drop(runtime.spawn(Thrower::new(Hazard::Drop, &tally)));
        }
        let count = runtime.metrics().num_workers();
        let (entered, inside) = mpsc::channel();
        let mut gates = Vec::new();
        for _ in 0..count {
            let (entered, inner) = (entered.clone(), tally.clone());
            let (gate, closed) = mpsc::channel::<()>();
            gates.push(gate);
            // Throws in a poll that the end of the runtime meets.
            drop(runtime.spawn(async move {
                entered.send(()).unwrap();
                let _ = closed.recv();
                throw(&inner, false);
            }));
        }
        inside.iter().take(count).for_each(drop);
        drop(runtime.spawn(Thrower::new(Hazard::Drop, &tally)));
        let handle = runtime.handle().clone();
        let closer = thread::spawn(move || drop(runtime));
        while handle.block_on(handle.spawn(async {})).is_ok() {}
        drop(gates);
        closer.join().unwrap();
        assert_eq!(tally.futures.load(SeqCst), 6);
        assert_eq!(tally.payloads.load(SeqCst), 2 * (6 + count));
    });
}

#[test]
fn a_local_task() {
    on_runtimes(|runtime| {
        for hazard in ALL {
            let tally = Arc::new(Tally::default());
            runtime.block_on(async {
                for round in 1..=5 {
                    join(hazard, spawn_local(Thrower::new(hazard, &tally))).await;
                    assert_eq!(tally.futures.load(SeqCst), round, "{hazard:?}");
                }
                let before = tally.payloads.load(SeqCst);
                // Detached, and ended with this `block_on` if not before.
                drop(spawn_local(Thrower::new(hazard, &tally)));
                for _ in 0..3 {
                    yield_now().await;
                }
                drop(spawn_local(Thrower::new(Hazard::Drop, &tally)));
                tally.payloads.fetch_sub(before, SeqCst);
            });
            assert_eq!(tally.futures.load(SeqCst), 7, "{hazard:?}");
            let payloads = unclaimed(hazard) + unclaimed(Hazard::Drop);
            assert_eq!(tally.payloads.load(SeqCst), payloads, "{hazard:?}");
            assert_eq!(
                runtime.block_on(async { spawn_local(async { 5 }).await.unwrap() }),
                5
            );
        }
        assert_all_usable(&runtime);
    });
}

/// Throws in its poll, and again when it is dropped for that.
struct Twice(Arc<Tally>);

impl Future for Twice {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        throw(&self.0, false)
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        self.0.futures.fetch_add(1, SeqCst);
        throw(&self.0, false);
    }
}

#[test]
fn a_poll_and_then_the_destructor_on_a_worker() {
    on_runtimes(|runtime| {
        let tally = Arc::new(Tally::default());
        for _ in 0..5 {
            assert_thrown(runtime.block_on(runtime.spawn(Twice(tally.clone()))));
        }
        assert_eq!(tally.futures.load(SeqCst), 5);
        assert_all_usable(&runtime);
    });
}

#[test]
fn a_poll_and_then_the_destructor_of_a_local_task() {
    const CHILD: &str = "EXECUTOR_PANICS_CHILD";
    if std::env::var_os(CHILD).is_none() {
        // In a process of its own: two panics at once would end it.
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["a_poll_and_then_the_destructor_of_a_local_task", "--exact"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        return;
    }
    let tally = Arc::new(Tally::default());
    let inner = tally.clone();
    assert_thrown(block_on(async { spawn_local(Twice(inner)).await }));
    assert_eq!(tally.futures.load(SeqCst), 1);
}

/// Throws when it is woken.
struct Angry(Arc<Tally>);

impl Wake for Angry {
    fn wake(self: Arc<Self>) {
        self.0.wakes.fetch_add(1, SeqCst);
        throw(&self.0, false);
    }
}

fn angry(tally: &Arc<Tally>) -> Waker {
    Waker::from(Arc::new(Angry(tally.clone())))
}

#[cfg(feature = "time")]
mod timers {
    use super::*;
    use executor::time::{Sleep, sleep};

    /// Armed with a waker that throws.
    fn arm(duration: Duration, tally: &Arc<Tally>) -> Pin<Box<Sleep>> {
        let mut sleep = Box::pin(sleep(duration));
        let waker = angry(tally);
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        sleep
    }

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_waker_that_a_timer_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            // On a worker's wheel, then on that of foreign threads.
            let (inner, count) = (tally.clone(), runtime.metrics().num_workers());
            let task = runtime.spawn(async move {
                let armed: Vec<_> = (0..3 * count).map(|_| arm(SHORT, &inner)).collect();
                sleep(SHORT).await;
                armed
            });
            let armed = runtime.block_on(task).unwrap();
            await_count(&tally.wakes, 3 * count);
            assert_all_usable(&runtime);
            let more = runtime.block_on(async {
                let more: Vec<_> = (0..3).map(|_| arm(SHORT, &tally)).collect();
                spawn_local(sleep(SHORT)).await.unwrap();
                more
            });
            await_count(&tally.wakes, 3 * count + 3);
            assert_all_usable(&runtime);
            drop((armed, more));
        });
    }

    #[test]
    fn a_waker_that_the_end_of_the_runtime_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            let inner = tally.clone();
            let task = runtime.spawn(async move { [arm(LONG, &inner), arm(LONG, &inner)] });
            let armed = runtime.block_on(task).unwrap();
            let more = runtime.block_on(async { Some(arm(LONG, &tally)) });
            drop(runtime.spawn(Thrower::new(Hazard::Drop, &tally)));
            drop(runtime);
            assert_eq!(tally.wakes.load(SeqCst), 3);
            assert_eq!(tally.futures.load(SeqCst), 1);
            drop((armed, more));
        });
    }

    /// Foreign code runs under no lock: a waker may use timers while it is cloned.
    #[test]
    fn a_waker_that_arms_a_timer_when_it_is_cloned() {
        use std::task::{RawWaker, RawWakerVTable};
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |_| {
                let mut inner = Box::pin(sleep(LONG));
                let _ = inner.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                RawWaker::new(std::ptr::null(), &TABLE)
            },
            |_| (),
            |_| (),
            |_| (),
        );
        on_runtimes(|runtime| {
            let task = runtime.spawn(async {
                let mut sleep = Box::pin(sleep(LONG));
                poll_fn(|cx| {
                    assert!(sleep.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                // SAFETY: the data pointer is not used.
                let waker = unsafe { Waker::new(std::ptr::null(), &TABLE) };
                assert!(
                    sleep
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            });
            runtime.block_on(task).unwrap();
        });
    }
}

#[cfg(all(feature = "net", unix))]
mod sockets {
    use super::*;
    use executor::io::Async;
    use std::os::unix::net::UnixStream;

    type Socket = Async<UnixStream>;

    fn pair(runtime: &Runtime) -> (Socket, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (runtime.block_on(async { Async::new(near) }).unwrap(), far)
    }

    /// Waits in both ways with wakers that throw.
    fn wait<'a>(near: &'a Socket, tally: &Arc<Tally>) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        let waker = angry(tally);
        let cx = &mut Context::from_waker(&waker);
        assert!(near.poll_readable(cx).is_pending());
        let mut readable: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(async { near.readable().await.unwrap() });
        assert!(readable.as_mut().poll(cx).is_pending());
        readable
    }

    #[test]
    fn a_waker_that_a_socket_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            for round in 1..=3 {
                let (near, mut far) = pair(&runtime);
                let waits = wait(&near, &tally);
                io::Write::write_all(&mut far, b"x").unwrap();
                await_count(&tally.wakes, 2 * round);
                runtime.block_on(near.readable()).unwrap();
                assert_all_usable(&runtime);
                drop(waits);
            }
        });
    }

    #[test]
    fn a_waker_that_the_end_of_the_runtime_or_the_socket_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            let (one, _far) = pair(&runtime);
            let waker = angry(&tally);
            assert!(
                one.poll_readable(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            drop(one);
            assert_eq!(tally.wakes.load(SeqCst), 1);
            let (two, _far) = pair(&runtime);
            let waits = wait(&two, &tally);
            drop(runtime.spawn(Thrower::new(Hazard::Drop, &tally)));
            drop(runtime);
            assert_eq!(tally.wakes.load(SeqCst), 3);
            assert_eq!(tally.futures.load(SeqCst), 1);
            drop(waits);
        });
    }
}

#[test]
fn a_blocking_job() {
    on_runtimes(|runtime| {
        let tally = Arc::new(Tally::default());
        let jobs: Vec<_> = (0..5)
            .map(|_| {
                let inner = tally.clone();
                runtime.spawn_blocking(move || throw(&inner, false))
            })
            .collect();
        for job in jobs {
            assert_thrown::<()>(runtime.block_on(job));
        }
        let inner = tally.clone();
        drop(runtime.spawn_blocking(move || throw(&inner, false)));
        await_count(&tally.payloads, 2);
        let inner = tally.clone();
        drop(runtime.spawn_blocking(|| Output {
            throws: true,
            tally: inner,
        }));
        await_count(&tally.payloads, 3);
        assert_all_usable(&runtime);
    });
}

#[test]
fn blocking_jobs_at_shutdown() {
    on_runtimes(|_| {
        let runtime = Builder::new()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (tally, started) = (Arc::new(Tally::default()), Arc::new(Barrier::new(2)));
        let (inner, begun) = (tally.clone(), started.clone());
        let (gate, closed) = mpsc::channel::<()>();
        drop(runtime.spawn_blocking(move || {
            begun.wait();
            let _ = closed.recv();
            throw(&inner, false);
        }));
        started.wait();
        // Queued behind it: their closures throw when they are dropped instead of being run.
        for _ in 0..3 {
            let held = Thrower::new(Hazard::Drop, &tally);
            drop(runtime.spawn_blocking(move || std::mem::forget(held)));
        }
        let handle = runtime.handle().clone();
        let closer = thread::spawn(move || drop(runtime));
        while handle.block_on(handle.spawn(async {})).is_ok() {}
        drop(gate);
        closer.join().unwrap();
        let dropped = tally.futures.load(SeqCst);
        assert_eq!(tally.payloads.load(SeqCst), 2 * (1 + dropped));
    });
}

#[test]
fn the_future_of_a_block_on() {
    on_runtimes(|runtime| {
        let tally = Arc::new(Tally::default());
        for hazard in [Hazard::Poll, Hazard::DropAtEnd] {
            let future = Thrower::new(hazard, &tally);
            let thrown = catch_unwind(AssertUnwindSafe(|| runtime.block_on(future)));
            std::mem::forget(thrown.err().unwrap());
        }
        // On a worker, that one's task ends with it.
        let future = Thrower::new(Hazard::Poll, &tally);
        let task = runtime.spawn(async move { drop(block_on(future)) });
        assert_thrown(runtime.block_on(task));
        assert_all_usable(&runtime);
    });
}

#[test]
fn a_join_error_tells_what_happened() {
    on_runtimes(|runtime| {
        let error = |message: &'static str| {
            let task = runtime.spawn(async move { panic_any(message) });
            runtime.block_on::<JoinHandle<()>>(task).unwrap_err()
        };
        let panicked = error("no luck");
        let text = panicked.to_string();
        assert!(
            text.contains(&format!("task {} panicked", panicked.id())) && text.contains("no luck")
        );
        assert!(format!("{panicked:?}").contains("no luck"));
        assert!(panicked.source().is_none());
        assert!(panicked.is_panic() && !panicked.is_cancelled());
        let carried = io::Error::from(panicked);
        assert_eq!(carried.kind(), io::ErrorKind::Other);
        let inner = carried
            .into_inner()
            .unwrap()
            .downcast::<JoinError>()
            .unwrap();
        assert_eq!(*inner.into_panic().downcast::<&str>().unwrap(), "no luck");

        // Neither text needs the payload to be one.
        let task = runtime.spawn(async { panic_any(7) });
        let number = runtime.block_on::<JoinHandle<()>>(task).unwrap_err();
        assert!(
            number.to_string().ends_with("panicked") && format!("{number:?}").contains("panic")
        );
        assert_eq!(
            *number.try_into_panic().unwrap().downcast::<i32>().unwrap(),
            7
        );

        let task = runtime.spawn(pending::<()>());
        task.abort();
        let cancelled = runtime.block_on(task).unwrap_err();
        assert!(cancelled.to_string().ends_with("was cancelled"));
        assert!(format!("{cancelled:?}").contains("cancelled"));
        assert!(cancelled.source().is_none() && cancelled.is_cancelled() && !cancelled.is_panic());
        let cancelled = cancelled.try_into_panic().unwrap_err();
        assert_eq!(io::Error::from(cancelled).kind(), io::ErrorKind::Other);
        fn check<T: Send + Sync + Error>() {}
        check::<JoinError>();
    });
}
