//! As many tasks as a service of a thousand a second runs in a day, as fast as they go, each counted.

use std::future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use crate::child::Child;
use crate::process::{self, Usage};
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::{Outcome, Runtime, Task};

const fn figure(name: &'static str, unit: &'static str, at_most: Option<f64>) -> Figure {
    Figure {
        name,
        unit,
        at_most,
    }
}

pub(super) const ROW: Row = Row {
    name: "day",
    what: "86.4 million tasks (a day of 1000 a second) at full speed: a quarter each is ready at once, yields, waits for another \
           task, wakes itself twice; one in 64 is cancelled",
    figures: &[
        figure("tasks lost", "", Some(0.0)),
        figure("tasks that ended otherwise than they told", "", Some(0.0)),
        figure(
            "memory grown from the first tenth to the end",
            "KiB",
            Some(1024.0),
        ),
        figure("minutes", "", None),
    ],
    scenario: scenario!(run),
    measure,
};

const TASKS: u64 = 86_400_000;
const SPAWNERS: u64 = 16;
const BATCH: u64 = 64;
const STANDSTILL: Duration = Duration::from_secs(10);

fn measure(child: &Child) -> Vec<f64> {
    let ended = child.run(&[], &[], Duration::from_secs(3600));
    if !ended.succeeded() {
        eprint!("{}", ended.errors);
    }
    match ended.succeeded() {
        true => ended.figures,
        false => vec![NEVER; ROW.figures.len()],
    }
}

/// One per spawner, on lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Counts {
    spawned: AtomicU64,
    /// Futures that are gone.
    dropped: AtomicU64,
    /// Told by handles.
    finished: AtomicU64,
    cancelled: AtomicU64,
    wrong: AtomicU64,
}

type Books = Arc<[Counts]>;

fn sum(books: &Books, of: fn(&Counts) -> &AtomicU64) -> u64 {
    books.iter().map(|counts| of(counts).load(Relaxed)).sum()
}

/// Counts its future when it is dropped.
struct Alive(Books, usize);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0[self.1].dropped.fetch_add(1, Relaxed);
    }
}

/// Arguments: how many tasks, if not all.
fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let tasks: u64 = args
        .first()
        .map_or(TASKS, |text| text.parse().expect("a number"));
    let each = tasks / SPAWNERS / BATCH;
    let runtime = R::start(2, 2).expect("threads and descriptors");
    let books: Books = (0..SPAWNERS).map(|_| Counts::default()).collect();
    let began = Instant::now();
    let spawners: Vec<_> = (0..SPAWNERS as usize)
        .map(|own| runtime.spawn(spawner(runtime.clone(), Arc::clone(&books), own, each)))
        .collect();
    let first = watch(&books, each * SPAWNERS * BATCH);
    for spawner in spawners {
        if runtime.block_on(spawner) != Outcome::Finished(()) {
            books[0].wrong.fetch_add(1, Relaxed);
        }
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let last = process::usage();
    let spawned = sum(&books, |counts| &counts.spawned);
    let told = sum(&books, |counts| &counts.finished) + sum(&books, |counts| &counts.cancelled);
    let dropped = sum(&books, |counts| &counts.dropped);
    eprintln!(
        "day on {}: spawned {spawned}, finished {}, cancelled {}, futures dropped {dropped}, {:.0} s, {:.1} MiB",
        R::NAME,
        sum(&books, |counts| &counts.finished),
        sum(&books, |counts| &counts.cancelled),
        minutes * 60.0,
        last.memory as f64 / f64::from(1 << 20),
    );
    runtime.stop(Duration::from_secs(10));
    vec![
        (spawned.abs_diff(told) + spawned.abs_diff(dropped)) as f64,
        sum(&books, |counts| &counts.wrong) as f64,
        (last.memory as f64 - first.memory as f64) / 1024.0,
        minutes,
    ]
}

/// Until all futures are gone. Gives what the process took after a tenth of them; ends it if nothing moves.
fn watch(books: &Books, tasks: u64) -> Usage {
    let (mut seen, mut since) = (0, Instant::now());
    let mut first = None;
    while seen < tasks {
        thread::sleep(Duration::from_millis(20));
        let dropped = sum(books, |counts| &counts.dropped);
        if dropped != seen {
            (seen, since) = (dropped, Instant::now());
        }
        if first.is_none() && seen > tasks / 10 {
            first = Some(process::usage());
        }
        if since.elapsed() > STANDSTILL {
            eprintln!(
                "HANG: {seen} of {tasks} have ended, {} spawned",
                sum(books, |counts| &counts.spawned)
            );
            std::process::exit(1);
        }
    }
    first.unwrap_or_else(process::usage)
}

async fn spawner<R: Runtime>(runtime: R, books: Books, own: usize, batches: u64) {
    for batch in 0..batches {
        let mut handles = Vec::with_capacity(BATCH as usize);
        let mut partner = None;
        for number in 0..BATCH {
            let value = batch * BATCH + number;
            handles.push(spawn(&runtime, &books, own, value, &mut partner));
        }
        drop(partner);
        let cancelled = handles.swap_remove((batch % BATCH) as usize);
        let outcome = cancelled.cancel().await;
        note(&books[own], outcome, batch * BATCH + batch % BATCH, true);
        let mut values = (0..BATCH)
            .map(|number| batch * BATCH + number)
            .collect::<Vec<_>>();
        values.swap_remove((batch % BATCH) as usize);
        for (handle, value) in handles.into_iter().zip(values) {
            note(&books[own], handle.await, value, false);
        }
    }
}

fn note(counts: &Counts, outcome: Outcome<u64>, value: u64, asked: bool) {
    match outcome {
        Outcome::Finished(given) if given == value => counts.finished.fetch_add(1, Relaxed),
        Outcome::Cancelled if asked => counts.cancelled.fetch_add(1, Relaxed),
        _ => counts.wrong.fetch_add(1, Relaxed),
    };
}

/// `partner`: what the last task that waits waits for; the next one of its kind sends it, unless cancelled, which
/// ends the wait as well.
fn spawn<R: Runtime>(
    runtime: &R,
    books: &Books,
    own: usize,
    value: u64,
    partner: &mut Option<oneshot::Sender<()>>,
) -> R::Task<u64> {
    books[own].spawned.fetch_add(1, Relaxed);
    let alive = Alive(Arc::clone(books), own);
    match value % 4 {
        0 => runtime.spawn(async move {
            let _alive = alive;
            value
        }),
        1 => runtime.spawn(async move {
            let _alive = alive;
            R::yield_now().await;
            value
        }),
        2 => runtime.spawn(async move {
            let _alive = alive;
            wake_twice().await;
            value
        }),
        _ => {
            let (sender, receiver) = oneshot::channel();
            let before = partner.replace(sender);
            runtime.spawn(async move {
                let _alive = alive;
                // The last of a batch waits for nobody: its sender goes with the batch.
                if let Some(before) = before {
                    let _ = before.send(());
                }
                let _ = receiver.await;
                value
            })
        }
    }
}

async fn wake_twice() {
    let mut woken = false;
    future::poll_fn(|cx| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
