//! When a processor that is too many goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use executor::runtime::RuntimeMetrics;
use executor::task::{Priority, yield_now};
use executor::time::sleep;
use executor::{Handle, sim, spawn};

const SEEDS: usize = 15;
const POLL: Duration = Duration::from_micros(20);

#[track_caller]
fn check<F: Future>(program: fn() -> F) {
    let sim = sim::Builder::new().processors(4);
    sim.slow_polls(false).check(SEEDS, program);
}

/// It is asked, and looks up between two polls.
#[test]
fn a_processor_retires_after_the_poll_that_it_is_at() {
    check(|| retires_after_its_poll(Priority::Normal));
}

/// Workers look for tasks in another way then.
#[test]
fn a_processor_retires_after_its_poll_while_tasks_have_classes() {
    check(|| retires_after_its_poll(Priority::Background));
}

async fn retires_after_its_poll(class: Priority) {
    const ROUNDS: u64 = 5;
    let handle = Handle::current();
    let of_class = handle.with_priority(class);
    of_class.spawn(async {}).await.unwrap();
    let (polls, stop) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (polls, stop) = (polls.clone(), stop.clone());
            spawn(async move {
                while !stop.load(SeqCst) {
                    sim::compute(POLL);
                    polls.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            })
        })
        .collect();
    let so_many_more = async |count| {
        let end = polls.load(SeqCst) + count;
        while polls.load(SeqCst) < end {
            sleep(POLL).await;
        }
    };
    let beyond = |metrics: &RuntimeMetrics| -> u64 {
        (1..4).map(|worker| metrics.worker_poll_count(worker)).sum()
    };
    let mut more = 0;
    for _ in 0..ROUNDS {
        handle.set_worker_threads(4).unwrap();
        so_many_more(100).await;
        handle.set_worker_threads(1).unwrap();
        let before = beyond(&handle.metrics());
        so_many_more(300).await;
        more += beyond(&handle.metrics()) - before;
    }
    stop.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    // One each, and now and then one that was just being taken up.
    assert!(more <= 2 * 3 * ROUNDS, "{more} polls more");
}
