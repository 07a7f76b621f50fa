//! The calls that led to where a task has its thread blocked, as dumps and reports show them.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use executor::runtime::{Builder, TaskInfo, TaskState};
use executor::task::Id;
use executor::{JoinHandle, Runtime};

use super::blocked_in::{Call, WAYS, is_told, reading, reporting, spawn};
use crate::common::{PATIENCE, wait_until, within_patience};

const IS_SUPPORTED: bool = cfg!(all(
    feature = "stacks",
    target_os = "linux",
    target_arch = "x86_64",
    not(miri)
));

/// The deepest calls that the others make.
#[inline(never)]
fn calls_third(block: Call) {
    block();
    black_box(());
}

#[inline(never)]
fn calls_second(block: Call) {
    calls_third(block);
    black_box(());
}

#[inline(never)]
fn calls_first(block: Call) {
    calls_second(block);
    black_box(());
}

fn names(task: &TaskInfo) -> Vec<String> {
    let frames = task.stacks().iter().flat_map(|stack| stack.frames());
    frames.map(|frame| frame.to_string()).collect()
}

/// The frames of those three, and none of the standard library, nor of what polls the task.
fn assert_is_right(frames: &[String]) {
    let place = |name| frames.iter().position(|frame| frame.contains(name));
    let places = ["calls_third", "calls_second", "calls_first"].map(place);
    assert!(places.iter().all(Option::is_some), "{frames:#?}");
    assert!(places.is_sorted(), "{frames:#?}");
    let others = [
        "std::",
        "core::",
        "async_task",
        "executor::",
        "thread_start",
        "clone3",
    ];
    let is_other = |frame: &String| others.iter().any(|other| frame.starts_with(other));
    assert!(!frames.iter().any(is_other), "{frames:#?}");
}

fn dumped(runtime: &Runtime, id: Id) -> Option<TaskInfo> {
    let dump = runtime.handle().dump_stacks(PATIENCE);
    dump.tasks().iter().find(|task| task.id() == id).cloned()
}

#[test]
fn a_task_or_job_that_blocks_shows_the_calls_that_led_there() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        for (way, _) in WAYS {
            for is_job in [false, true] {
                let (block, release) = way();
                let block = Box::new(|| calls_first(block));
                let task: JoinHandle<()> = spawn(&runtime, is_job, block);
                let mut frames = Vec::new();
                wait_until("it blocks, and its stack is read", || {
                    let told = dumped(&runtime, task.id());
                    told.is_some_and(|told| {
                        frames = names(&told);
                        let is_read = !frames.is_empty() || !is_told() || !IS_SUPPORTED;
                        told.state() == TaskState::Blocked && is_read
                    })
                });
                println!("{frames:#?}");
                if !frames.is_empty() {
                    assert_is_right(&frames);
                }
                release();
                runtime.block_on(task).unwrap();
            }
        }
    });
}

#[test]
fn a_task_that_runs_has_no_stack_and_a_list_without_stacks_none() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let task = runtime.spawn_blocking(move || {
            while !stops.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        let (block, release) = reading();
        let blocked = runtime.spawn_blocking(block);
        wait_until("one runs, the other blocks", || {
            let state = |id| dumped(&runtime, id).map(|told| told.state());
            state(task.id()) == Some(TaskState::Running)
                && (!is_told() || state(blocked.id()) == Some(TaskState::Blocked))
        });
        for _ in 0..100 {
            let told = dumped(&runtime, task.id()).unwrap();
            assert!(told.stacks().is_empty());
            let dump = runtime.handle().dump_tasks();
            assert!(dump.tasks().iter().all(|task| task.stacks().is_empty()));
        }
        stop.store(true, SeqCst);
        release();
        runtime.block_on(async { (task.await.unwrap(), blocked.await.unwrap()) });
    });
}

#[test]
fn a_stall_is_told_with_the_calls_that_led_there() {
    within_patience(|| {
        let (runtime, reports) = reporting();
        for (way, _) in WAYS {
            let mut is_known = false;
            while !is_known {
                let (block, release) = way();
                let task = runtime.spawn(async { calls_first(block) });
                let told = reports.recv_timeout(PATIENCE).expect("a report");
                if let Some(stack) = told.stack() {
                    let frames: Vec<_> = stack.frames().map(|frame| frame.to_string()).collect();
                    assert_is_right(&frames);
                    println!("{told}");
                    let has_lines = stack.frames().all(|frame| frame.line().is_some());
                    if has_lines {
                        let text = told.to_string();
                        assert!(
                            text.contains(" at tests/it/instruments/blocked_in.rs:"),
                            "{text}"
                        );
                    }
                }
                // Else the thread may have been awake at that moment.
                is_known = told.stack().is_some() || !is_told() || !IS_SUPPORTED;
                release();
                runtime.block_on(task).unwrap();
            }
        }
    });
}

#[test]
fn what_does_not_end_says_where_it_is() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let (block, release) = reading();
        let job = runtime.spawn_blocking(|| calls_first(block));
        wait_until("it reads, and its stack can be read", || {
            let told = dumped(&runtime, job.id());
            told.is_some_and(|told| !told.stacks().is_empty() || !is_told() || !IS_SUPPORTED)
        });
        let report = runtime.shutdown_timeout(Duration::from_millis(50));
        let [left] = report.blocked() else {
            panic!("{report}");
        };
        assert_eq!(left.id(), job.id());
        if is_told() && IS_SUPPORTED {
            assert_is_right(&names(left));
        }
        release();
    });
}
