//! What a stuck worker still holds, and where it goes.

use super::*;
use crate::scheduler::processor::tests::keep;

/// More than a worker moves at once, and than the monitor does in a round.
const MANY: usize = 1000;

impl Yard {
    /// This thread is a worker whose processor has been retaken; gives the orphan and the core that stands in its place.
    fn stuck(&self) -> (&'static Processor, Box<Core>) {
        let at = self.work();
        assert!(at.tenure.retake());
        let index = self.with_core(|core| core.index);
        (at, self.shared.processors[index].replace())
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
            let (_slot, core) = Slot::new(0);
            keep(core.at);
            if !self.shared.orphans.list(core.at) {
                break;
            }
        }
    }

    fn num_stocked(&self, index: usize) -> usize {
        let mut stocked = 0;
        self.shared.processors[index].each_stocked(|_| stocked += 1);
        stocked
    }
}

#[test]
fn a_worker_gives_its_core_up_once_and_an_orphan_goes_home() {
    let yard = Yard::new(1);
    assert!(yard.shared.give_up_core().is_none(), "it holds none");
    let at = yard.work();
    let core = yard.shared.give_up_core().unwrap();
    assert!(ptr::eq(core.at, at) && !local::holds_core());
    assert!(yard.shared.give_up_core().is_none());
    yard.shared.idle.lay_down(core);
    let (_, next) = yard.stuck();
    assert!(yard.shared.give_up_core().is_none(), "it is an orphan's");
    assert_eq!(yard.num_stocked(0), 1);
    assert!(!local::holds_core());
    drop(next);
}

#[test]
fn an_orphan_that_goes_home_moves_what_it_can_and_lists_the_rest() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(1);
    let (orphan, _next) = yard.stuck();
    let ids = yard.push(MANY);
    let (slot, runnable) = token();
    drop(orphan.next.put(runnable));
    assert!(yard.shared.give_up_core().is_none());
    assert!(orphan.next.is_empty() && orphan.listed.load(Ordering::Relaxed));
    assert!(yard.shared.orphans.iter().any(|at| ptr::eq(at, orphan)));
    assert!(sleepers[0].has_gift(), "somebody is woken for it");
    let moved = yard.take_global();
    assert_eq!(moved, ids[..256]);
    let rest = yard.take_queue(orphan);
    assert_eq!(
        (&rest[..MANY - 256], rest.last()),
        (&ids[256..], Some(&slot))
    );
}

#[test]
fn an_orphan_that_goes_home_with_nothing_is_not_listed_and_wakes_nobody() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(1);
    let (orphan, _next) = yard.stuck();
    assert!(yard.shared.give_up_core().is_none());
    assert!(!orphan.listed.load(Ordering::Relaxed) && !sleepers[0].has_gift());
    assert!(yard.shared.orphans.is_empty());
}

#[test]
fn an_orphan_that_goes_home_to_a_full_list_moves_everything() {
    let yard = Yard::new(1);
    let (orphan, _next) = yard.stuck();
    let ids = yard.push(MANY);
    yard.fill_list();
    assert!(yard.shared.give_up_core().is_none());
    assert!(!has_work(orphan));
    assert_eq!(yard.take_global(), ids);
}

#[test]
fn what_an_orphan_pushes_is_listed_and_somebody_is_woken() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(1);
    let (orphan, _next) = yard.stuck();
    let (id, runnable) = token();
    yard.shared.submit(runnable, false);
    assert!(orphan.next.is_empty(), "nothing stays in an orphan's slot");
    assert!(orphan.listed.load(Ordering::Relaxed) && sleepers[0].has_gift());
    assert!(yard.take_global().is_empty());
    assert_eq!(yard.take_queue(orphan), [id]);
}

#[test]
fn what_an_orphan_pushes_beside_a_full_list_moves_on_at_once() {
    let yard = Yard::new(1);
    let (orphan, _next) = yard.stuck();
    yard.fill_list();
    let mut ids = yard.push(MANY);
    let (id, runnable) = token();
    yard.shared.submit(runnable, false);
    ids.push(id);
    assert!(!has_work(orphan));
    assert_eq!(yard.take_global(), ids);
}

#[test]
fn the_monitor_finds_what_an_orphan_hides() {
    let yard = Yard::new(1);
    let (orphan, _next) = yard.stuck();
    assert!(!yard.shared.look_after(orphan));
    assert!(yard.shared.orphans.is_empty());
    let (slot, runnable) = token();
    drop(orphan.next.put(runnable));
    assert!(yard.shared.look_after(orphan));
    assert_eq!(yard.take_global(), [slot]);
    assert!(yard.shared.orphans.is_empty(), "its queue is empty");
    let ids = yard.push(3);
    assert!(yard.shared.look_after(orphan));
    assert!(orphan.listed.load(Ordering::Relaxed));
    assert!(!yard.shared.look_after(orphan), "thieves see it now");
    // Listed already, and something in its slot.
    let (slot, runnable) = token();
    drop(orphan.next.put(runnable));
    assert!(yard.shared.look_after(orphan));
    assert_eq!(yard.take_global(), [slot]);
    assert_eq!(yard.take_queue(orphan), ids);
}

#[test]
fn what_an_orphan_hides_beside_a_full_list_is_moved_on_by_the_monitor() {
    let yard = Yard::new(1);
    let (orphan, _next) = yard.stuck();
    let ids = yard.push(MANY);
    yard.fill_list();
    assert!(yard.shared.look_after(orphan));
    assert_eq!(yard.take_global(), ids);
}

#[test]
fn whoever_robs_takes_the_slot_and_the_queue() {
    let yard = Yard::new(1);
    let at = yard.work();
    let mut ids = yard.push(5);
    let (slot, runnable) = token();
    drop(at.next.put(runnable));
    yard.shared.rob(at);
    ids.insert(0, slot);
    assert_eq!(yard.take_global(), ids);
    assert!(at.next.is_empty() && !has_work(at));
}

#[test]
fn the_stock_is_emptied_beside_thieves_round_by_round_and_at_the_end_at_once() {
    let yard = Yard::new(2);
    assert!(!yard.shared.tidy_orphans());
    let (orphan, _next) = yard.stuck();
    let ids = yard.push(MANY);
    assert!(yard.shared.give_up_core().is_none());
    assert_eq!(yard.take_global(), ids[..256]);
    assert!(!yard.shared.tidy_orphans(), "nothing has come meanwhile");
    assert_eq!(yard.take_global(), ids[256..512]);
    yard.shared.move_all_leftovers();
    assert_eq!(yard.take_global(), ids[512..]);
    assert!(orphan.listed.load(Ordering::Relaxed));
    assert!(!yard.shared.tidy_orphans());
    assert!(!orphan.listed.load(Ordering::Relaxed) && yard.shared.orphans.is_empty());
}

#[test]
fn moving_on_tells_how_many_it_has_moved() {
    let yard = Yard::new(1);
    yard.work();
    let ids = yard.push(300);
    assert_eq!(yard.with_core(|core| yard.shared.move_on(core)), 256);
    assert_eq!(yard.with_core(|core| yard.shared.move_on(core)), 44);
    assert_eq!(yard.with_core(|core| yard.shared.move_on(core)), 0);
    assert_eq!(yard.take_global(), ids);
}
