//! Holding the workers of a scheduler, while the process exits.
//!
//! A handler that is called at the exit of the process runs beside all other threads, which go on
//! until it has returned; and whoever calls `exit` meanwhile waits for ever. So a handler that has
//! much to do, to write a timeline, shares the CPUs with every task that is runnable. With eight
//! workers on a busy machine, in a debug build, it took three and a half minutes for what tasks
//! that yield had recorded in three seconds: a hang, for whoever waits for the process.
//!
//! 1. The handler sets the mark and asks all workers to look up.
//! 2. A worker that has looked up, or has just got a processor, waits until the mark is gone, with
//!    what it holds. It is in no poll and holds no lock.
//! 3. The monitor does not look around: it would take the processors away.
//! 4. The handler takes the mark away, as others that are called after it may need the tasks.
//!
//! A poll that goes on, a blocking job, and a `block_on` outside are not held.

use std::time::Duration;

use crate::scheduler::Shared;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread;

/// How soon workers go on. Nobody wakes them: it happens once, at the end.
const NAP: Duration = Duration::from_millis(10);

/// See the module's documentation. `Relaxed`: nothing but the mark is read.
#[derive(Debug, Default)]
pub(crate) struct Hold(AtomicBool);

impl Hold {
    /// Steps 2 and 3.
    #[inline]
    pub(crate) fn wait(&self) {
        while self.0.load(Ordering::Relaxed) {
            thread::sleep(NAP);
        }
    }
}

/// While it lives, the workers are held.
pub(crate) struct Holding(&'static Shared);

impl Shared {
    pub(crate) fn hold_workers(&'static self) -> Holding {
        self.workers.hold.0.store(true, Ordering::Relaxed);
        for processor in self.queues.current() {
            processor.ownership.request_yield();
        }
        Holding(self)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.workers.hold.0.store(false, Ordering::Relaxed);
    }
}
