//! What several test files share.

// Each program uses a part of this.
#![allow(dead_code)]

pub(crate) mod busy;
pub(crate) mod homed;
mod program;
pub(crate) mod streams;
pub(crate) mod stuck;
pub(crate) mod throwing;

use std::any::Any;
use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use executor::Runtime;
use executor::runtime::{Builder, worker_index};

pub(crate) use program::this_program;

/// After this something counts as hung. The tools that see every access make all of it ten to fifty times slower.
pub(crate) const PATIENCE: Duration = match option_env!("EXECUTOR_TEST_SLOW") {
    None => Duration::from_secs(20),
    Some(_) => Duration::from_secs(120),
};

/// Runs the body of a test; a hang becomes a failure.
#[track_caller]
pub(crate) fn within_patience<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        let output = body();
        let _ = done.send(());
        output
    });
    match finished.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("hung"),
        _ => thread
            .join()
            .unwrap_or_else(|payload| resume_unwind(payload)),
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not within patience: {what}");
        thread::yield_now();
    }
}

/// A runtime with so many processors.
pub(crate) fn processors(count: usize) -> Runtime {
    Builder::new().worker_threads(count).build().unwrap()
}

/// Runs the body of a test with runtimes of different sizes; a hang becomes a failure.
#[track_caller]
pub(crate) fn on_runtimes(body: fn(Runtime)) {
    within_patience(move || [1, 2, 4].into_iter().map(processors).for_each(body));
}

/// Never drops the value, which stays reachable: a leak checker shall report only what others have lost.
pub(crate) fn keep(value: impl Any + Send) {
    static KEPT: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());
    KEPT.lock().unwrap().push(Box::new(value));
}

/// As many tasks as there are processors are polled at the same time, each on another processor, and as many jobs meet.
#[track_caller]
pub(crate) fn assert_all_usable(runtime: &Runtime) {
    let count = runtime.handle().worker_threads();
    // On a busy machine a poll may be taken for a stuck one, and then another one runs on its processor.
    wait_until("a task on each processor", || {
        used_at_once(runtime, count) == count
    });
    let all_here = Arc::new(Barrier::new(count));
    let jobs = (0..count).map(|_| {
        let all_here = all_here.clone();
        runtime.spawn_blocking(move || _ = all_here.wait())
    });
    for job in jobs.collect::<Vec<_>>() {
        runtime.block_on(job).unwrap();
    }
}

/// On how many processors so many polls have begun that go on at the same time.
fn used_at_once(runtime: &Runtime, count: usize) -> usize {
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = (0..count).map(|_| {
        let begun = begun.clone();
        runtime.spawn(async move {
            let index = worker_index();
            begun.fetch_add(1, SeqCst);
            while begun.load(SeqCst) < count {
                thread::yield_now();
            }
            index
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let used = tasks
        .into_iter()
        .filter_map(|task| runtime.block_on(task).unwrap());
    used.collect::<HashSet<_>>().len()
}

/// How this test program calls a test: by its module, which is the caller's `module_path!()`, without the program's name.
pub(crate) fn full_name(module: &str, test: &str) -> String {
    let (_, path) = module.split_once("::").expect("a module of the program");
    format!("{path}::{test}")
}

/// Runs this test of this module by itself in a process of its own. True: this is that process; false: it has passed there.
#[track_caller]
pub(crate) fn alone(module: &str, this_test: &str) -> bool {
    const CHILD: &str = "EXECUTOR_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let child = this_program()
        .args([&full_name(module, this_test), "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert_ran(&child, "1 passed; 0 failed; 0 ignored");
    false
}

/// The process of a test program has ended well and has run what it was asked to run: a name that no test has is a success, too.
#[track_caller]
fn assert_ran(child: &Output, what: &str) {
    let printed = String::from_utf8_lossy(&child.stdout);
    let ran = child.status.success() && printed.contains(what);
    assert!(ran, "{printed}\n{}", String::from_utf8_lossy(&child.stderr));
}

/// Runs the other tests of this module once more, in a process in which the monitor takes no processor from anybody: what the
/// scheduler should do by itself must not be left to the monitor.
pub(crate) fn hold_without_retakes(module: &str, this_test: &str) {
    const CHILD: &str = "EXECUTOR_TEST_WITHOUT_RETAKES";
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let this_test = full_name(module, this_test);
    let all = full_name(module, "");
    let others = [&*all, "--skip", &this_test];
    // Who skips nothing has given a wrong name.
    let count = |arguments: &[&str]| {
        let listed = this_program().args(arguments).arg("--list").output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        listed
            .lines()
            .filter(|line| line.ends_with(": test"))
            .count()
    };
    assert_eq!(count(&others) + 1, count(&[&all]), "{this_test}");
    let child = this_program()
        .args(others)
        .env(CHILD, "1")
        .env("EXECUTOR_DEBUG", "retake=0")
        .output()
        .unwrap();
    assert_ran(&child, "test result: ok");
    let printed = String::from_utf8_lossy(&child.stdout);
    assert!(!printed.contains("running 0 tests"), "{printed}");
}

/// What a panic said.
pub(crate) fn message(body: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// Polls `rounds` + 1 times; each poll but the last hands its waker to `wakers`.
pub(crate) fn rounds(rounds: usize, wakers: mpsc::Sender<Waker>) -> impl Future<Output = usize> {
    let mut polls = 0;
    poll_fn(move |cx| {
        polls += 1;
        if polls > rounds {
            return Poll::Ready(polls);
        }
        wakers.send(cx.waker().clone()).unwrap();
        Poll::Pending
    })
}

/// An ignored test of this module, to be run in a process of its own.
pub(crate) fn ignored(module: &str, test: &str) -> Command {
    let mut command = this_program();
    command.args([
        &full_name(module, test),
        "--exact",
        "--nocapture",
        "--ignored",
    ]);
    command
}

/// Runs an ignored test of this module in a process of its own, with a variable set, and gives what it prints.
#[track_caller]
pub(crate) fn run_ignored(module: &str, test: &str, variable: &str, value: &str) -> Output {
    let output = ignored(module, test).env(variable, value).output().unwrap();
    assert_ran(&output, "1 passed; 0 failed; 0 ignored");
    output
}
