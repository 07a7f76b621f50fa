//! The CPU quota of this process's cgroup, read again and again.
//!
//! # What it guarantees
//!
//! The quota is the lowest of the process's own group and all of its ancestors, as far as a mount
//! shows them: the kernel enforces each of them. It is up to date with each call: limits may
//! change, and the process may be moved to another group.
//!
//! # Protocol of a reading
//!
//! 1. Read `/proc/self/cgroup`. If it is not what it was, the process has been moved: find the
//!    directories of its groups ([`hierarchy`]), which reads `/proc/self/mountinfo`. Without this
//!    step a process that was moved would follow the limits of the group that it has left, whose
//!    files can be read as before.
//! 2. Read the limit in each of the directories. A directory without the file has no limit: the
//!    controller is not enabled there, now.
//! 3. If fewer files could be read than the last time, find the directories again and repeat step
//!    2, once. Without this step a hierarchy that is mounted elsewhere by now would be lost.
//!
//! A reading that ends early tells what the last one has told: if the process has no descriptor
//! left or the machine no memory, or if a file must not be read that could be read before.
//! Otherwise a program that runs out of descriptors, or enters a sandbox, would seem to have no
//! limit from then on. A limit that could never be read limits nothing.
//!
//! Where step 1 finds no directories it does not look again until `/proc/self/cgroup` changes.
//! Hence a hierarchy that is first mounted while the process runs is not noticed.
//!
//! # Throttling
//!
//! It is told of one group, that with the lowest quota. Each group counts the periods in which it
//! was throttled itself, so a sum over the groups would count a moment twice in which two quotas
//! are used up. The lowest quota is the one that the process meets first if the group is its
//! own. An ancestor with a higher quota may be used up by its other children; that is not told.

pub(super) mod hierarchy;

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::quota::{Quota, Throttling};
use hierarchy::{Hierarchy, Version};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Cgroup {
    root: PathBuf,
    /// The contents of `/proc/self/cgroup` for which `hierarchy` was found. Empty: not looked yet.
    membership: Vec<u8>,
    hierarchy: Option<Hierarchy>,
    limits: Limits,
}

/// What a reading has found.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    /// In how many groups there was a limit to read, or the word that there is none.
    files: usize,
    /// In how many there was one that must not be read.
    forbidden: usize,
    /// The lowest, and the number of its group. Of two that are equal that of the inner group.
    lowest: Option<(usize, Quota)>,
}

impl Cgroup {
    /// With `/proc` and the mount points below `root`. Reads nothing yet.
    pub(super) fn at(root: &Path) -> Cgroup {
        Cgroup {
            root: root.to_owned(),
            membership: Vec::new(),
            hierarchy: None,
            limits: Limits::default(),
        }
    }

    /// The lowest quota at the last reading. `None`: there is no limit.
    pub(super) fn quota(&self) -> Option<Quota> {
        self.limits.lowest.map(|(_, quota)| quota)
    }

    /// Of the group that had the lowest quota at the last reading, or of the process's own if there
    /// was no limit.
    pub(super) fn throttling(&self) -> Option<Throttling> {
        Throttling::parse(&fs::read(self.throttled_group()?.join("cpu.stat")).ok()?)
    }

    /// Whose throttling is told, as of the last reading.
    pub(super) fn throttled_group(&self) -> Option<&Path> {
        let group = self.limits.lowest.map_or(0, |(group, _)| group);
        let group = self.hierarchy.as_ref()?.groups.get(group);
        group.map(PathBuf::as_path)
    }

    /// See the protocol.
    pub(super) fn read(&mut self) {
        if let Ok(limits) = self.try_read() {
            self.limits = limits;
        }
    }

    fn try_read(&mut self) -> io::Result<Limits> {
        let membership = fs::read(self.root.join("proc/self/cgroup"))?;
        if membership != self.membership {
            self.hierarchy = Hierarchy::find(&self.root, &membership)?;
            self.membership = membership;
            return self.read_limits();
        }
        let limits = self.read_limits()?;
        if limits.forbidden > self.limits.forbidden {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if limits.files >= self.limits.files {
            return Ok(limits);
        }
        self.hierarchy = Hierarchy::find(&self.root, &self.membership)?;
        self.read_limits()
    }

    fn read_limits(&self) -> io::Result<Limits> {
        let mut limits = Limits::default();
        let Some(hierarchy) = &self.hierarchy else {
            return Ok(limits);
        };
        for (number, group) in hierarchy.groups.iter().enumerate() {
            let limit = match read_limit(hierarchy.version, group) {
                Ok(Some(limit)) => limit,
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    limits.forbidden += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            limits.files += 1;
            let is_lower = |quota: &Quota| limits.lowest.is_none_or(|(_, lowest)| *quota < lowest);
            if let Some(quota) = limit.filter(is_lower) {
                limits.lowest = Some((number, quota));
            }
        }
        Ok(limits)
    }
}

/// `None`: the group has no such file. `Some(None)`: it has no limit.
fn read_limit(version: Version, group: &Path) -> io::Result<Option<Option<Quota>>> {
    let read = |name| read_if_there(&group.join(name));
    let limit = match version {
        Version::V1 => match read("cpu.cfs_quota_us")? {
            // Most groups have none: half of the time is saved.
            Some(time) if time.starts_with(b"-") => Some(None),
            Some(time) => read("cpu.cfs_period_us")?.map(|period| Quota::new(&time, &period)),
            None => None,
        },
        Version::V2 => read("cpu.max")?.map(|text| Quota::of_cpu_max(&text)),
    };
    Ok(limit)
}

/// `None`: there is no such file.
///
/// # Errors
///
/// The process or the machine is short of something, or it must not be read. That says nothing of
/// what is in the file.
pub(super) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EACCES | libc::EPERM) => {
                Err(error)
            }
            _ => Ok(None),
        },
    }
}
