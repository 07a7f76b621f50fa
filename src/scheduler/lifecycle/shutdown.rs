//! Who cleans up after a scheduler has closed: the last part of closing, see
//! [`crate::scheduler::lifecycle`].
//!
//! Cancelling a task drops its future, hence runs foreign code. That is never done by whoever wakes
//! the task: it may hold a lock which the future's destructor takes too. (A channel that passes a
//! wake-up on to the next receiver does so under its lock.) So a waker that finds the scheduler
//! closed only pushes, fences and calls the shutdown thread: the monitor's thread, which nobody
//! waits for in any lock.
//!
//! # A round
//!
//! 1. Clear the notification: this round looks at whatever it was for.
//! 2. Move what is in the queues of cores that are idle to the global queue; release the processors
//!    again. Likewise what detached processors have left, and what thieves can reach of a stuck
//!    worker's: it may be waiting for one of those to end. And what was held back, and what waits in
//!    the queues of the classes.
//! 3. Cancel what is in the global queue, one by one.
//! 4. If everything is settled, end. Else sleep until called: by who pushes, releases a processor,
//!    finishes a task, ends a worker, or gives up a claim on a core. Who pushes into its own queue
//!    calls nobody, since it looks there after its poll; but if it is stuck in that poll, it may be
//!    waiting for what it has pushed. So while workers are left, look again each [`PATIENCE`].
//!
//! **Settled** means: no worker is left, spawned and finished counts agree, all processors are
//! idle, nobody is counted as searching. Nothing of this runtime can then touch the scheduler any
//! more, and it may be used again. A spawn from outside counts, fences, and then reads the mark of
//! closing; the shutdown thread reads the counts after the mark and a fence. So either the spawn
//! sees the mark, or the shutdown thread sees the count and waits for the push.
//!
//! # Successors
//!
//! A destructor may block, for instance on the handle of a task that only the shutdown thread could
//! cancel. As on a worker, blocking hands the shutdown over first ([`hand_over`]): a new thread is
//! the shutdown thread from then on, and the old one ends when its destructor returns.

use std::time::Duration;

use crossbeam_deque::Steal;

use super::threads::Context;
use crate::scheduler::observer::Purpose;
use crate::scheduler::processor::Core;
use crate::scheduler::{Shared, this_thread};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::step;

/// What a stuck worker has pushed in a closed scheduler waits for at most so long.
const PATIENCE: Duration = Duration::from_millis(10);

/// The calling thread is about to block: if it is a shutdown thread, another one takes over.
///
/// When no thread can be started it stays current; then a destructor that waits for another task to
/// be cancelled waits for ever, as it would without successors.
pub(crate) fn hand_over() {
    let Some(shared) = this_thread::set_shuts_down(None) else {
        return;
    };
    if shared.in_forked_child() {
        return;
    }
    if let Ok(settings) = shared.settings() {
        // The old shutdown thread finds itself out of date by the epoch that the new one begins.
        let _ = shared.start_admitted(&settings, Context::Wanted, move || shared.shut_down());
    }
}

impl Shared {
    /// Rounds, until everything is settled or somebody else has taken over.
    pub(crate) fn shut_down(&'static self) {
        let epoch = self.workers.monitor.begin_epoch();
        this_thread::set_shuts_down(Some(self));
        if let Some(pool) = self.blocking() {
            pool.shutdown();
        }
        while self.workers.monitor.is_current_epoch(epoch) {
            self.workers.monitor.clear_notification();
            step();
            for core in self.workers.idle.take_cores() {
                step();
                self.give_back_emptied(core);
            }
            step();
            self.queues.drain_all();
            step();
            self.queues.release_held_back();
            self.queues.release_by_class();
            self.cancel_global(epoch);
            step();
            // Pairs with the fence of a spawn from outside. The workers' last counts are seen
            // through `workers`.
            fence(Ordering::SeqCst);
            if self.is_settled() {
                break;
            }
            step();
            self.workers.monitor.wait_for_notification(epoch, PATIENCE);
        }
        this_thread::set_shuts_down(None);
        if !self.workers.monitor.end_epoch(epoch) {
            // What this thread did last, its successor may not have seen.
            self.workers.monitor.notify_shutdown();
        }
    }

    /// See the module's documentation.
    pub(crate) fn is_settled(&self) -> bool {
        self.workers.count.load(Ordering::Acquire) == 0
            && self.num_alive_tasks() == 0
            && self.workers.idle.is_settled()
    }

    /// Calls the shutdown thread if the scheduler is closed: for whoever may have left something
    /// behind.
    pub(crate) fn notify_shutdown_if_closed(&self) {
        fence(Ordering::SeqCst);
        if self.is_closed() && !self.in_forked_child() {
            self.workers.monitor.notify_shutdown();
        }
    }

    /// Releases a processor whose worker ends, or that had none; what is in its queues goes where
    /// any worker, or the shutdown thread, finds it.
    pub(crate) fn give_back_emptied(&'static self, core: Box<Core>) {
        self.queues.empty_core(&core);
        self.workers.idle.put_cores(vec![core]);
    }

    fn cancel_global(&'static self, epoch: u64) {
        while self.workers.monitor.is_current_epoch(epoch) {
            match self.queues.global.steal() {
                Steal::Success(runnable) => self.poll_off_processor(runnable, Purpose::Cancel),
                Steal::Retry => {}
                Steal::Empty => return,
            }
        }
    }
}
