//! Task dumps: who is listed, and what is said of them.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::common::{wait_until, within_patience};
use executor::runtime::{Builder, TaskInfo, TaskState};
use executor::task::{self, Id, yield_now};
use executor::{Handle, Runtime};

fn info(handle: &Handle, id: Id) -> Option<TaskInfo> {
    let dump = handle.dump_tasks();
    dump.tasks().iter().find(|task| task.id() == id).cloned()
}

fn state(handle: &Handle, id: Id) -> Option<TaskState> {
    info(handle, id).map(|task| task.state())
}

fn runtimes() -> [Runtime; 2] {
    [false, true].map(|details| {
        Builder::new()
            .worker_threads(2)
            .task_details(details)
            .build()
            .unwrap()
    })
}

/// Spins until told to stop, without a pause.
fn spinner(runtime: &Runtime) -> (executor::JoinHandle<()>, Arc<AtomicBool>) {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let task = runtime.spawn(async move {
        while !seen.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
    (task, stop)
}

#[test]
fn who_waits_runs_or_blocks_is_listed_with_name_and_line() {
    within_patience(|| {
        for runtime in runtimes() {
            let handle = runtime.handle();
            let entered = handle.enter();
            let line = line!() + 1;
            let waits = task::Builder::new().name("waits").spawn(pending::<()>());
            drop(entered);
            wait_until("it waits", || {
                state(handle, waits.id()) == Some(TaskState::Waiting)
            });
            let told = info(handle, waits.id()).unwrap();
            assert_eq!(told.name(), Some("waits"));
            let location = told.location().unwrap();
            assert_eq!((location.file(), location.line()), (file!(), line));
            assert!(!told.is_blocking_job());

            let (runs, stop) = spinner(&runtime);
            wait_until("it runs", || {
                state(handle, runs.id()) == Some(TaskState::Running)
            });
            let (release, held) = mpsc::channel::<()>();
            let blocks = runtime.spawn(async move { held.recv().unwrap() });
            wait_until("it blocks", || {
                state(handle, blocks.id()) == Some(TaskState::Blocked)
            });
            let (end, job) = mpsc::channel::<()>();
            let job = runtime.spawn_blocking(move || job.recv().unwrap());
            wait_until("the job blocks", || {
                state(handle, job.id()) == Some(TaskState::Blocked)
            });
            assert!(info(handle, job.id()).unwrap().is_blocking_job());
            assert!(info(handle, job.id()).unwrap().since().is_some());
            assert_eq!(handle.dump_tasks().tasks().len(), 4);
            assert_eq!(handle.dump_tasks().num_unlisted(), 0);

            let ids = [runs.id(), blocks.id(), job.id()];
            stop.store(true, SeqCst);
            release.send(()).unwrap();
            end.send(()).unwrap();
            runtime
                .block_on(async { (runs.await, blocks.await, job.await) })
                .0
                .unwrap();
            wait_until("they are gone", || {
                ids.iter().all(|&id| info(handle, id).is_none())
            });
        }
    });
}

#[test]
fn a_task_that_gives_its_processor_away_is_listed_as_blocked() {
    within_patience(|| {
        for runtime in runtimes() {
            let handle = runtime.handle();
            let (release, held) = mpsc::channel::<()>();
            let task = runtime.spawn(async move {
                yield_now().await;
                executor::block_in_place(|| held.recv().unwrap());
                pending::<()>().await;
            });
            wait_until("it blocks", || {
                state(handle, task.id()) == Some(TaskState::Blocked)
            });
            assert!(info(handle, task.id()).unwrap().since().is_some());
            release.send(()).unwrap();
            wait_until("it waits", || {
                state(handle, task.id()) == Some(TaskState::Waiting)
            });
        }
    });
}

#[test]
fn with_details_the_queued_are_listed_and_all_is_counted() {
    within_patience(|| {
        let runtime = Builder::new()
            .worker_threads(1)
            .task_details(true)
            .build()
            .unwrap();
        let handle = runtime.handle();
        let yields = runtime.spawn(async {
            for _ in 0..4 {
                yield_now().await;
            }
            pending::<()>().await;
        });
        wait_until("it waits", || {
            state(handle, yields.id()) == Some(TaskState::Waiting)
        });
        let told = info(handle, yields.id()).unwrap();
        assert_eq!(told.poll_count(), Some(5));
        assert!(told.age().unwrap() >= told.busy_duration().unwrap());
        let older = told.age().unwrap();
        wait_until("it grows older", || {
            info(handle, yields.id()).unwrap().age().unwrap() > older
        });

        // The one worker is taken for a moment, so that what is spawned stays where it is. (It would be lent another one.)
        let (blocker, stop) = spinner(&runtime);
        wait_until("it runs", || {
            state(handle, blocker.id()) == Some(TaskState::Running)
        });
        let queued: Vec<_> = (0..10).map(|_| runtime.spawn(async {})).collect();
        let dump = handle.dump_tasks();
        for task in &queued {
            match dump.tasks().iter().find(|info| info.id() == task.id()) {
                Some(info) if info.state() == TaskState::Queued => {
                    assert_eq!(info.poll_count(), Some(0));
                }
                // It has run meanwhile, on a worker that took the processor over.
                _ => wait_until("it has ended", || task.is_finished()),
            }
        }
        stop.store(true, SeqCst);
        for task in queued {
            runtime.block_on(task).unwrap();
        }
        runtime.block_on(blocker).unwrap();
    });
}

#[test]
fn without_details_the_queued_are_counted() {
    within_patience(|| {
        // Without a second thread nobody can take the processor away.
        let builder = Builder::new().worker_threads(1).max_threads(1);
        let runtime = builder.build().unwrap();
        let handle = runtime.handle();
        let (told, tell) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        drop(runtime.spawn(async move {
            let children: Vec<_> = (0..10).map(|_| executor::spawn(async {})).collect();
            told.send(Handle::current().dump_tasks()).unwrap();
            executor::block_in_place(|| held.recv().unwrap());
            drop(children);
        }));
        let dump = tell.recv().unwrap();
        // The children, and the task that has spawned them.
        assert_eq!((dump.num_unlisted(), dump.tasks().len()), (10, 1));
        release.send(()).unwrap();
        wait_until("all have ended", || handle.metrics().num_alive_tasks() == 0);
        assert!(handle.dump_tasks().tasks().is_empty());
    });
}

#[test]
fn a_dump_can_be_read() {
    within_patience(|| {
        let runtime = Builder::new()
            .worker_threads(1)
            .task_details(true)
            .build()
            .unwrap();
        let entered = runtime.handle().enter();
        let task = task::Builder::new().name("mail").spawn(pending::<()>());
        drop(entered);
        wait_until("it waits", || {
            state(runtime.handle(), task.id()) == Some(TaskState::Waiting)
        });
        let text = runtime.handle().dump_tasks().to_string();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("1 task"));
        let line = lines.next().unwrap();
        let begin = format!("  task {} \"mail\", spawned at {}:", task.id(), file!());
        assert!(line.starts_with(&begin), "{line}");
        assert!(line.contains(": waiting for "), "{line}");
        assert!(line.contains(" old, 1 poll, "), "{line}");
        assert_eq!(lines.next(), None);
        assert!(Duration::ZERO < info(runtime.handle(), task.id()).unwrap().age().unwrap());
    });
}
