//! Tasks that are made up.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::time::Duration;

use super::*;
use crate::observe::Futurelock;
use crate::sync::Arc;

const PLACES: [&[usize]; 3] = [&[1, 2, 3], &[1, 2, 4], &[1, 2]];

/// A stack that shares its addresses with no other.
fn stack(place: usize) -> TaskStack {
    TaskStack::new(Arc::from(PLACES[place]))
}

fn dump(tasks: Vec<TaskInfo>) -> TaskDump {
    TaskDump {
        alive: tasks.len() as u64,
        tasks,
        unreached: 0,
        block_ons: Vec::new(),
    }
}

/// A task that waits at these places.
fn waits(number: u64, millis: u64, places: &[usize]) -> TaskInfo {
    let since = Duration::from_millis(millis);
    let mut task = TaskInfo::made_up(number, TaskState::Waiting, since);
    task.future = Some("shop::pick::{{closure}}");
    task.stacks = places.iter().copied().map(stack).collect();
    task
}

fn counts(dump: &TaskDump) -> Vec<usize> {
    dump.groups().iter().map(TaskGroup::count).collect()
}

#[test]
fn tasks_at_the_same_places_are_one_group_in_whatever_order_they_poll() {
    let dump = dump(vec![
        waits(1, 9, &[0, 1]),
        waits(2, 8, &[1, 0]),
        waits(3, 7, &[0]),
        waits(4, 6, &[0, 0]),
        waits(5, 5, &[0]),
        waits(6, 4, &[0, 1]),
        waits(7, 3, &[2]),
    ]);
    assert_eq!(counts(&dump), [3, 2, 1, 1]);
    let groups = dump.groups();
    assert_eq!(groups[0].longest(), Some(Duration::from_millis(9)));
    let ids: Vec<_> = groups[0].tasks().iter().map(|task| task.id()).collect();
    let listed = [0, 1, 5].map(|task: usize| dump.tasks[task].id());
    assert_eq!(ids, listed);
    assert_eq!(groups[0].stacks().len(), 2);
}

#[test]
fn tasks_that_differ_in_anything_are_different_groups() {
    let mut other_future = waits(2, 8, &[0]);
    other_future.future = Some("shop::deliver::{{closure}}");
    let since = Duration::from_millis(1);
    let dump = dump(vec![
        waits(1, 9, &[0]),
        other_future,
        TaskInfo::made_up(3, TaskState::Waiting, since),
        TaskInfo::made_up(4, TaskState::Queued, since),
    ]);
    assert_eq!(counts(&dump), [1, 1, 1, 1]);
}

#[test]
fn groups_come_by_what_they_do_then_by_futurelock_then_by_how_long_then_by_how_many() {
    let doing = |number: u64, state, millis| {
        TaskInfo::made_up(number, state, Duration::from_millis(millis))
    };
    let mut locked = waits(8, 6, &[1]);
    locked.futurelocks = vec![Futurelock::made_up(stack(2), Duration::from_secs(1))];
    let dump = dump(vec![
        waits(1, 5, &[0]),
        waits(2, 5, &[1]),
        waits(3, 5, &[1]),
        waits(4, 7, &[2]),
        doing(5, TaskState::Running, 1),
        doing(6, TaskState::Queued, 2),
        doing(7, TaskState::Blocked, 1),
        locked,
    ]);
    let groups = dump.groups();
    let states: Vec<_> = groups.iter().map(TaskGroup::state).collect();
    let (blocked, running) = (TaskState::Blocked, TaskState::Running);
    assert_eq!(states[..3], [blocked, running, TaskState::Queued]);
    let waiting: Vec<_> = groups[3..].iter().map(TaskGroup::count).collect();
    assert_eq!(waiting, [1, 1, 2, 1]);
    assert_eq!(groups[3].tasks()[0].id(), dump.tasks[7].id());
    assert_eq!(groups[4].longest(), Some(Duration::from_millis(7)));
}

#[test]
fn what_a_dump_leaves_out_is_said() {
    let mut many = waits(1, 2500, &[0]);
    many.omitted_stacks = 40;
    let unreached = TaskInfo::made_up(2, TaskState::Waiting, Duration::from_millis(3));
    let mut dump = dump(vec![many, unreached, waits(3, 2, &[])]);
    (dump.alive, dump.unreached) = (5, 1);
    assert_eq!(
        dump.to_string(),
        "5 tasks
  task 1: waiting for 2.500s
      future shop::pick
      0x3
      0x2
      0x1
      and for 40 more
  task 2: waiting for 3.000ms
      not polled in time, so that it is not known where
  task 3: waiting for 2.000ms
      future shop::pick
      its poll has not cloned the waker
  and 2 that have not been polled yet
  1 task not polled in time for this dump
"
    );
}

#[test]
fn a_task_that_waits_for_several_futures_is_written_as_a_tree() {
    // The innermost first: outer 2 leads to 1 in two ways, and to 3; 9 is that place itself.
    let stack = |addresses: &[usize]| TaskStack::new(Arc::from(addresses));
    let mut task = waits(1, 1, &[]);
    task.stacks = vec![
        stack(&[5, 1, 9]),
        stack(&[6, 1, 9]),
        stack(&[3, 9]),
        stack(&[3, 9]),
        stack(&[9]),
    ];
    let mut second = waits(2, 1, &[]);
    second.stacks = task.stacks.clone();
    let dump = dump(vec![task, second]);
    assert_eq!(
        dump.groups()[0].to_string(),
        "2 tasks: waiting for up to 1.000ms: 1, 2
    future shop::pick
    0x9
    waits for 5 futures at once:
    1. 0x1
       waits for 2 futures at once:
       1. 0x5
       2. 0x6
    2. waits for 2 futures at the same place:
       0x3
    3. that call itself"
    );
}

#[test]
fn an_empty_dump_is_a_list() {
    assert_eq!(dump(Vec::new()).to_string(), "0 tasks\n");
    let since = Duration::from_millis(3);
    let listed = dump(vec![TaskInfo::made_up(1, TaskState::Waiting, since)]);
    assert_eq!(
        listed.to_string(),
        "1 task\n  task 1: waiting for 3.000ms\n"
    );
}

#[test]
fn tasks_that_stand_alone_at_one_place_have_hashes_of_their_own() {
    let hash = |number| {
        let mut task = waits(number, 1, &[0]);
        task.futurelocks = vec![Futurelock::made_up(stack(1), Duration::from_secs(1))];
        let mut hasher = std::hash::DefaultHasher::new();
        Key::of(&task).hash(&mut hasher);
        hasher.finish()
    };
    let different: HashSet<u64> = (1..=1000).map(hash).collect();
    assert_eq!(different.len(), 1000);
}

#[test]
fn what_was_recorded_is_written_as_where_a_task_waits_is() {
    let mut task = waits(1, 1, &[0]);
    task.last_stacks = vec![stack(1)];
    task.futurelocks = vec![Futurelock::made_up(stack(2), Duration::from_secs(3))];
    let recorded = "
    last waited at:
    0x4
    0x2
    0x1";
    assert_eq!(
        dump(vec![task]).groups()[0].to_string(),
        format!(
            "task 1: waiting for 1.000ms
    future shop::pick
    0x3
    0x2
    0x1{recorded}
    futurelock: the task has not polled this future since it was woken 3.0s ago:
    0x2
    0x1"
        )
    );
    struct Last([TaskStack; 1]);
    impl Display for Last {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_last_waited(f, &self.0)
        }
    }
    assert_eq!(Last([stack(1)]).to_string(), recorded);
}

#[test]
fn what_was_recorded_is_in_the_json() {
    let mut task = waits(1, 1, &[0]);
    task.last_stacks = vec![stack(1), stack(2)];
    task.futurelocks = vec![Futurelock::made_up(stack(0), Duration::from_millis(1500))];
    let mut json = Vec::new();
    dump(vec![task]).write_json(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let group = &json["groups"][0];
    let addresses = |stack: &serde_json::Value| -> Vec<String> {
        let frames = stack.as_array().unwrap().iter();
        frames
            .map(|frame| frame["address"].as_str().unwrap().to_owned())
            .collect()
    };
    let last = group["last_stacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(addresses);
    let expected = [&["0x1", "0x2", "0x4"][..], &["0x1", "0x2"]];
    assert!(last.eq(expected), "{json}");
    let [lock] = &group["futurelocks"].as_array().unwrap()[..] else {
        panic!("{json}");
    };
    assert_eq!(lock["since_seconds"], 1.5);
    assert_eq!(addresses(&lock["stack"]), ["0x1", "0x2", "0x3"]);
}
