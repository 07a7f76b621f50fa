//! Tests under many seeds.

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::time::{now, sleep};

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

/// What the runs of a check draw.
fn drawn(builder: sim::Builder, runs: usize) -> Vec<Vec<u32>> {
    let seen = Mutex::new(Vec::new());
    builder.check(runs, || async {
        let drawn: Vec<u32> = (0..8).map(|_| sim::choose(1000)).collect();
        seen.lock().unwrap().push(drawn);
    });
    seen.into_inner().unwrap()
}

#[test]
fn each_seed_is_run_once_and_they_differ() {
    let first = drawn(sim::Builder::new().seed(5), 20);
    assert_eq!(drawn(sim::Builder::new().seed(6), 19), first[1..]);
    let mut other = drawn(sim::Builder::new(), 20);
    assert_ne!(other, first);
    other.extend(first);
    other.sort();
    other.dedup();
    assert_eq!(other.len(), 40);
}

#[test]
fn choices_are_one_run() {
    let builder = || sim::Builder::new().choices("p1=5 p3=7");
    assert_eq!(drawn(builder(), 20), [[0, 5, 0, 7, 0, 0, 0, 0]]);
    let failure = builder().explore(20, || async {
        let _ = sim::choose(10);
        assert_ne!(sim::choose(10), 5);
    });
    let failure = failure.unwrap_err();
    assert_eq!((failure.choices(), failure.seed()), ("p1=5", 0));
    let text = failure.to_string();
    assert!(text.contains("sim::Builder::choices(\"p1=5\")"), "{text}");
}

#[test]
fn the_test_is_made_in_the_simulation() {
    let begin = std::time::Instant::now();
    for _ in 0..2 {
        let made = || {
            let start = now();
            let sleeper = sleep(Duration::from_secs(60));
            let task = executor::spawn(sleep(Duration::from_secs(60)));
            async move {
                sleeper.await;
                task.await.unwrap();
                let took = now() - start;
                assert!((60..62).contains(&took.as_secs()), "{took:?}");
            }
        };
        sim::check(20, made);
        sim::Builder::new().build().run_twice(made).unwrap();
        // So much that a deadline by the real clock would be another one.
        std::thread::sleep(Duration::from_millis(2_500).saturating_sub(begin.elapsed()));
    }
}

#[test]
fn a_detached_task_may_be_in_the_middle_of_its_poll_at_the_end() {
    sim::Builder::new()
        .seed(0)
        .check(300, || async { drop(executor::spawn(async {})) });
}

#[test]
fn a_panic_that_is_caught_is_none() {
    sim::check(20, || async {
        let task = executor::spawn(async {
            assert!(catch_unwind(|| panic!("caught")).is_err());
        });
        assert!(catch_unwind(|| panic!("caught, too")).is_err());
        task.await.unwrap();
    });
}

#[test]
fn a_task_that_panics_fails_the_run_whatever_it_says() {
    for text in [
        "it",
        "panic in a task",
        "panic in a destructor during cleanup",
    ] {
        let run = sim::Builder::new().build().run(async move {
            let _ = executor::spawn(async move { panic!("{text}") }).await;
        });
        let failure = run.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Panic);
        assert!(failure.message().starts_with(text), "{failure}");
    }
}

#[test]
fn failures_at_one_place_are_alike_whatever_they_say() {
    let count = AtomicUsize::new(0);
    let failure = sim::Builder::new().explore(1000, || async {
        let count = count.fetch_add(1, Ordering::Relaxed);
        let others: Vec<u32> = (0..30).map(|_| sim::choose(5)).collect();
        assert!(others[7] != 3, "{count} are missing, at account {others:?}");
    });
    assert_eq!(failure.unwrap_err().choices(), "p7=3");
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
