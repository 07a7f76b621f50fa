//! A runtime that ends in the middle of all: each future is dropped once, and nobody hangs.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use executor::task::yield_now;
use executor::time::{now, sleep};
use executor::{Handle, Runtime, block_on, sim, spawn, spawn_blocking};

use super::{Counted, check, dawdle, millis};

#[derive(Clone, Default)]
struct Book {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Book {
    fn counted(&self) -> Counted {
        self.made.fetch_add(1, Ordering::SeqCst);
        Counted(self.dropped.clone())
    }

    #[track_caller]
    fn is_balanced(&self) {
        let dropped = self.dropped.load(Ordering::SeqCst);
        assert_eq!(dropped, self.made.load(Ordering::SeqCst));
    }
}

fn runtime() -> Runtime {
    let workers = 1 + sim::choose(3) as usize;
    let builder = executor::Builder::new().worker_threads(workers);
    builder.build().unwrap()
}

/// Whatever a task may be at when its runtime ends.
async fn life(book: Book) {
    let _counted = book.counted();
    match sim::choose(9) {
        0 => pending().await,
        1 => loop {
            yield_now().await;
        },
        2 => loop {
            sleep(millis(1)).await;
        },
        3 => {
            for _ in 0..3 {
                let (counted, child) = (book.counted(), book.clone());
                drop(spawn(async move {
                    let _counted = counted;
                    dawdle().await;
                    drop(child);
                    pending::<()>().await;
                }));
                dawdle().await;
            }
        }
        4 => {
            let counted = book.counted();
            let job = spawn_blocking(move || {
                let _counted = counted;
                sim::block(millis(sim::choose(20)));
                // Beside the end, by a thread without a processor.
                let counted = book.counted();
                drop(spawn(async move {
                    let _counted = counted;
                    pending::<()>().await;
                }));
            });
            drop(job.await);
        }
        5 => sim::block(millis(sim::choose(40))),
        6 => block_on(sleep(millis(sim::choose(5)))),
        _ => {
            for _ in 0..3 {
                dawdle().await;
            }
            pending().await
        }
    }
}

#[test]
fn the_end_drops_each_future_once() {
    check(120, || async {
        let book = Book::default();
        let runtime = runtime();
        for _ in 0..1 + sim::choose(6) {
            drop(runtime.spawn(life(book.clone())));
        }
        match sim::choose(4) {
            0 => {}
            1 => sim::interleave(),
            2 => yield_now().await,
            _ => sim::block(millis(sim::choose(8))),
        }
        drop(runtime);
        book.is_balanced();
    });
}

#[test]
fn the_end_within_a_task_of_its_own_waits_for_nothing() {
    check(60, || async {
        let book = Book::default();
        let runtime = runtime();
        let handle = runtime.handle().clone();
        for _ in 0..sim::choose(4) {
            drop(handle.spawn(life(book.clone())));
        }
        let ends = handle.spawn(async move {
            dawdle().await;
            drop(runtime);
        });
        // Cancelled, or ended before that.
        drop(ends.await);
        while book.made.load(Ordering::SeqCst) != book.dropped.load(Ordering::SeqCst) {
            sleep(millis(5)).await;
        }
        // Its threads end.
        sleep(millis(100)).await;
    });
}

#[test]
fn a_destructor_may_wait_for_a_task_that_the_end_cancels() {
    struct Waits(Option<executor::JoinHandle<()>>);

    impl Drop for Waits {
        fn drop(&mut self) {
            if let Some(task) = self.0.take() {
                drop(block_on(task));
            }
        }
    }

    check(60, || async {
        let book = Book::default();
        let runtime = runtime();
        for _ in 0..1 + sim::choose(3) {
            let counted = book.counted();
            let other = runtime.spawn(async move {
                let _counted = counted;
                pending::<()>().await;
            });
            let (counted, waits) = (book.counted(), Waits(Some(other)));
            drop(runtime.spawn(async move {
                let _held = (counted, waits);
                pending::<()>().await;
            }));
        }
        if sim::choose(2) == 0 {
            sim::block(millis(sim::choose(3)));
        }
        drop(runtime);
        book.is_balanced();
    });
}

#[test]
fn a_limit_is_kept_whatever_blocks() {
    check(60, || async {
        let runtime = runtime();
        let long = || sim::block(Duration::from_secs(5));
        match sim::choose(3) {
            0 => drop(runtime.spawn(async move { long() })),
            1 => drop(runtime.spawn_blocking(long)),
            _ => drop(runtime.spawn(async move {
                let job = spawn_blocking(long);
                drop(block_on(job));
            })),
        }
        sim::block(millis(sim::choose(10)));
        let begin = now();
        runtime.shutdown_timeout(Duration::from_secs(1));
        assert!(now() - begin < Duration::from_secs(2));
        // Until it has ended.
        sleep(Duration::from_secs(6)).await;
    });
}

#[test]
fn spawns_beside_the_end_are_refused_or_cancelled() {
    check(60, || async {
        let book = Book::default();
        let runtime = runtime();
        let handle: Handle = runtime.handle().clone();
        let spawner = {
            let book = book.clone();
            spawn_blocking(move || {
                for _ in 0..6 {
                    let counted = book.counted();
                    let task = handle.spawn(async move {
                        let _counted = counted;
                        pending::<()>().await;
                    });
                    if sim::choose(2) == 0 {
                        sim::interleave();
                    }
                    drop(task);
                }
            })
        };
        dawdle().await;
        drop(runtime);
        spawner.await.unwrap();
        book.is_balanced();
    });
}
