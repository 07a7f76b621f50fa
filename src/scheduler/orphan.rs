//! Orphans: what a stuck worker still holds after the monitor has retaken its processor.
//!
//! The worker cannot be told, it is in the middle of a poll, perhaps for ever. It goes on to push into the queue that it
//! has in its hands. So the queue stays where it is and thieves come to it. Draining it would be worse: a task that
//! spawns 100,000 children is a poll of 10 ms, and moving them costs 1.8 to 3 times the whole.
//!
//! # The list
//!
//! Orphans **that have something in their queue** stand in a [`list`] of 64 places, which thieves look through after
//! the processors. A thread that is just blocked has an empty queue and is not listed: a search costs P looks and one for
//! each orphan that holds work, however many threads exist.
//!
//! 1. The monitor retakes: it sets `RETAKEN`, takes what is in the next slot, and lists the orphan if its queue has
//!    something in it.
//! 2. The worker pushes, then reads the flag. If it is set: the slot is emptied into the queue, a fence, the orphan is
//!    listed unless it is, and somebody is woken. Nothing stays in an orphan's slot.
//! 3. A push that comes before the retake but becomes visible after the monitor's look, while its own look is too early to
//!    see the flag, is hidden: there is no fence between the two, it would cost every push 12 ns. The monitor looks at each
//!    orphan again in its next rounds, a hundred microseconds later at least, for [`super::watch::STALL`]: long after
//!    any store has become visible.
//! 4. The monitor takes an orphan off the list when its queue is empty, fences, and looks once more: against a push of
//!    step 2 that found itself listed (Dekker).
//! 5. The worker's poll returns. It finds the flag, moves up to [`LEFTOVERS`] runnables to the global queue, puts the core
//!    into the stock, and is a spare. What is more stays listed; the monitor moves on [`LEFTOVERS`] each round, beside the
//!    thieves. Left to thieves alone it would starve while everybody has work of their own.
//! 6. When the list is full, an orphan's pushes move on to the global queue at once.

use super::processor::{Core, Processor};
use super::{Shared, local};
use crate::sync::atomic::{Ordering, fence};

mod list;

pub(super) use list::Orphans;

/// What a worker moves when its poll returns: 20 ns each, so about as long as it takes to wake somebody.
const LEFTOVERS: usize = 256;

impl Shared {
    /// Takes the core out of this thread's hands. `None`: it holds none, or an orphan, which is brought home.
    pub(super) fn give_up_core(&'static self) -> Option<Box<Core>> {
        let core = local::take_core()?;
        core.end_batch();
        if core.at.tenure.end() {
            return Some(core);
        }
        self.bring_home(core);
        None
    }

    /// Step 5: the worker of an orphan is free again.
    #[cold]
    fn bring_home(&'static self, core: Box<Core>) {
        core.empty_slot();
        let moved = self.move_on(&core);
        if !core.queue.is_empty() && !self.orphans.list(core.at) {
            while self.move_on(&core) != 0 {}
        }
        self.processors[core.index].stock(core);
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
            slot.each_stocked(|core| while self.move_on(core) != 0 {});
        }
    }

    /// Step 2: this worker's last push went into an orphan's queue.
    #[cold]
    pub(super) fn pushed_astray(&'static self) {
        local::with_core(self, |core| {
            core.empty_slot();
            // Pairs with the fence in `Orphans::tidy`.
            fence(Ordering::SeqCst);
            if !self.orphans.list(core.at) {
                while self.move_on(core) != 0 {}
            }
        });
        self.follow_submit();
    }

    /// Monitor, at the retake and in the rounds after it: steps 1 and 3. True: it has found something.
    pub(super) fn look_after(&self, orphan: &'static Processor) -> bool {
        let hidden = orphan.next.take();
        let found = hidden.is_some();
        if let Some(runnable) = hidden {
            self.global.push(runnable);
        }
        if orphan.stealer.is_empty() || orphan.listed.load(Ordering::Relaxed) {
            return found;
        }
        // If there is no room, its worker's next push moves all of it on, or the end of its poll.
        self.orphans.list(orphan)
    }

    /// Monitor: what is left in the stock moves on.
    pub(super) fn move_leftovers(&self) {
        for slot in &self.processors {
            slot.each_stocked(|core| {
                self.move_on(core);
            });
        }
    }
}
