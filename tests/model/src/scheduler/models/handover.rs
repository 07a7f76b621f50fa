//! Handing a core over: it is neither lost nor doubled, and what it leaves behind is run.

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::processor::Core;
use crate::scheduler::worker_copy as worker;
use crate::scheduler::yard::{Flaw, Plan, Yard};

pub(super) const CHECKS: &[Check] = &[
    Check::model("handover", || handover(true, None)),
    Check::twin("handover/looks-no-more", DEADLOCK, || {
        handover(true, Some(Flaw::HandoverLooksNoMore))
    }),
    Check::model("handover-brief", || handover(false, None)),
    Check::model("handover-closing", || handover_closing(None)),
    Check::twin("handover-closing/forgets-it", DEADLOCK, || {
        handover_closing(Some(Flaw::HandoverForgetsClosing))
    }),
];

/// A worker with a token in its next slot gives its core away while somebody else submits. `long`: it blocks until
/// both tokens have run, else it comes back at once.
fn handover(long: bool, flaw: Option<Flaw>) -> usize {
    const MORE: usize = if cfg!(executor_loom) { 1 } else { 10 };
    explore(2, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 1 + MORE,
            flaw,
            ..Plan::default()
        });
        for core in cores {
            yard.start_as_worker(move |yard| {
                let core = worker::hold(core);
                yard.submit_on(&core, 0);
                away(yard, core);
                if long {
                    yard.wait_ended();
                }
                let core = yard.idle.pop_idle();
                worker::run(yard, core, false);
            });
        }
        (1..=MORE).for_each(|number| yard.submit(number));
        yard.settle();
    })
}

/// A worker gives its core away while somebody closes: what was in its next slot is cancelled by one of them.
fn handover_closing(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 1,
            flaw,
            ..Plan::default()
        });
        for core in cores {
            yard.start_as_worker(move |yard| {
                let core = worker::hold(core);
                yard.submit_on(&core, 0);
                away(yard, core);
                yard.wait_ended();
                let core = yard.idle.pop_idle();
                worker::run(yard, core, false);
            });
        }
        yard.spawn(Yard::clean_up);
        yard.close();
        yard.settle();
    })
}

/// What `handoff::enter_blocking` does.
fn away(yard: &Yard, core: Box<Core>) {
    if let Some(core) = yard.give_up(core) {
        core.empty_slot();
        yard.pass_on(core);
    }
}
