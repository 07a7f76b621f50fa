//! Deadlocks of the whole process: found, named, and never seen where there is none.
//!
//! Without the usual harness: that has threads of its own in each process, and any of them might wake somebody.

#[path = "common/program.rs"]
mod program;

use std::future::pending;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
#[cfg(feature = "stacks")]
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
#[cfg(feature = "stacks")]
use std::task::Poll;
use std::thread;
use std::time::Duration;

use executor::runtime::{Builder, OnDeadlock};
use executor::task;

use program::this_program;

const CASE: &str = "EXECUTOR_TEST_DEADLOCK";

/// Runs a case in a process whose only thread of its own is the main one. Gives what it said on standard error, and
/// whether it ended well. Those that wait for ever are ended when `enough` says so, or when they have said nothing more for as
/// long as `patience` has for what they have said.
fn run(
    case: &str,
    debug: &str,
    patience: impl Fn(&str) -> Duration,
    enough: impl Fn(&str) -> bool,
) -> (String, bool) {
    let mut child = this_program()
        .env(CASE, case)
        .env("EXECUTOR_DEBUG", debug)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let (say, said) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = errors.read(&mut buffer) {
            say.send(String::from_utf8_lossy(&buffer[..length]).into_owned())
                .unwrap();
        }
    });
    let mut text = String::new();
    while !enough(&text) {
        match said.recv_timeout(patience(&text)) {
            Ok(more) => text.push_str(&more),
            Err(_) => break,
        }
    }
    let ended = child.try_wait().unwrap();
    let well = match ended {
        Some(status) => status.success(),
        None => {
            // The reader may have seen the end of the process before it can be waited for.
            let _ = child.kill();
            child.wait().unwrap().success()
        }
    };
    reader.join().unwrap();
    text.extend(said.try_iter());
    (text, well)
}

/// Longer than a deadlock takes to be reported.
const SILENCE: Duration = Duration::from_secs(4);

/// As long as a busy machine may take to start a process, and that to find out.
const LONG: Duration = Duration::from_secs(60);

fn report_of(case: &str, debug: &str) -> String {
    // In release builds nobody looks unasked.
    let debug = if debug.is_empty() {
        "deadlock=1"
    } else {
        debug
    };
    let patience = |text: &str| match text.contains("deadlock!") {
        // Longer than one takes that comes after another.
        true => SILENCE + Duration::from_secs(4),
        false => LONG,
    };
    let (text, _) = run(case, debug, patience, |_| false);
    assert_eq!(text.matches("deadlock!").count(), 1, "{case}: {text}");
    text
}

fn silence_of(case: &str, debug: &str) {
    let (text, _) = run(case, debug, |_| SILENCE, |_| false);
    assert!(!text.contains("deadlock"), "{case}: {text}");
}

fn child(case: &str) {
    let runtime = Builder::new().worker_threads(2);
    match case {
        "alone" => runtime.build().unwrap().block_on(pending()),
        #[cfg(all(target_os = "linux", feature = "stacks"))]
        "asked" => {
            let runtime = runtime.build().unwrap();
            let (this, quit) = (rustix::process::getpid(), rustix::process::Signal::QUIT);
            rustix::process::kill_process(this, quit).unwrap();
            runtime.block_on(pending())
        }
        "panic" => {
            let runtime = runtime.on_deadlock(OnDeadlock::Panic).build().unwrap();
            runtime.block_on(pending())
        }
        "again" => {
            let runtime = runtime.on_deadlock(OnDeadlock::Panic).build().unwrap();
            for _ in 0..2 {
                let wait = AssertUnwindSafe(|| runtime.block_on(pending::<()>()));
                assert!(catch_unwind(wait).is_err());
            }
        }
        "tasks" => {
            let runtime = runtime.build().unwrap();
            runtime.block_on(async {
                // Each waits for the other.
                let (first, other) = (
                    async_channel::bounded::<()>(1),
                    async_channel::bounded::<()>(1),
                );
                let one = task::Builder::new().name("one").spawn(async move {
                    let _ = first.1.recv().await;
                    let _ = other.0.send(()).await;
                });
                let two = task::Builder::new().name("two").spawn(async move {
                    let _ = other.1.recv().await;
                    let _ = first.0.send(()).await;
                });
                one.await.unwrap();
                two.await.unwrap();
            });
        }
        "nested" => {
            let runtime = runtime.build().unwrap();
            let task = runtime.spawn(async { executor::block_on(pending::<()>()) });
            runtime.block_on(task).unwrap();
        }
        // Of four tasks the one that is asked first blocks the only worker.
        #[cfg(feature = "stacks")]
        "blocks_when_asked" => {
            static ASKED: AtomicBool = AtomicBool::new(false);
            let runtime = Builder::new().worker_threads(1).build().unwrap();
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let mut is_first_poll = true;
                    runtime.spawn(std::future::poll_fn(move |cx| {
                        let _ = cx.waker().clone();
                        let is_asked = !std::mem::take(&mut is_first_poll);
                        if is_asked && !ASKED.swap(true, SeqCst) {
                            thread::sleep(Duration::from_secs(3));
                        }
                        Poll::<()>::Pending
                    }))
                })
                .collect();
            runtime.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
        "two_runtimes" => {
            let (first, second) = (runtime.clone().build().unwrap(), runtime.build().unwrap());
            let waits = second.spawn(pending::<()>());
            first.block_on(waits).unwrap();
        }
        "later" => {
            let runtime = runtime.build().unwrap();
            runtime.block_on(async {
                executor::time::sleep(Duration::from_millis(1500)).await;
                runtime
                    .spawn_blocking(|| thread::sleep(Duration::from_millis(1500)))
                    .await
                    .unwrap();
                pending().await
            })
        }
        "of_another" => {
            let (first, second) = (runtime.clone().build().unwrap(), runtime.build().unwrap());
            let waits = second.spawn(async {
                // By the end of it nobody looks any more who belongs to the first.
                executor::time::sleep(Duration::from_millis(1500)).await;
                pending::<()>().await;
            });
            first.block_on(waits).unwrap();
        }
        "timer" => runtime.build().unwrap().block_on(async {
            executor::time::sleep(Duration::from_secs(3600)).await;
        }),
        "socket" => runtime.build().unwrap().block_on(async {
            let listener = executor::net::TcpListener::bind("127.0.0.1:0")
                .await
                .unwrap();
            let _ = listener.accept().await;
        }),
        "job" => {
            let runtime = runtime.build().unwrap();
            let job = runtime.spawn_blocking(|| thread::sleep(Duration::from_secs(3600)));
            runtime.block_on(job).unwrap();
        }
        "in_place" => {
            let runtime = runtime.build().unwrap();
            let task = runtime.spawn(async {
                executor::block_in_place(|| thread::sleep(Duration::from_secs(3600)));
            });
            runtime.block_on(task).unwrap();
        }
        "blocked" => {
            let runtime = runtime.build().unwrap();
            let task = runtime.spawn(async { thread::sleep(Duration::from_secs(3600)) });
            runtime.block_on(task).unwrap();
        }
        "thread" => {
            let (hold, held) = async_channel::bounded::<()>(1);
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(3600));
                drop(hold);
            });
            let _ = runtime.build().unwrap().block_on(held.recv());
        }
        "nobody_waits" => {
            let runtime = runtime.build().unwrap();
            drop(runtime.spawn(pending::<()>()));
            thread::sleep(Duration::from_secs(3600));
        }
        other => panic!("no such case: {other}"),
    }
}

fn who_waits_for_nothing_is_told() {
    let text = report_of("alone", "");
    let line = "executor: all tasks are asleep - deadlock!\n  block_on at tests/deadlock.rs:";
    assert!(text.contains(line), "{text}");
    let text = report_of("tasks", "");
    assert!(text.contains("2 tasks\n"), "{text}");
    for name in [
        "\"one\", spawned at tests/deadlock.rs:",
        "\"two\", spawned at tests/deadlock.rs:",
    ] {
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(text.matches(": waiting").count(), 2, "{text}");
}

/// The thread that answers wakes nobody.
fn one_is_told_beside_the_thread_that_waits_for_sigquit() {
    if cfg!(all(target_os = "linux", feature = "stacks")) {
        let text = report_of("asked", "deadlock=1,sigquit=1");
        assert!(text.contains("executor: SIGQUIT: runtime "), "{text}");
    }
}

/// Its monitor saves the others from it, as from any other poll that blocks.
fn a_report_that_meets_a_task_that_blocks_tells_where_the_others_wait() {
    if cfg!(feature = "stacks") {
        let text = report_of("blocks_when_asked", "deadlock=1,stall=0");
        assert!(text.contains("  1 task not polled in time"), "{text}");
    }
}

fn a_deadlock_that_comes_late_or_over_two_threads_or_runtimes_is_found_too() {
    let cases = ["later", "nested", "two_runtimes", "of_another"];
    let reports = cases.map(|case| thread::spawn(move || report_of(case, "")));
    for report in reports {
        report.join().unwrap();
    }
}

/// It gets up more often than it takes to be sure.
fn a_monitor_that_prints_meanwhile_finds_a_deadlock_too() {
    // The lines do not end by themselves. At so many the deadlock is more than ten seconds old.
    let enough = |text: &str| text.contains("deadlock!") || text.matches("SCHED").count() > 200;
    let (text, _) = run("later", "schedtrace=100,deadlock=1", |_| LONG, enough);
    assert!(text.contains("deadlock!"), "{text}");
}

fn a_deadlock_panics_where_that_is_asked_for() {
    for (case, debug) in [("panic", ""), ("alone", "deadlock=panic")] {
        // The end of its standard error is the end of the process.
        let (text, well) = run(case, debug, |_| LONG, |_| false);
        assert!(!well, "{text}");
        assert!(text.contains("panicked at tests/deadlock.rs:"), "{text}");
        assert!(text.contains("all tasks are asleep - deadlock!"), "{text}");
    }
}

fn the_same_deadlock_once_more_is_another_one() {
    let (text, well) = run("again", "", |_| LONG, |_| false);
    assert!(well, "{text}");
    assert_eq!(text.matches("deadlock!").count(), 2, "{text}");
}

fn nothing_is_said_while_anybody_could_wake_somebody() {
    let cases = [
        "timer",
        "socket",
        "job",
        "in_place",
        "blocked",
        "thread",
        "nobody_waits",
    ];
    let waits: Vec<_> = cases
        .map(|case| thread::spawn(move || silence_of(case, "stall=0,deadlock=1")))
        .into();
    silence_of("alone", "deadlock=0");
    if !cfg!(debug_assertions) {
        silence_of("alone", "");
    }
    waits.into_iter().for_each(|wait| wait.join().unwrap());
}

fn main() {
    if let Ok(case) = std::env::var(CASE) {
        return child(&case);
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    if cfg!(feature = "tokio-compat") {
        // Then each process has a thread of tokio's, which might wake somebody.
        silence_of("alone", "");
        return nothing_is_said_while_anybody_could_wake_somebody();
    }
    let tests: [(&str, fn()); 8] = [
        (
            "a_monitor_that_prints_meanwhile_finds_a_deadlock_too",
            a_monitor_that_prints_meanwhile_finds_a_deadlock_too,
        ),
        (
            "who_waits_for_nothing_is_told",
            who_waits_for_nothing_is_told,
        ),
        (
            "one_is_told_beside_the_thread_that_waits_for_sigquit",
            one_is_told_beside_the_thread_that_waits_for_sigquit,
        ),
        (
            "a_report_that_meets_a_task_that_blocks_tells_where_the_others_wait",
            a_report_that_meets_a_task_that_blocks_tells_where_the_others_wait,
        ),
        (
            "a_deadlock_that_comes_late_or_over_two_threads_or_runtimes_is_found_too",
            a_deadlock_that_comes_late_or_over_two_threads_or_runtimes_is_found_too,
        ),
        (
            "a_deadlock_panics_where_that_is_asked_for",
            a_deadlock_panics_where_that_is_asked_for,
        ),
        (
            "the_same_deadlock_once_more_is_another_one",
            the_same_deadlock_once_more_is_another_one,
        ),
        (
            "nothing_is_said_while_anybody_could_wake_somebody",
            nothing_is_said_while_anybody_could_wake_somebody,
        ),
    ];
    println!("running {} tests", tests.len());
    // Each waits for processes of its own, and those mostly wait too.
    let tests = tests.map(|(name, test)| (name, thread::spawn(test)));
    let count = tests.len();
    for (name, test) in tests {
        test.join().expect("the test has said why it fails");
        println!("test {name} ... ok");
    }
    println!(
        "test result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        count
    );
}
