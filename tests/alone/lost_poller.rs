//! A program that makes a daemon of itself closes all descriptors but the first three, and with them those that the runtime
//! waits by. Tasks and timers go on then, sockets report errors, somebody is told, and no thread spins.

use std::process::{Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use executor::Runtime;
use executor::net::unix::UnixStream;
use executor::time::{interval, sleep};
use futures::io::AsyncReadExt;
use rustix::time::{ClockId, clock_gettime};

use crate::common::{full_name, processors, this_program, wait_until, within_patience};

/// In the environment of a child: how many processors its runtime has.
const CHILD: &str = "EXECUTOR_TEST_LOST_POLLER";

/// Runs the test once more, as a child with so many processors; what it has printed on standard error.
fn child(test: &str, processors: usize) -> String {
    let child = this_program()
        .args([&full_name(module_path!(), test), "--exact", "--nocapture"])
        .env(CHILD, processors.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = within_patience(|| child.wait_with_output().unwrap());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    errors
}

/// In the child: the body, whose end is the end of the process. Else the child is run, and this is done with what it says.
fn in_children(test: &str, body: fn(&Runtime)) {
    if let Ok(count) = std::env::var(CHILD) {
        // Nothing is dropped: the numbers of the descriptors belong to nobody, or to others.
        let runtime = Box::leak(Box::new(processors(count.parse().unwrap())));
        body(runtime);
        exit(0);
    }
    let _turn = crate::turn();
    for processors in [1, 2, 4] {
        let errors = child(test, processors);
        let said = errors.matches("waiting for i/o fails").count();
        assert_eq!(said, 1, "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

/// All but the monitor's view of a thread, `/proc/self/task/TID/stat`, which is open while a poll lasts, as each does on a busy
/// machine. It is closed again within the second, and in a debug build the standard library ends a process that closes what
/// is closed already.
fn close_all_descriptors() {
    for number in 3..1024 {
        let what = std::fs::read_link(format!("/proc/self/fd/{number}"));
        let is_of_monitor = |what: &std::path::PathBuf| what.ends_with("stat");
        if what.as_ref().is_ok_and(|what| !is_of_monitor(what)) {
            // SAFETY: it takes a number. What owns the descriptor is in for errors, which is what is tested.
            assert_eq!(unsafe { libc::close(number) }, 0);
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A task that waits for a socket, and how its wait has ended.
fn reader(runtime: &Runtime) -> executor::JoinHandle<std::io::Error> {
    let (mut near, far) = runtime.block_on(async { UnixStream::pair().unwrap() });
    let reader = runtime.spawn(async move {
        let error = near.read(&mut [0]).await.unwrap_err();
        std::mem::forget((near, far));
        error
    });
    runtime
        .block_on(runtime.spawn(executor::task::yield_now()))
        .unwrap();
    reader
}

#[test]
fn timers_and_tasks_go_on_and_no_thread_spins() {
    in_children("timers_and_tasks_go_on_and_no_thread_spins", |runtime| {
        const TICKS: usize = 20;
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = ticks.clone();
        drop(runtime.spawn(async move {
            let mut interval = interval(Duration::from_millis(10));
            loop {
                interval.tick().await;
                counted.fetch_add(1, SeqCst);
            }
        }));
        let reader = reader(runtime);
        wait_until("it ticks", || ticks.load(SeqCst) > 2);
        close_all_descriptors();
        let (begin, used, before) = (Instant::now(), cpu_time(), ticks.load(SeqCst));
        wait_until("timers go on", || {
            std::thread::sleep(Duration::from_millis(1));
            ticks.load(SeqCst) >= before + TICKS
        });
        std::thread::sleep(Duration::from_secs(2).saturating_sub(begin.elapsed()));
        let used = cpu_time() - used;
        assert!(
            used < begin.elapsed() / 4,
            "{used:?} of CPU time in {:?}",
            begin.elapsed()
        );

        let error = runtime.block_on(reader).unwrap();
        assert!(error.to_string().contains("cannot wait for i/o"), "{error}");
        let error = runtime.block_on(async { UnixStream::pair() }).unwrap_err();
        assert!(error.to_string().contains("cannot wait for i/o"), "{error}");
        let (tx, rx) = async_channel::bounded(1);
        let sum = runtime.spawn(async move {
            let mut sum = 0;
            while let Ok(number) = rx.recv().await {
                sum += number;
            }
            sum
        });
        runtime.block_on(async {
            for number in 0..1000 {
                tx.send(number).await.unwrap();
            }
            drop(tx);
            sleep(Duration::from_millis(1)).await;
        });
        assert_eq!(runtime.block_on(sum).unwrap(), 499_500);
        assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 7)).unwrap(), 7);
    });
}

/// No timer ends the wait of the worker that has the seat, and nothing that is written can.
#[test]
fn a_worker_that_waits_for_nothing_but_a_notification_is_reached() {
    in_children(
        "a_worker_that_waits_for_nothing_but_a_notification_is_reached",
        |runtime| {
            let reader = reader(runtime);
            let all_asleep = || {
                let threads = std::fs::read_dir("/proc/self/task").unwrap();
                let state = |path: std::path::PathBuf| std::fs::read_to_string(path.join("stat"));
                let asleep = threads.filter(|thread| {
                    state(thread.as_ref().unwrap().path()).is_ok_and(|stat| stat.contains(") S "))
                });
                asleep.count() + 1 >= std::fs::read_dir("/proc/self/task").unwrap().count()
            };
            let mut looks = 0;
            wait_until("all sleep", || {
                std::thread::sleep(Duration::from_millis(1));
                looks = if all_asleep() { looks + 1 } else { 0 };
                looks == 20
            });
            close_all_descriptors();
            // Of these the only worker hears, or one that is in bed.
            for number in 0..10 {
                let task = runtime.spawn(async move { number });
                assert_eq!(runtime.block_on(task).unwrap(), number);
            }
            // Of this the worker in the seat does, whoever is in bed.
            runtime.block_on(sleep(Duration::from_millis(1)));
            runtime.block_on(reader).unwrap();
        },
    );
}

/// It is never idle, so that it only looks at the poller now and then.
#[test]
fn a_worker_that_is_busy_finds_out_too() {
    in_children("a_worker_that_is_busy_finds_out_too", |runtime| {
        let reader = reader(runtime);
        let rounds = Arc::new(AtomicUsize::new(0));
        let tasks = runtime.metrics().num_workers();
        for _ in 0..tasks {
            let rounds = rounds.clone();
            drop(runtime.spawn(async move {
                for round in 0.. {
                    rounds.fetch_add(usize::from(round == 1000), SeqCst);
                    executor::task::yield_now().await;
                }
            }));
        }
        // What was written to wake their workers has arrived.
        wait_until("all are busy", || rounds.load(SeqCst) == tasks);
        close_all_descriptors();
        if runtime.metrics().num_workers() > 1 {
            // Another worker may have the seat, and wait there for ever.
            runtime.block_on(sleep(Duration::from_millis(1)));
        }
        runtime.block_on(reader).unwrap();
        runtime.block_on(sleep(Duration::from_millis(1)));
    });
}
