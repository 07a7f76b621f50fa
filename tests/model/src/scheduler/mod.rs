//! The scheduler's files under test, and what stands around them.

// What the scheduler makes of these files is more than the models use.
#![allow(dead_code, unused_imports)]

#[path = "../../../../src/scheduler/netpoll.rs"]
#[rustfmt::skip]
mod netpoll;
#[path = "../../../../src/scheduler/processor/mod.rs"]
#[rustfmt::skip]
mod processor;
#[path = "../../../../src/scheduler/rng.rs"]
#[rustfmt::skip]
mod rng;
#[path = "../../../../src/scheduler/timers/mod.rs"]
#[rustfmt::skip]
mod timers;

/// Nobody has to be interrupted.
mod monitor {
    pub(crate) mod probe {
        pub(crate) fn interrupt_all_waits() {
            unreachable!("a notification failed");
        }
    }
}

mod book;
mod model;
pub(crate) mod models;
mod retake;
mod run_queues;
mod worker;
mod worker_copy;

use timers::Timers;

/// What the timers see of the scheduler.
struct Shared {
    services: Services,
    netpoll: netpoll::Netpoll,
}

struct Services {
    timers: Timers,
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
mod this_thread {
    use super::Shared;
    use super::processor::Core;

    pub(crate) fn with_core<R>(_: &'static Shared, _: impl FnOnce(&Core) -> R) -> Option<R> {
        None
    }
}
