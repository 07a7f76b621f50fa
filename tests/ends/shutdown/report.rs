//! What a shutdown says of the tasks: each is counted once, and who is stuck is named.

use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{wait_until, within_patience};
use executor::runtime::{Builder, TaskState};
use executor::task::{self, yield_now};

#[test]
fn every_task_is_counted_as_finished_or_cancelled() {
    within_patience(|| {
        for workers in [1, 2] {
            let runtime = Builder::new().worker_threads(workers).build().unwrap();
            // What has ended before does not count.
            for _ in 0..10 {
                runtime.block_on(runtime.spawn(yield_now())).unwrap();
            }
            let aborted = runtime.spawn(pending::<()>());
            aborted.abort();
            assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
            wait_until("all are gone", || runtime.metrics().num_alive_tasks() == 0);

            for _ in 0..20 {
                drop(runtime.spawn(pending::<()>()));
            }
            // One finishes although the runtime shuts down: its job has begun.
            let (begun, begins) = mpsc::channel();
            let (end, ends) = mpsc::channel::<()>();
            drop(runtime.spawn_blocking(move || {
                begun.send(()).unwrap();
                let _ = ends.recv();
            }));
            begins.recv().unwrap();
            let ender = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                drop(end);
            });
            let report = runtime.shutdown_timeout(Duration::from_secs(60));
            ender.join().unwrap();
            assert!(report.is_complete(), "{report}");
            assert_eq!(
                (report.finished(), report.cancelled(), report.left()),
                (1, 20, 0)
            );
            assert!(report.blocked().is_empty());
            assert_eq!(report.to_string(), "1 task finished, 20 cancelled, 0 left");
        }
    });
}

#[test]
fn who_is_stuck_is_named_with_the_line_that_spawned_it() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (release_job, held_job) = mpsc::channel::<()>();
        let (release_place, held_place) = mpsc::channel::<()>();
        let entered = runtime.handle().enter();
        let stuck = task::Builder::new().name("stuck").spawn(async move {
            let _ = held.recv();
        });
        drop(entered);
        let line = line!() + 1;
        let job = runtime.spawn_blocking(move || _ = held_job.recv());
        let place = runtime.spawn(async move {
            executor::block_in_place(|| _ = held_place.recv());
        });
        drop(runtime.spawn(pending::<()>()));
        let ids = [stuck.id(), job.id(), place.id()];
        let handle = runtime.handle().clone();
        wait_until("three are stuck", || {
            let dump = handle.dump_tasks();
            let stuck = |task: &&executor::runtime::TaskInfo| task.state() == TaskState::Blocked;
            dump.tasks().iter().filter(stuck).count() == 3
        });
        let report = runtime.shutdown_timeout(Duration::from_millis(100));
        assert!(!report.is_complete());
        assert_eq!((report.finished(), report.left()), (0, 3), "{report}");
        assert_eq!(report.cancelled(), 1);
        let blocked = report.blocked();
        assert_eq!(blocked.len(), 3, "{report}");
        for id in ids {
            let task = blocked.iter().find(|task| task.id() == id).unwrap();
            assert_eq!(task.state(), TaskState::Blocked);
            assert_eq!(task.is_blocking_job(), id == ids[1]);
            if id == ids[0] {
                assert_eq!(task.name(), Some("stuck"));
            }
            if id == ids[1] {
                let location = task.location().unwrap();
                assert_eq!((location.file(), location.line()), (file!(), line));
            }
        }
        drop((release, release_job, release_place));
    });
}

#[test]
fn without_waiting_there_is_a_report_too() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        drop(runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        }));
        begins.recv().unwrap();
        let report = runtime.shutdown_timeout(Duration::ZERO);
        assert_eq!((report.left(), report.blocked().len()), (1, 1), "{report}");
        drop(release);
    });
}
