//! The scheduler's files under test, and what stands around them.

// What the scheduler makes of these files is more than the models use.
#![allow(dead_code, unused_imports)]

#[path = "../../../../src/scheduler/processor_ref.rs"]
#[rustfmt::skip]
mod processor_ref;
#[path = "../../../../src/scheduler/busy_time.rs"]
#[rustfmt::skip]
mod busy_time;
#[path = "../../../../src/scheduler/clock.rs"]
#[rustfmt::skip]
mod clock;
#[path = "../../../../src/scheduler/counter.rs"]
#[rustfmt::skip]
mod counter;
#[path = "../../../../src/scheduler/compute_limit/held_back.rs"]
#[rustfmt::skip]
mod held_back;
#[path = "../../../../src/scheduler/idle.rs"]
#[rustfmt::skip]
mod idle;
#[path = "../../../../src/scheduler/netpoll.rs"]
#[rustfmt::skip]
mod netpoll;
#[path = "../../../../src/scheduler/parked_worker.rs"]
#[rustfmt::skip]
mod parked_worker;
#[path = "../../../../src/scheduler/processor.rs"]
#[rustfmt::skip]
mod processor;
#[path = "../../../../src/scheduler/next_slot.rs"]
#[rustfmt::skip]
mod next_slot;
#[path = "../../../../src/scheduler/rng.rs"]
#[rustfmt::skip]
mod rng;
#[path = "../../../../src/scheduler/ownership.rs"]
#[rustfmt::skip]
mod ownership;
#[path = "../../../../src/scheduler/timers.rs"]
#[rustfmt::skip]
mod timers;
#[path = "../../../../src/scheduler/wheel.rs"]
#[rustfmt::skip]
mod wheel;

mod book;
mod detached;
pub(crate) mod models;
mod retake;
mod worker;
mod yard;

use timers::Timers;

/// Nothing is measured in models.
mod instruments {
    pub(super) mod journal {
        #[derive(Debug, Default)]
        pub(in crate::scheduler) struct Journal;

        impl Journal {
            pub(in crate::scheduler) fn reset(&self) {}
        }
    }
}

/// No steal has to be tried again.
mod steal {
    pub(super) fn steal_one<T>(steal: impl FnOnce() -> Option<T>) -> Option<T> {
        steal()
    }
}

/// Nobody has to be interrupted.
mod probe {
    pub(super) fn interrupt_all_waits() {
        unreachable!("a notification failed");
    }
}

/// What the timers see of the scheduler.
struct Shared {
    timers: Timers,
    netpoll: netpoll::Netpoll,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn is_closed(&self) -> bool {
        false
    }

    /// Models do not fork.
    fn is_closed_by_fork(&self) -> bool {
        false
    }

    fn wake_driver(&self) {
        self.netpoll.notify();
    }
}

/// What the timers see of the calling thread: a foreign one, which holds no core.
mod local {
    use super::Shared;
    use super::processor::Core;

    pub(super) fn with_core<R>(_: &'static Shared, _: impl FnOnce(&Core) -> R) -> Option<R> {
        None
    }
}
