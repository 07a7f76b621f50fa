//! Tests under many seeds.

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::time::sleep;

/// Two tasks add one each, by a read, an await and a write.
async fn lose_an_update() {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let add = |count: std::sync::Arc<AtomicUsize>| async move {
        let before = count.load(Ordering::Relaxed);
        executor::task::yield_now().await;
        count.store(before + 1, Ordering::Relaxed);
    };
    let first = executor::spawn(add(count.clone()));
    first.await.unwrap();
    let second = executor::spawn(add(count.clone()));
    add(count.clone()).await;
    second.await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[test]
fn a_race_is_found_shrunk_and_repeated() {
    let failure = sim::Builder::new()
        .explore(1000, lose_an_update)
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Panic);
    assert!(
        failure.choices().split_whitespace().count() <= 5,
        "{failure}"
    );
    let again = sim::Builder::new().seed(failure.seed()).build();
    assert_eq!(
        again.run(lose_an_update()).unwrap_err().kind(),
        FailureKind::Panic
    );
    let again = sim::Builder::new().choices(failure.choices()).build();
    let again = again.run(lose_an_update()).unwrap_err();
    assert_eq!(
        (again.kind(), again.choices()),
        (failure.kind(), failure.choices())
    );
    assert_eq!(again.message(), failure.message());
}

#[test]
fn a_check_that_fails_says_how_to_repeat_it() {
    let payload = catch_unwind(|| sim::check(1000, lose_an_update)).unwrap_err();
    let text = payload.downcast_ref::<String>().expect("a message");
    assert!(text.contains("EXECUTOR_SIM=seed=0x"), "{text}");
    assert!(text.contains("EXECUTOR_SIM=choices="), "{text}");
}

#[test]
fn each_seed_is_run_once_and_they_differ() {
    let seen = Mutex::new(Vec::new());
    let runs = AtomicUsize::new(0);
    sim::Builder::new().seed(5).check(20, || async {
        runs.fetch_add(1, Ordering::Relaxed);
        let drawn: Vec<u32> = (0..8).map(|_| sim::choose(1000)).collect();
        seen.lock().unwrap().push(drawn);
    });
    assert_eq!(runs.into_inner(), 20);
    let mut seen = seen.into_inner().unwrap();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 20);
}

#[test]
fn a_cancelled_future_is_checked_at_each_await() {
    let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut dropped = Vec::new();
    let awaits = sim::cancel_sweep(
        || async {
            begun.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
            executor::spawn(sleep(Duration::from_secs(1)))
                .await
                .unwrap();
            executor::task::yield_now().await;
            done.fetch_add(1, Ordering::Relaxed);
        },
        |at| dropped.push(at),
    );
    assert_eq!((awaits, dropped), (3, vec![1, 2, 3]));
    assert_eq!((begun.into_inner(), done.into_inner()), (4, 1));
}
