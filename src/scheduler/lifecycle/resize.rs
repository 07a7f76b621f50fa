//! How many processors a runtime has, and how that changes while tasks run, block and wait.
//!
//! A runtime has places for as many processors as it may ever want
//! ([`slot`](crate::scheduler::processor::slot)). Those with an index below the number that is
//! **wanted** take part. The others are **retired**: nobody can get their core. A processor that a
//! worker holds when it is wanted no more is **to retire**, and does so when its worker lets go of
//! it, at the next moment at which that can be: between two polls, or when a worker that blocks
//! loses it.
//!
//! # Protocol
//!
//! [`Shared::set_num_processors`], one at a time:
//!
//! 1. Places, cores and timer wheels are made for those that are new. Their cores are retired yet.
//! 2. What is reckoned by the number of processors hears of it: shares of the global queue, the
//!    compute limit (`RunQueues::set_num_processors`).
//! 3. Under the lock of [`Idle`](crate::scheduler::worker::idle::Idle) the number is stored, idle
//!    cores beyond it retire, and retired ones below it are idle (`Idle::set_wanted`). From here on
//!    each core that its holder lets go of is sorted by the number, under the same lock
//!    (`Idle::put`). So no core is idle that is to retire, and none is retired that is wanted.
//! 4. After a fence, in `set_wanted`, the holders of processors beyond the number are asked to look
//!    up (`Ownership::request_yield`). A worker that has just got such a processor stores `HELD`,
//!    fences, and reads the number ([`Shared::acquire`]): either it sees that the processor is to
//!    retire, or it is asked. One that takes note of the request (`Ownership::acknowledge`) sees
//!    the number for which it was asked.
//! 5. A worker that looks up, and holds a processor that is to retire, moves what is queued there to
//!    the global queue, lets go of the core, looks at all queues as anybody does who makes a
//!    processor idle, and goes on as a spare, which ends after the keep-alive
//!    (`Worker::retire_processor`).
//! 6. A worker that is stuck in a poll is asked in vain. The monitor retakes such a processor,
//!    however little waits: another instance takes its place, whose core retires by step 3, and what
//!    the worker holds is a detached processor like any other.
//! 7. Who has changed the number looks at all queues, and wakes somebody if there is work and a
//!    processor is idle: one that has come back, or any other. For what has waited for a higher
//!    limit (step 2) can run now though no processor has come back, and what was queued on an idle
//!    processor that retires is somewhere else.
//!
//! # Why nothing is lost
//!
//! *Queues.* Thieves and
//! [`RunQueues::has_visible_work`](crate::scheduler::run_queues::RunQueues::has_visible_work) look
//! at all places that are marked ([`marks`](crate::scheduler::run_queues::marks)), and not only at
//! those that are wanted. So what is left in the queue of a processor that retires, or is pushed
//! there before its worker looks up, is found as before. Its next slot is empty when its core is
//! let go of, as that of any idle core.
//!
//! *Timers.* A wheel belongs to a place. Whoever holds the driver watches the wheels of all places
//! that have anything armed, so timers of a processor that has retired end in time.
//!
//! *Waking.* A core that comes back is idle before anybody looks, as after
//! [`Idle::push_idle`](crate::scheduler::worker::idle::Idle::push_idle): a submission that comes
//! after the fence in `set_wanted` finds it, and one that came before is seen by the look of step 7.
//! So too for a limit: it is stored before that fence.
//!
//! *The last processor* cannot retire: zero is an error.

use std::io;

use crate::scheduler::Shared;
use crate::sync::step;

impl Shared {
    /// So many processors are wanted from now on, if it is `agreed` to when the turn has come: what
    /// that reads and writes has one order with all changes of the number. It runs under a lock and
    /// must call no foreign code.
    ///
    /// # Errors
    ///
    /// The number is out of range, or the scheduler has closed.
    pub(crate) fn set_num_processors(
        &'static self,
        wanted: usize,
        agreed: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let settings = self.settings()?;
        let most = settings.most_processors();
        if wanted == 0 || wanted > most {
            let reason = format!("the number of worker threads must be from 1 to {most}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let resizing = self.workers.resizing.lock();
        if self.is_closed() {
            return Err(io::Error::other("the runtime has shut down"));
        }
        let before = self.workers.idle.num_wanted();
        if !agreed() || wanted == before {
            return Ok(());
        }
        self.resize(wanted);
        self.ask_to_retire(wanted, before);
        drop(resizing);
        step();
        // It may start a thread, which is named by foreign code.
        if self.queues.has_visible_work() {
            self.wake_one();
        }
        self.notify_shutdown_if_closed();
        Ok(())
    }

    /// Steps 1 to 3.
    pub(in crate::scheduler) fn resize(&'static self, wanted: usize) {
        self.services.timers.use_wheels(wanted);
        let cores = self.queues.fill(wanted);
        cores.for_each(|core| self.workers.idle.add(core));
        self.queues.set_num_processors(wanted);
        self.set_background_limit(wanted);
        self.workers.idle.set_wanted(wanted);
    }

    /// Step 4, and what makes steps 5 and 6 come soon.
    fn ask_to_retire(&'static self, wanted: usize, before: usize) {
        for slot in self.queues.slots().iter().skip(wanted) {
            let processor = slot.current();
            processor.ownership.request_yield();
            if !processor.is_held() {
                // Not needed, for it would be found. But nobody looks there first.
                self.queues.drain(processor);
            }
        }
        if wanted < before {
            // They end now, if they are too many.
            self.workers.idle.each_parked(|worker| worker.unpark());
        }
    }
}
