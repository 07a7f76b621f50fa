//! Panics of foreign code, wherever it is called: they end one task at most, and no thread.
//!
//! What is thrown has a destructor that throws again. Afterwards the runtime still runs as many tasks in parallel as it has
//! processors.

use std::error::Error;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll};
use std::thread;

use executor::runtime::Builder;
use executor::task::yield_now;
use executor::{JoinError, JoinHandle, block_on, spawn_local};

use crate::common::throwing::{
    ALL, Hazard, Output, Tally, Thrower, assert_thrown, await_count, throw, unclaimed,
};
use crate::common::{assert_all_usable, hold_without_retakes, keep, on_runtimes};

/// Waits for the task as its hazard demands.
async fn join(hazard: Hazard, handle: JoinHandle<Output>) {
    match hazard {
        Hazard::Poll | Hazard::DropAtEnd => assert_thrown(handle.await),
        Hazard::Output => keep(handle.await.ok().unwrap()),
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
    // Two panics at once end the process.
    if !crate::common::alone(
        module_path!(),
        "a_poll_and_then_the_destructor_of_a_local_task",
    ) {
        return;
    }
    let tally = Arc::new(Tally::default());
    let inner = tally.clone();
    assert_thrown(block_on(async { spawn_local(Twice(inner)).await }));
    assert_eq!(tally.futures.load(SeqCst), 1);
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
            drop(runtime.spawn_blocking(move || keep(held)));
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
            keep(thrown.err().unwrap());
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

#[test]
fn all_of_this_holds_without_retakes() {
    hold_without_retakes(module_path!(), "all_of_this_holds_without_retakes");
}
