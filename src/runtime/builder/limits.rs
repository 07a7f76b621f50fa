//! How much of what a runtime may have at once.

use std::io;

use super::Builder;
use crate::runtime::usable::unusable;

/// Threads for tasks that block, beyond the processors that there may be: by default as many as blocking jobs.
pub(super) const SPARE_THREADS: usize = 512;

impl Builder {
    /// The most processors that [`Handle::set_worker_threads`](crate::Handle::set_worker_threads) may ask for.
    ///
    /// Default: four times the number of CPUs of the thread's affinity mask, at least 64, and at
    /// least [`worker_threads`](Builder::worker_threads); fewer than that is an error. If nobody sets
    /// that number, the runtime begins with this many at most. Each takes some kilobytes when it is
    /// wanted first.
    pub fn max_worker_threads(mut self, count: usize) -> Builder {
        self.max_worker_threads = Some(count);
        self
    }

    /// The most threads that run tasks: those that hold a processor, those that are stuck in a task
    /// or block in one, and spare ones. Threads of `spawn_blocking` have a limit of their own, and
    /// the monitor's thread is not counted.
    ///
    /// Default: 512 more than [`max_worker_threads`](Builder::max_worker_threads); fewer than
    /// [`worker_threads`](Builder::worker_threads), or zero, is an error. At the limit, a task that
    /// blocks keeps its processor until a thread is free, and others may wait for it. A line on
    /// standard error says so once, unless the limit equals the number of processors.
    pub fn max_threads(mut self, count: usize) -> Builder {
        self.max_threads = Some(count);
        self
    }

    /// The most threads that run `spawn_blocking` jobs at a time. Default 512; zero is an error.
    pub fn max_blocking_threads(mut self, count: usize) -> Builder {
        self.max_blocking_threads = count;
        self
    }

    /// The most polls of tasks of class
    /// [`Background`](crate::task::Priority::Background) that go on at once, so that such tasks leave
    /// processors to the others.
    ///
    /// Default: one less than the number of processors, at least 1. Zero is an error. A poll that
    /// blocks, or has computed for 200 ms, counts no more. Where the system does not say how long a
    /// thread has computed, one that lasts for 10 ms while others wait counts no more.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().worker_threads(4).background_limit(1).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn background_limit(mut self, count: usize) -> Builder {
        self.background_limit = Some(count);
        self
    }

    /// What is unusable of those that do not depend on the number of processors.
    pub(super) fn check_limits(&self) -> io::Result<()> {
        if self.max_blocking_threads == 0 {
            return Err(unusable("max_blocking_threads", "must not be zero"));
        }
        if self.background_limit == Some(0) {
            return Err(unusable("background_limit", "must not be zero"));
        }
        Ok(())
    }
}
