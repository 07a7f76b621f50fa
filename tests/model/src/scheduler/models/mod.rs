//! The models. Each file has a protocol's models and their twins.

use crate::runner::Check;

mod blocking;
mod closing;
mod handover;
mod held_back;
mod next_slot;
mod observer;
#[cfg(feature = "net")]
mod reactor;
#[cfg(feature = "net")]
mod reactor_house;
mod retake;
mod submitting;
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
        handover::CHECKS,
        held_back::CHECKS,
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
