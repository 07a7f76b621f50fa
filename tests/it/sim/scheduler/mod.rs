//! The scheduler under many schedules: nothing is lost, all ends, nobody waits for long.
//!
//! These programs know nothing of how the scheduler works. Each does a lot of one kind, draws what it does (`sim::choose`), and
//! counts. A wake-up, a task or a processor that is lost shows as a deadlock, a task that is left, a wrong count, or as a wait
//! that is longer than what the program itself makes it. `docs/reliability.md` says which seeded bugs they find, in how many runs.

mod closing;
mod latency;
mod moving;
mod starving;
mod storms;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use executor::sim::{self, Builder};
use futures::task::AtomicWaker;

/// Every program is over long before.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a program so often on each number of processors.
#[track_caller]
fn check<F: Future>(runs: usize, program: fn() -> F) {
    for processors in 1..=3 {
        let sim = Builder::new().processors(processors).time_limit(LIMIT);
        sim.check(runs, program);
    }
}

/// Tokens that some threads give and one task takes.
#[derive(Default)]
struct Tokens {
    given: AtomicUsize,
    waker: AtomicWaker,
}

impl Tokens {
    fn new() -> Arc<Tokens> {
        Arc::default()
    }

    fn give(&self) {
        self.given.fetch_add(1, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Waits until there have been so many.
    async fn have_come(&self, count: usize) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            match self.given.load(Ordering::SeqCst) >= count {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One of a few things that a poll may do before it goes on.
async fn dawdle() {
    match sim::choose(8) {
        0 | 1 => {}
        2 => executor::task::yield_now().await,
        3 => {
            for _ in 0..sim::choose(4) {
                executor::task::yield_now().await;
            }
        }
        4 => executor::time::sleep(millis(sim::choose(4))).await,
        5 => sim::compute(millis(sim::choose(30))),
        6 => sim::block(millis(sim::choose(30))),
        _ => sim::interleave(),
    }
}

fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}
