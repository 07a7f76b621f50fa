//! Who is woken where, and where threads may run.

use super::*;
use crate::machine::affinity::{self, Thread, allowed};
use crate::machine::{CpuSet, Topology};

/// Two clusters of two processors each. Their workers, parked, by processor.
fn in_two_clusters() -> (TestScheduler, Vec<Arc<ParkedWorker<Box<Core>>>>) {
    let placement = Placement::new(Arc::new(Topology::new(&[0, 1])), None);
    let test = TestScheduler::placed(4, placement);
    let mut cores = test.shared.workers.idle.take_cores();
    cores.sort_by_key(|core| core.index);
    let workers = cores.into_iter().map(|core| {
        core.processor.cluster.set(core.index / 2);
        let worker = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
        (test.shared.workers.idle).park_worker(Some(core), &worker, false, false);
        worker
    });
    let workers = workers.collect();
    (test, workers)
}

/// Who has been woken, by the index of the processor that it had.
fn woken(workers: &[Arc<ParkedWorker<Box<Core>>>]) -> Vec<usize> {
    let handed = |&index: &usize| workers[index].has_handed();
    (0..workers.len()).filter(handed).collect()
}

#[test]
fn a_worker_wakes_one_of_its_own_cluster() {
    for cluster in 0..2 {
        let (test, workers) = in_two_clusters();
        // This thread holds a processor of the cluster, the one that parked first there.
        let own = 2 * cluster;
        let core = (test.shared.workers.idle).unpark_worker(&workers[own], Some(own), cluster);
        let core = core.unwrap().core;
        this_thread::set_worker_of(Some(test.shared));
        core.processor.ownership.acquire(1);
        this_thread::put_core(core);
        test.shared.wake_one();
        assert_eq!(woken(&workers), [own + 1]);
        test.shared.workers.idle.end_search();
        // Nobody is left there.
        test.shared.wake_one();
        assert_eq!(woken(&workers).len(), 2);
        test.shared.workers.idle.end_search();
    }
}

#[test]
fn a_thread_without_a_processor_wakes_one_where_it_runs() {
    let (test, workers) = in_two_clusters();
    // The clusters are those of CPU 0 and 1, and any other is taken for the first.
    let whole = allowed(Thread::Current);
    for cpu in 0..2 {
        let one = CpuSet::from_iter([cpu]);
        if whole.as_ref().is_ok_and(|whole| whole.contains(cpu))
            && affinity::pin(Thread::Current, &one).is_ok()
        {
            test.shared.wake_one();
            assert_eq!(woken(&workers).last(), Some(&(2 * cpu + 1)));
            test.shared.workers.idle.end_search();
        }
    }
    if let Ok(whole) = whole {
        affinity::pin(Thread::Current, &whole).unwrap();
    }
}

#[test]
fn an_acquired_processor_is_where_its_holder_runs() {
    let topology = Arc::new(Topology::new(&[0, 1]));
    let test = TestScheduler::placed(2, Placement::new(topology, None));
    let whole = allowed(Thread::Current);
    for cpu in 0..2 {
        let one = CpuSet::from_iter([cpu]);
        if whole.as_ref().is_ok_and(|whole| whole.contains(cpu))
            && affinity::pin(Thread::Current, &one).is_ok()
        {
            let processor = test.work();
            assert_eq!(processor.cluster.get(), cpu);
            let core = test.shared.release().unwrap();
            test.shared.workers.idle.push_idle(core);
        }
    }
    if let Ok(whole) = whole {
        affinity::pin(Thread::Current, &whole).unwrap();
    }
}

#[test]
fn processors_are_pinned_cluster_by_cluster_and_share_cpus_if_they_must() {
    let cpus = || Some(CpuSet::from_iter([0, 1, 3, 4]));
    let order = |topology: &[u16]| {
        let placement = Placement::new(Arc::new(Topology::new(topology)), cpus());
        (0..6)
            .map(|index| placement.cpu_of(index).unwrap())
            .collect()
    };
    let orders: [Vec<usize>; 2] = [order(&[0, 1, 0, 0, 1]), order(&[])];
    assert_eq!(orders, [[0, 3, 1, 4, 0, 3], [0, 1, 3, 4, 0, 1]]);
    let nothing = Placement::new(Arc::new(Topology::new(&[])), Some(CpuSet::default()));
    assert_eq!(nothing.cpu_of(0), None);
}

/// A scheduler is used again by runtimes with the same placement only.
#[test]
fn placements_are_equal_if_nothing_differs_that_matters() {
    let new = |topology: &[u16], pinned: Option<usize>| {
        let pinned = pinned.map(|cpu| CpuSet::from_iter([cpu]));
        Placement::new(Arc::new(Topology::new(topology)), pinned)
    };
    let is_flat = |placement: Placement| placement == Placement::flat();
    assert!(is_flat(new(&[0, 0], None)), "one cluster is as any other");
    assert!(!is_flat(new(&[0, 1], None)) && !is_flat(new(&[0, 0], Some(0))));
    assert!(new(&[0, 1], Some(0)) == new(&[0, 1], Some(0)));
    assert!(new(&[0, 1], Some(0)) != new(&[0, 1], Some(1)));
    assert!(new(&[0, 1], Some(0)) != new(&[1, 0], Some(0)));
}
