use async_task::ScheduleInfo;

use super::*;
use crate::tasks::{Meta, Schedule, create};

/// Tasks that are ended by hand.
struct Nobody;

impl Schedule for Nobody {
    fn schedule(_: Runnable, _: ScheduleInfo) {}
    fn finished(_: &Meta) {}
}

#[test]
fn a_job_that_is_rejected_leaves_no_place_of_the_latencies_taken() {
    let shared = Shared::leak(1).unwrap();
    let instruments = &shared.observers.instruments;
    let (runnable, handle) = create::<_, Nobody>(async {}, 0, shared.registry);
    let tag = runnable.metadata().tag();
    instruments.latencies.pushed(tag, 7);
    shared.end_observed(runnable, None, false);
    assert_eq!(instruments.latencies.polled(tag), None);
    instruments.latencies.pushed(tag, 8);
    assert_eq!(instruments.latencies.polled(tag), Some(8), "free again");
    drop(handle);
}

#[test]
fn what_was_recorded_is_forgotten_when_the_last_recording_has_ended() {
    let shared = Shared::leak(1).unwrap();
    let events = || {
        let mut count = 0;
        let list = &shared.observers.instruments.others;
        list.since(0, |_, events, _| count += events.len());
        count
    };
    shared.begin_recording();
    shared.begin_recording();
    shared.note(None, Kind::Wake, 7);
    shared.note_by_monitor(Kind::Wake, 7);
    shared.end_recording();
    shared.forget_log();
    assert_eq!(events(), 2, "one goes on");
    shared.end_recording();
    assert_eq!(events(), 2, "it is still to be read");
    shared.forget_log();
    assert_eq!(events(), 0);
}
