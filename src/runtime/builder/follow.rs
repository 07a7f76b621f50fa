//! Whether the number of processors follows the number of CPUs.

use super::Builder;

impl Builder {
    /// Whether the number of processors follows the number of CPUs that the process may use: the
    /// CPU quota of its cgroup and the affinity mask of its threads, whichever is lower. A quota of
    /// 2.5 CPUs is rounded down to 2, and one below 1 CPU counts as 1.
    ///
    /// Default: true, unless [`worker_threads`](Builder::worker_threads) or the environment variable
    /// `EXECUTOR_WORKER_THREADS` sets the number. If one of them does and this is true, that number
    /// is the most, and the CPUs may lower it. If nobody sets the number and this is false, the
    /// runtime has as many processors as there were CPUs when it was built.
    ///
    /// The runtime looks about once a second while tasks run; one that is idle looks when it has
    /// work again. It reads the limits of the group and of all groups around it, of both versions of
    /// cgroups. The number never exceeds [`max_worker_threads`](Builder::max_worker_threads) and
    /// [`max_threads`](Builder::max_threads). It changes as by
    /// [`Handle::set_worker_threads`](super::super::Handle::set_worker_threads), and a call of that
    /// ends the following.
    ///
    /// Nothing is followed on systems other than Linux. If the runtime is built on a thread whose
    /// affinity mask is not that of the process's first thread, only the quota is followed.
    ///
    /// # Examples
    ///
    /// At most 8, and fewer where the container has fewer CPUs:
    ///
    /// ```
    /// let builder = executor::runtime::Builder::new().worker_threads(8).follow_cpu_quota(true);
    /// let runtime = builder.build()?;
    /// assert!((1..=8).contains(&runtime.handle().worker_threads()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn follow_cpu_quota(mut self, follow: bool) -> Builder {
        self.follow_cpu_quota = Some(follow);
        self
    }

    /// The kernel's files are below this folder, and threads may run on so many CPUs.
    #[cfg(all(test, any(target_os = "linux", target_os = "android")))]
    pub(in crate::runtime) fn cpus_source(mut self, source: super::CpusSource) -> Builder {
        self.cpus_source = source;
        self
    }
}
