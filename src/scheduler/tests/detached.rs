//! What a stuck worker still holds, and where it goes.

use super::*;
use crate::scheduler::processor::tests::keep;

/// More than a worker moves at once, and than the monitor does in a round.
const MANY: usize = 1000;

impl Yard {
    /// This thread is a worker whose processor has been retaken; gives the detached processor and the core that stands in its place.
    fn stuck(&self) -> (&'static Processor, Box<Core>) {
        let processor = self.work();
        assert!(processor.ownership.retake());
        let index = self.with_core(|core| core.index);
        (processor, self.shared.queues.processors[index].replace())
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
            let (_slot, core) = ProcessorSlot::new(0);
            keep(core.processor);
            if !self.shared.queues.detached.list(core.processor) {
                break;
            }
        }
    }

    fn num_stocked(&self, index: usize) -> usize {
        let mut stocked = 0;
        self.shared.queues.processors[index].each_free(|_| stocked += 1);
        stocked
    }
}

#[test]
fn a_worker_gives_its_core_up_once_and_an_orphan_goes_home() {
    let yard = Yard::new(1);
    assert!(yard.shared.release().is_none(), "it holds none");
    let processor = yard.work();
    let core = yard.shared.release().unwrap();
    assert!(ptr::eq(core.processor, processor) && !this_thread::holds_core());
    assert!(yard.shared.release().is_none());
    yard.shared.workers.idle.push_idle(core);
    let (_, next) = yard.stuck();
    assert!(yard.shared.release().is_none(), "it is a detached one's");
    assert_eq!(yard.num_stocked(0), 1);
    assert!(!this_thread::holds_core());
    drop(next);
}

#[test]
fn an_orphan_that_goes_home_moves_what_it_can_and_lists_the_rest() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(1);
    let (detached, _next) = yard.stuck();
    let ids = yard.push(MANY);
    let (slot, runnable) = token();
    drop(detached.next.put(runnable));
    assert!(yard.shared.release().is_none());
    assert!(detached.next.is_empty() && detached.listed.load(Ordering::Relaxed));
    assert!(
        yard.shared
            .queues
            .detached
            .iter()
            .any(|processor| ptr::eq(processor, detached))
    );
    assert!(parked_workers[0].has_handed(), "somebody is woken for it");
    let moved = yard.take_global();
    assert_eq!(moved, ids[..256]);
    let rest = yard.take_queue(detached);
    assert_eq!(
        (&rest[..MANY - 256], rest.last()),
        (&ids[256..], Some(&slot))
    );
}

#[test]
fn an_orphan_that_goes_home_with_nothing_is_not_listed_and_wakes_nobody() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(1);
    let (detached, _next) = yard.stuck();
    assert!(yard.shared.release().is_none());
    assert!(!detached.listed.load(Ordering::Relaxed) && !parked_workers[0].has_handed());
    assert!(yard.shared.queues.detached.is_empty());
}

#[test]
fn an_orphan_that_goes_home_to_a_full_list_moves_everything() {
    let yard = Yard::new(1);
    let (detached, _next) = yard.stuck();
    let ids = yard.push(MANY);
    yard.fill_list();
    assert!(yard.shared.release().is_none());
    assert!(!has_work(detached));
    assert_eq!(yard.take_global(), ids);
}

#[test]
fn what_an_orphan_pushes_is_listed_and_somebody_is_woken() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(1);
    let (detached, _next) = yard.stuck();
    let (id, runnable) = token();
    yard.shared.submit(runnable, false);
    assert!(
        detached.next.is_empty(),
        "nothing stays in the slot of a detached one"
    );
    assert!(detached.listed.load(Ordering::Relaxed) && parked_workers[0].has_handed());
    assert!(yard.take_global().is_empty());
    assert_eq!(yard.take_queue(detached), [id]);
}

#[test]
fn what_an_orphan_pushes_beside_a_full_list_moves_on_at_once() {
    let yard = Yard::new(1);
    let (detached, _next) = yard.stuck();
    yard.fill_list();
    let mut ids = yard.push(MANY);
    let (id, runnable) = token();
    yard.shared.submit(runnable, false);
    ids.push(id);
    assert!(!has_work(detached));
    assert_eq!(yard.take_global(), ids);
}

#[test]
fn the_monitor_finds_what_an_orphan_hides() {
    let yard = Yard::new(1);
    let (detached, _next) = yard.stuck();
    assert!(!yard.shared.queues.check_detached(detached));
    assert!(yard.shared.queues.detached.is_empty());
    let (slot, runnable) = token();
    drop(detached.next.put(runnable));
    assert!(yard.shared.queues.check_detached(detached));
    assert_eq!(yard.take_global(), [slot]);
    assert!(yard.shared.queues.detached.is_empty(), "its queue is empty");
    let ids = yard.push(3);
    assert!(yard.shared.queues.check_detached(detached));
    assert!(detached.listed.load(Ordering::Relaxed));
    assert!(
        !yard.shared.queues.check_detached(detached),
        "thieves see it now"
    );
    // Listed already, and something in its slot.
    let (slot, runnable) = token();
    drop(detached.next.put(runnable));
    assert!(yard.shared.queues.check_detached(detached));
    assert_eq!(yard.take_global(), [slot]);
    assert_eq!(yard.take_queue(detached), ids);
}

#[test]
fn what_an_orphan_hides_beside_a_full_list_is_moved_on_by_the_monitor() {
    let yard = Yard::new(1);
    let (detached, _next) = yard.stuck();
    let ids = yard.push(MANY);
    yard.fill_list();
    assert!(yard.shared.queues.check_detached(detached));
    assert_eq!(yard.take_global(), ids);
}

#[test]
fn whoever_robs_takes_the_slot_and_the_queue() {
    let yard = Yard::new(1);
    let processor = yard.work();
    let mut ids = yard.push(5);
    let (slot, runnable) = token();
    drop(processor.next.put(runnable));
    yard.shared.queues.drain(processor);
    ids.insert(0, slot);
    assert_eq!(yard.take_global(), ids);
    assert!(processor.next.is_empty() && !has_work(processor));
}

#[test]
fn the_stock_is_emptied_beside_thieves_round_by_round_and_at_the_end_at_once() {
    let yard = Yard::new(2);
    assert!(!yard.shared.queues.sweep_detached());
    let (detached, _next) = yard.stuck();
    let ids = yard.push(MANY);
    assert!(yard.shared.release().is_none());
    assert_eq!(yard.take_global(), ids[..256]);
    assert!(
        !yard.shared.queues.sweep_detached(),
        "nothing has come meanwhile"
    );
    assert_eq!(yard.take_global(), ids[256..512]);
    yard.shared.queues.drain_all();
    assert_eq!(yard.take_global(), ids[512..]);
    assert!(detached.listed.load(Ordering::Relaxed));
    assert!(!yard.shared.queues.sweep_detached());
    assert!(!detached.listed.load(Ordering::Relaxed) && yard.shared.queues.detached.is_empty());
}

#[test]
fn moving_on_tells_how_many_it_has_moved() {
    let yard = Yard::new(1);
    yard.work();
    let ids = yard.push(300);
    assert_eq!(
        yard.with_core(|core| yard.shared.queues.move_some(core)),
        256
    );
    assert_eq!(
        yard.with_core(|core| yard.shared.queues.move_some(core)),
        44
    );
    assert_eq!(yard.with_core(|core| yard.shared.queues.move_some(core)), 0);
    assert_eq!(yard.take_global(), ids);
}
