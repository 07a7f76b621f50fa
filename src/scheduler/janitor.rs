//! Who cleans up after a scheduler has closed: the last part of closing, see [`super::lifecycle`].
//!
//! Cancelling a task drops its future, hence runs foreign code. That is never done by whoever wakes the task: it may hold
//! a lock which the future's destructor takes too. (A channel that passes a wake-up on to the next receiver does so under
//! its lock.) So a waker that finds the scheduler closed only pushes, fences and calls the janitor: the monitor's
//! thread, which nobody waits for in any lock.
//!
//! # A round
//!
//! 1. Take note that whatever was called for is being seen to.
//! 2. Move what is in the queues of cores that lie idle to the global queue; lay the cores down again. Likewise what
//!    orphans have left, and what thieves can reach of a stuck worker's: it may be waiting for one of those to end.
//! 3. Cancel what is in the global queue, one by one.
//! 4. If everything is settled, end. Else sleep until called: by who pushes, lays a core down, finishes a task, ends a
//!    worker, or gives up a claim on a core. Who pushes into its own queue calls nobody, since it looks there after its
//!    poll; but if it is stuck in that poll, it may be waiting for what it has pushed. So while workers are left, look again
//!    each [`PATIENCE`].
//!
//! **Settled** means: no worker is left, spawned and finished counts agree, all cores lie here, nobody is counted as
//! searching. Nothing of this runtime can then touch the scheduler any more, and it may be used again. A spawn from outside
//! counts, fences, and then reads the mark of closing; the janitor reads the counts after the mark and a fence. So either
//! the spawn sees the mark, or the janitor sees the count and waits for the push.
//!
//! # Deputies
//!
//! A destructor may block, for instance on the handle of a task that only the janitor could cancel. As on a worker,
//! blocking hands the office over first ([`step_aside`]): a new thread is janitor from then on, and the old one ends
//! when its destructor returns.

use std::cell::Cell;
use std::time::Duration;

use crossbeam_deque::Steal;

use super::Shared;
use super::processor::Core;
use super::threads::Context;
use crate::sync::atomic::{Ordering, fence};
use crate::tasks;

/// What a stuck worker has pushed in a closed scheduler waits for at most so long.
const PATIENCE: Duration = Duration::from_millis(10);

std::thread_local! {
    /// The scheduler this thread is the janitor of, and its term of office.
    static OFFICE: Cell<Option<(&'static Shared, u64)>> = const { Cell::new(None) };
}

/// The calling thread is about to block: if it is a janitor, another one takes over.
///
/// When no thread can be started it stays in office; then a destructor that waits for another task to be cancelled waits
/// for ever, as it would without deputies.
pub(super) fn step_aside() {
    let Some((shared, _)) = OFFICE.take() else {
        return;
    };
    if shared.is_inherited() {
        return;
    }
    if let Ok(settings) = shared.settings() {
        // The old janitor finds itself out of office by the term that the new one begins.
        let _ = shared.start_admitted(&settings, Context::Wanted, move || shared.clean_up());
    }
}

impl Shared {
    /// Rounds, until everything is settled or somebody else has taken over.
    pub(super) fn clean_up(&'static self) {
        let term = self.monitor.take_office();
        OFFICE.set(Some((self, term)));
        if let Some(pool) = self.blocking() {
            pool.shutdown();
        }
        while self.monitor.is_in_office(term) {
            self.monitor.answer_call();
            for core in self.idle.take_cores() {
                self.retire(core);
            }
            self.rob_the_stuck();
            self.move_all_leftovers();
            self.release_held_back();
            self.cancel_global(term);
            // Pairs with the fence of a spawn from outside. The workers' last counts are seen through `workers`.
            fence(Ordering::SeqCst);
            if self.is_settled() {
                break;
            }
            self.monitor.wait_for_call(term, PATIENCE);
        }
        OFFICE.set(None);
        if !self.monitor.leave_office(term) {
            // What this thread did last, its successor may not have seen.
            self.monitor.call_janitor();
        }
    }

    /// See the module's documentation.
    pub(super) fn is_settled(&self) -> bool {
        self.workers.load(Ordering::Acquire) == 0
            && self.num_alive_tasks() == 0
            && self.idle.is_settled(self.processors.len())
    }

    /// Calls the janitor if the scheduler is closed: for whoever may have left something behind.
    pub(super) fn call_janitor_if_closed(&self) {
        fence(Ordering::SeqCst);
        if self.is_closed() && !self.is_inherited() {
            self.monitor.call_janitor();
        }
    }

    /// Lays a core down for good; what is in its queues goes where the janitor, or a deputy, finds it.
    pub(super) fn retire(&'static self, core: Box<Core>) {
        core.empty_slot();
        while self.move_on(&core) != 0 {}
        self.idle.put_cores(vec![core]);
    }

    fn rob_the_stuck(&self) {
        for slot in &self.processors {
            slot.each(|at| self.rob(at));
        }
    }

    fn cancel_global(&'static self, term: u64) {
        while self.monitor.is_in_office(term) {
            match self.global.steal() {
                Steal::Success(runnable) => self.poll_elsewhere(runnable, tasks::cancel),
                Steal::Retry => {}
                Steal::Empty => return,
            }
        }
    }
}
