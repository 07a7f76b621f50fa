//! Handing a core over: it is neither lost nor doubled, and what it leaves behind is run.

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::model::{Flaw, Model, Plan};
use crate::scheduler::processor::Core;
use crate::scheduler::worker_copy as worker;

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
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 1 + MORE,
            flaw,
            ..Plan::default()
        });
        for core in cores {
            model.start_as_worker(move |model| {
                let core = worker::hold(core);
                model.submit_on(&core, 0);
                away(model, core);
                if long {
                    model.wait_ended();
                }
                let core = model.idle.pop_idle();
                worker::run(model, core, false);
            });
        }
        (1..=MORE).for_each(|number| model.submit(number));
        model.settle();
    })
}

/// A worker gives its core away while somebody closes: what was in its next slot is cancelled by one of them.
fn handover_closing(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (model, cores) = Model::new(Plan {
            processors: 1,
            tokens: 1,
            flaw,
            ..Plan::default()
        });
        for core in cores {
            model.start_as_worker(move |model| {
                let core = worker::hold(core);
                model.submit_on(&core, 0);
                away(model, core);
                model.wait_ended();
                let core = model.idle.pop_idle();
                worker::run(model, core, false);
            });
        }
        model.spawn(Model::clean_up);
        model.close();
        model.settle();
    })
}

/// What `handoff::enter_blocking` does.
fn away(model: &Model, core: Box<Core>) {
    if let Some(core) = model.give_up(core) {
        core.empty_slot();
        model.pass_on(core);
    }
}
