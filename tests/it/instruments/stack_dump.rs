//! Where tasks wait: the lines of their awaits.
//!
//! The profile of the tests has line tables for this, whatever else is said of debug information (`Cargo.toml`).

#[cfg(feature = "time")]
mod hazards;
#[cfg(feature = "time")]
mod leaks;
#[cfg(all(feature = "net", feature = "time"))]
mod lines;
#[cfg(all(feature = "tracing", feature = "time"))]
mod traced;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::common::{PATIENCE, wait_until};
use executor::Handle;
use executor::runtime::{Frame, TaskDump, TaskInfo, TaskStack, TaskState};
use executor::task::Id;

/// Waits until all of these wait.
#[track_caller]
fn until_they_wait(handle: &Handle, tasks: &[Id]) {
    wait_until("they wait", || {
        let dump = handle.dump_tasks();
        let states: HashMap<Id, TaskState> = (dump.tasks().iter())
            .map(|task| (task.id(), task.state()))
            .collect();
        tasks
            .iter()
            .all(|task| states.get(task) == Some(&TaskState::Waiting))
    });
}

/// A dump that has reached all.
#[track_caller]
fn dump_all(handle: &Handle) -> TaskDump {
    let dump = handle.dump_stacks(PATIENCE);
    assert_eq!(dump.num_unreached(), 0);
    dump
}

fn of(dump: &TaskDump, task: Id) -> &TaskInfo {
    let found = dump.tasks().iter().find(|info| info.id() == task);
    found.expect("the task is listed")
}

fn is_in(frame: &Frame, file: &str) -> bool {
    frame
        .file()
        .is_some_and(|path| path.ends_with(Path::new(file)))
}

/// The lines of a stack that are in this file, the innermost first.
fn lines_in(stack: &TaskStack, file: &str) -> Vec<u32> {
    stack
        .frames()
        .filter(|frame| is_in(frame, file))
        .map(|frame| frame.line().expect("who knows the file knows the line"))
        .collect()
}

/// Whether the program has debug information.
fn are_lines_known(dump: &TaskDump) -> bool {
    let mut frames = dump
        .tasks()
        .iter()
        .flat_map(TaskInfo::stacks)
        .flat_map(TaskStack::frames);
    frames.any(|frame| {
        frame
            .file()
            .is_some_and(|file| file.ends_with("instruments/stack_dump/lines.rs"))
    })
}

/// What is the program's or a library's, with at most one leaf of the executor's before it.
#[track_caller]
fn assert_nothing_inner(stack: &TaskStack) {
    for frame in stack.frames() {
        let name = frame.name().unwrap_or_default().to_owned();
        let file = frame.file().unwrap_or(Path::new("")).display().to_string();
        let is_std = file.contains("/library/std/") || file.contains("/library/core/");
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
        let is_inner = ["tasks/", "scheduler/", "reactor/", "runtime/", "stacks/"]
            .iter()
            .any(|module| file.starts_with(&format!("{own}{module}")));
        // What is awaited there.
        let is_leaf = ["tasks/join.rs", "tasks/yield_now.rs", "tasks/budget.rs"]
            .iter()
            .any(|leaf| file.ends_with(leaf));
        assert!(!is_std && (!is_inner || is_leaf), "{name} at {file}");
    }
}

/// Longer than a test runs.
const LONG: Duration = Duration::from_secs(100_000);
