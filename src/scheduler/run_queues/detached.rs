//! Detached processors: what a stuck worker still holds after the monitor has retaken its
//! processor.
//!
//! The worker cannot be told, it is in the middle of a poll, perhaps for ever. It goes on to push
//! into the queue that it holds. So the queue stays where it is and thieves come to it. Draining it
//! would be worse: a task that spawns 100,000 children is a poll of 10 ms, and moving them costs
//! 1.8 to 3 times the whole.
//!
//! # The list
//!
//! Detached processors **that have something in their queue** stand in a [`list`] of 64 places,
//! which thieves look through after the processors. A thread that is just blocked has an empty
//! queue and is not listed: a search costs P looks and one for each detached processor that holds
//! work, however many threads exist. A processor whose mark `listed` is set has a place in the
//! list, or is about to get or lose one.
//!
//! 1. *Retake.* `Shared::retake` sets `RETAKEN`
//!    ([`Ownership`](crate::scheduler::processor::ownership)). [`RunQueues::check_detached`] moves
//!    what is in the stuck worker's next slot to the global queue, and lists the processor if its
//!    local queue has something in it. `Shared::pass_on`, which follows, fences and looks at all
//!    queues.
//! 2. *Push.* `Core::place`, on the stuck worker, pushes and then reads `RETAKEN`. If it is set,
//!    [`RunQueues::publish_detached`] empties the next slot into the local queue, lists the
//!    processor, and its caller wakes somebody. So nothing stays in a detached processor's next
//!    slot.
//! 3. *A push beside the retake* may come too late for the monitor's look of step 1 and read the
//!    flag too early for step 2: its store may still be in the CPU's store buffer when the flag is
//!    read, as there is no StoreLoad fence between the two (it would cost every push 12 ns). The
//!    monitor looks at each detached processor again in its next rounds, 100 µs later at least, for
//!    [`LONG`](crate::scheduler::monitor::watch::LONG). By then a store has left the buffer: that
//!    takes a fraction of a microsecond, and a thread that is preempted meanwhile loses its
//!    buffer's contents to memory. A compiler fence keeps the two in this order in the program.
//! 4. *Sweep.* The monitor takes a processor off the list when its local queue is empty
//!    ([`DetachedList::sweep`]), resets `listed`, and looks at the queue once more, against a push
//!    of step 2 that found `listed` set and left. The reset is a swap and so is the set. If the set
//!    comes first, the reset sees the push that came before it, and so does the second look. If the
//!    reset comes first, the set finds `listed` unset and lists the processor itself. What the
//!    second look finds counts as a submission of the monitor's (`Shared::wake_for_shared_queue`):
//!    a worker that was woken for that push may have looked at the list in vain meanwhile.
//! 5. *Return.* The poll returns, and `Shared::release` finds `RETAKEN`: `Shared::reclaim` moves up
//!    to [`LEFTOVERS`] runnables to the global queue, puts the core into the free list of its
//!    [`ProcessorSlot`](crate::scheduler::processor::slot), and the worker is a spare. What is more
//!    stays listed; the monitor moves on [`LEFTOVERS`] each round, beside the thieves. Left to
//!    thieves alone it would starve while everybody has work of their own.
//! 6. *Full.* When the list has no place, `list` fails with the mark unset, and whoever came moves
//!    the queue's contents to the global queue at once: a push its own, the monitor what thieves
//!    can reach.

use super::{RunQueues, steal};
use crate::scheduler::processor::{Core, Processor};
use crate::sync::atomic::Ordering;

mod list;

pub(crate) use list::DetachedList;

/// What a worker moves when its poll returns: 20 ns each, so about as long as it takes to wake
/// somebody.
const LEFTOVERS: usize = 256;

impl RunQueues {
    /// Monitor, step 1: another instance takes the slot of a processor that was retaken; its core.
    pub(crate) fn replace_instance(&self, index: usize) -> Box<Core> {
        let core = self.slots()[index].replace();
        // It may come from the free list with something in its queue; now that is a processor's.
        self.detached.unlist(core.processor);
        core
    }

    /// Step 2: this worker's last push went into a detached processor's queue. The caller wakes
    /// somebody.
    pub(crate) fn publish_detached(&self, core: &Core) {
        core.empty_slot();
        if !self.detached.list(core.processor) {
            self.move_all(core);
        }
    }

    /// Monitor, at the retake and in the rounds after it: steps 1 and 3. True: it has found
    /// something.
    pub(crate) fn check_detached(&self, detached: &'static Processor) -> bool {
        let hidden = detached.next.steal();
        let found = hidden.is_some();
        if let Some(runnable) = hidden {
            self.push_global(runnable);
        }
        if detached.stealer.is_empty() || detached.listed.load(Ordering::Relaxed) {
            return found;
        }
        if !self.detached.list(detached) {
            self.drain(detached);
        }
        true
    }

    /// Monitor: step 4, and what is left in free lists moves on. True: it has found something.
    pub(crate) fn sweep_detached(&self) -> bool {
        let found = self.detached.sweep(|detached| self.drain(detached));
        if !self.detached.is_empty() {
            for slot in self.slots() {
                slot.each_free(|core| {
                    self.move_some(core);
                });
            }
        }
        found
    }

    /// Step 5, first half. True: something has come into the global queue.
    pub(crate) fn empty_detached(&self, core: &Core) -> bool {
        core.empty_slot();
        let moved = self.move_some(core);
        if !core.queue.is_empty() && !self.detached.list(core.processor) {
            self.move_all(core);
        }
        moved != 0
    }

    /// Step 5, second half.
    pub(crate) fn put_free(&self, core: Box<Core>) {
        self.slots()[core.index].put_free(core);
    }

    /// Closing: what is in this idle core's queues moves to the global queue.
    pub(crate) fn empty_core(&self, core: &Core) {
        core.empty_slot();
        self.move_all(core);
    }

    /// Closing: what thieves can reach of any processor's queues, and what is left in free lists,
    /// moves to the global queue.
    pub(crate) fn drain_all(&self) {
        for slot in self.slots() {
            slot.each(|processor| self.drain(processor));
            slot.each_free(|core| self.move_all(core));
        }
    }

    /// What thieves can reach moves to the global queue.
    pub(crate) fn drain(&self, victim: &Processor) {
        let queued = std::iter::from_fn(|| steal::steal_one(|| victim.stealer.steal()));
        let hidden = victim.next.steal().into_iter();
        hidden
            .chain(queued)
            .for_each(|runnable| self.push_global(runnable));
    }

    /// Moves at most [`LEFTOVERS`] from the front of a queue that is in nobody's way to the global
    /// queue; how many.
    pub(crate) fn move_some(&self, core: &Core) -> usize {
        (0..LEFTOVERS)
            .map_while(|_| core.queue.pop())
            .map(|runnable| self.push_global(runnable))
            .count()
    }

    fn move_all(&self, core: &Core) {
        while self.move_some(core) != 0 {}
    }
}
