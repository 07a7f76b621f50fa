//! Dumps with the places where tasks wait: what they leave as it was, and how they are written.

use std::future::pending;
use std::time::Duration;

use crate::common::{PATIENCE, wait_until, within_patience};
use executor::runtime::{Builder, TaskInfo, TaskState};
use executor::task::Id;
use executor::{Handle, Runtime};

fn runtime() -> Runtime {
    let builder = Builder::new().worker_threads(2).task_details(true);
    builder.build().unwrap()
}

fn info(handle: &Handle, id: Id) -> Option<TaskInfo> {
    let dump = handle.dump_tasks();
    dump.tasks().iter().find(|task| task.id() == id).cloned()
}

fn wait_until_all_wait(handle: &Handle, count: usize) {
    wait_until("all wait", || {
        let dump = handle.dump_tasks();
        let waiting = |task: &&TaskInfo| task.state() == TaskState::Waiting;
        dump.tasks().iter().filter(waiting).count() == count
    });
}

/// From its spawn until it began to wait; its polls; how long they took.
fn history(handle: &Handle, id: Id) -> (Duration, u64, Duration) {
    let info = info(handle, id).unwrap();
    (
        info.age().unwrap() - info.since().unwrap(),
        info.poll_count().unwrap(),
        info.busy_duration().unwrap(),
    )
}

#[test]
fn a_dump_leaves_since_when_a_task_waits_and_what_its_polls_took() {
    within_patience(|| {
        let runtime = runtime();
        let handle = runtime.handle();
        let (wake, woken) = async_channel::bounded::<()>(1);
        let task = runtime.spawn(async move {
            while woken.recv().await.is_ok() {}
            pending::<()>().await;
        });
        wait_until_all_wait(handle, 1);
        let before = history(handle, task.id());
        for _ in 0..3 {
            assert_eq!(handle.dump_stacks(PATIENCE).num_unreached(), 0);
            // The worker notes the end of the poll a moment after its answer.
            wait_until_all_wait(handle, 1);
            assert_eq!(history(handle, task.id()), before);
        }
        // A wake is none of a dump's.
        wake.try_send(()).unwrap();
        wait_until("it was polled and waits", || {
            let info = info(handle, task.id()).unwrap();
            info.state() == TaskState::Waiting && info.poll_count() == Some(2)
        });
        let after = history(handle, task.id());
        assert!(after.0 > before.0 && after.2 > before.2);
        // From a worker, too.
        let asks = runtime.spawn(async { Handle::current().dump_stacks(PATIENCE).num_unreached() });
        assert_eq!(runtime.block_on(asks).unwrap(), 0);
        wait_until_all_wait(handle, 1);
        assert_eq!(history(handle, task.id()), after);
    });
}
