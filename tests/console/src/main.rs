//! Tasks of every kind for tokio-console to look at, and what they themselves count. `watched SOCKET` serves them on that Unix
//! socket; `tokio-console file://localhost/SOCKET` shows them.
//!
//! A line on standard input, or its end, stops what goes on. Then the program tells on standard output, in a line for each task,
//! what the console must have seen of it, says `end`, and ends itself with its standard input.

use std::future::{Future, pending, poll_fn};
use std::io::{Read, stdin};
use std::panic::{Location, resume_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use executor::task::{Builder, JoinHandle, yield_now};
use executor::time::sleep;

/// A task, as this program knows it.
struct Known {
    kind: &'static str,
    name: &'static str,
    spawned_at: &'static Location<'static>,
    polls: AtomicU64,
    wakes: AtomicU64,
    /// Those of the wakes that came from the task itself.
    self_wakes: AtomicU64,
    /// Wakers of it that somebody keeps at the end.
    wakers: AtomicU64,
    busy_nanos: AtomicU64,
}

static KNOWN: Mutex<Vec<Arc<Known>>> = Mutex::new(Vec::new());
static GOES_ON: AtomicBool = AtomicBool::new(true);

/// A task that the caller spawns.
#[track_caller]
fn known(kind: &'static str, name: &'static str) -> Arc<Known> {
    let known = Arc::new(Known {
        kind,
        name,
        spawned_at: Location::caller(),
        polls: AtomicU64::new(0),
        wakes: AtomicU64::new(0),
        self_wakes: AtomicU64::new(0),
        wakers: AtomicU64::new(0),
        busy_nanos: AtomicU64::new(0),
    });
    KNOWN.lock().unwrap().push(known.clone());
    known
}

/// Counts the polls of a future.
async fn counted<F: Future>(known: Arc<Known>, future: F) -> F::Output {
    let mut future = pin!(future);
    let polled = poll_fn(move |cx| {
        known.polls.fetch_add(1, SeqCst);
        future.as_mut().poll(cx)
    });
    polled.await
}

#[track_caller]
fn spawn<F>(
    name: &'static str,
    future: impl FnOnce(Arc<Known>) -> F,
) -> (Arc<Known>, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let known = known("task", name);
    let task = counted(known.clone(), future(known.clone()));
    (known, Builder::new().name(name).spawn(task))
}

#[track_caller]
fn spawn_blocking(job: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let known = known("blocking", "");
    executor::spawn_blocking(move || {
        known.polls.fetch_add(1, SeqCst);
        job();
    })
}

#[track_caller]
fn spawn_local<F>(future: impl FnOnce(Arc<Known>) -> F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let known = known("local", "");
    executor::spawn_local(counted(known.clone(), future(known)))
}

/// Where a task that waits leaves its waker.
type Slot = Arc<Mutex<Option<Waker>>>;

/// Never ends.
fn waits(known: Arc<Known>, slot: Slot) -> impl Future<Output = ()> {
    known.wakers.store(1, SeqCst);
    poll_fn(move |cx| {
        *slot.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
}

async fn ticks(known: Arc<Known>) {
    while GOES_ON.load(SeqCst) {
        sleep(Duration::from_millis(50)).await;
        known.wakes.fetch_add(1, SeqCst);
    }
}

async fn computes(known: Arc<Known>) {
    while GOES_ON.load(SeqCst) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(5) {}
        let nanos = begin.elapsed().as_nanos() as u64;
        known.busy_nanos.fetch_add(nanos, SeqCst);
        known.wakes.fetch_add(1, SeqCst);
        known.self_wakes.fetch_add(1, SeqCst);
        yield_now().await;
    }
}

/// By value: the wake takes the waker with it, and the next poll brings another.
fn wake_now_and_then(woken: &Known, slot: &Slot) {
    while GOES_ON.load(SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
        let waker = slot.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
            woken.wakes.fetch_add(1, SeqCst);
        }
    }
}

async fn until(so: impl Fn() -> bool) {
    while !so() {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn everything() {
    let (_, ticking) = spawn("ticks", ticks);
    let (_, computing) = spawn("computes", computes);
    let kept: Slot = Slot::default();
    let _waits = spawn("waits", |known| waits(known, kept.clone()));
    let _lost = spawn("lost", |_| pending::<()>());
    let slot = Slot::default();
    let (woken, _never_ends) = spawn("woken", |known| waits(known, slot.clone()));
    let by_job = woken.clone();
    let waking = spawn_blocking(move || wake_now_and_then(&by_job, &slot));
    let _local = spawn_local(|known| waits(known, Slot::default()));

    let (_, panics) = spawn("panics", |_| async { resume_unwind(Box::new(())) });
    assert!(
        panics
            .await
            .is_err_and(|error: executor::task::JoinError| error.is_panic())
    );
    // Idle for long before it is aborted: neither that time nor the end may count as if it had been scheduled.
    let (aborted, aborts) = spawn("aborted", |_| pending::<()>());
    until(|| aborted.polls.load(SeqCst) == 1).await;
    sleep(Duration::from_millis(200)).await;
    aborts.abort();
    assert!(aborts.await.is_err_and(|error| error.is_cancelled()));

    let read = || drop(stdin().read_line(&mut String::new()));
    spawn_blocking(read).await.unwrap();
    GOES_ON.store(false, SeqCst);
    ticking.await.unwrap();
    computing.await.unwrap();
    waking.await.unwrap();
    until(|| woken.polls.load(SeqCst) == woken.wakes.load(SeqCst) + 1).await;
    tell();
    // In the middle of a poll, so that nothing of what was told changes.
    drop(stdin().read_to_end(&mut Vec::new()));
}

fn tell() {
    for known in KNOWN.lock().unwrap().iter() {
        let [polls, wakes, self_wakes, wakers, busy] = [
            &known.polls,
            &known.wakes,
            &known.self_wakes,
            &known.wakers,
            &known.busy_nanos,
        ]
        .map(|count| count.load(SeqCst));
        let Known {
            kind,
            name,
            spawned_at,
            ..
        } = &**known;
        println!("{kind}\t{name}\t{spawned_at}\t{polls}\t{wakes}\t{self_wakes}\t{wakers}\t{busy}");
    }
    println!("end");
}

fn main() {
    let socket = std::env::args_os().nth(1).expect("watched SOCKET");
    console_subscriber::ConsoleLayer::builder()
        .server_addr(PathBuf::from(socket))
        .publish_interval(Duration::from_millis(100))
        .init();
    executor::block_on(everything());
}
