//! Under the harness, which has threads of its own: found, and never seen where there is none.

use std::thread;
use std::time::Duration;

use executor::{spawn, task};

use super::harness::Harness;

/// Longer than it takes to be sure of a deadlock.
const LONG: Duration = Duration::from_millis(2500);

/// All of them at a time.
#[track_caller]
fn run<const N: usize>(tests: [&str; N]) -> Harness {
    Harness::run(module_path!(), &tests, N)
}

/// Two tasks, each of which waits for the other.
async fn wait_for_each_other() {
    let ((one, first), (other, second)) = (async_channel::bounded(1), async_channel::bounded(1));
    let here = task::Builder::new().name("here").spawn(async move {
        first.recv().await.unwrap();
        other.send(()).await.unwrap();
    });
    let there = task::Builder::new().name("there").spawn(async move {
        second.recv().await.unwrap();
        one.send(()).await.unwrap();
    });
    here.await.unwrap();
    there.await.unwrap();
}

#[executor::test]
#[ignore = "a_test_whose_tasks_are_all_asleep_fails_with_their_stacks starts it in a process of its own"]
async fn alone() {
    wait_for_each_other().await;
}

#[test]
fn a_test_whose_tasks_are_all_asleep_fails_with_their_stacks() {
    let failed = run(["alone"]);
    failed.ended(0, 1);
    failed.said_each("all tasks are asleep - deadlock!", 1);
    failed.said_each("thread 'macros::deadlocks::alone'", 1);
    failed.said("panicked at tests/it/macros/deadlocks.rs:");
    for name in ["here", "there"] {
        failed.said(&format!(
            "\"{name}\", spawned at tests/it/macros/deadlocks.rs:"
        ));
    }
    if cfg!(feature = "stacks") {
        failed.said("wait_for_each_other");
        failed.said("async_channel");
    }
}

#[executor::test]
#[ignore = "some_that_run_beside_each_other_fail_too starts it in a process of its own"]
async fn first() {
    wait_for_each_other().await;
}

#[executor::test(worker_threads = 1)]
#[ignore = "some_that_run_beside_each_other_fail_too starts it in a process of its own"]
async fn second() {
    wait_for_each_other().await;
}

/// A thread more waits here.
#[executor::test(timeout = "1h")]
#[ignore = "some_that_run_beside_each_other_fail_too starts it in a process of its own"]
async fn third() {
    wait_for_each_other().await;
}

/// It is over when the others have long been asleep. No monitor looks again then.
#[test]
#[ignore = "some_that_run_beside_each_other_fail_too starts it in a process of its own"]
fn of_another_kind() {
    thread::sleep(LONG);
}

#[test]
fn some_that_run_beside_each_other_fail_too() {
    let all = ["first", "second", "third", "of_another_kind"];
    let failed = run(all);
    failed.ended(1, 3);
    failed.said_each("all tasks are asleep - deadlock!", 3);
}

static LOCK: async_lock::Mutex<()> = async_lock::Mutex::new(());

/// Holds a lock of both while its thread blocks, while it waits for a timer, and in a job.
#[executor::test]
#[ignore = "no_test_fails_that_another_one_will_wake starts it in a process of its own"]
async fn holds_a_lock() {
    let held = LOCK.lock().await;
    thread::sleep(LONG);
    #[cfg(feature = "time")]
    executor::time::sleep(LONG).await;
    let job = executor::spawn_blocking(|| thread::sleep(LONG));
    job.await.unwrap();
    drop(held);
}

#[executor::test]
#[ignore = "no_test_fails_that_another_one_will_wake starts it in a process of its own"]
async fn waits_for_a_lock() {
    thread::sleep(Duration::from_millis(300));
    spawn(async { drop(LOCK.lock().await) }).await.unwrap();
}

static CHANNEL: std::sync::Mutex<Option<async_channel::Sender<()>>> = std::sync::Mutex::new(None);

#[executor::test]
#[ignore = "no_test_fails_that_another_one_will_wake starts it in a process of its own"]
async fn waits_for_a_thread() {
    let (sender, receiver) = async_channel::bounded(1);
    *CHANNEL.lock().unwrap() = Some(sender);
    receiver.recv().await.unwrap();
}

#[test]
#[ignore = "no_test_fails_that_another_one_will_wake starts it in a process of its own"]
fn wakes_late() {
    thread::sleep(3 * LONG + LONG / 2);
    let sender = CHANNEL.lock().unwrap().take().unwrap();
    sender.send_blocking(()).unwrap();
}

/// The last of them waits for a thread that sleeps, when all others have ended.
#[test]
fn no_test_fails_that_another_one_will_wake() {
    let all = [
        "holds_a_lock",
        "waits_for_a_lock",
        "waits_for_a_thread",
        "wakes_late",
    ];
    let passed = run(all);
    passed.ended(4, 0);
    passed.said_each("deadlock!", 0);
}
