//! The models. Each file has a protocol's models and their twins.

use crate::runner::Check;

mod blocking;
mod closing;
mod handover;
mod next_slot;
mod retake;
mod submitting;
mod timers;

pub(crate) fn all() -> Vec<Check> {
    [
        submitting::CHECKS,
        next_slot::CHECKS,
        handover::CHECKS,
        retake::CHECKS,
        closing::CHECKS,
        blocking::CHECKS,
        timers::CHECKS,
    ]
    .concat()
}

/// What a checker says when every thread waits.
const DEADLOCK: &str = if cfg!(executor_loom) {
    "deadlock; threads ="
} else {
    "deadlock! blocked tasks:"
};
