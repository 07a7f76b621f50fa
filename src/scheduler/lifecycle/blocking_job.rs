//! What this scheduler's threads of the blocking pool are given to do.

use super::forked;
use crate::blocking::Job;
use crate::scheduler::Shared;
use crate::scheduler::observer::Purpose;
use crate::scheduler::submit::scheduler_of;
use crate::tasks::Runnable;

/// A job of the blocking pool.
pub(crate) enum BlockingJob {
    /// A task whose future blocks.
    Task(Runnable),
    /// The runtime's own, for who must not block. Dropped when the runtime ends before it has
    /// begun.
    Call(Box<dyn FnOnce() + Send>),
    /// Likewise: see [`crate::scheduler::foreign_wakers`].
    Wakers(&'static Shared),
}

impl Job for BlockingJob {
    fn run(self) {
        match self {
            BlockingJob::Task(runnable) => {
                let (shared, tag) = (scheduler_of(runnable.metadata()), runnable.metadata().tag());
                let _here = shared.workers.off_processor.enter(tag, true);
                shared.poll_off_processor(runnable, Purpose::Run);
            }
            BlockingJob::Call(call) => call(),
            BlockingJob::Wakers(shared) => shared.call_foreign_wakers(),
        }
        forked::abort_if_child();
    }

    fn cancel(self) {
        match self {
            BlockingJob::Task(runnable) => {
                scheduler_of(runnable.metadata()).poll_off_processor(runnable, Purpose::Cancel);
            }
            // The runtime ends: nobody is kept waiting any more.
            BlockingJob::Call(_) => {}
            BlockingJob::Wakers(shared) => shared.call_foreign_wakers(),
        }
    }
}
