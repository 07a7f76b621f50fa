//! Which CPUs share their last-level cache.
//!
//! What one CPU has just written, another one reads from the cache that both share; over the
//! border of a cache it takes several times as long. A *cluster* is a set of CPUs with one
//! last-level cache: a core complex (AMD), a tile or a socket (Intel), a cluster (ARM).
//!
//! # Where it is from
//!
//! `/sys/devices/system/cpu/cpuN/cache/indexM/` (`Documentation/ABI/testing/sysfs-devices-system-cpu`):
//! `level`, `type` (an `Instruction` cache is passed over) and `shared_cpu_list`. The cache of the
//! highest level is the last. The kernel removes the folder of a CPU that is offline.
//!
//! # What it guarantees
//!
//! * Each CPU of the given set is in exactly one cluster. Clusters have numbers from 0, in the
//!   order of their lowest CPUs.
//! * CPUs of which nothing is known are one cluster together. So there is one cluster if sysfs is
//!   missing.
//! * If no two CPUs of the set share a last-level cache, there is one cluster: none is nearer than
//!   another. Virtual machines without a topology look so.
//!
//! # What it does not do
//!
//! It is read once and follows no change: CPUs that come online later are in no cluster. NUMA
//! nodes, and the shared cores of hyper-threads, are not told apart within a cluster.

use std::fs;
use std::path::Path;

use super::cpu_set::{CpuSet, MAX_CPUS};

/// Far beyond any CPU's. Without a bound a folder that somebody has made up could hold us up.
const MAX_CACHES: usize = 64;

/// In no cluster. A number of a cluster is below [`MAX_CPUS`].
const NONE: u16 = u16::MAX;
const _: () = assert!(MAX_CPUS <= NONE as usize);

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// By the number of the CPU.
    cluster_of: Box<[u16]>,
    clusters: usize,
}

impl Topology {
    /// Of this machine, restricted to a set of CPUs.
    pub(crate) fn of(cpus: &CpuSet) -> Topology {
        Topology::at(Path::new("/"), cpus)
    }

    /// As [`of`](Topology::of), with `/sys` below `root`.
    pub(crate) fn at(root: &Path, cpus: &CpuSet) -> Topology {
        let folder = root.join("sys/devices/system/cpu");
        let length = cpus.iter().last().map_or(0, |last| last + 1);
        let mut cluster_of = vec![NONE; length].into_boxed_slice();
        let (mut clusters, mut unknown, mut is_shared) = (0, None, false);
        for cpu in cpus.iter() {
            if cluster_of[cpu] != NONE {
                continue;
            }
            let sharers = sharers(&folder.join(format!("cpu{cpu}/cache")))
                // One that says that its cache is others' alone says nothing.
                .filter(|sharers| sharers.contains(cpu));
            let number = match sharers {
                Some(_) => clusters,
                None => *unknown.get_or_insert(clusters),
            };
            cluster_of[cpu] = number;
            for other in sharers.iter().flat_map(CpuSet::iter) {
                if cpus.contains(other) && cluster_of[other] == NONE {
                    cluster_of[other] = number;
                    is_shared = true;
                }
            }
            clusters = clusters.max(number + 1);
        }
        if !is_shared {
            for cpu in cpus.iter() {
                cluster_of[cpu] = 0;
            }
            clusters = 1;
        }
        Topology {
            cluster_of,
            clusters: usize::from(clusters),
        }
    }

    /// Made up: the clusters of the CPUs from 0, with numbers from 0 and without gaps.
    pub(crate) fn new(cluster_of: &[u16]) -> Topology {
        let highest = cluster_of.iter().max().copied();
        Topology {
            cluster_of: cluster_of.into(),
            clusters: highest.map_or(1, |highest| usize::from(highest) + 1),
        }
    }

    /// How many there are: at least one.
    pub(crate) fn clusters(&self) -> usize {
        self.clusters
    }

    /// The cluster of a CPU. `None`: it is not of the set.
    #[inline]
    pub(crate) fn cluster_of(&self, cpu: usize) -> Option<usize> {
        let cluster = *self.cluster_of.get(cpu)?;
        (cluster != NONE).then_some(usize::from(cluster))
    }

    /// The CPUs of a cluster.
    #[cfg(test)]
    pub(crate) fn cpus_of(&self, cluster: usize) -> CpuSet {
        let all = 0..self.cluster_of.len();
        all.filter(|&cpu| self.cluster_of(cpu) == Some(cluster))
            .collect()
    }
}

/// The CPUs that share the last-level cache which this folder describes. `None`: it is missing, or
/// cannot be understood.
fn sharers(folder: &Path) -> Option<CpuSet> {
    let mut last: Option<(u32, Option<CpuSet>)> = None;
    // The kernel numbers them without gaps.
    for index in 0..MAX_CACHES {
        let folder = folder.join(format!("index{index}"));
        let read = |name| fs::read(folder.join(name)).ok();
        let Some(level) = read("level") else {
            break;
        };
        let level = std::str::from_utf8(level.trim_ascii()).ok();
        let Some(level) = level.and_then(|level| level.parse().ok()) else {
            continue;
        };
        let is_data = read("type").is_some_and(|kind| kind.trim_ascii() != b"Instruction");
        if is_data && last.as_ref().is_none_or(|(highest, _)| level > *highest) {
            let list = read("shared_cpu_list");
            last = Some((level, list.and_then(|list| CpuSet::parse(&list))));
        }
    }
    last?.1
}
