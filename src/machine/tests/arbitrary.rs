//! Whatever a file contains, nothing panics, and no set or number is out of bounds.

use proptest::prelude::*;

use super::*;
use crate::machine::cpu_set::MAX_CPUS;
use crate::machine::quota::Quota;

/// Any bytes; or made of the pieces of which the kernel's files are made, so that a parser gets
/// far.
fn text() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "0",
        "1",
        "7",
        "10",
        "-",
        ",",
        ":",
        "::",
        "/",
        "..",
        "/a",
        " ",
        " - ",
        "\n",
        "\\",
        "\\040",
        "\\777",
        "cpu",
        "cpu,cpuacct",
        "cgroup",
        "cgroup2",
        "rw",
        "max",
        "99999999999999999999",
        "18446744073709551615",
        "nr_periods",
        "nr_throttled",
        "throttled_usec",
        "throttled_time",
        "31 22 0:28 / /m rw - cgroup2 x rw",
        "32 22 0:28 /.. /m rw t - cgroup x rw,cpu",
        "0::/a",
        "4:cpu:/a",
        "\u{e9}",
        "\0",
    ];
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..40);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        pieces.prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn lists_hold_only_numbers_that_a_cpu_may_have(text in text()) {
        if let Some(cpus) = CpuSet::parse(&text) {
            prop_assert!(cpus.iter().all(|cpu| cpu < MAX_CPUS));
            prop_assert!(cpus.len() <= MAX_CPUS);
        }
    }

    #[test]
    fn a_list_that_is_written_is_read_again(cpus in prop::collection::btree_set(0..MAX_CPUS, 0..50)) {
        let list = Vec::from_iter(cpus.iter().map(usize::to_string)).join(",");
        let set = CpuSet::parse(list.as_bytes()).unwrap();
        prop_assert!(set.iter().eq(cpus.iter().copied()));
        prop_assert_eq!(set, cpus.into_iter().collect());
    }

    #[test]
    fn a_limit_is_at_least_one_cpu(text in text(), period in text()) {
        for quota in [Quota::of_cpu_max(&text), Quota::new(&text, &period)].into_iter().flatten() {
            prop_assert!(quota.whole_cpus() >= 1);
        }
    }

    #[test]
    fn limits_have_the_order_of_what_they_stand_for(times in any::<[u32; 2]>(), periods in any::<[u32; 2]>()) {
        let quota = |which: usize| {
            let number = |number: u32| number.max(1).to_string().into_bytes();
            Quota::new(&number(times[which]), &number(periods[which])).unwrap()
        };
        // Fractions, multiplied by both denominators.
        let scaled = |a: u32, b: u32| u64::from(a.max(1)) * u64::from(b.max(1));
        let expected = scaled(times[0], periods[1]).cmp(&scaled(times[1], periods[0]));
        prop_assert_eq!(quota(0).cmp(&quota(1)), expected);
        prop_assert_eq!(quota(0).whole_cpus(), (times[0].max(1) / periods[0].max(1)).max(1) as usize);
        prop_assert!(expected.is_gt() || quota(0).whole_cpus() <= quota(1).whole_cpus());
    }

    #[test]
    fn statistics_are_read_or_not(text in text()) {
        let _ = Throttling::parse(&text);
    }

    /// On bytes: no file is touched.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn mounts_are_understood_or_not(membership in text(), mounts in text()) {
        use crate::machine::cgroup::hierarchy::{Version, views};
        for version in [Version::V1, Version::V2] {
            for view in views(version, &membership, &mounts) {
                prop_assert!(!view.groups(Path::new("/")).is_empty());
            }
        }
    }
}
