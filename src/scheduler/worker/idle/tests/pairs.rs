//! Which core and which worker come together: see `lists`.

use super::*;

/// Cores that somebody holds, in clusters of four.
fn busy_in_clusters(clusters: u32) -> Idle<u32> {
    let idle = Idle::new(usize::MAX, clusters as usize);
    (0..4 * clusters).for_each(|core| idle.add(core));
    idle.take_cores();
    idle
}

/// Parks a worker with each of these cores.
fn park<const N: usize>(idle: &Idle<u32>, cores: [u32; N]) -> [Arc<ParkedWorker<u32>>; N] {
    cores.map(|core| {
        let worker = parked_worker();
        idle.park_worker(Some(core), &worker, false, false);
        worker
    })
}

/// A claim from this cluster: whom it wakes is to be this worker, with this core.
#[track_caller]
fn assert_claims(idle: &Idle<u32>, near: usize, worker: &Arc<ParkedWorker<u32>>, core: u32) {
    let claimed = woken(idle.claim(near));
    assert!(Arc::ptr_eq(&claimed, worker), "another worker");
    let resumed = idle.unpark_worker(&claimed, None, near).unwrap();
    assert_eq!((resumed.core, resumed.searching), (core, true));
    idle.end_search();
}

#[test]
fn whoever_wakes_a_worker_takes_the_core_that_it_had() {
    let idle = busy(0..8);
    let [a, b, c] = park(&idle, [5, 1, 3]);
    // A core and a worker that nobody has are left for later.
    let spare = parked_worker();
    idle.park_worker(None, &spare, false, false);
    idle.push_idle(7);
    assert_counts(&idle, 4, 0, 4, 4);
    assert_claims(&idle, 0, &c, 3);
    assert_claims(&idle, 0, &b, 1);
    assert_claims(&idle, 0, &a, 5);
    assert_claims(&idle, 0, &spare, 7);
    assert_counts(&idle, 0, 0, 0, 0);
}

#[test]
fn the_worker_with_the_driver_is_woken_last_and_with_its_own_core() {
    let idle = busy(0..8);
    let (driver, spare) = (parked_worker(), parked_worker());
    idle.park_worker(Some(2), &driver, false, true);
    idle.push_idle(4);
    assert_claims(&idle, 0, &driver, 2);
    // Its core goes to a worker that waits for one, if there is no other.
    idle.park_worker(Some(2), &driver, false, true);
    idle.park_worker(None, &spare, false, false);
    assert_claims(&idle, 0, &spare, 4);
    idle.park_worker(None, &spare, false, false);
    assert_claims(&idle, 0, &spare, 2);
    assert!(idle.claim(0).is_none());
    idle.push_idle(6);
    assert_claims(&idle, 0, &driver, 6);
    assert_counts(&idle, 0, 0, 0, 0);
}

#[test]
fn who_resumes_by_itself_takes_its_own_core_from_among_others() {
    let idle = busy(0..8);
    let [a, b, c, d] = park(&idle, [0, 1, 2, 3]);
    let driver = parked_worker();
    idle.park_worker(Some(4), &driver, false, true);
    idle.push_idle(5);
    for (worker, own) in [(&b, 1), (&d, 3), (&a, 0), (&driver, 4)] {
        let resumed = idle.unpark_worker(worker, Some(own), 0).unwrap();
        assert_eq!((resumed.core as usize, resumed.searching), (own, false));
    }
    assert!(!idle.has_driver());
    assert_claims(&idle, 0, &c, 2);
    assert_eq!(for_a_thread(idle.claim(0)), 5);
}

/// Its core was given to another: any will do, one that is nobody's first, and of those that are
/// the one that has waited for the longest.
#[test]
fn whose_core_is_gone_takes_another() {
    let idle = busy(0..8);
    let [a, b, c] = park(&idle, [0, 1, 2]);
    assert_eq!(idle.pop_idle(0), Some(0), "nobody's is there");
    idle.push_idle(7);
    assert_counts(&idle, 3, 0, 3, 3);
    assert_eq!(idle.unpark_worker(&a, Some(0), 0).unwrap().core, 7);
    idle.park_worker(None, &a, false, false);
    assert_eq!(idle.unpark_worker(&a, None, 0).unwrap().core, 1);
    assert_counts(&idle, 1, 0, 2, 2);
    assert_claims(&idle, 0, &c, 2);
    assert!(idle.unpark_worker(&b, Some(1), 0).is_none());
    assert_counts(&idle, 0, 0, 0, 0);
    // With the driver's core it is the same, when nothing else is there.
    idle.park_worker(Some(6), &b, false, true);
    assert_eq!(idle.pop_idle(0), Some(6));
    assert!(idle.has_driver());
    assert!(idle.unpark_worker(&b, Some(6), 0).is_none());
    assert!(!idle.has_driver());
}

/// Another worker has parked with the core meanwhile.
#[test]
fn a_worker_takes_no_core_for_its_own_that_another_has_parked_with() {
    let idle = busy(0..8);
    let [first] = park(&idle, [3]);
    assert_eq!(idle.pop_idle(0), Some(3));
    let [second] = park(&idle, [3]);
    assert!(idle.leave(&first, Some(3)).is_none());
    assert_counts(&idle, 1, 0, 1, 1);
    assert_claims(&idle, 0, &second, 3);
}

#[test]
fn a_processor_that_retires_leaves_its_worker() {
    let idle = busy(0..4);
    let [a, b] = park(&idle, [1, 3]);
    assert_eq!(idle.set_wanted(2), 0);
    assert_counts(&idle, 1, 0, 2, 2);
    assert_claims(&idle, 0, &a, 1);
    assert!(idle.claim(0).is_none());
    assert_eq!(idle.set_wanted(4), 1);
    assert_claims(&idle, 0, &b, 3);
}

#[test]
fn a_worker_of_the_claimer_s_cluster_is_woken_first() {
    let idle = busy_in_clusters(3);
    let [far, near, nearest, last] = park(&idle, [0, 4, 6, 8]);
    assert_claims(&idle, 1, &nearest, 6);
    assert_claims(&idle, 1, &near, 4);
    // Nobody is there any more: one of any other cluster.
    assert_claims(&idle, 1, &far, 0);
    assert_claims(&idle, 1, &last, 8);
    assert!(idle.claim(1).is_none());
    // A pair of another cluster comes before what is nobody's.
    let [far] = park(&idle, [9]);
    let spare = parked_worker();
    idle.park_worker(None, &spare, false, false);
    idle.push_idle(5);
    assert_claims(&idle, 1, &far, 9);
    assert_claims(&idle, 1, &spare, 5);
}

#[test]
fn a_core_is_taken_from_a_worker_of_the_same_cluster_if_it_must_be() {
    let idle = busy_in_clusters(2);
    park(&idle, [0, 4, 5]);
    assert_eq!(idle.pop_idle(1), Some(4));
    assert_eq!(idle.pop_idle(1), Some(5));
    assert_eq!(idle.pop_idle(1), Some(0));
    assert_counts(&idle, 0, 0, 3, 3);
}

/// The worker that had the driver has left it, and has not come to take its core yet.
#[test]
fn whoever_has_the_driver_next_leaves_its_core_to_the_last_one() {
    for claims in [false, true] {
        let idle = busy(0..8);
        let (last, next) = (parked_worker(), parked_worker());
        idle.park_worker(Some(0), &last, false, true);
        idle.park_worker(Some(1), &next, false, true);
        assert_counts(&idle, 2, 0, 1, 2);
        if claims {
            assert_claims(&idle, 0, &last, 0);
            assert_claims(&idle, 0, &next, 1);
        } else {
            for (worker, own) in [(&last, 0), (&next, 1)] {
                let resumed = idle.unpark_worker(worker, Some(own), 0).unwrap();
                assert_eq!((resumed.core as usize, resumed.searching), (own, false));
            }
        }
        assert_counts(&idle, 0, 0, 0, 0);
        // The same of a spare.
        idle.park_worker(None, &last, false, true);
        idle.park_worker(Some(1), &next, false, true);
        assert!(idle.unpark_worker(&last, None, 0).is_some());
    }
}
