//! With seeds a test is simulated, once for each.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use executor::time::{now, sleep};
use executor::{Handle, sim, spawn};

use super::harness::Harness;

const HOUR: Duration = Duration::from_secs(3600);

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[executor::test(seeds = 20, seed = 7, worker_threads = 3, timeout = "2h")]
#[ignore = "a_test_is_simulated_under_each_seed starts it in a process of its own"]
async fn counted() -> Result<(), std::num::ParseIntError> {
    RUNS.fetch_add(1, SeqCst);
    let begin = now();
    assert_eq!(Handle::current().worker_threads(), "3".parse::<usize>()?);
    spawn(sleep(HOUR)).await.unwrap();
    assert!(now() - begin >= HOUR);
    Ok(())
}

#[executor::test(seed = 3)]
#[ignore = "a_test_is_simulated_under_each_seed starts it in a process of its own"]
async fn counted_once() -> ExitCode {
    RUNS.fetch_add(1, SeqCst);
    ExitCode::SUCCESS
}

/// Called as a function: the harness sees no number.
#[test]
fn a_test_is_simulated_under_each_seed() {
    assert_eq!(counted(), ExitCode::SUCCESS);
    assert_eq!(RUNS.swap(0, SeqCst), 20);
    assert_eq!(counted_once(), ExitCode::SUCCESS);
    assert_eq!(RUNS.swap(0, SeqCst), 1);
    // And by the harness.
    Harness::run(module_path!(), &["counted", "counted_once"], 1).ended(2, 0);
}

#[executor::test(seed = 0x5eed)]
#[ignore = "a_simulated_test_that_fails_tells_how_to_repeat_it starts it in a process of its own"]
async fn an_error() -> Result<(), String> {
    spawn(sleep(HOUR)).await.unwrap();
    Err("it is wrong".to_owned())
}

#[executor::test(seeds = 1000)]
#[ignore = "a_simulated_test_that_fails_tells_how_to_repeat_it starts it in a process of its own"]
async fn sometimes() {
    assert_ne!(sim::choose(10), 7, "by chance");
}

#[executor::test(seed = 1, timeout = "30m")]
#[ignore = "a_simulated_test_that_fails_tells_how_to_repeat_it starts it in a process of its own"]
async fn takes_too_long() {
    sleep(HOUR).await;
}

#[executor::test(seed = 2)]
#[ignore = "a_simulated_test_that_fails_tells_how_to_repeat_it starts it in a process of its own"]
async fn all_asleep() {
    spawn(std::future::pending::<()>()).await.unwrap();
}

#[test]
fn a_simulated_test_that_fails_tells_how_to_repeat_it() {
    let all = ["an_error", "sometimes", "takes_too_long", "all_asleep"];
    let failed = Harness::run(module_path!(), &all, 2);
    failed.ended(0, 4);
    for what in [
        "Error: \"it is wrong\"",
        "EXECUTOR_SIM=seed=0x5eed",
        "by chance",
        "EXECUTOR_SIM=choices=p0=7",
        "the time limit has passed",
        "all tasks are asleep",
        "future it::macros::simulated::all_asleep::all_asleep",
        "panicked at tests/it/macros/simulated.rs:",
    ] {
        failed.said(what);
    }
    failed.said_each("EXECUTOR_SIM=seed=0x", 4);
    failed.said_each("it is wrong", 1);
}
