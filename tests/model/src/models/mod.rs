//! The models. Each file has a protocol's models and their twins.

use crate::runner::Check;
use crate::sync;
use crate::tasks::registry::Registry;

mod blocking;
mod book;
mod by_class;
mod capture;
mod closing;
mod handover;
mod held_back;
mod lift;
mod model;
mod next_slot;
mod observer;
mod placement;
mod queue;
#[cfg(feature = "net")]
mod reactor;
#[cfg(feature = "net")]
mod reactor_house;
mod resize;
mod retake;
mod submitting;
mod tasks;
mod timers;

pub(crate) fn all() -> Vec<Check> {
    // The longest ones first, so that none of them is left to one thread in the end.
    [
        retake::CHECKS,
        #[cfg(feature = "net")]
        reactor_house::CHECKS,
        #[cfg(feature = "net")]
        reactor::CHECKS,
        submitting::CHECKS,
        closing::CHECKS,
        tasks::CHECKS,
        lift::CHECKS,
        capture::CHECKS,
        queue::CHECKS,
        handover::CHECKS,
        held_back::CHECKS,
        resize::CHECKS,
        by_class::CHECKS,
        placement::CHECKS,
        blocking::CHECKS,
        next_slot::CHECKS,
        timers::CHECKS,
        crate::timeline::CHECKS,
        observer::CHECKS,
        crate::join_set::CHECKS,
    ]
    .concat()
}

/// What a checker says when every thread waits.
pub(crate) const DEADLOCK: &str = if cfg!(executor_loom) {
    "deadlock; threads ="
} else {
    "deadlock! blocked tasks:"
};

/// The first registry of a process finds out where tasks have their metadata.
pub(crate) fn learn() {
    Registry::lease().expect("it is the first");
    // SAFETY: nobody has kept the registry.
    unsafe { sync::free_leaked() };
}
