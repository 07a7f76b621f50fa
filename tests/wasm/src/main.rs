//! All of the library's tests, and those with timers. With an argument, one that ends the process.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use executor::time::{interval, sleep, timeout};

const TESTS: &[(&str, fn())] = &[
    ("timers fire in order", timers_fire_in_order),
    ("a time-out ends what waits", a_timeout_ends_what_waits),
    (
        "an interval ticks beside tasks",
        an_interval_ticks_beside_tasks,
    ),
    (
        "timers of other runtimes fire",
        timers_of_other_runtimes_fire,
    ),
    (
        "timers fire in a nested block_on",
        timers_fire_in_a_nested_block_on,
    ),
    ("many timers fire", many_timers_fire),
    (
        "long polls hold up no other turn",
        long_polls_hold_up_no_other_turn,
    ),
    ("a thread that waits sleeps", a_thread_that_waits_sleeps),
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => wasm_tests::TESTS
            .iter()
            .chain(TESTS)
            .for_each(|(name, test)| {
                test();
                println!("ok: {name}");
            }),
        Some("asleep") => executor::block_on(async {
            drop(
                executor::task::Builder::new()
                    .name("sleeper")
                    .spawn(pending::<()>()),
            );
            sleep(Duration::from_millis(1)).await;
            pending::<()>().await;
        }),
        // The one further down the stack cannot go on.
        Some("beneath") => executor::block_on(async {
            let (sender, receiver) = async_channel::bounded::<()>(1);
            let nested = executor::spawn(async move { executor::block_on(receiver.recv()) });
            executor::task::yield_now().await;
            sender.send(()).await.unwrap();
            drop(nested.await);
        }),
        Some("message") => {
            let runtime = executor::Builder::new().build().unwrap();
            drop(runtime);
        }
        Some("panic") => executor::block_on(async {
            let _ = executor::spawn(async { panic!("of a task") }).await;
        }),
        Some(other) => panic!("no test {other}"),
    }
}

fn timers_fire_in_order() {
    let order = executor::block_on(async {
        let (sender, receiver) = async_channel::unbounded();
        let tasks: Vec<_> = [30, 10, 20, 0]
            .into_iter()
            .map(|time| {
                let sender = sender.clone();
                executor::spawn(async move {
                    let begin = Instant::now();
                    sleep(Duration::from_millis(time)).await;
                    assert!(begin.elapsed() >= Duration::from_millis(time));
                    sender.send(time).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        drop(sender);
        let mut order = Vec::new();
        while let Ok(time) = receiver.recv().await {
            order.push(time);
        }
        order
    });
    assert_eq!(order, [0, 10, 20, 30]);
}

fn a_timeout_ends_what_waits() {
    executor::block_on(async {
        let late = timeout(Duration::from_millis(5), pending::<()>()).await;
        assert!(late.is_err());
        let task = executor::spawn(async { sleep(Duration::from_millis(1)).await });
        timeout(Duration::from_secs(60), task)
            .await
            .unwrap()
            .unwrap();
    });
}

/// The task never waits, and its polls are short.
fn an_interval_ticks_beside_tasks() {
    executor::block_on(async {
        let busy = executor::spawn(async {
            loop {
                executor::task::yield_now().await;
            }
        });
        let mut ticks = interval(Duration::from_millis(1));
        for _ in 0..10 {
            ticks.tick().await;
        }
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}

fn timers_of_other_runtimes_fire() {
    let one = executor::Builder::new().build().unwrap();
    let two = executor::Builder::new().build().unwrap();
    let task = two.spawn(async {
        sleep(Duration::from_millis(2)).await;
        5
    });
    assert_eq!(one.block_on(task).unwrap(), 5);
}

fn timers_fire_in_a_nested_block_on() {
    executor::block_on(async {
        let nested = executor::spawn(async {
            executor::block_on(async {
                let inner = executor::spawn(async { sleep(Duration::from_millis(2)).await });
                sleep(Duration::from_millis(1)).await;
                inner.await.unwrap();
            });
        });
        sleep(Duration::from_millis(1)).await;
        nested.await.unwrap();
    });
}

fn many_timers_fire() {
    executor::block_on(async {
        let tasks: Vec<_> = (0..2000)
            .map(|n| executor::spawn(async move { sleep(Duration::from_micros(n * 5)).await }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Their turn ends soon after 10 ms.
fn long_polls_hold_up_no_other_turn() {
    executor::block_on(async {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let long = executor::spawn(async move {
            loop {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(3) {}
                counted.fetch_add(1, Ordering::Relaxed);
                executor::task::yield_now().await;
            }
        });
        for n in 1..=5 {
            executor::task::yield_now().await;
            let polls = polls.load(Ordering::Relaxed);
            assert!(polls <= 8 * n, "{polls} polls in {n} turns");
        }
        long.abort();
        assert!(long.await.unwrap_err().is_cancelled());
    });
}

/// And makes no polls meanwhile.
fn a_thread_that_waits_sleeps() {
    let runtime = executor::Builder::new().build().unwrap();
    let polls = runtime.block_on(async {
        let polls = || executor::Handle::current().metrics().worker_poll_count(0);
        let task = executor::spawn(async { sleep(Duration::from_millis(50)).await });
        executor::task::yield_now().await;
        let before = polls();
        task.await.unwrap();
        polls() - before
    });
    assert_eq!(polls, 1);
}
