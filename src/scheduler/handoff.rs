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
//!    processor gets another incarnation ([`super::slot`]), and the old one is detached ([`super::orphan`]).
//! 2. The core is laid down, and a fence separates that from what follows (see [`super::idle`]): a submission from now
//!    on finds it lying there, one from before is seen in the next step ([`Shared::pass_on`]).
//! 3. If there is anything to run, or if nobody is left to look at the network, a worker is woken for the core; when no
//!    worker is free, a thread is started, up to `Builder::max_threads`. That thread is a spare later on. If this thread has
//!    armed a timer that the worker in the netpoller's seat does not know of, the seat is told: this thread will not lie
//!    down and wait for it.
//! 4. The thread blocks. It holds no core, so whatever it wakes or spawns goes to the global queue; or it holds an orphan,
//!    and what it wakes or spawns goes into that one's queue, where thieves look.
//! 5. Afterwards it picks up a core if one lies there (nobody needed it, or somebody is done with it). If not, it
//!    finishes its poll without one: a poll cannot be suspended. Then it lies down as a spare.
//!
//! The failure that step 3 prevents: all P threads block, waiting for something that only a queued task, a timer or the
//! network would bring. A fixed number of threads deadlocks there; this is why their number is not fixed.

use super::dump::InElsewhere;
use super::processor::{Core, Processor};
use super::{Shared, clock, janitor, local};
use crate::sync::atomic::Ordering;
use crate::tasks;

/// Gives the calling thread's processor away, if it has one, until the guard is dropped.
pub(crate) fn away() -> Away {
    janitor::step_aside();
    let shared = local::shared().filter(|shared| {
        if shared.is_inherited() {
            return false;
        }
        let holds = local::holds_core();
        shared.note_departure();
        if let Some(core) = shared.give_up_core() {
            core.empty_slot();
            core.at.counters.handoffs.add(1);
            shared.counters.handoffs.fetch_add(1, Ordering::Relaxed);
            shared.pass_on(core);
        }
        holds
    });
    let here = shared.and_then(|shared| {
        let word = tasks::current_word()?;
        Some(shared.elsewhere.enter(word, false))
    });
    Away {
        shared,
        _here: here,
    }
}

/// The calling thread has given its processor away, or had none. Dropping it is step 5.
#[derive(Debug)]
#[must_use = "the processor is taken back when this is dropped"]
pub(crate) struct Away {
    shared: Option<&'static Shared>,
    /// For who asks what this thread is doing meanwhile.
    _here: Option<InElsewhere>,
}

impl Drop for Away {
    fn drop(&mut self) {
        let Some(shared) = self.shared.filter(|shared| !shared.is_inherited()) else {
            return;
        };
        if let Some(core) = shared.idle.pick_up() {
            shared.take_in_hand(core, clock::now());
            if let Some(task) = tasks::current_word() {
                local::with_core(shared, |core| core.at.go_on(task));
            }
            shared.note_return();
        }
    }
}

impl Shared {
    /// Monitor: takes processor `index` from the worker that is stuck in this incarnation. False: the worker is not.
    pub(super) fn retake(&'static self, index: usize, stuck: &'static Processor) -> bool {
        if !stuck.tenure.retake() {
            return false;
        }
        stuck.counters.handoffs.add(1);
        self.counters.retakes.fetch_add(1, Ordering::Relaxed);
        self.note_retake(index, stuck);
        let core = self.processors[index].replace();
        // It may come from the stock with something in its queue; now that is a processor's.
        self.orphans.unlist(core.at);
        self.look_after(stuck);
        self.pass_on(core);
        true
    }

    /// Steps 2 and 3.
    fn pass_on(&'static self, core: Box<Core>) {
        self.idle.lay_down(core);
        if self.work_is_visible() || !self.idle.is_attended() {
            self.wake_one();
        }
        if !self.timers.are_watched() {
            self.call_seat();
        }
        self.call_janitor_if_closed();
    }
}
