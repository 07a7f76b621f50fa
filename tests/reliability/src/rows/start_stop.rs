//! Runtimes started and stopped, each with tasks that are waiting, running and woken when it ends: what is left behind.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::task::AtomicWaker;

use crate::child::Child;
use crate::process;
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::Runtime;

pub(super) const ROW: Row = Row {
    name: "start_stop",
    what: "10,000 runtimes of 2 workers started and stopped, each with 6 unfinished tasks, of which 2 are being woken",
    figures: &[
        Figure {
            name: "futures not dropped",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "threads left",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "descriptors left",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "memory grown",
            unit: "KiB",
            at_most: Some(1024.0),
        },
    ],
    scenario: scenario!(run),
    measure,
};

const TIMES: usize = 10_000;
/// Before memory is read for the first time: allocators and statics have grown by then.
const WARM: usize = 1_000;

fn measure(child: &Child) -> Vec<f64> {
    let ended = child.run(&[], &[], Duration::from_secs(120));
    match ended.succeeded() {
        true => ended.figures,
        false => vec![NEVER; ROW.figures.len()],
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run<R: Runtime>(_: &[String]) -> Vec<f64> {
    let alive = Arc::new(AtomicUsize::new(0));
    for _ in 0..WARM {
        once::<R>(&alive);
    }
    process::settle();
    let before = process::usage();
    for _ in WARM..TIMES {
        once::<R>(&alive);
    }
    process::settle();
    let after = process::usage();
    vec![
        alive.load(Ordering::Relaxed) as f64,
        after.threads as f64 - before.threads as f64,
        after.descriptors as f64 - before.descriptors as f64,
        (after.memory as f64 - before.memory as f64) / 1024.0,
    ]
}

fn once<R: Runtime>(alive: &Arc<AtomicUsize>) {
    let runtime = R::start(2, 2).expect("threads and descriptors");
    let wakers: Vec<Arc<AtomicWaker>> = (0..6)
        .map(|number| {
            let waker = Arc::new(AtomicWaker::new());
            alive.fetch_add(1, Ordering::Relaxed);
            let (counted, own) = (Counted(Arc::clone(alive)), Arc::clone(&waker));
            drop(runtime.spawn(async move {
                let _counted = counted;
                match number % 3 {
                    0 => R::sleep(Duration::from_secs(3600)).await,
                    _ => wait(&own).await,
                }
            }));
            waker
        })
        .collect();
    // The sleepers leave none here; the others do as soon as they run.
    let waiting = wakers
        .iter()
        .enumerate()
        .filter(|(number, _)| number % 3 != 0);
    let kept: Vec<Waker> = waiting.map(|(_, waker)| taken(waker)).collect();
    for waker in kept.iter().take(2) {
        waker.wake_by_ref();
    }
    runtime.stop(Duration::from_secs(10));
    for waker in kept {
        waker.wake();
    }
}

fn taken(place: &AtomicWaker) -> Waker {
    loop {
        match place.take() {
            Some(waker) => return waker,
            None => thread::yield_now(),
        }
    }
}

/// Never ends; leaves its waker with a stranger.
async fn wait(place: &AtomicWaker) {
    future::poll_fn(|cx| {
        place.register(cx.waker());
        Poll::Pending
    })
    .await
}
