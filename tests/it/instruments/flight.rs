//! The flight recorder: which files it leaves, and what it says of them.

use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use executor::runtime::{Builder, TaskState};
use executor::task;

use super::child::{Child, talk};
use crate::common::{ignored, wait_until, within_patience};

#[test]
#[ignore = "a_timeline_and_the_tasks_are_left_and_both_are_named starts it in a process of its own"]
fn child_panics() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let entered = runtime.handle().enter();
    let waits = task::Builder::new().name("waits").spawn(pending::<()>());
    drop(entered);
    wait_until("it waits", || {
        let dump = runtime.handle().dump_tasks();
        dump.tasks().iter().any(|task| task.id() == waits.id())
    });
    talk(|_| {
        let panics = runtime.spawn(async { panic!("by intention") });
        assert!(runtime.block_on(panics).unwrap_err().is_panic());
    });
}

/// A folder of this process and test, and the file in it that the recorder is asked for.
fn place(name: &str) -> (PathBuf, PathBuf) {
    let folder = format!("executor-{}-{name}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    fs::create_dir(&folder).unwrap();
    let file = folder.join("flight.json");
    (folder, file)
}

/// What is said when a task has panicked, in so many lines of its own.
fn said(path: &Path, lines: usize) -> Vec<String> {
    let mut command = ignored(module_path!(), "child_panics");
    command.env("EXECUTOR_FLIGHT_RECORDER", path);
    let mut child = Child::start(command, Duration::ZERO);
    child.next("panic");
    let own = |text: &str| -> Vec<String> {
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let lines = lines.filter_map(|line| line.strip_prefix("executor: "));
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    child.wait_until_said("all lines", |text| own(text).len() == lines);
    own(&child.end_well())
}

#[test]
fn a_timeline_and_the_tasks_are_left_and_both_are_named() {
    within_patience(|| {
        let (folder, path) = place("both");
        let lines = said(&path, 1);
        let tasks = folder.join("flight.tasks.txt");
        let names = format!(": see {} and {}", path.display(), tasks.display());
        let incident = lines[0].strip_suffix(&names).expect(&lines[0]);
        assert!(incident.ends_with(" has panicked"), "{incident}");
        let text = fs::read_to_string(tasks).unwrap();
        let begin = format!("{incident}\n");
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.contains(" \"waits\", spawned at "), "{text}");
        let json = fs::read(path).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    });
}

/// Its dump polls each task that waits, and these polls are recorded as any others.
#[test]
fn what_led_to_an_incident_is_in_the_timeline_however_many_tasks_wait() {
    // The smallest room that there is for events, and more tasks than that.
    const EVENTS: usize = 4096;
    const TASKS: usize = 6000;
    within_patience(|| {
        let (folder, path) = place("many");
        let tasks = folder.join("flight.tasks.txt");
        let builder = Builder::new().worker_threads(1).trace_events(EVENTS);
        let runtime = builder.flight_recorder(&path).build().unwrap();
        for _ in 0..TASKS {
            drop(runtime.spawn(pending::<()>()));
        }
        wait_until("all wait", || {
            let dump = runtime.handle().dump_tasks();
            let waits = |state: TaskState| state == TaskState::Waiting;
            dump.tasks()
                .iter()
                .filter(|task| waits(task.state()))
                .count()
                == TASKS
        });
        let entered = runtime.handle().enter();
        let panics = task::Builder::new()
            .name("culprit")
            .spawn(async { panic!("by intention") });
        drop(entered);
        assert!(runtime.block_on(panics).unwrap_err().is_panic());
        wait_until("both are written", || tasks.exists());
        let json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let events = json["traceEvents"].as_array().unwrap();
        let is_of_culprit = |event: &serde_json::Value| {
            let name = event["name"].as_str().unwrap_or_default();
            event["ph"] == "X" && name.contains("culprit")
        };
        assert!(events.iter().any(is_of_culprit));
        drop(runtime);
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_file_that_cannot_be_written_is_said_and_the_other_is_left() {
    within_patience(|| {
        let (folder, path) = place("one");
        let tasks = folder.join("flight.tasks.txt");
        fs::create_dir(&tasks).unwrap();
        let lines = said(&path, 2);
        let names = format!(" has panicked: see {}", path.display());
        assert!(lines[0].ends_with(&names), "{lines:?}");
        let failed = format!("{} cannot be written: ", tasks.display());
        assert!(lines[1].starts_with(&failed), "{lines:?}");
        fs::remove_dir_all(&folder).unwrap();
        // Now neither can.
        let lines = said(&path, 2);
        for (line, path) in lines.iter().zip([path, tasks]) {
            let failed = format!("{} cannot be written: ", path.display());
            assert!(line.starts_with(&failed), "{line}");
        }
    });
}
