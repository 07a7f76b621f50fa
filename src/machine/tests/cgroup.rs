//! Quotas and throttling, on trees of files.

use std::time::Duration;

use super::*;

/// More than any quota here.
const MANY: usize = 64;

const V2_MOUNT: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 22 0:28 / /sys/fs/cgroup rw,nosuid,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
";

/// As systemd mounts it: `cpu` and `cpuacct` at one place, others elsewhere.
const V1_MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup/memory rw shared:8 - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpuset rw shared:9 - cgroup cgroup rw,cpuset
32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
";

const CPUACCT: &str = "sys/fs/cgroup/cpu,cpuacct";

impl Tree {
    fn cgroup(test: &str, membership: &str, mounts: &str) -> Tree {
        let tree = Tree::new(test);
        tree.file("proc/self/cgroup", membership)
            .file("proc/self/mountinfo", mounts);
        tree
    }

    pub(crate) fn v2(test: &str, path: &str) -> Tree {
        Tree::cgroup(test, &format!("0::{path}\n"), V2_MOUNT)
    }

    /// A limit of version 2, below its usual mount point.
    pub(crate) fn max(&self, group: &str, limit: &str) -> &Tree {
        self.file(
            &format!("sys/fs/cgroup{group}/cpu.max"),
            &format!("{limit}\n"),
        )
    }

    fn v1_limit(&self, folder: &str, quota: &str, period: &str) -> &Tree {
        self.file(&format!("{folder}/cpu.cfs_quota_us"), &format!("{quota}\n"))
            .file(
                &format!("{folder}/cpu.cfs_period_us"),
                &format!("{period}\n"),
            )
    }

    fn cpus(&self) -> usize {
        Cpus::at(&self.0).available_of(MANY)
    }

    fn throttling(&self) -> Option<Throttling> {
        throttling_now(&mut Cpus::at(&self.0))
    }
}

pub(super) fn throttling_now(cpus: &mut Cpus) -> Option<Throttling> {
    cpus.read();
    cpus.throttling()
}

#[test]
fn a_limit_of_version_2_counts() {
    let tree = Tree::v2("v2", "/a");
    assert_eq!(tree.max("/a", "300000 100000").cpus(), 3);
    assert_eq!(tree.max("/a", "max 100000").cpus(), MANY);
    assert_eq!(tree.remove("sys/fs/cgroup/a/cpu.max").cpus(), MANY);
}

/// The affinity mask counts if it has fewer.
#[test]
fn the_lower_of_quota_and_mask_counts_and_it_is_never_zero() {
    let tree = Tree::v2("lower", "/a");
    let mut cpus = Cpus::at(&tree.max("/a", "300000 100000").0);
    assert_eq!(
        [2, 3, 4, 0].map(|allowed| cpus.available_of(allowed)),
        [2, 3, 3, 1]
    );
}

/// Go took only the group's own limit (go#81180).
#[test]
fn the_lowest_limit_of_all_ancestors_counts() {
    let tree = Tree::v2("ancestors", "/pod/container/leaf");
    tree.max("/pod", "200000 100000")
        .max("/pod/container/leaf", "max 100000");
    assert_eq!(tree.cpus(), 2);
    // The group in the middle, with another period.
    assert_eq!(tree.max("/pod/container", "15000 10000").cpus(), 1);
    assert_eq!(tree.max("/pod/container", "30000 10000").cpus(), 2);
    assert_eq!(tree.max("/pod/container/leaf", "100000 100000").cpus(), 1);
}

/// Of a container that sees its own group alone, under the name that the host gives it.
#[test]
fn a_mount_whose_root_is_the_containers_group_leads_there() {
    let mounts = "31 22 0:28 /kubepods/pod1/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    let own = Tree::cgroup("container", "0::/kubepods/pod1/c1\n", mounts);
    assert_eq!(own.max("", "200000 100000").cpus(), 2);
    let below = Tree::cgroup("container-below", "0::/kubepods/pod1/c1/x/y\n", mounts);
    below
        .max("", "500000 100000")
        .max("/x", "400000 100000")
        .max("/x/y", "max 100000");
    assert_eq!(below.cpus(), 4);
    assert_eq!(below.max("/x/y", "100000 100000").cpus(), 1);
}

#[test]
fn a_mount_that_shows_other_groups_limits_nothing() {
    for (number, path) in ["/user/session", "/kubepods/pod1/c10", "/../other", "/"]
        .into_iter()
        .enumerate()
    {
        let mounts = "31 22 0:28 /kubepods/pod1/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let tree = Tree::cgroup(
            &format!("outside-{number}"),
            &format!("0::{path}\n"),
            mounts,
        );
        assert_eq!(tree.max("", "200000 100000").cpus(), MANY, "{path}");
    }
}

#[test]
fn the_root_of_a_cgroup_namespace_has_a_limit() {
    assert_eq!(
        Tree::v2("namespace", "/").max("", "200000 100000").cpus(),
        2
    );
}

#[test]
fn paths_that_lead_out_of_the_namespace_are_followed_within_the_mount() {
    let mounts = "31 22 0:28 /.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    let beside = Tree::cgroup("beside", "0::/../beside\n", mounts);
    beside
        .max("", "400000 100000")
        .max("/beside", "300000 100000");
    assert_eq!(beside.cpus(), 3);
    assert_eq!(beside.max("", "200000 100000").cpus(), 2);
    // Above the mount's root.
    let above = Tree::cgroup("above", "0::/../../beside\n", mounts);
    above
        .max("", "200000 100000")
        .max("/../beside", "100000 100000");
    assert_eq!(above.cpus(), MANY);
    // Beside the namespace.
    let mounts_beside = mounts.replace("/..", "/../beside");
    let inside = Tree::cgroup("inside", "0::/a\n", &mounts_beside);
    assert_eq!(inside.max("", "200000 100000").cpus(), MANY);
    // The mount shows an ancestor, and nobody knows the way from there.
    let ancestor = Tree::cgroup("ancestor-only", "0::/a\n", mounts);
    ancestor.max("", "200000 100000").max("/a", "100000 100000");
    assert_eq!(ancestor.cpus(), 2);
}

/// A container that has the host's hierarchy as well as its own part of it.
#[test]
fn of_several_mounts_that_which_shows_the_most_ancestors_counts() {
    let mounts = "\
        31 22 0:28 /pod/c /sys/fs/cgroup ro - cgroup2 cgroup rw\n\
        32 22 0:28 /pod /half ro - cgroup2 cgroup rw\n\
        33 22 0:28 / /host/sys/fs/cgroup ro - cgroup2 cgroup rw\n\
        34 22 0:28 / /gone ro - cgroup2 cgroup rw\n";
    let tree = Tree::cgroup("several", "0::/pod/c\n", mounts);
    tree.max("", "400000 100000")
        .file("half/c/cpu.max", "300000 100000");
    assert_eq!(tree.cpus(), 3);
    tree.file("host/sys/fs/cgroup/pod/cpu.max", "200000 100000")
        .file("host/sys/fs/cgroup/pod/c/cpu.max", "max 100000");
    assert_eq!(tree.cpus(), 2);
}

#[test]
fn a_mount_that_shows_the_group_itself_counts_more_than_one_of_an_ancestor() {
    let mounts = "\
        31 22 0:28 /.. /outer ro - cgroup2 cgroup rw\n\
        32 22 0:28 / /inner ro - cgroup2 cgroup rw\n";
    let tree = Tree::cgroup("own-first", "0::/\n", mounts);
    tree.file("outer/cpu.max", "300000 100000")
        .file("inner/cpu.max", "200000 100000");
    assert_eq!(tree.cpus(), 2);
}

#[test]
fn a_mount_point_with_escaped_characters_is_found() {
    let mounts = "31 22 0:28 /a\\040b /c\\134d\\011e rw - cgroup2 cgroup2 rw\n";
    let tree = Tree::cgroup("escapes", "0::/a b/f:g\n", mounts);
    assert_eq!(
        tree.file("c\\d\te/f:g/cpu.max", "200000 100000\n").cpus(),
        2
    );
}

/// Go missed it on some machines (go#76810, and go#76390 where the mount's root is not `/`).
#[test]
fn a_limit_of_version_1_counts() {
    let membership = "11:memory:/a\n8:cpuset:/\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a\n";
    let tree = Tree::cgroup("v1", membership, V1_MOUNTS);
    tree.v1_limit(&format!("{CPUACCT}/a/b"), "200000", "100000");
    assert_eq!(tree.cpus(), 2);
    tree.v1_limit(&format!("{CPUACCT}/a/b"), "-1", "100000");
    assert_eq!(tree.cpus(), MANY);
    tree.v1_limit(CPUACCT, "900000", "100000");
    assert_eq!(
        tree.v1_limit(&format!("{CPUACCT}/a"), "40000", "10000")
            .cpus(),
        4
    );
}

#[test]
fn a_container_of_version_1_is_found_where_the_controllers_have_any_order() {
    let mounts = "\
        41 39 0:31 /docker/c1 /sys/fs/cgroup/cpuset ro master:13 - cgroup cgroup rw,cpuset\n\
        40 39 0:30 /docker/c1 /sys/fs/cgroup/cpuacct,cpu ro master:12 - cgroup cgroup rw,cpuacct,cpu\n";
    let membership = "5:cpuset:/docker/c1\n3:cpuacct,cpu:/docker/c1\n";
    let tree = Tree::cgroup("v1-container", membership, mounts);
    tree.v1_limit("sys/fs/cgroup/cpuset", "100000", "100000")
        .v1_limit("sys/fs/cgroup/cpuacct,cpu", "200000", "100000");
    assert_eq!(tree.cpus(), 2);
}

#[test]
fn in_a_hybrid_system_the_hierarchy_with_the_controller_counts() {
    let unified = "40 25 0:40 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw\n";
    let membership = "4:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/a\n";
    let tree = Tree::cgroup("hybrid", membership, &format!("{unified}{V1_MOUNTS}"));
    tree.v1_limit(&format!("{CPUACCT}/a"), "200000", "100000")
        .file("sys/fs/cgroup/unified/a/cpu.max", "100000 100000");
    assert_eq!(tree.cpus(), 2);
    // Version 1 for other controllers only.
    let membership = "1:name=systemd:/a\n0::/a\n";
    assert_eq!(tree.file("proc/self/cgroup", membership).cpus(), 1);
}

/// Go divided by it (go#80783).
#[test]
fn a_period_of_zero_and_other_nonsense_limit_nothing() {
    let v2 = Tree::v2("nonsense", "/a");
    let nonsense = [
        "100000 0",
        "0 0",
        "0 100000",
        "-1 100000",
        "max",
        "max 0",
        "100000",
        "",
        " ",
        "x y",
        "100000 x",
        "1e5 1e5",
        "100000 -100000",
        "99999999999999999999999 1",
        "\u{fffd} \0",
    ];
    for text in nonsense {
        assert_eq!(v2.max("/a", text).cpus(), MANY, "{text:?}");
        // The others' limits still count.
        assert_eq!(v2.max("", "200000 100000").cpus(), 2, "{text:?}");
        v2.remove("sys/fs/cgroup/cpu.max");
    }
    let v1 = Tree::cgroup("nonsense-v1", "4:cpu:/a\n", V1_MOUNTS);
    for (quota, period) in [
        ("100000", "0"),
        ("0", "0"),
        ("0", "100000"),
        ("", ""),
        ("x", "y"),
        ("1", "-1"),
    ] {
        v1.v1_limit(&format!("{CPUACCT}/a"), quota, period);
        assert_eq!(v1.cpus(), MANY, "{quota:?} {period:?}");
    }
    v1.remove(&format!("{CPUACCT}/a/cpu.cfs_period_us"));
    assert_eq!(v1.cpus(), MANY);
}

/// Go rounds up, and its programs are throttled (go#76835).
#[test]
fn quotas_are_rounded_down_to_at_least_one() {
    let tree = Tree::v2("rounding", "/a");
    let largest = format!("{} 1", u64::MAX);
    for (limit, cpus) in [
        ("50000 100000", 1),
        ("99999 100000", 1),
        ("150000 100000", 1),
        ("199999 100000", 1),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("1000 1000000", 1),
        (&*largest, MANY),
    ] {
        assert_eq!(tree.max("/a", limit).cpus(), cpus, "{limit}");
    }
}

#[test]
fn without_files_there_is_no_limit() {
    assert_eq!(Tree::new("empty").cpus(), MANY);
    let tree = Tree::cgroup("no-mounts", "0::/a\n", "");
    assert_eq!(tree.max("/a", "200000 100000").cpus(), MANY);
    assert_eq!(tree.remove("proc/self/mountinfo").cpus(), MANY);
    assert_eq!(tree.throttling(), None);
}

#[test]
fn a_limit_that_changes_is_seen() {
    let tree = Tree::v2("changes", "/a");
    let mut cpus = Cpus::at(&tree.max("/a", "200000 100000").0);
    let mut now = || cpus.available_of(MANY);
    assert_eq!(now(), 2);
    tree.max("/a", "300000 100000");
    assert_eq!(now(), 3);
    // Its ancestor gets one, and loses it.
    tree.max("", "100000 100000");
    assert_eq!(now(), 1);
    tree.remove("sys/fs/cgroup/cpu.max");
    assert_eq!(now(), 3);
    tree.remove("sys/fs/cgroup/a/cpu.max");
    assert_eq!(now(), MANY);
    tree.max("/a", "400000 100000");
    assert_eq!(now(), 4);
}

/// The files of the group that it has left can still be read.
#[test]
fn a_process_that_is_moved_follows_the_limits_of_its_new_group() {
    let tree = Tree::v2("moved", "/a");
    let mut cpus = Cpus::at(&tree.max("/a", "200000 100000").max("/b", "300000 100000").0);
    assert_eq!(cpus.available_of(MANY), 2);
    tree.file("proc/self/cgroup", "0::/b\n");
    assert_eq!(cpus.available_of(MANY), 3);
}

#[test]
fn a_hierarchy_that_is_mounted_elsewhere_by_now_is_found() {
    let tree = Tree::v2("remounted", "/a");
    let mut cpus = Cpus::at(&tree.max("/a", "200000 100000").0);
    assert_eq!(cpus.available_of(MANY), 2);
    tree.remove("sys/fs/cgroup")
        .file("new/a/cpu.max", "300000 100000")
        .file(
            "proc/self/mountinfo",
            "31 22 0:28 / /new rw - cgroup2 cgroup2 rw\n",
        );
    assert_eq!(cpus.available_of(MANY), 3);
}

fn stat(periods: u64, throttled: u64, time: &str) -> String {
    format!(
        "usage_usec 5000\nnr_periods {periods}\nnr_throttled {throttled}\n{time}\nnr_bursts 0\n"
    )
}

#[test]
fn throttling_is_read_in_both_versions() {
    let expected = Throttling {
        periods: 10,
        throttled: 3,
        duration: Duration::from_micros(1234),
    };
    let v2 = Tree::v2("throttled", "/a");
    v2.max("/a", "200000 100000").file(
        "sys/fs/cgroup/a/cpu.stat",
        &stat(10, 3, "throttled_usec 1234"),
    );
    assert_eq!(v2.throttling(), Some(expected));
    let v1 = Tree::cgroup("throttled-v1", "4:cpu:/a\n", V1_MOUNTS);
    v1.v1_limit(&format!("{CPUACCT}/a"), "200000", "100000")
        .file(
            &format!("{CPUACCT}/a/cpu.stat"),
            &stat(10, 3, "throttled_time 1234000"),
        );
    assert_eq!(v1.throttling(), Some(expected));
}

#[test]
fn throttling_is_that_of_the_group_with_the_lowest_quota() {
    let tree = Tree::v2("binding", "/a/b");
    for (group, periods) in [("", 1), ("/a", 2), ("/a/b", 3)] {
        tree.file(
            &format!("sys/fs/cgroup{group}/cpu.stat"),
            &stat(periods, 0, "throttled_usec 0"),
        );
    }
    let mut cpus = Cpus::at(&tree.0);
    let mut periods = || throttling_now(&mut cpus).map(|throttling| throttling.periods);
    // Nobody has one: its own.
    assert_eq!(periods(), Some(3));
    tree.max("/a", "200000 100000").max("/a/b", "300000 100000");
    assert_eq!(periods(), Some(2));
    tree.max("/a/b", "10000 100000");
    assert_eq!(periods(), Some(3));
    // The same in other words: the inner one.
    tree.max("/a", "20000 200000");
    assert_eq!(periods(), Some(3));
    tree.max("", "9000 100000");
    assert_eq!(periods(), Some(1));
    tree.remove("sys/fs/cgroup/cpu.stat");
    assert_eq!(periods(), None);
}

/// As in the root group of version 2, and in files that are cut off.
#[test]
fn throttling_that_is_told_in_part_is_not_told() {
    let tree = Tree::v2("partly", "/");
    for text in [
        "usage_usec 5\n",
        "nr_periods 1\nnr_throttled 1\n",
        "nr_periods\nnr_throttled x\nthrottled_usec -1",
        "",
    ] {
        tree.file("sys/fs/cgroup/cpu.stat", text);
        assert_eq!(tree.throttling(), None, "{text:?}");
    }
}
