//! What the machine gives to this process: how many CPUs it may use, which of them share a cache,
//! and whether the kernel throttles it.
//!
//! # What it guarantees
//!
//! * [`Cpus::available`] is the lower of two counts, and at least 1: the CPUs of a thread's
//!   affinity mask, and the lowest quota of the process's cgroup and all its ancestors, rounded
//!   down.
//! * Nothing here panics, whatever the files of the kernel contain. What is missing or cannot be
//!   understood limits nothing; where a process runs out of descriptors, the last answer holds.
//! * Nothing is written but by [`affinity::pin`]. No file stays open between two calls, and a
//!   child made by `fork` reads its own files.
//!
//! # Rounding
//!
//! A quota of 2.5 CPUs gives 2. With three busy processors the 250 ms of CPU time in each period of
//! 100 ms are used up after 83 ms, and the kernel stops all threads for the other 17 ms: whatever
//! happens then waits. With two, half a CPU is left for threads without a processor: those of
//! blocking jobs, the monitor, and the program's own.
//!
//! # Cost
//!
//! Measured on 2 virtual CPUs (AMD EPYC), Linux 6.18, with optimisation, 2026-11-30; the process is
//! in the root group of a version 1 hierarchy:
//!
//! | call | µs |
//! |---|---|
//! | [`Cpus::available`], each call after the first | 15 |
//! | the first, which reads `/proc/self/mountinfo` | 55 |
//! | each ancestor of the group | 7; 14 in version 1, if it has a quota |
//! | [`Cpus::throttling`] | 22 |
//! | [`Topology::of`], for each cluster | 80 |
//! | [`affinity::current_cpu`] | 0.002 |
//!
//! # What it does not do
//!
//! * It has no opinion on how many processors a runtime should have, and knows no runtime.
//! * It does not wait for changes. Who wants to follow them asks again: once a second is cheap.
//! * CPU weights (`cpu.weight`, `cpu.shares`) are not looked at. They say what a group gets while
//!   others want the same CPU, and limit nothing.
//!
//! # The folder
//!
//! | module | what it is about |
//! |---|---|
//! | [`affinity`] | on which CPUs a thread may run, and on which it runs |
//! | [`cgroup`] | the quota of the process's cgroup, and how often the kernel has throttled it |
//! | [`pinned`] | threads that this crate has pinned |
//! | [`cpu_set`] | a set of CPUs, and the list syntax of the kernel |
//! | [`quota`] | the values of those files |
//! | [`topology`](mod@topology) | which CPUs share their last-level cache |

pub(crate) mod affinity;
// The files have paths of bytes, and other systems have none of them.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod cgroup;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod cgroup {
    use std::path::Path;

    use super::quota::{Quota, Throttling};

    /// Elsewhere there are no such groups.
    #[derive(Debug)]
    pub(super) struct Cgroup(());

    impl Cgroup {
        pub(super) fn at(_: &Path) -> Cgroup {
            Cgroup(())
        }

        pub(super) fn quota(&mut self) -> Option<Quota> {
            None
        }

        pub(super) fn throttling(&mut self) -> Option<Throttling> {
            None
        }

        pub(super) fn throttled_group(&self) -> Option<&Path> {
            None
        }
    }
}
mod cpu_set;
pub(crate) mod pinned;
mod quota;
#[cfg(test)]
pub(crate) mod tests;
mod topology;

use std::io;
use std::path::Path;

use crate::sync::{Arc, Mutex, thread};

use affinity::Thread;
use cgroup::Cgroup;

pub(crate) use cpu_set::CpuSet;
pub(crate) use quota::{Quota, Throttling};
pub(crate) use topology::Topology;

/// The CPUs on which the calling thread may run, or might if this crate had not pinned it.
///
/// # Errors
///
/// As of [`affinity::allowed`].
pub(crate) fn allowed() -> io::Result<CpuSet> {
    match pinned::whole() {
        Some(whole) => Ok(whole.clone()),
        None => affinity::allowed(Thread::Current),
    }
}

/// [`Topology::of`], which is read again only when it is asked for with another set than the last.
pub(crate) fn topology(cpus: &CpuSet) -> Arc<Topology> {
    static LAST: Mutex<Option<(CpuSet, Arc<Topology>)>> = Mutex::new(None);
    let mut last = LAST.lock();
    match &*last {
        Some((set, topology)) if set == cpus => topology.clone(),
        _ => {
            let topology = Arc::new(Topology::of(cpus));
            *last = Some((cpus.clone(), topology.clone()));
            topology
        }
    }
}

/// How many CPUs this process may use. Remembers where the kernel's files are.
#[derive(Debug)]
pub(crate) struct Cpus {
    cgroup: Cgroup,
}

impl Cpus {
    /// Reads nothing yet.
    pub(crate) fn new() -> Cpus {
        Cpus::at(Path::new("/"))
    }

    /// As [`new`](Cpus::new), with the files of `/proc` and `/sys` below `root`.
    pub(crate) fn at(root: &Path) -> Cpus {
        Cpus {
            cgroup: Cgroup::at(root),
        }
    }

    /// How many CPUs threads with the affinity mask of this thread can use at once: at least 1.
    /// Off Linux [`available_parallelism`](thread::available_parallelism).
    ///
    /// A thread that was pinned can use few, and so can the threads that it has started since. Ask
    /// for a thread that was not; only the calling thread may be pinned by this crate.
    pub(crate) fn available(&mut self, of: Thread) -> usize {
        let allowed = match of {
            Thread::Current => allowed(),
            other => affinity::allowed(other),
        };
        let allowed = allowed.map(|cpus| cpus.len());
        let allowed =
            allowed.unwrap_or_else(|_| thread::available_parallelism().map_or(1, usize::from));
        self.available_of(allowed)
    }

    /// The same, if the affinity mask has so many.
    pub(crate) fn available_of(&mut self, allowed: usize) -> usize {
        let quota = self.cgroup.quota();
        let limit = quota.map_or(usize::MAX, |quota| quota.whole_cpus());
        allowed.min(limit).max(1)
    }

    /// The lowest quota of the process's cgroup and its ancestors. `None`: there is no limit.
    pub(crate) fn quota(&mut self) -> Option<Quota> {
        self.cgroup.quota()
    }

    /// How often the kernel has stopped the process because its quota was used up. `None`: there is
    /// no cgroup, or it does not say.
    ///
    /// The counts are those of one group: the one with the lowest quota, or the process's own if
    /// none has a quota. If another group gets the lowest quota, they may be lower than before.
    pub(crate) fn throttling(&mut self) -> Option<Throttling> {
        self.cgroup.throttling()
    }

    /// The folder of the group that [`Cpus::throttling`] has told of last.
    pub(crate) fn throttled_group(&self) -> Option<&Path> {
        self.cgroup.throttled_group()
    }
}
