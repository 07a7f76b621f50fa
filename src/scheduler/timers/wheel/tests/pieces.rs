//! Many timers of one tick: fired and dealt out in pieces.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{advance, alive, id, waker};
use crate::scheduler::timers::wheel::{BITS, Key, LEVELS, MOVES, PIECE, SLOTS, SPARE, Wheel};

/// One call that fires in pieces of so many.
fn advance_once(wheel: &mut Wheel, now: u64, piece: usize) -> Vec<usize> {
    let mut fired = Vec::new();
    wheel.advance(now, piece, &mut fired);
    fired.iter().map(id).collect()
}

/// Many of one tick, and one of each tick after it: these do not wait for all of those.
#[test]
fn a_large_tick_and_those_after_it_advance_side_by_side() {
    const MASS: usize = 1000;
    const FEW: usize = 10;
    for base in [100, 5000, 300_000] {
        let mut wheel = Wheel::new();
        for id in 0..MASS {
            wheel.insert(base, waker(id));
        }
        // To where all of them have been dealt out.
        assert!(advance(&mut wheel, base - 1).is_empty());
        let now = base + 20;
        for n in 1..=20 {
            wheel.insert(base + n, waker(MASS + n as usize));
        }
        let (mut fired, mut singles_after) = (Vec::new(), None);
        let mut calls = 0;
        while wheel.next_expiry().is_some_and(|next| next <= now) {
            let some = advance_once(&mut wheel, now, FEW);
            assert!(some.len() <= 2 * FEW);
            fired.extend(some);
            calls += 1;
            if fired.iter().filter(|&&id| id > MASS).count() == 20 {
                singles_after.get_or_insert(fired.len());
            }
        }
        assert!(calls <= MASS / FEW + 10, "{calls} calls");
        assert!(
            singles_after.is_some_and(|after| after <= 20 * FEW),
            "{singles_after:?}"
        );
        let in_order: Vec<usize> = fired.iter().copied().filter(|&id| id < MASS).collect();
        assert!(
            in_order.iter().copied().eq(0..MASS),
            "within a tick the first armed fires first"
        );
        assert_eq!(
            (fired.len(), wheel.len(), wheel.next_expiry()),
            (MASS + 20, 0, None)
        );
    }
}

#[test]
fn a_timer_in_a_backlog_can_be_cancelled_moved_and_given_another_waker() {
    let mut wheel = Wheel::new();
    let keys: Vec<Key> = (0..100).map(|id| wheel.insert(7, waker(id))).collect();
    // One slot gets half of a piece.
    assert_eq!(advance_once(&mut wheel, 7, 20), Vec::from_iter(0..10));
    for (id, &key) in keys.iter().enumerate() {
        match id {
            ..10 => assert!(wheel.cancel(key).is_none()),
            10 | 50 | 99 => assert!(wheel.cancel(key).is_some()),
            11 | 51 | 98 => assert!(wheel.reset(key, 9)),
            12 => drop(wheel.replace_waker(key, waker(1000)).unwrap()),
            _ => {}
        }
    }
    let mut fired = Vec::new();
    while wheel.next_expiry() == Some(7) {
        fired.extend(advance_once(&mut wheel, 7, 10));
    }
    let mut expected = vec![1000];
    expected.extend((13..100).filter(|id| ![50, 51, 98, 99].contains(id)));
    assert_eq!(fired, expected);
    assert_eq!(advance(&mut wheel, 9), [11, 51, 98]);
    assert_eq!(wheel.len(), 0);
}

/// More large ticks than there are spare lists: then the wheel stands still for a while, and
/// nothing is lost.
#[test]
fn more_large_ticks_than_spare_lists_all_fire() {
    for (ticks, distance) in [(SPARE as u64 + 20, 1), (5, 4096)] {
        let mut wheel = Wheel::new();
        for n in 0..ticks {
            for id in 0..50 {
                wheel.insert(1 + n * distance, waker(id));
            }
        }
        let (now, mut count) = (ticks * distance, 0);
        while wheel.next_expiry().is_some_and(|next| next <= now) {
            let some = advance_once(&mut wheel, now, 1).len();
            assert!(some <= 2);
            count += some;
        }
        assert_eq!((count as u64, wheel.len()), (ticks * 50, 0));
        assert_eq!(
            (wheel.num_spare, wheel.backlog.len(), wheel.undealt.len()),
            (SPARE, 0, 0)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In pieces, with changes in between, each timer fires once, when it is due, or is cancelled.
    #[test]
    fn pieces_fire_each_timer_once_and_none_early(
        steps in prop::collection::vec((0u64..3000, 1usize..4, any::<usize>(), 0u8..4), 1..200),
    ) {
        let mut wheel = Wheel::new();
        let (mut armed, mut now) = (BTreeMap::new(), 0);
        for (n, (distance, piece, which, what)) in steps.into_iter().enumerate() {
            let at = now + distance / 300 * 300;
            for id in 4 * n..4 * n + 4 {
                armed.insert(id, (at, wheel.insert(at, waker(id))));
            }
            let (&other, &(_, key)) = armed.iter().nth(which % armed.len()).unwrap();
            match what {
                0 => {
                    prop_assert_eq!(wheel.cancel(key).as_ref().map(id), Some(other));
                    armed.remove(&other);
                }
                1 => {
                    prop_assert!(wheel.reset(key, at + 1));
                    armed.insert(other, (at + 1, key));
                }
                _ => now += distance,
            }
            let fired = advance_once(&mut wheel, now, piece);
            prop_assert!(fired.len() <= 2 * piece);
            for id in fired {
                let timer = armed.remove(&id);
                prop_assert!(timer.is_some_and(|(tick, _)| tick <= now), "{id} at {now}: {timer:?}");
            }
            prop_assert_eq!(wheel.len(), armed.len());
            let overdue = armed.values().any(|&(tick, _)| tick <= now);
            prop_assert!(!overdue || wheel.next_expiry().is_some_and(|next| next <= now));
        }
        while wheel.next_expiry().is_some_and(|next| next <= now + 3001) {
            for id in advance_once(&mut wheel, now + 3001, 2) {
                prop_assert!(armed.remove(&id).is_some());
            }
        }
        prop_assert!(armed.is_empty());
        prop_assert_eq!(alive(0), 0);
    }
}

/// A timer that was armed shortly before, for shortly after, the deadline of very many.
#[test]
fn a_timer_armed_late_does_not_wait_until_a_large_slot_is_dealt_out() {
    const MASS: usize = 100_000;
    for base in [62_500, 62_500 + 30, 70_000 / 64 * 64 + 1] {
        let mut wheel = Wheel::new();
        for id in 0..MASS {
            wheel.insert(base, waker(id));
        }
        let (mut now, mut late) = (0, None);
        while now < base - 30 {
            now += 4;
            assert!(advance_once(&mut wheel, now, PIECE).is_empty());
        }
        wheel.insert(base + 37, waker(MASS));
        let (mut fired, mut looks) = (0, 0);
        while fired <= MASS {
            // The time that the polls of a piece take.
            now += 4;
            let some = advance_once(&mut wheel, now, PIECE);
            looks += 1;
            if some.contains(&MASS) {
                late = Some((now - base - 37, looks));
            }
            fired += some.len();
        }
        assert!(
            late.is_some_and(|(late, _)| late < 200),
            "{base}: {late:?} of {looks}"
        );
    }
}

/// Then nothing but the next tick is due next.
#[test]
fn a_piece_that_ends_between_two_slots_leaves_the_next_one_where_it_is() {
    let mut wheel = Wheel::new();
    for tick in 1..=10 {
        wheel.insert(tick, waker(tick as usize));
    }
    let mut fired = Vec::new();
    assert_eq!(wheel.advance(10, 3, &mut fired), 3);
    assert_eq!(wheel.next_expiry(), Some(4));
    assert_eq!(wheel.advance(10, 100, &mut fired), 7);
    assert!(fired.iter().map(id).eq(1..=10));
}

#[test]
fn nothing_is_due_when_what_was_left_has_been_cancelled() {
    let mut wheel = Wheel::new();
    let keys = Vec::from_iter((0..10).map(|name| wheel.insert(5, waker(name))));
    let mut fired = Vec::new();
    assert_eq!(wheel.advance(5, 4, &mut fired), 2);
    assert!(wheel.is_late());
    let cancelled = keys.into_iter().filter_map(|key| wheel.cancel(key));
    assert_eq!(cancelled.count(), 8);
    assert_eq!((wheel.len(), wheel.next_expiry()), (0, None));
}

/// Each list that was taken out of a slot is another one, and none is a slot's.
#[test]
fn as_many_large_slots_as_there_are_spare_lists_are_kept_apart() {
    const EACH: usize = 2 * SPARE;
    let mut wheel = Wheel::new();
    let mut deadlines = Vec::new();
    for tick in 0..SPARE as u64 {
        deadlines.extend([tick; EACH]);
    }
    // One in each slot of the other levels, and one beyond them.
    for level in 1..LEVELS as u32 {
        deadlines.extend((1..SLOTS as u64).map(|digit| digit << (level * BITS)));
    }
    deadlines.push(1 << (LEVELS as u32 * BITS));
    for (name, &deadline) in deadlines.iter().enumerate() {
        wheel.insert(deadline, waker(name));
    }
    let mut fired = Vec::new();
    for _ in 0..SPARE {
        wheel.advance(SPARE as u64 - 1, 1, &mut fired);
    }
    assert_eq!(wheel.num_spare, 0);
    while wheel.len() > 0 {
        let now = wheel.next_expiry().expect("there are timers");
        wheel.advance(now, PIECE, &mut fired);
    }
    let mut fired = Vec::from_iter(fired.iter().map(id));
    fired.sort_unstable();
    assert!(fired.into_iter().eq(0..deadlines.len()));
}

/// The rest of a slot that is being dealt out, with what is due and what is not.
#[test]
fn a_call_deals_out_a_piece_and_what_is_due_later_stays() {
    // The one that is not due comes in the middle of a piece.
    const DUE: usize = 2 * MOVES - 5;
    let mut wheel = Wheel::new();
    // All of them wait in one slot of the second level.
    let deadlines = [64; DUE].into_iter().chain([100]).chain([64; DUE]);
    for (name, deadline) in deadlines.enumerate() {
        wheel.insert(deadline, waker(name));
    }
    assert_eq!(advance_once(&mut wheel, 64, 1), [0]);
    assert_eq!(wheel.undealt.len(), 1, "more than a piece is left");
    let mut fired = Vec::new();
    while wheel.next_expiry().is_some_and(|next| next <= 64) {
        fired.extend(advance_once(&mut wheel, 64, 1));
    }
    assert_eq!(fired.len(), 2 * DUE - 1);
    assert_eq!((wheel.len(), wheel.next_expiry()), (1, Some(100)));
    assert_eq!(advance(&mut wheel, 100), [DUE]);
}
