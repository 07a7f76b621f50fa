//! Handing a processor over: a thread that blocks keeps no processor.
//!
//! There are three ways to block, and one story:
//!
//! * **Announced.** `block_in_place` and a `block_on` inside a task say that they are about to block, so the thread gives
//!   its core away itself ([`away`]), as a goroutine does when it enters a system call that is known to block.
//! * **Unannounced.** A poll just blocks, or runs on. The monitor notices ([`super::watch`]) and takes the processor from
//!   it ([`Shared::retake`]), as Go's does from a system call that lasts.
//! * **Elsewhere.** `spawn_blocking` takes the blocking part to a thread that never had a processor; a `block_on` there
//!   finds nothing to hand over. Its threads are the pool's, bounded by a limit of their own.
//!
//! # The steps
//!
//! 1. Announced: what is in the next slot moves to the queue, where everybody can see it. Unannounced: the place of the
//!    processor gets another instance ([`super::processor_slot`]), and the old one is detached ([`super::detached`]).
//! 2. The processor is released, and a fence separates that from what follows (see [`super::idle`]): a submission from now
//!    on finds it lying there, one from before is seen in the next step ([`Shared::pass_on`]).
//! 3. If there is anything to run, or if nobody is left to look at the network, a worker is woken for the core; when no
//!    worker is free, a thread is started, up to `Builder::max_threads`. That thread is a spare later on. If this thread has
//!    armed a timer that the worker with the driver does not know of, the driver is told: this thread will not lie
//!    down and wait for it.
//! 4. The thread blocks. It holds no core, so whatever it wakes or spawns goes to the global queue; or it holds a detached processor,
//!    and what it wakes or spawns goes into that one's queue, where thieves look.
//! 5. Afterwards it takes an idle processor if one lies there (nobody needed it, or somebody is done with it). If not, it
//!    finishes its poll without one: a poll cannot be suspended. Then it parks as a spare.
//!
//! The failure that step 3 prevents: all P threads block, waiting for something that only a queued task, a timer or the
//! network would bring. A fixed number of threads deadlocks there; this is why their number is not fixed.

use super::dump::OffProcessorGuard;
use super::processor::{Core, Processor};
use super::{Shared, clock, local, shutdown};
use crate::sync::atomic::Ordering;
use crate::tasks;

/// Gives the calling thread's processor away, if it has one, until the guard is dropped.
pub(crate) fn enter_blocking() -> BlockingRegion {
    shutdown::hand_over_shutdown();
    let shared = local::shared().filter(|shared| {
        if shared.in_forked_child() {
            return false;
        }
        let holds = local::holds_core();
        shared.note_departure();
        if let Some(core) = shared.release() {
            core.empty_slot();
            core.processor.counters.handoffs.add(1);
            shared.counters.handoffs.fetch_add(1, Ordering::Relaxed);
            shared.pass_on(core);
        }
        holds
    });
    let here = shared.and_then(|shared| {
        let tag = tasks::current_tag()?;
        Some(shared.off_processor.enter(tag, false))
    });
    BlockingRegion {
        shared,
        _here: here,
    }
}

/// The calling thread has given its processor away, or had none. Dropping it is step 5.
#[derive(Debug)]
#[must_use = "the processor is taken back when this is dropped"]
pub(crate) struct BlockingRegion {
    shared: Option<&'static Shared>,
    /// For who asks what this thread is doing meanwhile.
    _here: Option<OffProcessorGuard>,
}

impl Drop for BlockingRegion {
    fn drop(&mut self) {
        let Some(shared) = self.shared.filter(|shared| !shared.in_forked_child()) else {
            return;
        };
        if let Some(core) = shared.idle.pop_idle() {
            shared.acquire(core, clock::now());
            if let Some(task) = tasks::current_tag() {
                local::with_core(shared, |core| core.processor.go_on(task));
            }
            shared.note_return();
        }
    }
}

impl Shared {
    /// Monitor: takes processor `index` from the worker that is stuck in this instance. False: the worker is not.
    pub(super) fn retake(&'static self, index: usize, stuck: &'static Processor) -> bool {
        if !stuck.ownership.retake() {
            return false;
        }
        stuck.counters.handoffs.add(1);
        self.counters.retakes.fetch_add(1, Ordering::Relaxed);
        self.note_retake(index, stuck);
        let core = self.processors[index].replace();
        // It may come from the free list with something in its queue; now that is a processor's.
        self.detached.unlist(core.processor);
        self.check_detached(stuck);
        self.pass_on(core);
        true
    }

    /// Steps 2 and 3.
    fn pass_on(&'static self, core: Box<Core>) {
        self.idle.push_idle(core);
        if self.work_is_visible() || !self.idle.has_driver() {
            self.wake_one();
        }
        if !self.timers.are_watched() {
            self.wake_driver();
        }
        self.notify_shutdown_if_closed();
    }
}
