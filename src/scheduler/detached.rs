//! Detached processors: what a stuck worker still holds after the monitor has retaken its processor.
//!
//! The worker cannot be told, it is in the middle of a poll, perhaps for ever. It goes on to push into the queue that it
//! has held. So the queue stays where it is and thieves come to it. Draining it would be worse: a task that
//! spawns 100,000 children is a poll of 10 ms, and moving them costs 1.8 to 3 times the whole.
//!
//! # The list
//!
//! Detached processors **that have something in their queue** stand in a [`list`] of 64 places, which thieves look through after
//! the processors. A thread that is just blocked has an empty queue and is not listed: a search costs P looks and one for
//! each detached processor that holds work, however many threads exist.
//!
//! 1. The monitor retakes: it sets `RETAKEN`, takes what is in the next slot, and lists the detached processor if its queue has
//!    something in it.
//! 2. The worker pushes, then reads the flag. If it is set: the slot is emptied into the queue, the detached processor is listed unless
//!    it is, and somebody is woken. Nothing stays in a detached processor's slot.
//! 3. A push that comes before the retake but becomes visible after the monitor's look, while its own look is too early to
//!    see the flag, is hidden: there is no fence between the two, it would cost every push 12 ns. The monitor looks at each
//!    detached processor again in its next rounds, a hundred microseconds later at least, for [`super::watch::LONG`]: long after
//!    any store has become visible.
//! 4. The monitor takes a detached processor off the list when its queue is empty, and looks once more: against a push of step 2 that
//!    found itself listed. All changes of the mark `listed` are swaps, so the push's comes first, and the monitor's sees the
//!    push, or it comes second and finds itself not listed. If there is something, that counts as a submission of the monitor's: whoever
//!    was woken for it may have looked for it in vain meanwhile.
//! 5. The worker's poll returns. It finds the flag, moves up to [`LEFTOVERS`] runnables to the global queue, puts the core
//!    into the free list, and is a spare. What is more stays listed; the monitor moves on [`LEFTOVERS`] each round, beside the
//!    thieves. Left to thieves alone it would starve while everybody has work of their own.
//! 6. When the list is full, a detached processor's pushes move on to the global queue at once, and so does what the monitor finds.

use super::processor::{Core, Processor};
use super::{Shared, clock, local, steal};
use crate::sync::atomic::Ordering;
use crate::timeline::Kind;

mod list;

pub(super) use list::DetachedList;

/// What a worker moves when its poll returns: 20 ns each, so about as long as it takes to wake somebody.
const LEFTOVERS: usize = 256;

impl Shared {
    /// Takes the core from this thread. `None`: it holds none, or a detached processor, which is reclaimed.
    pub(super) fn release(&'static self) -> Option<Box<Core>> {
        let core = local::take_core()?;
        core.end_batch();
        self.note(Some(&core), Kind::Lay, 0);
        core.processor.busy.end(clock::now());
        if core.processor.ownership.release() {
            return Some(core);
        }
        self.reclaim(core);
        None
    }

    /// Step 5: the worker of a detached processor is free again.
    #[cold]
    fn reclaim(&'static self, core: Box<Core>) {
        core.empty_slot();
        let moved = self.move_on(&core);
        if !core.queue.is_empty() && !self.detached.list(core.processor) {
            while self.move_on(&core) != 0 {}
        }
        // Before the core is put into the free list: `replace` may take it from there, and then `counted` is another poll's.
        self.ends_computing(core.processor);
        self.processors[core.index].put_free(core);
        if moved != 0 {
            self.follow_submit();
        }
    }

    /// Moves runnables from the front of a queue that is in nobody's way to the global queue.
    pub(super) fn move_on(&self, core: &Core) -> usize {
        (0..LEFTOVERS)
            .map_while(|_| core.queue.pop())
            .map(|runnable| self.global.push(runnable))
            .count()
    }

    /// Janitor: nobody holds these any more, and all is to be cancelled.
    pub(super) fn move_all_leftovers(&self) {
        for slot in &self.processors {
            slot.each_free(|core| while self.move_on(core) != 0 {});
        }
    }

    /// Step 2: this worker's last push went into a detached processor's queue.
    #[cold]
    pub(super) fn pushed_detached(&'static self) {
        local::with_core(self, |core| {
            core.empty_slot();
            if !self.detached.list(core.processor) {
                while self.move_on(core) != 0 {}
            }
        });
        self.follow_submit();
    }

    /// Monitor, at the retake and in the rounds after it: steps 1 and 3. True: it has found something.
    pub(super) fn check_detached(&self, detached: &'static Processor) -> bool {
        let hidden = detached.next.steal();
        let found = hidden.is_some();
        if let Some(runnable) = hidden {
            self.global.push(runnable);
        }
        if detached.stealer.is_empty() || detached.listed.load(Ordering::Relaxed) {
            return found;
        }
        if !self.detached.list(detached) {
            self.drain(detached);
        }
        true
    }

    /// Monitor and shutdown thread: what thieves can reach moves to the global queue.
    pub(super) fn drain(&self, victim: &Processor) {
        let queued = std::iter::from_fn(|| steal::steal_one(|| victim.stealer.steal()));
        let hidden = victim.next.steal().into_iter();
        hidden
            .chain(queued)
            .for_each(|runnable| self.global.push(runnable));
    }

    /// Monitor: step 4, and what is left in the free list moves on. True: it has found something.
    pub(super) fn sweep_detached(&self) -> bool {
        let found = self.detached.sweep(|detached| self.drain(detached));
        if !self.detached.is_empty() {
            self.move_leftovers();
        }
        found
    }

    /// Monitor: what is left in the free list moves on.
    fn move_leftovers(&self) {
        for slot in &self.processors {
            slot.each_free(|core| {
                self.move_on(core);
            });
        }
    }
}
