//! When the time limit of a test is over, it fails and tells where its tasks are.

use std::future::pending;
use std::thread;
use std::time::Duration;

use executor::{spawn, task};

use super::harness::Harness;

/// All of them wait, and one for a thread.
#[executor::test(timeout = "500ms")]
#[ignore = "a_test_that_takes_too_long_fails_with_the_stacks starts it in a process of its own"]
async fn waits() {
    // Nobody says that all are asleep: this might wake somebody.
    thread::spawn(|| thread::sleep(Duration::from_secs(3600)));
    let _waiting = task::Builder::new().name("waiting").spawn(pending::<()>());
    pending::<()>().await;
}

/// Nobody can end it.
#[executor::test(timeout = "0.5s")]
#[ignore = "a_test_that_takes_too_long_fails_with_the_stacks starts it in a process of its own"]
async fn blocks() {
    let _beside = task::Builder::new().name("beside").spawn(pending::<()>());
    loop {
        thread::park();
    }
}

/// It returns by itself, but its task does not.
#[executor::test(timeout = "500ms")]
#[ignore = "a_test_that_takes_too_long_fails_with_the_stacks starts it in a process of its own"]
async fn leaves_a_stuck_task() {
    let (begun, has_begun) = async_channel::bounded(1);
    let stuck = task::Builder::new().name("stuck").spawn(async move {
        begun.send_blocking(()).unwrap();
        loop {
            thread::park();
        }
    });
    has_begun.recv().await.unwrap();
    drop(stuck);
}

/// The harness's process ends all the same, and other tests pass.
#[executor::test(timeout = "1h")]
#[ignore = "a_test_that_takes_too_long_fails_with_the_stacks starts it in a process of its own"]
async fn in_time() {
    thread::sleep(Duration::from_secs(1));
    spawn(async {}).await.unwrap();
}

#[test]
fn a_test_that_takes_too_long_fails_with_the_stacks() {
    let all = ["waits", "blocks", "leaves_a_stuck_task", "in_time"];
    let failed = Harness::run(module_path!(), &all, 4);
    failed.ended(1, 3);
    failed.said_each("the test has not ended within 500ms\n", 1);
    let blocks = "the test has not ended within 500ms; it is in a poll that does not return\n";
    failed.said_each(blocks, 1);
    failed.said_each("the test's tasks have not ended within 500ms: ", 1);
    for name in ["waiting", "beside", "stuck"] {
        failed.said(&format!(
            "\"{name}\", spawned at tests/it/macros/limits.rs:"
        ));
    }
    failed.said("block_on at tests/it/macros/limits.rs:");
}
