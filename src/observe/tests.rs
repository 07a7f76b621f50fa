use std::time::Duration;

use async_task::ScheduleInfo;

use super::RuntimeObserver;
use super::details::Details;
use super::instruments::Instruments;
use super::task_info::{TaskInfo, TaskState};
use super::timeline::Kind;
use crate::clock;
use crate::scheduler::Shared;
use crate::tasks::{Meta, Runnable, Schedule, create};

/// Tasks that are ended by hand.
struct Nobody;

impl Schedule for Nobody {
    fn schedule(_: Runnable, _: ScheduleInfo) {}
    fn finished(_: &Meta) {}
}

fn observed() -> (&'static Shared, &'static Instruments) {
    let shared = Shared::with_processors(1, Box::new(RuntimeObserver::new())).unwrap();
    (shared, &super::of(shared).instruments)
}

#[test]
fn a_job_that_is_rejected_leaves_no_place_of_the_latencies_taken() {
    let (shared, instruments) = observed();
    let (runnable, handle) = create::<_, Nobody>(async {}, 0, shared.registry);
    let tag = runnable.metadata().tag();
    instruments.latencies.pushed(tag, 7);
    instruments.reject(shared, runnable, None, false);
    assert_eq!(instruments.latencies.polled(tag), None);
    instruments.latencies.pushed(tag, 8);
    assert_eq!(instruments.latencies.polled(tag), Some(8), "free again");
    drop(handle);
}

#[test]
fn what_was_recorded_is_forgotten_when_the_last_recording_has_ended() {
    let (shared, instruments) = observed();
    let events = || {
        let mut count = 0;
        let list = &instruments.others;
        list.since(0, |_, events, _| count += events.len());
        count
    };
    instruments.begin_recording(shared);
    instruments.begin_recording(shared);
    instruments.write(None, Kind::Wake, 7, 1);
    instruments.write_for_monitor(Kind::Wake, 7, 1);
    instruments.end_recording(shared);
    instruments.forget_log(shared);
    assert_eq!(events(), 2, "one goes on");
    instruments.end_recording(shared);
    assert_eq!(events(), 2, "it is still to be read");
    instruments.forget_log(shared);
    assert_eq!(events(), 0);
}

/// The list says since when it is polled. The poll was over when it was asked where it waits.
#[test]
fn a_task_that_begins_to_wait_has_not_waited_for_as_long_as_its_poll() {
    let (details, second) = (Details::new(), Duration::from_secs(1));
    let Some(begin) = clock::now().checked_sub(second) else {
        return;
    };
    details.spawned(7, begin);
    details.poll_begins(7, begin);
    let mut task = TaskInfo::made_up(7, TaskState::Running, second);
    task.detail = details.all().first().map(|(_, detail)| *detail);
    assert!(task.since() >= Some(second));
    task.begins_to_wait();
    assert_eq!((task.state(), task.since()), (TaskState::Waiting, None));
    assert_eq!(task.poll_count(), Some(1));
}
