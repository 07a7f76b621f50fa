use async_task::ScheduleInfo;

use super::*;
use crate::tasks::{Home, Meta, create};

/// Tasks that are ended by hand.
struct Nobody;

impl Home for Nobody {
    fn schedule(_: Runnable, _: ScheduleInfo) {}
    fn finished(_: &Meta) {}
}

#[test]
fn a_job_that_is_rejected_leaves_no_place_of_the_latencies_taken() {
    let shared = Shared::leak(1).unwrap();
    let instruments = &shared.instruments;
    let (runnable, handle) = create::<_, Nobody>(async {}, shared.registry);
    let word = runnable.metadata().word();
    instruments.latencies.pushed(word, 7);
    shared.end_observed(runnable, None, false);
    assert_eq!(instruments.latencies.polled(word), None);
    instruments.latencies.pushed(word, 8);
    assert_eq!(instruments.latencies.polled(word), Some(8), "free again");
    drop(handle);
}
