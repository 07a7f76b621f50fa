//! A task whose polls are taken in turns by workers that are stuck and such as are free.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use executor::{sim, spawn};

const SEEDS: usize = 12;

/// Each poll is stuck until another task has run; the output is the number of its polls.
struct Turns {
    stuck: fn(Duration),
    polls: usize,
}

impl Future for Turns {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.polls += 1;
        cx.waker().wake_by_ref();
        let has_run = Arc::new(AtomicBool::new(false));
        let runs = has_run.clone();
        drop(spawn(async move { runs.store(true, SeqCst) }));
        while !has_run.load(SeqCst) {
            (self.stuck)(Duration::from_millis(1));
        }
        if self.polls < 20 {
            Poll::Pending
        } else {
            Poll::Ready(self.polls)
        }
    }
}

fn check(stuck: fn(Duration)) {
    for processors in [1, 2] {
        let sim = sim::Builder::new().processors(processors);
        sim.check(SEEDS, || async {
            let tasks: Vec<_> = (0..4).map(|_| spawn(Turns { stuck, polls: 0 })).collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 20);
            }
        });
    }
}

#[test]
fn a_task_polled_in_turns_by_blocked_and_free_workers_keeps_its_order() {
    check(sim::block);
}

#[test]
fn a_task_polled_in_turns_by_computing_and_free_workers_keeps_its_order() {
    check(sim::compute);
}
