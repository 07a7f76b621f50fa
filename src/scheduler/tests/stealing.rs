//! Whom a thief takes from, and what.

use super::*;
use crate::machine::Topology;
use crate::scheduler::run_queues::steal::BATCH;

impl TestScheduler {
    /// An idle core.
    fn core(&self) -> Box<Core> {
        self.shared.workers.idle.pop_idle(0).unwrap()
    }

    fn detached(&self, index: usize) -> Box<Core> {
        let processor = self.shared.queues.slots()[index].current();
        processor.ownership.acquire(1);
        assert!(processor.ownership.retake());
        let core = self.shared.queues.slots()[index].replace();
        assert!(self.shared.queues.detached.list(processor));
        core
    }
}

fn id(runnable: Runnable) -> Id {
    runnable.metadata().id()
}

#[test]
fn a_thief_takes_half_of_the_first_queue_that_has_something() {
    let test = TestScheduler::new(3);
    let (thief, victim) = (test.core(), test.core());
    assert!(test.shared.queues.steal(&thief).is_none());
    let ids: Vec<Id> = (0..10)
        .map(|_| {
            let (id, runnable) = token();
            victim.queue.push(runnable);
            id
        })
        .collect();
    let (found, from) = test.shared.queues.steal(&thief).unwrap();
    assert!(ptr::eq(from, victim.processor));
    assert_eq!(id(found), ids[0]);
    assert_eq!(test.take_queue(thief.processor), ids[1..5]);
    assert_eq!(test.take_queue(victim.processor), ids[5..]);
    for _ in 0..3 * BATCH {
        victim.queue.push(token().1);
    }
    drop(test.shared.queues.steal(&thief).unwrap());
    assert_eq!(test.take_queue(thief.processor).len(), BATCH - 1);
    test.take_queue(victim.processor);
}

/// Eight processors, the first four of them in one cluster.
#[expect(
    clippy::vec_box,
    reason = "a core moves from thread to thread as a box"
)]
fn in_two_clusters() -> (TestScheduler, Vec<Box<Core>>) {
    let topology = Arc::new(Topology::new(&[0, 1]));
    let placement = Placement::new(topology, None);
    let test = TestScheduler::placed(8, placement);
    let mut cores: Vec<_> = (0..8).map(|_| test.core()).collect();
    cores.sort_by_key(|core| core.index);
    for core in &cores {
        core.processor.cluster.set(core.index / 4);
    }
    (test, cores)
}

/// Whichever of its own cluster it is, however many others have work.
#[test]
fn a_thief_looks_in_its_own_cluster_first() {
    let (test, cores) = in_two_clusters();
    let steal = |thief: usize| test.shared.queues.steal(&cores[thief]);
    for round in 0..50 {
        for core in &cores {
            core.queue.push(token().1);
        }
        let thief = round % 8;
        test.take_queue(cores[thief].processor);
        let mut found = Vec::new();
        while let Some((runnable, victim)) = steal(thief) {
            drop(runnable);
            found.push(test.shared.queues.index_of(victim).unwrap());
        }
        let clusters: Vec<_> = found.iter().map(|victim| victim / 4).collect();
        let (near, far) = (thief / 4, 1 - thief / 4);
        assert_eq!(clusters, [near, near, near, far, far, far, far]);
        found.sort_unstable();
        let others: Vec<_> = (0..8).filter(|&other| other != thief).collect();
        assert_eq!(found, others, "each is found once");
    }
}

/// Within the cluster and beyond it the order is a new one each time.
#[test]
fn the_order_within_a_cluster_is_random() {
    let (test, cores) = in_two_clusters();
    for thieves_cluster in 0..2 {
        let thief = &cores[4 * thieves_cluster];
        let victims = 4 * thieves_cluster + 1..4 * thieves_cluster + 4;
        let mut first = [false; 8];
        for _ in 0..200 {
            for victim in victims.clone() {
                cores[victim].queue.push(token().1);
            }
            let (_, from) = test.shared.queues.steal(thief).unwrap();
            first[test.shared.queues.index_of(from).unwrap()] = true;
            for victim in victims.clone() {
                test.take_queue(cores[victim].processor);
            }
        }
        for victim in victims {
            assert!(first[victim], "{victim} is never the first");
        }
    }
}

/// A queue in the farthest cluster comes before a slot in the own one.
#[test]
fn a_queue_of_another_cluster_comes_before_a_slot() {
    let (test, cores) = in_two_clusters();
    drop(cores[1].processor.next.put(token().1));
    let (expected, runnable) = token();
    cores[7].queue.push(runnable);
    let (found, from) = test.shared.queues.steal(&cores[0]).unwrap();
    assert!(ptr::eq(from, cores[7].processor) && id(found) == expected);
    let (_, from) = test.shared.queues.steal(&cores[0]).unwrap();
    assert!(ptr::eq(from, cores[1].processor));
    drop(cores[6].processor.next.put(token().1));
    let (_, from) = test.shared.queues.steal(&cores[0]).unwrap();
    assert!(ptr::eq(from, cores[6].processor), "a slot far away, too");
}

/// It may be the only one who has work.
#[test]
fn a_thief_does_not_take_from_itself() {
    let test = TestScheduler::new(2);
    let thief = test.core();
    thief.queue.push(token().1);
    drop(thief.processor.next.put(token().1));
    assert!(test.shared.queues.steal(&thief).is_none());
    assert!(!thief.processor.next.is_empty());
    test.take_queue(thief.processor);
}

#[test]
fn a_slot_is_taken_from_a_poll_that_lasts() {
    let test = TestScheduler::new(2);
    let (thief, victim) = (test.core(), test.core());
    let (expected, runnable) = token();
    drop(victim.processor.next.put(runnable));
    let (found, from) = test.shared.queues.steal(&thief).unwrap();
    assert!(ptr::eq(from, victim.processor) && victim.processor.next.is_empty());
    assert_eq!(id(found), expected);
    // A queue comes before any slot, on whatever pass.
    drop(victim.processor.next.put(token().1));
    let (expected, runnable) = token();
    victim.queue.push(runnable);
    assert_eq!(id(test.shared.queues.steal(&thief).unwrap().0), expected);
    assert!(!victim.processor.next.is_empty());
}

#[test]
fn one_processor_has_nobody_to_take_from_but_detached_ones() {
    let test = TestScheduler::new(1);
    let thief = test.core();
    assert!(test.shared.queues.steal(&thief).is_none());
    drop(this_thread::take_core());
    // The thief's own core is retaken: what stands in the place now searches.
    let next = test.detached(0);
    assert!(test.shared.queues.steal(&next).is_none());
    let (expected, runnable) = token();
    thief.queue.push(runnable);
    let (found, from) = test.shared.queues.steal(&next).unwrap();
    assert!(ptr::eq(from, thief.processor));
    assert_eq!(id(found), expected);
    assert!(test.shared.queues.steal(&next).is_none());
}

#[test]
fn a_busy_worker_steals_one_of_what_the_stuck_have() {
    let test = TestScheduler::new(2);
    let (busy, stuck) = (test.core(), test.core());
    let (first, one) = token();
    let (second, two) = token();
    let stolen = || test.shared.queues.steal_detached(&busy).map(id);
    assert_eq!(stolen(), None);
    let _next = test.detached(stuck.index);
    assert_eq!(stolen(), None);
    stuck.queue.push(one);
    stuck.queue.push(two);
    assert_eq!(stolen(), Some(first));
    assert_eq!(stolen(), Some(second));
    assert!(!has_work(busy.processor), "it is the worker that queues it");
}

/// A detached processor whose queue is empty hides none of the others.
#[test]
fn whoever_steals_looks_at_all_detached_processors() {
    let test = TestScheduler::new(4);
    let cores: Vec<_> = (0..4).map(|_| test.core()).collect();
    let (busy, stuck) = cores.split_first().unwrap();
    let _nexts: Vec<_> = stuck.iter().map(|core| test.detached(core.index)).collect();
    for _ in 0..20 {
        for core in stuck {
            let (expected, runnable) = token();
            core.queue.push(runnable);
            assert_eq!(
                test.shared.queues.steal_detached(busy).map(id),
                Some(expected)
            );
        }
    }
}

/// Whoever comes to it first: slots are looked at on the last pass only.
#[test]
fn a_queue_anywhere_comes_before_a_slot() {
    for _ in 0..50 {
        let test = TestScheduler::new(3);
        let (thief, one, other) = (test.core(), test.core(), test.core());
        drop(one.processor.next.put(token().1));
        let (expected, runnable) = token();
        other.queue.push(runnable);
        assert_eq!(id(test.shared.queues.steal(&thief).unwrap().0), expected);
        assert!(!one.processor.next.is_empty());
    }
}
