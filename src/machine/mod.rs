//! What the machine gives to this process: how many CPUs it may use, which of them share a cache,
//! and whether the kernel throttles it.
//!
//! # What it guarantees
//!
//! * [`Cpus::available_of`] is the lower of two counts, and at least 1: the CPUs of an affinity
//!   mask ([`num_allowed`]), and the lowest quota of the process's cgroup and all its ancestors,
//!   rounded down.
//! * Nothing here panics, whatever the files of the kernel contain. What is missing or cannot be
//!   understood limits nothing; where a process runs out of descriptors, or enters a sandbox, the
//!   last answer holds.
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
//! | [`Cpus::available_of`], each call after the first | 15 |
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

        pub(super) fn read(&mut self) {}

        pub(super) fn quota(&self) -> Option<Quota> {
            None
        }

        pub(super) fn throttling(&self) -> Option<Throttling> {
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

use crate::sync::{Arc, Mutex, MutexGuard, thread};

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

/// How many of them there are. Where no mask can be read, as off Linux, what
/// [`available_parallelism`](thread::available_parallelism) says: at least 1.
pub(crate) fn num_allowed() -> usize {
    match allowed() {
        Ok(cpus) => cpus.len(),
        Err(_) => thread::available_parallelism().map_or(1, usize::from),
    }
}

type Known = Option<(CpuSet, Arc<Topology>)>;

/// The topology that was read last.
static LAST: Mutex<Known> = Mutex::new(None);

/// [`Topology::of`], which is read again only when it is asked for with another set than the last.
pub(crate) fn topology(cpus: &CpuSet) -> Arc<Topology> {
    let known = LAST.lock().clone();
    if let Some((_, topology)) = known.filter(|(set, _)| set == cpus) {
        return topology;
    }
    // Of a large machine that takes milliseconds: a fork does not wait for it.
    let topology = Arc::new(Topology::of(cpus));
    *LAST.lock() = Some((cpus.clone(), topology.clone()));
    topology
}

/// Takes the lock of the topology, for a fork.
pub(crate) fn hold() -> MutexGuard<'static, Known> {
    LAST.lock()
}

/// Whether somebody has that lock.
#[cfg(test)]
pub(crate) fn is_held() -> bool {
    LAST.try_lock().is_none()
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

    /// Reads the limits, and how many CPUs threads whose affinity mask has so many can use at once:
    /// at least 1.
    pub(crate) fn available_of(&mut self, allowed: usize) -> usize {
        self.read();
        let limit = self.quota().map_or(usize::MAX, Quota::whole_cpus);
        allowed.min(limit).max(1)
    }

    /// Reads the limits of the process's cgroup and its ancestors.
    pub(crate) fn read(&mut self) {
        self.cgroup.read();
    }

    /// The lowest of them, at the last reading. `None`: there is no limit.
    pub(crate) fn quota(&self) -> Option<Quota> {
        self.cgroup.quota()
    }

    /// How often the kernel has stopped the process because its quota was used up. `None`: there is
    /// no cgroup, or it does not say.
    ///
    /// The counts are those of one group: the one that had the lowest quota at the last reading, or
    /// the process's own if none had a quota. If another group gets the lowest quota, they may be
    /// lower than before.
    pub(crate) fn throttling(&self) -> Option<Throttling> {
        self.cgroup.throttling()
    }

    /// The folder of that group.
    pub(crate) fn throttled_group(&self) -> Option<&Path> {
        self.cgroup.throttled_group()
    }
}
