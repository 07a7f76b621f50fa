//! What failures say.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use executor::sim::{self, Failure, FailureKind};
use executor::time::sleep;

fn fails<F: Future>(make: impl Fn() -> F + Sync) -> Failure {
    sim::Builder::new().explore(1000, make).unwrap_err()
}

#[test]
fn a_test_that_waits_alone_is_shown_where_it_waits() {
    let failure = fails(|| async {
        let lock = async_lock::Mutex::new(());
        let _guard = lock.lock().await;
        let _again = lock.lock().await;
    });
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    let place = format!("block_on at {}:", file!());
    assert!(failure.tasks().contains(&place), "{failure}");
    let at = format!("async block at {}:", file!());
    assert!(failure.tasks().contains(&at), "{failure}");
}

#[test]
fn a_test_that_never_rests_is_ended() {
    let sim = sim::Builder::new().step_limit(200).build();
    let failure = sim.run(async {
        loop {
            executor::task::yield_now().await;
        }
    });
    let failure: Failure = failure.map(|never: ()| never).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::StepLimit);
    assert_eq!(failure.message(), "");
}

#[test]
fn a_failure_that_does_not_come_again_says_so() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let failure = fails(|| async {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        assert_ne!(run, 50, "of a static");
    });
    let text = failure.to_string();
    assert!(text.contains("it did not fail again"), "{text}");
    let text = fails(|| async { panic!("always") }).to_string();
    assert!(!text.contains("did not"), "{text}");
}

#[test]
fn a_panic_of_a_task_names_it() {
    let failure = fails(|| async {
        drop(executor::spawn(async { panic!("here") }));
        sleep(Duration::from_millis(1)).await;
    });
    let named = format!(", spawned at {}:", file!());
    assert!(failure.message().starts_with("here, at "), "{failure}");
    assert!(failure.message().contains(&named), "{failure}");
}

#[test]
fn what_repeats_a_run_is_what_it_reads() {
    let failure = fails(|| async { assert_ne!(sim::choose(100), 7) });
    let text = failure.to_string();
    assert!(
        text.contains("to repeat it: sim::Builder::seed(0x"),
        "{text}"
    );
    assert!(text.contains("sim::Builder::choices(\"p0=7\")"), "{text}");
    assert!(!text.contains("EXECUTOR_SIM"), "{text}");
}
