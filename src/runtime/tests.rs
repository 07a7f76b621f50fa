//! Threads whose context throws before they begin: nothing that they were to do is lost.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod cpus;

use std::future::pending;
use std::time::{Duration, Instant};

use super::{Builder, Handle, Runtime};
use crate::block_in_place;
use crate::observe;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use crate::sync::{Arc, thread};

const PATIENCE: Duration = Duration::from_secs(20);
const CHILDREN: usize = 10;

/// A runtime with one worker. So many of the threads that are started from now on throw.
fn throwing(threads: &Arc<AtomicUsize>) -> Runtime {
    let (mut settings, wanted, foreign) = Builder::new().worker_threads(1).check().unwrap();
    let threads = threads.clone();
    let inner = settings.wrap_thread;
    settings.wrap_thread = Box::new(move |lease, body| {
        let throws = threads.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        assert!(throws.is_err(), "the context of a thread throws");
        inner(lease, body);
    });
    Runtime::new(
        Handle::new(observe::open(settings, wanted).unwrap(), foreign),
        None,
    )
}

/// Counts how often it is dropped.
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn a_runtime_whose_first_threads_throw_works_and_ends() {
    // The monitor and the worker, in either order.
    for threads in 0..=2 {
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = throwing(&Arc::new(AtomicUsize::new(threads)));
        let waits = Drops(drops.clone());
        drop(runtime.spawn(async move {
            let _waits = waits;
            pending::<()>().await;
        }));
        let runs = runtime.spawn(async {});
        wait_until("a worker comes", || runs.is_finished());
        assert!(runtime.shutdown_timeout(PATIENCE).is_complete());
        assert_eq!(drops.load(SeqCst), 1);
    }
}

/// A worker with children in its queue, whose core goes to threads that throw.
struct HandedOver {
    runtime: Runtime,
    dropped: Arc<AtomicUsize>,
    ran: Arc<AtomicUsize>,
    release: Arc<AtomicBool>,
}

/// So many threads throw.
fn hand_over(throws: usize) -> HandedOver {
    let threads = Arc::new(AtomicUsize::new(0));
    let handed_over = HandedOver {
        runtime: throwing(&threads),
        dropped: Arc::default(),
        ran: Arc::default(),
        release: Arc::default(),
    };
    let (dropped, ran) = (handed_over.dropped.clone(), handed_over.ran.clone());
    let release = handed_over.release.clone();
    drop(handed_over.runtime.spawn(async move {
        for _ in 0..CHILDREN {
            let (drops, ran) = (Drops(dropped.clone()), ran.clone());
            drop(crate::spawn(async move {
                let _drops = drops;
                ran.fetch_add(1, SeqCst);
            }));
        }
        threads.store(throws, SeqCst);
        block_in_place(|| wait_until("released", || release.load(SeqCst)));
    }));
    handed_over
}

#[test]
fn a_core_whose_thread_throws_keeps_its_queue() {
    let it = hand_over(3);
    wait_until("all children run", || it.ran.load(SeqCst) == CHILDREN);
    it.release.store(true, SeqCst);
    assert!(it.runtime.shutdown_timeout(PATIENCE).is_complete());
    assert_eq!(it.dropped.load(SeqCst), CHILDREN);
}

#[test]
fn a_shutdown_ends_while_every_new_thread_throws() {
    let it = hand_over(usize::MAX);
    wait_until("the core goes", || {
        it.runtime.metrics().handoff_count() != 0
    });
    let runtime = it.runtime;
    let closing = thread::spawn(move || runtime.shutdown_timeout(PATIENCE));
    wait_until("the children end", || it.dropped.load(SeqCst) == CHILDREN);
    it.release.store(true, SeqCst);
    assert!(closing.join().unwrap().is_complete());
    assert_eq!(it.dropped.load(SeqCst), CHILDREN);
    assert_eq!(it.ran.load(SeqCst), 0, "nobody was there to run them");
}
