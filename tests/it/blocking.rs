//! Hazards of `spawn_blocking`: jobs lost, jobs that wait for each other, threads that stay, shutdown that hangs.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use executor::runtime::{Builder, Handle, Runtime};
use executor::{JoinHandle, block_on, spawn, spawn_blocking};

/// After this something counts as hung.
const PATIENCE: Duration = Duration::from_secs(20);

fn runtime(max_blocking_threads: usize) -> Runtime {
    Builder::new()
        .worker_threads(2)
        .max_blocking_threads(max_blocking_threads)
        .build()
        .unwrap()
}

/// Counts arrivals; panics rather than hangs.
#[derive(Default)]
struct Gate {
    arrived: Mutex<usize>,
    bell: Condvar,
}

impl Gate {
    fn new() -> Arc<Gate> {
        Arc::default()
    }

    fn arrive(&self) {
        *self.arrived.lock().unwrap() += 1;
        self.bell.notify_all();
    }

    fn wait_for(&self, number: usize) {
        let arrived = self.arrived.lock().unwrap();
        let waited = self
            .bell
            .wait_timeout_while(arrived, PATIENCE, |arrived| *arrived < number);
        assert!(!waited.unwrap().1.timed_out(), "nobody arrives at the gate");
    }
}

/// Counts how often it was dropped.
struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < give_up, "still waiting until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A job that has begun when this returns, and ends with 7 when the gate has one arrival.
fn held_job(runtime: &Runtime) -> (JoinHandle<u32>, Arc<Gate>) {
    let (begun, gate) = (Gate::new(), Gate::new());
    let (begin, held) = (begun.clone(), gate.clone());
    let handle = runtime.spawn_blocking(move || {
        begin.arrive();
        held.wait_for(1);
        7
    });
    begun.wait_for(1);
    (handle, gate)
}

#[test]
fn a_thousand_tasks_await_a_job_each() {
    let runtime = runtime(4);
    let tasks: Vec<_> = (0..1_000u64)
        .map(|n| runtime.spawn(async move { executor::spawn_blocking(move || n).await.unwrap() }))
        .collect();
    let sum = runtime.block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 499_500);
}

#[test]
fn the_limit_holds() {
    let runtime = runtime(3);
    let running = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..200)
        .map(|_| {
            let running = running.clone();
            runtime.spawn_blocking(move || {
                let now = running.fetch_add(1, SeqCst) + 1;
                thread::sleep(Duration::from_micros(100));
                running.fetch_sub(1, SeqCst);
                now
            })
        })
        .collect();
    for job in jobs {
        assert!(block_on(job).unwrap() <= 3);
    }
    assert!(runtime.metrics().num_blocking_threads() <= 3);
}

#[test]
fn a_nested_job_at_the_limit_runs_after_its_parent() {
    let runtime = runtime(1);
    let parent = runtime.spawn_blocking(|| executor::spawn_blocking(|| 5));
    let child = block_on(parent).unwrap();
    assert_eq!(block_on(child).unwrap(), 5);
}

/// What ends a job, and who waits for it, needs no place in the pool: here each job is spawned by a task that awaits it, and
/// leaves the next task behind.
#[test]
fn a_chain_of_jobs_and_tasks_needs_one_thread() {
    fn link(left: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
        Box::pin(async move {
            let job = spawn_blocking(move || (left > 0).then(|| spawn(link(left - 1))));
            match job.await.unwrap() {
                Some(next) => 1 + next.await.unwrap(),
                None => 1,
            }
        })
    }
    let runtime = runtime(1);
    // Several at once, so that the pool always has a queue.
    let chains: Vec<_> = (0..10).map(|_| runtime.spawn(link(100))).collect();
    for chain in chains {
        assert_eq!(block_on(chain).unwrap(), 101);
    }
    assert!(runtime.metrics().num_blocking_threads() <= 1);
}

/// Job k waits for job k + 1, which is queued after it.
#[test]
fn jobs_that_wait_for_later_jobs_finish_below_the_limit() {
    const LENGTH: usize = 30;
    let runtime = runtime(LENGTH);
    let gates: Vec<_> = (0..=LENGTH).map(|_| Gate::new()).collect();
    gates[LENGTH].arrive();
    let jobs: Vec<_> = gates
        .windows(2)
        .map(|pair| {
            let (own, next) = (pair[0].clone(), pair[1].clone());
            runtime.spawn_blocking(move || {
                next.wait_for(1);
                own.arrive();
            })
        })
        .collect();
    for job in jobs {
        block_on(job).unwrap();
    }
}

#[test]
fn jobs_that_block_on_nested_jobs_finish_below_the_limit() {
    fn nest(depth: usize) -> usize {
        match depth {
            0 => 0,
            _ => 1 + block_on(executor::spawn_blocking(move || nest(depth - 1))).unwrap(),
        }
    }
    let runtime = runtime(64);
    assert_eq!(block_on(runtime.spawn_blocking(|| nest(40))).unwrap(), 40);
}

#[test]
fn an_abort_before_the_job_begins_cancels_it() {
    let runtime = runtime(1);
    let (held, gate) = held_job(&runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let ran = Arc::new(AtomicUsize::new(0));
    let guard = CountDrop(drops.clone());
    let run = ran.clone();
    let queued = runtime.spawn_blocking(move || {
        let _guard = guard;
        run.fetch_add(1, SeqCst);
    });
    queued.abort();
    gate.arrive();
    assert!(block_on(queued).unwrap_err().is_cancelled());
    assert_eq!(block_on(held).unwrap(), 7);
    assert_eq!((ran.load(SeqCst), drops.load(SeqCst)), (0, 1));
}

#[test]
fn an_abort_after_the_job_began_has_no_effect() {
    let runtime = runtime(1);
    let (held, gate) = held_job(&runtime);
    held.abort();
    gate.arrive();
    assert_eq!(block_on(held).unwrap(), 7);
}

#[test]
fn a_panic_reaches_the_handle_and_costs_no_thread() {
    let runtime = runtime(1);
    for _ in 0..5 {
        let error = block_on(runtime.spawn_blocking(|| panic!("no luck"))).unwrap_err();
        assert!(error.is_panic());
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "no luck");
    }
    assert_eq!(block_on(runtime.spawn_blocking(|| 3)).unwrap(), 3);
    assert_eq!(runtime.metrics().num_blocking_threads(), 1);
}

#[test]
fn a_job_is_in_its_runtime() {
    let runtime = runtime(2);
    let job = runtime.spawn_blocking(|| {
        assert!(Handle::try_current().is_ok());
        let by_handle = Handle::current().spawn(async { 1 });
        let by_function = executor::spawn(async { 2 });
        block_on(async { by_handle.await.unwrap() + by_function.await.unwrap() })
    });
    assert_eq!(block_on(job).unwrap(), 3);
}

#[test]
fn dropping_the_runtime_waits_for_what_began_and_cancels_the_rest() {
    let runtime = runtime(1);
    let (held, gate) = held_job(&runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let ran = Arc::new(AtomicUsize::new(0));
    let queued: Vec<_> = (0..10)
        .map(|_| {
            let (guard, ran) = (CountDrop(drops.clone()), ran.clone());
            runtime.spawn_blocking(move || {
                let _guard = guard;
                ran.fetch_add(1, SeqCst);
            })
        })
        .collect();
    assert_eq!(runtime.metrics().blocking_queue_depth(), 10);

    let (sender, receiver) = mpsc::channel();
    let dropper = thread::spawn(move || {
        drop(runtime);
        sender.send(()).unwrap();
    });
    for job in queued {
        assert!(block_on(job).unwrap_err().is_cancelled());
    }
    assert_eq!((ran.load(SeqCst), drops.load(SeqCst)), (0, 10));
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
    gate.arrive();
    receiver.recv_timeout(PATIENCE).unwrap();
    dropper.join().unwrap();
    assert!(held.is_finished());
    assert_eq!(block_on(held).unwrap(), 7);
}

#[test]
fn shutdown_timeout_does_not_wait_longer_for_a_job() {
    let runtime = runtime(2);
    let (held, gate) = held_job(&runtime);
    let start = Instant::now();
    runtime.shutdown_timeout(Duration::from_millis(50));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(50), "{waited:?}");
    assert!(waited < PATIENCE / 2, "{waited:?}");
    assert!(!held.is_finished());
    gate.arrive();
    assert_eq!(block_on(held).unwrap(), 7);
}

#[test]
fn shutdown_background_does_not_wait_at_all() {
    let runtime = runtime(2);
    let (held, gate) = held_job(&runtime);
    runtime.shutdown_background();
    assert!(!held.is_finished());
    gate.arrive();
    assert_eq!(block_on(held).unwrap(), 7);
}

#[test]
fn a_job_after_shutdown_is_cancelled() {
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    drop(runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = CountDrop(drops.clone());
    let job = handle.spawn_blocking(move || drop(guard));
    assert!(block_on(job).unwrap_err().is_cancelled());
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_runtime_dropped_inside_its_own_job_does_not_wait_for_it() {
    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    let (sender, receiver) = mpsc::channel();
    let job = handle.spawn_blocking(move || {
        drop(runtime);
        sender.send(()).unwrap();
        9
    });
    receiver.recv_timeout(PATIENCE).unwrap();
    assert_eq!(block_on(job).unwrap(), 9);
}

#[test]
fn threads_have_their_name_and_run_their_hooks() {
    thread_local! {
        static STARTED: Cell<bool> = const { Cell::new(false) };
    }
    let (starts, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (start, stop) = (starts.clone(), stops.clone());
    let runtime = Builder::new()
        .worker_threads(1)
        .thread_name("jobs")
        .on_thread_start(move || {
            STARTED.set(true);
            start.fetch_add(1, SeqCst);
        })
        .on_thread_stop(move || {
            assert!(STARTED.get());
            stop.fetch_add(1, SeqCst);
        })
        .build()
        .unwrap();
    let both = Gate::new();
    let jobs = [both.clone(), both].map(|both| {
        runtime.spawn_blocking(move || {
            both.arrive();
            both.wait_for(2);
            assert!(STARTED.get());
            thread::current().name().map(str::to_owned)
        })
    });
    for job in jobs {
        let name = block_on(job).unwrap().unwrap();
        assert!(name.starts_with("jobs"), "{name}");
    }
    assert_eq!(runtime.metrics().num_blocking_threads(), 2);
    drop(runtime);
    // Two blocking threads, the worker and the reactor's; on a busy machine these two may have started last.
    assert_eq!(starts.load(SeqCst), 4);
    assert_eq!(stops.load(SeqCst), 4);
}

#[test]
fn idle_threads_end_after_their_keep_alive() {
    for keep_alive in [Duration::ZERO, Duration::from_millis(20)] {
        let runtime = Builder::new()
            .worker_threads(1)
            .thread_keep_alive(keep_alive)
            .build()
            .unwrap();
        for _ in 0..2 {
            let all = Gate::new();
            let jobs: Vec<_> = (0..5)
                .map(|_| {
                    let all = all.clone();
                    runtime.spawn_blocking(move || {
                        all.arrive();
                        all.wait_for(5);
                    })
                })
                .collect();
            jobs.into_iter().for_each(|job| block_on(job).unwrap());
            wait_until("all threads ended", || {
                runtime.metrics().num_blocking_threads() == 0
            });
            assert_eq!(runtime.metrics().num_idle_blocking_threads(), 0);
        }
    }
}

#[test]
fn metrics_tell_busy_from_idle() {
    let runtime = runtime(1);
    let (held, gate) = held_job(&runtime);
    let queued: Vec<_> = (0..5).map(|n| runtime.spawn_blocking(move || n)).collect();
    let metrics = runtime.metrics();
    assert_eq!(metrics.num_blocking_threads(), 1);
    assert_eq!(metrics.num_idle_blocking_threads(), 0);
    assert_eq!(metrics.blocking_queue_depth(), 5);
    gate.arrive();
    block_on(held).unwrap();
    for (n, job) in queued.into_iter().enumerate() {
        assert_eq!(block_on(job).unwrap(), n);
    }
    wait_until("the thread is idle", || {
        runtime.metrics().num_idle_blocking_threads() == 1
    });
    assert_eq!(runtime.metrics().blocking_queue_depth(), 0);
}
