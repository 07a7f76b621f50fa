//! Threads that cannot be started, and shutdown.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Bench, Gate, LONG};
use crate::blocking::{Config, Job, Pool, Spawner};
use crate::sync::{
    atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

/// Submits `jobs` jobs from four threads. Asserts that each is run, cancelled or returned.
fn submit_under_failures(bench: &Bench, jobs: usize) {
    thread::scope(|scope| {
        for submitter in 0..4 {
            scope.spawn(move || {
                for id in (submitter..jobs).step_by(4) {
                    let job = bench.job_with(id, || thread::sleep(Duration::from_micros(100)));
                    if let Err((job, error)) = bench.pool.submit(job) {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        job.cancel();
                    }
                }
            });
        }
    });
    bench.wait_until("each job met its fate", |bench| {
        bench.ran() + bench.total(|fates| &fates.cancelled) == jobs
    });
}

#[test]
fn a_thread_that_cannot_be_started_leaves_no_job_behind() {
    for k in 1..=20 {
        for keep_alive in [Duration::ZERO, Duration::from_micros(1), LONG] {
            let bench = Bench::with_failures(64, 32, keep_alive, move |call| call == k);
            submit_under_failures(&bench, 64);
            bench.finish();

            let bench = Bench::with_failures(64, 32, keep_alive, move |call| call >= k);
            submit_under_failures(&bench, 64);
            bench.finish();

            let bench = Bench::with_failures(64, 32, keep_alive, move |call| call % k == 0);
            submit_under_failures(&bench, 64);
            bench.finish();
        }
    }
}

#[test]
fn the_first_submitter_gets_its_job_back_and_the_next_may_succeed() {
    let bench = Bench::with_failures(2, 4, LONG, |call| call == 1);
    let Err((job, error)) = bench.pool.submit(bench.job(0)) else {
        panic!("no thread could be started");
    };
    assert_eq!((job.id, error.kind()), (0, io::ErrorKind::WouldBlock));
    assert_eq!((bench.pool.num_threads(), bench.pool.queue_depth()), (0, 0));
    job.cancel();
    bench.submit(1, || ());
    bench.wait_until("the second has run", |bench| bench.ran() == 1);
    bench.finish();
}

#[test]
fn a_tick_tries_again_for_a_job_that_others_wait_for() {
    let bench = Bench::with_failures(2, 4, LONG, |call| call == 2);
    let gate = Gate::new();
    let waiting = gate.clone();
    bench.submit(0, move || waiting.wait_for(1));
    bench.wait_until("the first runs", |bench| bench.ran() == 1);
    bench.submit(1, move || gate.arrive());
    assert_eq!(bench.pool.queue_depth(), 1);
    bench.wait_until("both have run", |bench| {
        bench.pool.tick();
        bench.ran() == 2
    });
    bench.finish();
}

/// The only other thread becomes idle during the start. A job that comes meanwhile relies on the
/// thread being started.
#[test]
fn a_start_that_fails_late_wakes_an_idle_thread() {
    let (begun, fail) = (Gate::new(), Gate::new());
    let (begin, failing) = (begun.clone(), fail.clone());
    let bench = Bench::with_failures(3, 4, LONG, move |call| {
        if call == 2 {
            begin.arrive();
            failing.wait_for(1);
        }
        call == 2
    });
    let hold = Gate::new();
    let held = hold.clone();
    bench.submit(0, move || held.wait_for(1));
    bench.wait_until("the first runs", |bench| bench.ran() == 1);
    thread::scope(|scope| {
        scope.spawn(|| bench.submit(1, || ()));
        begun.wait_for(1);
        hold.arrive();
        bench.wait_until("the thread is idle", |bench| {
            bench.ran() == 2 && bench.pool.num_idle_threads() == 1
        });
        bench.submit(2, || ());
        assert_eq!(bench.pool.queue_depth(), 1);
        fail.arrive();
    });
    bench.wait_until("the last has run", |bench| bench.ran() == 3);
    bench.finish();
}

/// If a start hook panics, the new thread drops the body.
#[test]
fn a_thread_that_ends_before_it_begins_leaves_no_job_behind() {
    let calls = AtomicUsize::new(0);
    let spawner: Spawner = Box::new(move |body| {
        let broken = calls.fetch_add(1, SeqCst) < 3;
        let run = move || if broken { drop(body) } else { body() };
        thread::Builder::new().spawn(run).map(drop)
    });
    let mut bench = Bench::new(10, 4, LONG);
    bench.pool = Pool::new(Config {
        max_threads: 4,
        keep_alive: LONG,
        spawner,
    });
    for id in 0..10 {
        bench.submit(id, || ());
        let settled = |bench: &Bench| bench.ran() + bench.total(|fates| &fates.cancelled);
        bench.wait_until("the job met its fate", |bench| settled(bench) == id + 1);
    }
    assert_eq!(bench.ran(), 7);
    bench.finish();
}

#[test]
fn shutdown_beside_submit_settles_every_job() {
    for round in 0..200 {
        let bench = Bench::new(400, 3, [LONG, Duration::ZERO][round % 2]);
        let gate = Gate::new();
        thread::scope(|scope| {
            for submitter in 0..4 {
                let (bench, gate) = (&bench, &gate);
                scope.spawn(move || {
                    gate.arrive();
                    gate.wait_for(5);
                    for id in submitter * 100..(submitter + 1) * 100 {
                        if let Err((job, _)) = bench.pool.submit(bench.job(id)) {
                            assert_eq!(job.id, id);
                            job.cancel();
                        }
                    }
                });
            }
            gate.arrive();
            gate.wait_for(5);
            for _ in 0..round * 50 {
                std::hint::spin_loop();
            }
            bench.pool.shutdown();
        });
        bench.finish();
    }
}

#[test]
fn shutdown_cancels_what_is_queued_and_waits_for_what_has_begun() {
    let bench = Bench::new(11, 1, LONG);
    let gate = Gate::new();
    let waiting = gate.clone();
    bench.submit(0, move || waiting.wait_for(1));
    bench.wait_until("the first runs", |bench| bench.ran() == 1);
    for id in 1..11 {
        bench.submit(id, || ());
    }
    bench.pool.shutdown();
    assert_eq!(bench.total(|fates| &fates.cancelled), 10);
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(!bench.pool.wait_idle(Some(soon)));
    assert!(Instant::now() >= soon);
    gate.arrive();
    bench.finish();
    assert_eq!(bench.ran(), 1);
    assert!(bench.pool.submit(bench.job(0)).is_err());
}
