//! What a stuck worker still holds, and where it goes.

use super::*;
use crate::scheduler::processor::tests::keep;

/// More than a worker moves at once, and than the monitor does in a round.
const MANY: usize = 1000;

impl TestScheduler {
    /// This thread is a worker whose processor has been retaken; gives the detached processor and
    /// the core that stands in its place.
    fn stuck(&self) -> (&'static Processor, Box<Core>) {
        let processor = self.work();
        assert!(processor.ownership.retake());
        let index = self.with_core(|core| core.index);
        (processor, self.shared.queues.slots()[index].replace())
    }

    fn push(&self, count: usize) -> Vec<Id> {
        (0..count)
            .map(|_| {
                let (id, runnable) = token();
                self.with_core(|core| core.queue.push(runnable));
                id
            })
            .collect()
    }

    /// Places of the list without room for another one.
    fn fill_list(&self) {
        loop {
            let (_slot, core) = ProcessorSlot::filled(0);
            keep(core.processor);
            if !self.shared.queues.detached.list(core.processor) {
                break;
            }
        }
    }

    fn num_free(&self, index: usize) -> usize {
        let mut stocked = 0;
        self.shared.queues.slots()[index].each_free(|_| stocked += 1);
        stocked
    }
}

#[test]
fn a_worker_releases_its_core_once_and_a_detached_one_is_reclaimed() {
    let test = TestScheduler::new(1);
    assert!(test.shared.release().is_none(), "it holds none");
    let processor = test.work();
    let core = test.shared.release().unwrap();
    assert!(ptr::eq(core.processor, processor) && !this_thread::holds_core());
    assert!(test.shared.release().is_none());
    test.shared.workers.idle.push_idle(core);
    let (_, next) = test.stuck();
    assert!(test.shared.release().is_none(), "it is a detached one's");
    assert_eq!(test.num_free(0), 1);
    assert!(!this_thread::holds_core());
    drop(next);
}

#[test]
fn a_reclaim_moves_what_it_can_and_lists_the_rest() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(1);
    let (detached, _next) = test.stuck();
    let ids = test.push(MANY);
    let (slot, runnable) = token();
    drop(detached.next.put(runnable));
    assert!(test.shared.release().is_none());
    assert!(detached.next.is_empty() && detached.listed.load(Ordering::Relaxed));
    assert!(
        test.shared
            .queues
            .detached
            .iter()
            .any(|processor| ptr::eq(processor, detached))
    );
    assert!(parked_workers[0].has_handed(), "somebody is woken for it");
    let moved = test.take_global();
    assert_eq!(moved, ids[..256]);
    let rest = test.take_queue(detached);
    assert_eq!(
        (&rest[..MANY - 256], rest.last()),
        (&ids[256..], Some(&slot))
    );
}

#[test]
fn a_reclaim_of_nothing_lists_nothing_and_wakes_nobody() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(1);
    let (detached, _next) = test.stuck();
    assert!(test.shared.release().is_none());
    assert!(!detached.listed.load(Ordering::Relaxed) && !parked_workers[0].has_handed());
    assert!(test.shared.queues.detached.is_empty());
}

#[test]
fn a_reclaim_beside_a_full_list_moves_everything() {
    let test = TestScheduler::new(1);
    let (detached, _next) = test.stuck();
    let ids = test.push(MANY);
    test.fill_list();
    assert!(test.shared.release().is_none());
    assert!(!has_work(detached));
    assert_eq!(test.take_global(), ids);
}

#[test]
fn what_a_detached_processor_gets_is_listed_and_somebody_is_woken() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(1);
    let (detached, _next) = test.stuck();
    let (id, runnable) = token();
    test.shared.submit(runnable, false);
    assert!(
        detached.next.is_empty(),
        "nothing stays in the slot of a detached one"
    );
    assert!(detached.listed.load(Ordering::Relaxed) && parked_workers[0].has_handed());
    assert!(test.take_global().is_empty());
    assert_eq!(test.take_queue(detached), [id]);
}

#[test]
fn what_a_detached_processor_gets_beside_a_full_list_moves_on_at_once() {
    let test = TestScheduler::new(1);
    let (detached, _next) = test.stuck();
    test.fill_list();
    let mut ids = test.push(MANY);
    let (id, runnable) = token();
    test.shared.submit(runnable, false);
    ids.push(id);
    assert!(!has_work(detached));
    assert_eq!(test.take_global(), ids);
}

#[test]
fn the_monitor_finds_what_a_detached_processor_hides() {
    let test = TestScheduler::new(1);
    let (detached, _next) = test.stuck();
    assert!(!test.shared.queues.check_detached(detached));
    assert!(test.shared.queues.detached.is_empty());
    let (slot, runnable) = token();
    drop(detached.next.put(runnable));
    assert!(test.shared.queues.check_detached(detached));
    assert_eq!(test.take_global(), [slot]);
    assert!(test.shared.queues.detached.is_empty(), "its queue is empty");
    let ids = test.push(3);
    assert!(test.shared.queues.check_detached(detached));
    assert!(detached.listed.load(Ordering::Relaxed));
    assert!(
        !test.shared.queues.check_detached(detached),
        "thieves see it now"
    );
    // Listed already, and something in its slot.
    let (slot, runnable) = token();
    drop(detached.next.put(runnable));
    assert!(test.shared.queues.check_detached(detached));
    assert_eq!(test.take_global(), [slot]);
    assert_eq!(test.take_queue(detached), ids);
}

#[test]
fn what_a_detached_processor_hides_beside_a_full_list_is_moved_on_by_the_monitor() {
    let test = TestScheduler::new(1);
    let (detached, _next) = test.stuck();
    let ids = test.push(MANY);
    test.fill_list();
    assert!(test.shared.queues.check_detached(detached));
    assert_eq!(test.take_global(), ids);
}

#[test]
fn whoever_robs_takes_the_slot_and_the_queue() {
    let test = TestScheduler::new(1);
    let processor = test.work();
    let mut ids = test.push(5);
    let (slot, runnable) = token();
    drop(processor.next.put(runnable));
    test.shared.queues.drain(processor);
    ids.insert(0, slot);
    assert_eq!(test.take_global(), ids);
    assert!(processor.next.is_empty() && !has_work(processor));
}

#[test]
fn free_cores_are_emptied_beside_thieves_round_by_round_and_at_the_end_at_once() {
    let test = TestScheduler::new(2);
    assert!(!test.shared.queues.sweep_detached());
    let (detached, _next) = test.stuck();
    let ids = test.push(MANY);
    assert!(test.shared.release().is_none());
    assert_eq!(test.take_global(), ids[..256]);
    assert!(
        !test.shared.queues.sweep_detached(),
        "nothing has come meanwhile"
    );
    assert_eq!(test.take_global(), ids[256..512]);
    test.shared.queues.drain_all();
    assert_eq!(test.take_global(), ids[512..]);
    assert!(detached.listed.load(Ordering::Relaxed));
    assert!(!test.shared.queues.sweep_detached());
    assert!(!detached.listed.load(Ordering::Relaxed) && test.shared.queues.detached.is_empty());
}

#[test]
fn moving_on_tells_how_many_it_has_moved() {
    let test = TestScheduler::new(1);
    test.work();
    let ids = test.push(300);
    assert_eq!(
        test.with_core(|core| test.shared.queues.move_some(core)),
        256
    );
    assert_eq!(
        test.with_core(|core| test.shared.queues.move_some(core)),
        44
    );
    assert_eq!(test.with_core(|core| test.shared.queues.move_some(core)), 0);
    assert_eq!(test.take_global(), ids);
}
