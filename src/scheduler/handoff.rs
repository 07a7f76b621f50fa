//! Handing a processor over: what a thread does before it blocks.
//!
//! `block_in_place` and a `block_on` inside a task know that they are about to block, so the thread gives its core away
//! itself ([`away`]), as a goroutine does when it enters a system call that is known to block:
//!
//! 1. What is in the next slot moves to the queue, where everybody can see it.
//! 2. The core is laid down, and a fence separates that from what follows (see [`super::idle`]): a submission from now
//!    on finds it lying there, one from before is seen in the next step.
//! 3. If there is anything to run, or if nobody is left to look at the network, a worker is woken for the core; when no
//!    worker is free, a thread is started. That thread is a spare later on. If this thread has armed a timer that the
//!    worker in the netpoller's seat does not know of, the seat is told: this thread will not lie down and wait for it.
//! 4. The thread blocks. It holds no core, so whatever it wakes or spawns goes to the global queue.
//! 5. Afterwards it picks up a core if one lies there (nobody needed it, or somebody is done with it). If not, it
//!    finishes its poll without one: a poll cannot be suspended. Then it lies down as a spare.
//!
//! The failure that step 3 prevents: all P threads block, waiting for something that only a queued task, a timer or the
//! network would bring. A fixed number of threads deadlocks there; this is why their number is not fixed.

use super::{Shared, janitor, local};

/// Gives the calling thread's processor away, if it has one, until the guard is dropped.
pub(crate) fn away() -> Away {
    janitor::step_aside();
    let shared = local::shared().filter(|shared| match local::take_core() {
        Some(core) => {
            core.end_batch();
            core.empty_slot();
            shared.idle.lay_down(core);
            shared.counters.handoffs();
            if shared.work_is_visible() || !shared.idle.is_attended() {
                shared.wake_one();
            }
            if !shared.timers.are_watched() {
                shared.call_seat();
            }
            shared.call_janitor_if_closed();
            true
        }
        None => false,
    });
    Away { shared }
}

/// The calling thread has given its processor away, or had none. Dropping it is step 5.
#[derive(Debug)]
#[must_use = "the processor is taken back when this is dropped"]
pub(crate) struct Away {
    shared: Option<&'static Shared>,
}

impl Drop for Away {
    fn drop(&mut self) {
        let Some(shared) = self.shared else { return };
        if let Some(core) = shared.idle.pick_up() {
            local::put_core(core);
            shared.monitor.work_begins();
        }
    }
}
