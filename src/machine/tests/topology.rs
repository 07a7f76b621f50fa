//! Clusters of CPUs, on trees of files.

use super::*;

impl Tree {
    /// The caches of one CPU: level, type, and who shares it.
    fn caches(&self, cpu: usize, caches: &[(u32, &str, &str)]) -> &Tree {
        for (index, (level, kind, shared)) in caches.iter().enumerate() {
            let folder = format!("sys/devices/system/cpu/cpu{cpu}/cache/index{index}");
            for (name, text) in [
                ("level", &*level.to_string()),
                ("type", kind),
                ("shared_cpu_list", shared),
            ] {
                self.file(&format!("{folder}/{name}"), &format!("{text}\n"));
            }
        }
        self
    }

    /// Each with its own first level, the second shared by `core`, and the third by `complex`.
    fn three_levels(&self, cpu: usize, core: &str, complex: &str) -> &Tree {
        let own = cpu.to_string();
        self.caches(
            cpu,
            &[
                (1, "Data", &own),
                (1, "Instruction", &own),
                (2, "Unified", core),
                (3, "Unified", complex),
            ],
        )
    }
}

fn set(list: &str) -> CpuSet {
    CpuSet::parse(list.as_bytes()).unwrap()
}

/// The clusters in the order of their numbers.
#[track_caller]
fn assert_clusters(topology: &Topology, clusters: &[&str]) {
    let found: Vec<CpuSet> = (0..topology.clusters())
        .map(|cluster| topology.cpus_of(cluster))
        .collect();
    assert_eq!(found, Vec::from_iter(clusters.iter().map(|list| set(list))));
}

#[test]
fn two_cpus_with_one_cache_are_one_cluster() {
    let tree = Tree::new("two");
    tree.three_levels(0, "0", "0-1").three_levels(1, "1", "0-1");
    let topology = Topology::at(&tree.0, &set("0-1"));
    assert_clusters(&topology, &["0-1"]);
    assert_eq!(topology, Topology::new(&[0, 0]));
    assert_eq!(
        [0, 1, 2, 99999].map(|cpu| topology.cluster_of(cpu)),
        [Some(0), Some(0), None, None]
    );
}

/// Two core complexes of four cores each; the second threads of the cores have the numbers from 8.
fn two_complexes(test: &str) -> Tree {
    let tree = Tree::new(test);
    for cpu in 0..16 {
        let core = format!("{},{}", cpu % 8, cpu % 8 + 8);
        let complex = if cpu % 8 < 4 { "0-3,8-11" } else { "4-7,12-15" };
        tree.three_levels(cpu, &core, complex);
    }
    tree
}

#[test]
fn core_complexes_are_clusters_whatever_their_numbers() {
    let tree = two_complexes("complexes");
    let made_up = [0, 0, 0, 0, 1, 1, 1, 1].repeat(2);
    assert_eq!(Topology::at(&tree.0, &set("0-15")), Topology::new(&made_up));
    assert_clusters(
        &Topology::at(&tree.0, &set("0-15")),
        &["0-3,8-11", "4-7,12-15"],
    );
}

#[test]
fn only_the_cpus_of_the_given_set_count() {
    let tree = two_complexes("restricted");
    let of = |list| Topology::at(&tree.0, &set(list));
    assert_clusters(&of("2-5,12"), &["2-3", "4-5,12"]);
    assert_eq!(of("2-5").cluster_of(0), None);
    assert_clusters(&of("4-7,12"), &["4-7,12"]);
    // One in each: neither is near another.
    assert_clusters(&of("3,4"), &["3-4"]);
    assert_clusters(&of("9"), &["9"]);
}

#[test]
fn where_there_is_no_third_level_the_second_is_the_last() {
    let tree = Tree::new("second");
    for (cpu, shared) in [(0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")] {
        let own = cpu.to_string();
        tree.caches(
            cpu,
            &[
                (1, "Data", &own),
                (2, "Unified", shared),
                (1, "Instruction", &own),
            ],
        );
    }
    assert_clusters(&Topology::at(&tree.0, &set("0-3")), &["0-1", "2-3"]);
}

#[test]
fn an_instruction_cache_of_a_high_level_is_not_the_last() {
    let tree = Tree::new("instructions");
    for cpu in 0..4 {
        let shared = if cpu < 2 { "0-1" } else { "2-3" };
        tree.caches(cpu, &[(2, "Unified", shared), (3, "Instruction", "0-3")]);
    }
    assert_clusters(&Topology::at(&tree.0, &set("0-3")), &["0-1", "2-3"]);
}

#[test]
fn cpus_without_caches_are_one_cluster_together() {
    let tree = two_complexes("offline");
    // Offline: the folder of the CPU stays, its caches go, and the others' lists leave it out.
    for cpu in [1, 5] {
        tree.remove(&format!("sys/devices/system/cpu/cpu{cpu}/cache"));
        tree.file(&format!("sys/devices/system/cpu/cpu{cpu}/online"), "0\n");
    }
    for cpu in [0, 2, 3, 8, 9, 10, 11] {
        tree.three_levels(cpu, "0", "0,2-3,8-11");
    }
    for cpu in [4, 6, 7, 12, 13, 14, 15] {
        tree.three_levels(cpu, "0", "4,6-7,12-15");
    }
    let topology = Topology::at(&tree.0, &set("0-15,40"));
    assert_clusters(&topology, &["0,2-3,8-11", "1,5,40", "4,6-7,12-15"]);
    assert_eq!(topology.cluster_of(39), None);
}

#[test]
fn without_files_there_is_one_cluster() {
    let tree = Tree::new("none");
    assert_clusters(&Topology::at(&tree.0, &set("0-3,70")), &["0-3,70"]);
    let nobody = Topology::at(&tree.0, &CpuSet::default());
    assert_eq!((nobody.clusters(), nobody.cluster_of(0)), (1, None));
}

#[test]
fn where_each_cpu_has_its_own_last_cache_there_is_one_cluster() {
    let tree = Tree::new("alone");
    for cpu in 0..4 {
        tree.three_levels(cpu, &cpu.to_string(), &cpu.to_string());
    }
    assert_clusters(&Topology::at(&tree.0, &set("0-3")), &["0-3"]);
}

#[test]
fn files_that_contradict_each_other_leave_each_cpu_in_one_cluster() {
    let tree = Tree::new("contradiction");
    let lists = ["0-2", "1-3", "0-2", "7-9", "x", "4-999999", "6-7", "6-7"];
    for (cpu, list) in lists.into_iter().enumerate() {
        tree.caches(cpu, &[(3, "Unified", list)]);
    }
    tree.file("sys/devices/system/cpu/cpu6/cache/index0/level", "high\n");
    let topology = Topology::at(&tree.0, &set("0-7"));
    assert_clusters(&topology, &["0-2", "3-6", "7"]);
}

#[test]
fn many_cpus_are_found() {
    let tree = Tree::new("many");
    for cpu in 0..256 {
        let first = cpu / 16 * 16;
        tree.caches(cpu, &[(3, "Unified", &format!("{first}-{}", first + 15))]);
    }
    let topology = Topology::at(&tree.0, &set("0-255"));
    assert_eq!(topology.clusters(), 16);
    assert!((0..256).all(|cpu| topology.cluster_of(cpu) == Some(cpu / 16)));
}

#[test]
fn lists_are_understood() {
    for (list, cpus) in [
        ("0-3,8,10-11\n", vec![0, 1, 2, 3, 8, 10, 11]),
        ("0", vec![0]),
        ("63-64", vec![63, 64]),
        ("\n", vec![]),
        ("32767", vec![32767]),
    ] {
        let set = set(list);
        assert_eq!(Vec::from_iter(set.iter()), cpus, "{list:?}");
        assert_eq!(set.len(), cpus.len());
        assert!(cpus.iter().all(|&cpu| set.contains(cpu)));
    }
    for wrong in [
        "3-1",
        "a",
        "1,",
        ",",
        "1-",
        "-1",
        "1--2",
        "0-32768",
        "0-99999999999999999999",
        "0 1",
    ] {
        assert_eq!(CpuSet::parse(wrong.as_bytes()), None, "{wrong:?}");
    }
}

#[test]
fn sets_are_equal_by_what_they_contain() {
    let short: CpuSet = [1, 3].into_iter().collect();
    assert_eq!(CpuSet::of_words(vec![0b1010, 0, 0]), short);
    assert_ne!(CpuSet::of_words(vec![0b1010, 1]), short);
    assert!(!short.contains(100_000));
    let ignored: CpuSet = [usize::MAX, 1 << 20].into_iter().collect();
    assert_eq!(ignored.len(), 0);
}
