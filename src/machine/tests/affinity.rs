//! Masks of threads, on this machine.

use super::*;
#[allow(unused_imports)] // Where masks cannot be set.
use crate::machine::affinity::{Thread, allowed, current_cpu, pin};

#[cfg(any(target_os = "linux", target_os = "android"))]
fn own_number() -> u32 {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// The kernel refuses a mask that has not room for all CPUs.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_mask_that_is_too_short_grows() {
    use crate::machine::affinity::allowed_from;

    let known = allowed(Thread::Current).unwrap();
    assert!(known.len() > 0);
    assert_eq!(allowed_from(Thread::Current, 1).unwrap(), known);
    let enough = crate::machine::cpu_set::MAX_CPUS;
    assert_eq!(allowed_from(Thread::Current, enough).unwrap(), known);
}

/// On a thread of its own: the mask ends with it.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_pinned_thread_runs_where_it_was_pinned_and_others_where_they_were() {
    let before = allowed(Thread::Current).unwrap();
    let seen = before.clone();
    thread::spawn(move || {
        for cpu in seen.iter() {
            let alone: CpuSet = [cpu].into_iter().collect();
            pin(Thread::Current, &alone).unwrap();
            assert_eq!(current_cpu(), Some(cpu));
            assert_eq!(allowed(Thread::Current).unwrap(), alone);
            assert_eq!(allowed(Thread::Number(own_number())).unwrap(), alone);
            assert_eq!(num_allowed(), 1);
        }
        pin(Thread::Number(own_number()), &seen).unwrap();
        assert_eq!(allowed(Thread::Current).unwrap(), seen);
    })
    .join()
    .unwrap();
    assert_eq!(allowed(Thread::Current).unwrap(), before);
    assert!(current_cpu().is_some_and(|cpu| before.contains(cpu)));
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_mask_that_cannot_be_is_refused() {
    let own = allowed(Thread::Current).unwrap();
    assert!(pin(Thread::Current, &CpuSet::default()).is_err());
    let nowhere: CpuSet = [crate::machine::cpu_set::MAX_CPUS - 1]
        .into_iter()
        .collect();
    assert!(pin(Thread::Current, &nowhere).is_err());
    for nobody in [0, i32::MAX as u32, u32::MAX] {
        assert!(pin(Thread::Number(nobody), &own).is_err());
        assert!(allowed(Thread::Number(nobody)).is_err());
    }
    assert_eq!(allowed(Thread::Current).unwrap(), own);
}

#[test]
fn the_counts_of_this_machine_are_those_of_the_standard_library() {
    let standard = thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(Cpus::new().available_of(num_allowed()), standard);
}

#[test]
fn each_cpu_of_this_thread_has_a_cluster_on_this_machine() {
    let Ok(cpus) = allowed(Thread::Current) else {
        // Off Linux, or in a sandbox that forbids the question.
        return;
    };
    let topology = Topology::of(&cpus);
    assert!((1..=cpus.len()).contains(&topology.clusters()));
    let sizes = (0..topology.clusters()).map(|cluster| topology.cpus_of(cluster).len());
    assert_eq!(sizes.sum::<usize>(), cpus.len());
}
