//! Handing a core over: it is neither lost nor doubled, and what it leaves behind is run.

use super::DEADLOCK;
use super::model::{Event, Plan, begin, run};
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::enter_blocking;

pub(super) const CHECKS: &[Check] = &[
    Check::model("handover", || handover(true, None)),
    Check::twin("handover/looks-no-more", DEADLOCK, || {
        handover(true, Some("handover-looks-no-more"))
    }),
    Check::model("handover-alone", || handover_alone(None)),
    Check::twin("handover-alone/mark-taken-off-blindly", DEADLOCK, || {
        handover_alone(Some("mark-taken-off-blindly"))
    }),
    Check::model("handover-brief", || handover(false, None)),
    Check::model("handover-closing", || handover_closing(None)),
    Check::twin("handover-closing/forgets-it", DEADLOCK, || {
        handover_closing(Some("handover-forgets-closing"))
    }),
];

/// A task with another in its worker's next slot blocks, and says so, while somebody else submits. `long`: it blocks
/// until all have run, else it comes back at once.
fn handover(long: bool, twin: Option<&'static str>) -> usize {
    const MORE: usize = if cfg!(executor_loom) { 1 } else { 10 };
    explore(2, move || {
        let plan = Plan::new(1, 2 + MORE, twin);
        run(plan, |model| {
            model.start_worker_with(0, move |model| {
                model.spawn(1);
                let _blocking = enter_blocking();
                if long {
                    model.wait_ended();
                }
            });
            (2..2 + MORE).for_each(|number| model.spawn(number));
        });
    })
}

/// The same, and nobody submits, but another worker waits with the driver: what is in the queue of the core that is
/// given away is all there is to be seen.
fn handover_alone(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let plan = Plan { driver: true, ..Plan::new(2, 2, twin) };
        run(plan, |model| {
            model.start_worker_with(0, move |model| {
                model.spawn(1);
                let _blocking = enter_blocking();
                model.wait_ended();
            });
            model.start_worker();
        });
    })
}

/// A task blocks, and says so, while somebody closes: what was in its worker's next slot is cancelled.
fn handover_closing(twin: Option<&'static str>) -> usize {
    explore(1, move || {
        let plan = Plan::new(1, 2, twin);
        run(plan, |model| {
            // Else the monitor might give the core to another worker first.
            let begun = Event::default();
            let has_begun = begun.clone();
            model.start_monitor_after(move |_| has_begun.wait());
            begin(model, |model, begun| {
                begun.set();
                model.spawn(1);
                let _blocking = enter_blocking();
                model.wait_ended();
            });
            begun.set();
            model.close();
        });
    })
}
