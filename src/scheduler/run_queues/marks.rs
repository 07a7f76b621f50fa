//! Which places may have work in them: one bit for each, so that who looks for work need not look
//! at all P.
//!
//! A place is **marked** while its core is not idle, and while its core is idle with something in
//! its queue. So an unmarked place has an empty queue and an empty next slot. In a server that
//! mostly waits, one or two of 256 are marked.
//!
//! # Protocol
//!
//! 1. Whoever takes a core out of the lists of [`Idle`](crate::scheduler::worker::idle::Idle), for
//!    itself or for the worker that it wakes, marks the place, under the lock of these lists
//!    (`Lists::take_for_work`, `Idle::take_cores`). Nobody else can push there, and nobody pushes
//!    before.
//! 2. Whoever puts a core back looks at the core's queue, and takes the mark off if it is empty,
//!    under the same lock and before `counts` tells of it (`Idle::put`). A queue that its owner
//!    finds empty is empty: only the owner pushes. If there is something in it, the mark stays,
//!    until the core is put back the next time.
//! 3. Who looks for work reads the mask, and then the queues of marked places only
//!    ([`RunQueues::marked`](super::RunQueues::marked)).
//!
//! A push costs nothing for it: one that came by is behind a mark since its holder got the core.
//!
//! # Why no look misses a runnable
//!
//! The sketch in [`idle`](crate::scheduler::worker::idle) ends each case with a *Look* that sees a
//! *Push*, since *PushFence* comes before *ChangeFence*. Be the *Push* into the queue of a place.
//!
//! * Its holder was given the core by a thread that had marked the place: *Mark* happens before
//!   *Push*, which comes before *PushFence*. So *Look*, after *ChangeFence*, reads *Mark* in the
//!   mask, or what came later.
//! * What came later and took the mark off found the queue empty. Then somebody has taken the
//!   runnable, and it is not where it was pushed.
//!
//! The failures that this prevents: were the place marked after the push, or the mark taken off
//! after *ChangeFence*, a submitter that relies on a search would push behind an unmarked place, and
//! the searcher would find nothing and sleep. Were it taken off although the queue has something,
//! which is so when a thread that is about to block gives its core away, nobody would find that.
//!
//! # A retake
//!
//! A mark belongs to a place and not to an instance. Who has the place's own core may change it:
//! the worker, or after `Ownership::retake` has decided so the monitor, which puts the core of the
//! new instance among the idle ones (step 2). The worker that is stuck changes it no more. What it
//! holds is found in the list of [`detached`](super::detached), where the monitor puts it before
//! step 2; who sees the mark gone sees that list.
//!
//! # A processor that retires
//!
//! Its core is put by step 2 as any other. If something was left in its queue, it stays marked
//! until the processor is wanted again. That costs each look a look at it.

use super::super::mask::Mask;
use crate::sync::Arc;

/// A core's part in the mask: it changes the bit of its own place.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    mask: Arc<Mask>,
    place: usize,
}

impl Mark {
    pub(crate) fn new(mask: &Arc<Mask>, place: usize) -> Mark {
        Mark {
            mask: mask.clone(),
            place,
        }
    }

    /// The place that it belongs to.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Step 1.
    pub(crate) fn set(&self) {
        self.mask.insert(self.place);
    }

    /// Step 2.
    pub(crate) fn take_off(&self) {
        self.mask.remove(self.place);
    }
}
