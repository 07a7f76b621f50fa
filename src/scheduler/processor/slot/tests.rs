//! Retakes and returns in any order: a place always has an instance, no two workers hold the same
//! one, and there are no more than were ever out at once.

use std::ptr;

use proptest::prelude::*;

use super::*;
use crate::scheduler::processor::tests::{keep, token};
use crate::sync::thread;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The monitor takes the processor; its worker keeps the old core.
    Retake,
    /// One of the stuck workers comes back.
    Return(usize),
    /// The holder polls, and pushes what nobody pops before the end.
    Work,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Retake),
        any::<usize>().prop_map(Step::Return),
        Just(Step::Work)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_two_hold_an_instance_and_none_is_lost(steps in prop::collection::vec(step(), 1..60)) {
        let (slot, mut held) = ProcessorSlot::filled(3);
        let mut stuck: Vec<Box<Core>> = Vec::new();
        let (mut most, mut work) = (1, 0);
        for step in steps {
            match step {
                Step::Retake => {
                    let core = slot.replace();
                    stuck.push(std::mem::replace(&mut held, core));
                    most = most.max(stuck.len() + 1);
                }
                Step::Return(_) if stuck.is_empty() => {}
                Step::Return(n) => slot.put_free(stuck.swap_remove(n % stuck.len())),
                Step::Work => {
                    held.processor.counters.spawned.add(1);
                    held.push(token().1, true);
                    work += 1;
                }
            }
            prop_assert!(ptr::eq(slot.current(), held.processor));
            prop_assert_eq!(held.index, 3);
            let others = stuck.iter().filter(|core| ptr::eq(core.processor, held.processor)).count();
            prop_assert_eq!(others, 0);
            let (mut all, mut stocked) = (0, 0);
            slot.each(|_| all += 1);
            slot.each_free(|_| stocked += 1);
            prop_assert_eq!(all, most);
            prop_assert_eq!(stocked + stuck.len() + 1, all);
            // Nothing is lost with an instance that is out of its place.
            prop_assert_eq!(slot.sum(|processor| processor.counters.spawned.get()), work);
            prop_assert_eq!(slot.sum(|processor| processor.num_queued() as u64), work);
        }
        slot.instances.lock().all.iter().copied().for_each(keep);
    }
}

/// Who looks at all instances may take long over each, and the monitor retakes meanwhile.
#[test]
fn a_long_look_at_the_instances_holds_up_no_retake() {
    let (slot, core) = ProcessorSlot::filled(0);
    let mut looks = 0;
    slot.each(|processor| {
        looks += 1;
        assert!(ptr::eq(processor, core.processor));
        assert!(slot.instances.try_lock().is_some(), "nobody holds it");
        keep(slot.replace().processor);
    });
    assert_eq!(looks, 1, "there was one when the look began");
    keep(core.processor);
}

#[test]
fn of_two_who_fill_a_place_one_succeeds() {
    let cores = [ProcessorSlot::filled(0).1, ProcessorSlot::filled(0).1];
    let [one, two] = [cores[0].processor, cores[1].processor];
    keep(one);
    keep(two);
    for _ in 0..1000 {
        let processor = ProcessorRef::none();
        assert!(processor.get().is_none());
        let filled = thread::scope(|scope| {
            let other = scope.spawn(|| processor.fill(one));
            [processor.fill(two), other.join().unwrap()]
        });
        let expected = if filled[0] { two } else { one };
        assert_eq!(filled.iter().filter(|filled| **filled).count(), 1);
        assert!(
            processor
                .get()
                .is_some_and(|found| ptr::eq(found, expected))
        );
        assert!(!processor.fill(one));
        processor.set(None);
        assert!(processor.get().is_none());
    }
}

#[test]
fn instances_are_numbered_as_they_come_and_a_reset_takes_in_all_of_them() {
    let (slot, first) = ProcessorSlot::filled(0);
    let second = slot.replace();
    let (other_slot, stranger) = ProcessorSlot::filled(1);
    for core in [&first, &second, &stranger] {
        keep(core.processor);
    }
    let numbers = [first.processor, second.processor, stranger.processor]
        .map(|processor| slot.number_of(processor));
    assert_eq!(numbers, [Some(0), Some(1), None]);
    assert_eq!(other_slot.number_of(stranger.processor), Some(0));
    for core in [&first, &second, &stranger] {
        core.processor.counters.spawned.add(5);
    }
    let spawned = |slot: &ProcessorSlot| slot.sum(|processor| processor.counters.spawned.get());
    assert_eq!((spawned(&slot), spawned(&other_slot)), (10, 5));
    slot.reset(7);
    assert_eq!((spawned(&slot), spawned(&other_slot)), (0, 5));
}

/// So that what a runtime did can be done again, whatever its scheduler was used for before.
#[test]
fn cores_draw_the_same_numbers_from_the_same_seed() {
    let numbers = |core: &Core| [(); 20].map(|()| core.rng.below(1000));
    let draw = || {
        let (slot, first) = ProcessorSlot::filled(3);
        let second = slot.replace();
        slot.put_free(second);
        slot.reset(7);
        first.begin(7);
        let second = slot.replace();
        let third = slot.replace();
        [first, second, third].map(|core| {
            keep(core.processor);
            numbers(&core)
        })
    };
    let drawn = draw();
    assert_eq!(drawn, draw());
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
}
