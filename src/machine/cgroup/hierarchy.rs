//! Where the directories of this process's CPU groups are.
//!
//! The formats are described in the kernel's `Documentation/admin-guide/cgroup-v1/cgroups.rst` and
//! `cgroup-v2.rst`, in cgroups(7), cgroup_namespaces(7), and `Documentation/filesystems/proc.rst`
//! (3.5, mountinfo).
//!
//! # Which hierarchy
//!
//! A controller belongs to one hierarchy at a time. If `/proc/self/cgroup` names `cpu` among the
//! controllers of a version 1 hierarchy, and that is mounted, its files count. In such a hybrid
//! system a version 2 hierarchy may be mounted as well, but has no limits of CPU time. Else
//! version 2 counts.
//!
//! # Which directory
//!
//! A mount shows a part of the hierarchy: its root (the fourth field of mountinfo) and what is
//! below. In a container that is often the container's own group. The path of the process and the
//! root of the mount are both relative to the cgroup namespace of the process, and begin with `..`
//! if they are outside. Three cases:
//!
//! * The path is below the root. The rest of it leads from the mount point to the group. The
//!   ancestors are the directories on this way, and the mount point.
//! * The root is above the namespace, and the path is not: the mount shows an ancestor of the
//!   group, but nobody knows the way down. Only the mount point counts.
//! * Anything else: the mount shows others' groups, and does not count.
//!
//! Of several mounts that one counts which shows the most ancestors.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::read_if_there;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) enum Version {
    V1,
    V2,
}

#[derive(Debug)]
pub(in crate::machine) struct Hierarchy {
    pub(in crate::machine) version: Version,
    /// The directories of the process's group and its ancestors, from the inside to the outside.
    pub(in crate::machine) groups: Vec<PathBuf>,
}

impl Hierarchy {
    /// `membership`: the contents of `/proc/self/cgroup`. `None`: no mount shows the groups.
    ///
    /// # Errors
    ///
    /// See [`read_if_there`].
    pub(in crate::machine) fn find(
        root: &Path,
        membership: &[u8],
    ) -> io::Result<Option<Hierarchy>> {
        let mounts = read_if_there(&root.join("proc/self/mountinfo"))?.unwrap_or_default();
        let mut versions = [Version::V1, Version::V2].into_iter();
        Ok(versions.find_map(|version| {
            let views = views(version, membership, &mounts).into_iter();
            let mut groups = views.map(|view| view.groups(root));
            let groups = groups.find(|groups| groups[0].is_dir())?;
            Some(Hierarchy { version, groups })
        }))
    }
}

/// A mount that shows the process's group, or an ancestor of it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::machine) struct View<'a> {
    mount_point: Vec<u8>,
    /// The names of the directories on the way down to the group.
    way: Vec<&'a [u8]>,
    /// Whether it ends at the group, and not at an ancestor of it.
    is_whole: bool,
}

impl View<'_> {
    /// At least one.
    pub(in crate::machine) fn groups(&self, root: &Path) -> Vec<PathBuf> {
        let absolute = &*self.mount_point;
        let relative = absolute.strip_prefix(b"/").unwrap_or(absolute);
        let mut group = root.join(OsStr::from_bytes(relative));
        let mut groups = vec![group.clone()];
        for name in &self.way {
            group.push(OsStr::from_bytes(name));
            groups.push(group.clone());
        }
        groups.reverse();
        groups
    }
}

/// Those that show the most ancestors first.
pub(in crate::machine) fn views<'a>(
    version: Version,
    membership: &'a [u8],
    mounts: &[u8],
) -> Vec<View<'a>> {
    let Some(path) = path_of(version, membership).map(names) else {
        return Vec::new();
    };
    let lines = mounts.split(|&byte| byte == b'\n');
    let mut views: Vec<View<'a>> = lines
        .filter_map(Mount::parse)
        .filter(|mount| mount.has_cpu_groups(version))
        .filter_map(|mount| {
            let (way, is_whole) = way(&path, &names(&mount.root))?;
            let mount_point = mount.point;
            Some(View {
                mount_point,
                way,
                is_whole,
            })
        })
        .collect();
    views.sort_by_key(|view| Reverse((view.is_whole, view.way.len())));
    views
}

/// The path of the process in its CPU hierarchy of that version. A line is `ID:CONTROLLERS:PATH`;
/// version 2 has no controllers there.
fn path_of(version: Version, membership: &[u8]) -> Option<&[u8]> {
    membership.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_it = match version {
            Version::V1 => has_option(controllers, b"cpu"),
            Version::V2 => id == b"0" && controllers.is_empty(),
        };
        is_it.then_some(path)
    })
}

/// What is of interest in a line of mountinfo:
/// `ID PARENT DEVICE ROOT POINT OPTIONS [TAG..] - TYPE SOURCE SUPER_OPTIONS`.
struct Mount<'a> {
    root: Vec<u8>,
    point: Vec<u8>,
    kind: &'a [u8],
    super_options: &'a [u8],
}

impl Mount<'_> {
    fn parse(line: &[u8]) -> Option<Mount<'_>> {
        let mut fields = line.split(|&byte| byte == b' ');
        let root = unescape(fields.nth(3)?);
        let point = unescape(fields.next()?);
        fields.find(|&field| field == b"-")?;
        Some(Mount {
            root,
            point,
            kind: fields.next()?,
            super_options: fields.nth(1)?,
        })
    }

    fn has_cpu_groups(&self, version: Version) -> bool {
        match version {
            Version::V1 => self.kind == b"cgroup" && has_option(self.super_options, b"cpu"),
            Version::V2 => self.kind == b"cgroup2",
        }
    }
}

fn has_option(options: &[u8], wanted: &[u8]) -> bool {
    options
        .split(|&byte| byte == b',')
        .any(|option| option == wanted)
}

/// A space, tab, line feed, backslash or hash is a backslash and three octal digits there.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match after {
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] if *first == b'\\' => {
                rest = after;
                (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
            }
            _ => *first,
        });
    }
    bytes
}

/// The names in a path. `..` is only left at the beginning.
fn names(path: &[u8]) -> Vec<&[u8]> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.last().is_some_and(|last| *last != b"..") => drop(names.pop()),
            _ => names.push(name),
        }
    }
    names
}

/// How to get from the root of a mount to a group, and whether that ends at the group. See the
/// module's documentation.
fn way<'a>(path: &[&'a [u8]], root: &[&[u8]]) -> Option<(Vec<&'a [u8]>, bool)> {
    let up = |names: &[&[u8]]| names.iter().take_while(|name| **name == b"..").count();
    let rest = path.starts_with(root).then(|| &path[root.len()..]);
    match rest {
        Some(rest) if up(rest) == 0 => Some((rest.to_vec(), true)),
        // The root is so far above the namespace that it is above the path, too.
        None if up(root) == root.len() && up(root) > up(path) => Some((Vec::new(), false)),
        _ => None,
    }
}
