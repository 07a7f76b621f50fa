//! Changing the number of processors of a runtime that runs.

use std::io;

use super::Handle;
use super::usable::one_thread;
use crate::observe;
use crate::sync::HAS_THREADS;

impl Handle {
    /// How many processors the runtime has: how many tasks run in parallel.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().worker_threads(2).build()?;
    /// assert_eq!(runtime.handle().worker_threads(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn worker_threads(&self) -> usize {
        self.shared().num_processors()
    }

    /// Changes the number of processors while tasks run, block and wait, as Go's `GOMAXPROCS` does.
    ///
    /// Returns at once. New processors take work as soon as there is some for them; their threads
    /// are started then. A processor that is too many goes when the poll on it ends, or when that
    /// poll is found to block or to compute; its tasks and timers go on elsewhere. Threads that are
    /// too many end after [`Builder::thread_keep_alive`](super::Builder::thread_keep_alive).
    /// [`worker_index`](super::worker_index) may be as high as before until then.
    ///
    /// From then on the runtime does not [follow](super::Builder::follow_cpu_quota) the number of
    /// CPUs any more: the number stays as it was set.
    ///
    /// The figures of processors that have gone stay in [`metrics`](Handle::metrics).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for zero, and for more than
    /// [`Builder::max_worker_threads`](super::Builder::max_worker_threads) or
    /// [`Builder::max_threads`](super::Builder::max_threads) allow;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for more than 1 where the target has no threads;
    /// another error if the runtime has shut down.
    ///
    /// # Panics
    ///
    /// In a child made by `fork`, where the runtime has no threads.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new().worker_threads(1).build()?;
    /// let handle = runtime.handle();
    /// handle.set_worker_threads(4)?;
    /// assert_eq!(handle.worker_threads(), 4);
    /// assert!(handle.set_worker_threads(0).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_worker_threads(&self, count: usize) -> io::Result<()> {
        self.shared().assert_not_forked();
        if !HAS_THREADS && count > 1 {
            return Err(one_thread());
        }
        observe::set_worker_threads(self.shared(), count)
    }
}
