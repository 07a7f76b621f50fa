//! What a user wants called around the waits of a worker.

use super::Worker;
use crate::scheduler::lifecycle::settings::{Hook, ParkHooks};
use crate::scheduler::this_thread;
use crate::tasks::catch_panic;

impl Worker {
    /// [`Worker::wait`], with the user's hooks around it.
    ///
    /// The first is called while the worker holds its core, so what it wakes or spawns is in the
    /// core's own queues, for which the worker looks before it waits. What it, or anybody else, has
    /// put elsewhere meanwhile is found by the look that ends the way to sleep. A spare has no core
    /// and runs nothing: for it there is no call.
    ///
    /// A hook may block. Then the processor is retaken as from a task; and this worker searches no
    /// more when a hook is called, so that nobody leaves to its search what it cannot look for. For
    /// what has been left to it, it looks as anybody does who ends a search. So whoever is woken
    /// for one task, and has a hook after the wait, wakes another worker if one waits.
    pub(super) fn wait_with_hooks(&self, hooks: &ParkHooks) -> bool {
        let call = |hook: &Option<Hook>| {
            if let Some(hook) = hook {
                if self.is_searching() {
                    self.stop_searching();
                }
                catch_panic(|| hook());
            }
        };
        // `None`: it holds no core, or one that was retaken, which only `wait` may empty.
        let num_queued = || {
            this_thread::with_core(self.shared, |core| {
                let processor = &core.processor;
                (!processor.ownership.is_retaken()).then(|| processor.num_queued())
            })
            .flatten()
        };
        if num_queued().is_none() {
            return self.wait();
        }
        call(&hooks.park);
        let goes_on = num_queued().is_some_and(|number| number > 0) || self.wait();
        call(&hooks.unpark);
        goes_on
    }
}
