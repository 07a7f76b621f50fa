//! The same while a subscriber of `tracing` is told of everything, which puts a waker of its own before each task's.

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::common::alone;

/// Is interested in all.
struct Everything;

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn traced_tasks_show_the_same_stacks_and_leaks() {
    let this = "traced_tasks_show_the_same_stacks_and_leaks";
    if !alone(module_path!(), this) {
        return;
    }
    tracing::subscriber::set_global_default(Everything).unwrap();
    super::hazards::each_task_that_waits_is_polled_once_for_a_dump();
    super::hazards::the_real_event_wakes_a_task_that_was_dumped_a_hundred_times();
    super::leaks::a_task_is_leaked_if_nobody_has_a_waker_whoever_of_the_crate_can_reach_it();
    super::leaks::who_waits_for_a_clock_a_socket_or_another_task_is_not_leaked();
    #[cfg(feature = "net")]
    {
        super::lines::each_way_to_wait_shows_the_lines_of_its_awaits();
        super::lines::the_leaf_of_the_executor_is_shown_and_a_library_is_by_name();
    }
}
