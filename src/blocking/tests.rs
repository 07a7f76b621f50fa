//! Hazards of the pool. Jobs are numbers here: each must be run, cancelled or returned, exactly
//! once.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Config, Job, Pool, Spawner};
use crate::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

mod failures;

/// Counts arrivals. A wait that takes too long panics instead of hanging.
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
        *self.arrived.lock() += 1;
        self.bell.notify_all();
    }

    fn wait_for(&self, number: usize) {
        let give_up = Instant::now() + PATIENCE;
        let mut arrived = self.arrived.lock();
        while *arrived < number {
            assert!(Instant::now() < give_up, "nobody arrives at the gate");
            arrived = self.bell.wait_timeout(arrived, PATIENCE);
        }
    }
}

/// A job that takes longer counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a job was run and cancelled.
#[derive(Default)]
struct Fates {
    run: AtomicUsize,
    cancelled: AtomicUsize,
}

type Action = Box<dyn FnOnce() + Send>;

/// A job that counts its end in `fates[id]`.
struct TestJob {
    fates: Arc<Vec<Fates>>,
    id: usize,
    action: Option<Action>,
}

impl Job for TestJob {
    fn run(self) {
        self.fates[self.id].run.fetch_add(1, SeqCst);
        if let Some(action) = self.action {
            action();
        }
    }

    fn cancel(self) {
        self.fates[self.id].cancelled.fetch_add(1, SeqCst);
    }
}

/// A pool and the fates of its jobs.
struct Bench {
    pool: Arc<Pool<TestJob>>,
    fates: Arc<Vec<Fates>>,
    /// Threads started so far.
    started: Arc<AtomicUsize>,
}

impl Bench {
    fn new(jobs: usize, max_threads: usize, keep_alive: Duration) -> Bench {
        Bench::with_failures(jobs, max_threads, keep_alive, |_| false)
    }

    /// `fails(k)` says whether the start number k (from 1) fails.
    fn with_failures(
        jobs: usize,
        max_threads: usize,
        keep_alive: Duration,
        fails: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> Bench {
        let started = Arc::new(AtomicUsize::new(0));
        let calls = AtomicUsize::new(0);
        let count = started.clone();
        let spawner: Spawner = Box::new(move |body| {
            if fails(calls.fetch_add(1, SeqCst) + 1) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            count.fetch_add(1, SeqCst);
            thread::Builder::new().spawn(body).map(drop)
        });
        Bench {
            pool: Pool::new(Config {
                max_threads,
                keep_alive,
                spawner,
            }),
            fates: Arc::new((0..jobs).map(|_| Fates::default()).collect()),
            started,
        }
    }

    fn job(&self, id: usize) -> TestJob {
        TestJob {
            fates: self.fates.clone(),
            id,
            action: None,
        }
    }

    fn job_with(&self, id: usize, action: impl FnOnce() + Send + 'static) -> TestJob {
        TestJob {
            action: Some(Box::new(action)),
            ..self.job(id)
        }
    }

    fn submit(&self, id: usize, action: impl FnOnce() + Send + 'static) {
        assert!(self.pool.submit(self.job_with(id, action)).is_ok());
    }

    fn total(&self, of: impl Fn(&Fates) -> &AtomicUsize) -> usize {
        self.fates.iter().map(|fates| of(fates).load(SeqCst)).sum()
    }

    fn ran(&self) -> usize {
        self.total(|fates| &fates.run)
    }

    /// Waits for `condition`. If a job is lost, this panics instead of hanging.
    fn wait_until(&self, what: &str, condition: impl Fn(&Bench) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < give_up, "still waiting until {what}");
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Shuts the pool down and asserts that each job met exactly one fate.
    fn finish(&self) {
        self.pool.shutdown();
        let deadline = Instant::now() + PATIENCE;
        assert!(self.pool.wait_idle(Some(deadline)), "threads left");
        assert_eq!(self.pool.num_threads(), 0);
        assert_eq!(self.pool.num_idle_threads(), 0);
        assert_eq!(self.pool.queue_depth(), 0);
        for (id, fates) in self.fates.iter().enumerate() {
            let (run, cancelled) = (fates.run.load(SeqCst), fates.cancelled.load(SeqCst));
            assert_eq!(
                run + cancelled,
                1,
                "job {id}: run {run}, cancelled {cancelled}"
            );
        }
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn each_job_runs_once_under_eight_submitters() {
    const EACH: usize = 2_000;
    let bench = Bench::new(8 * EACH, 16, LONG);
    thread::scope(|scope| {
        for submitter in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for id in submitter * EACH..(submitter + 1) * EACH {
                    bench.submit(id, || ());
                }
            });
        }
    });
    bench.wait_until("all have run", |bench| bench.ran() == 8 * EACH);
    assert!(bench.started.load(SeqCst) <= 16);
    bench.finish();
    assert_eq!(bench.ran(), 8 * EACH);
}

#[test]
fn the_thread_limit_holds() {
    let bench = Bench::new(1_000, 4, LONG);
    let running = Arc::new(AtomicUsize::new(0));
    for id in 0..1_000 {
        let running = running.clone();
        bench.submit(id, move || {
            assert!(running.fetch_add(1, SeqCst) < 4);
            thread::sleep(Duration::from_micros(50));
            running.fetch_sub(1, SeqCst);
        });
        assert!(bench.pool.num_threads() <= 4);
    }
    bench.wait_until("all have run", |bench| bench.ran() == 1_000);
    assert_eq!(bench.started.load(SeqCst), 4);
    bench.finish();
}

/// Job k waits for job k + 1: all of them must run at once.
fn dependent_chain(length: usize, keep_alive: Duration, noise: usize) {
    let bench = Bench::new(length + noise, length + 4, keep_alive);
    let gates: Vec<_> = (0..=length).map(|_| Gate::new()).collect();
    gates[length].arrive();
    for id in 0..length {
        for extra in 0..noise / length {
            bench.submit(length + id * (noise / length) + extra, || ());
        }
        let (own, next) = (gates[id].clone(), gates[id + 1].clone());
        bench.submit(id, move || {
            next.wait_for(1);
            own.arrive();
        });
    }
    bench.wait_until("all have run", |bench| {
        bench.ran() == length + noise && bench.pool.num_idle_threads() == bench.pool.num_threads()
    });
    bench.finish();
}

#[test]
fn dependent_jobs_get_their_threads_without_a_monitor() {
    dependent_chain(40, LONG, 0);
    dependent_chain(40, Duration::ZERO, 0);
    for _ in 0..20 {
        dependent_chain(10, LONG, 0);
    }
}

/// The short jobs make the queue move, so that threads go on watch before the long ones block them.
#[test]
fn dependent_jobs_between_short_ones_get_their_threads() {
    for _ in 0..10 {
        dependent_chain(20, LONG, 400);
        dependent_chain(20, Duration::ZERO, 400);
    }
}

#[test]
fn nested_submit_at_the_limit_loses_nothing() {
    for max_threads in [1, 2] {
        let bench = Arc::new(Bench::new(200, max_threads, LONG));
        for id in 0..100 {
            let inner = bench.clone();
            bench.submit(id, move || inner.submit(100 + id, || ()));
        }
        bench.wait_until("all have run", |bench| bench.ran() == 200);
        bench.finish();
    }
}

#[test]
fn nested_jobs_that_are_waited_for_get_a_thread() {
    let bench = Arc::new(Bench::new(100, 512, LONG));
    fn nest(bench: &Arc<Bench>, id: usize) {
        if id == 100 {
            return;
        }
        let gate = Gate::new();
        let (inner, done) = (bench.clone(), gate.clone());
        bench.submit(id, move || {
            nest(&inner, id + 1);
            done.arrive();
        });
        gate.wait_for(1);
    }
    nest(&bench, 0);
    assert_eq!(bench.ran(), 100);
    bench.finish();
}

#[test]
fn a_job_beside_a_thread_that_ends_is_not_lost() {
    for keep_alive in [Duration::ZERO, Duration::from_micros(1)] {
        let bench = Bench::new(5_000, 4, keep_alive);
        for id in 0..5_000 {
            bench.submit(id, || ());
            // The pauses range from none to just over the end of the last thread.
            for _ in 0..id % 97 * 20 {
                std::hint::spin_loop();
            }
            if id % 5 == 0 {
                bench.wait_until("the job has run", |bench| bench.ran() == id + 1);
            }
        }
        bench.wait_until("all have run and the threads have ended", |bench| {
            bench.ran() == 5_000 && bench.pool.num_threads() == 0
        });
        bench.finish();
    }
}

#[test]
fn idle_threads_end_after_the_keep_alive() {
    let bench = Bench::new(6, 8, Duration::from_millis(30));
    let gate = Gate::new();
    for id in 0..6 {
        let gate = gate.clone();
        bench.submit(id, move || {
            gate.arrive();
            gate.wait_for(6);
        });
    }
    bench.wait_until("all threads ended", |bench| {
        bench.ran() == 6 && bench.pool.num_threads() == 0
    });
    assert_eq!(bench.started.load(SeqCst), 6);
    bench.finish();
}

#[test]
fn an_endless_keep_alive_does_not_overflow() {
    let bench = Bench::new(2, 8, Duration::MAX);
    bench.submit(0, || ());
    bench.wait_until("idle", |bench| bench.pool.num_idle_threads() == 1);
    bench.submit(1, || ());
    bench.wait_until("all have run", |bench| bench.ran() == 2);
    bench.finish();
}

/// There is one call in flight, and the watch: so a burst does not start a thread per job.
#[test]
fn a_burst_of_short_jobs_starts_few_threads() {
    let bench = Bench::new(10_000, 512, LONG);
    for id in 0..10_000 {
        bench.submit(id, || ());
    }
    bench.wait_until("all have run", |bench| bench.ran() == 10_000);
    let started = bench.started.load(SeqCst);
    assert!(started < 200, "{started} threads for a burst");
    bench.finish();
}
