//! The wheel against a model (an ordered map), and against the hazards named by the tests.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::task::{RawWaker, RawWakerVTable};

mod pieces;

thread_local! {
    /// Wakers of [`waker`] alive on this thread.
    static ALIVE: Cell<isize> = const { Cell::new(0) };
}

fn alive(change: isize) -> isize {
    ALIVE.with(|alive| {
        alive.set(alive.get() + change);
        alive.get()
    })
}

/// A waker that is only a number. The wheel must not clone, wake or forget it.
fn waker(id: usize) -> Waker {
    fn dropped(_: *const ()) {
        alive(-1);
    }
    fn cloned(_: *const ()) -> RawWaker {
        panic!("the wheel cloned a waker");
    }
    fn woken(_: *const ()) {
        panic!("the wheel woke a waker");
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(cloned, woken, woken, dropped);
    alive(1);
    // SAFETY: the functions never follow the pointer, which only carries a number; they touch one
    // thread-local counter, and the tests do not send wakers to other threads.
    unsafe { Waker::new(std::ptr::without_provenance(id), &TABLE) }
}

fn id(waker: &Waker) -> usize {
    waker.data().addr()
}

fn advance(wheel: &mut Wheel, now: u64) -> Vec<usize> {
    let mut fired = Vec::new();
    let count = wheel.advance(now, usize::MAX, &mut fired);
    assert_eq!(count, fired.len());
    fired.iter().map(id).collect()
}

#[test]
#[cfg(target_pointer_width = "64")]
fn node_is_40_bytes() {
    assert_eq!(size_of::<Node>(), 40);
    assert_eq!(size_of::<Option<Key>>(), 12);
}

#[test]
fn never_early_never_late_at_every_digit_boundary() {
    for level in 0..11 {
        let unit = 1u64 << (BITS * level);
        for deadline in [unit - 1, unit, unit + 1, unit.saturating_mul(15) + 1] {
            let mut wheel = Wheel::new();
            wheel.insert(deadline, waker(1));
            if deadline > 0 {
                assert!(advance(&mut wheel, deadline - 1).is_empty());
            }
            assert_eq!(wheel.len(), 1);
            assert_eq!(wheel.next_expiry(), Some(deadline));
            assert_eq!(advance(&mut wheel, deadline), [1]);
            assert_eq!(wheel.next_expiry(), None);
        }
    }
}

#[test]
fn overdue_timer_fires_at_the_next_advance() {
    let mut wheel = Wheel::new();
    wheel.insert(0, waker(0));
    assert_eq!(wheel.next_expiry(), Some(0));
    assert_eq!(advance(&mut wheel, 0), [0]);
    advance(&mut wheel, 1000);
    wheel.insert(3, waker(1));
    wheel.insert(1000, waker(2));
    assert_eq!(wheel.next_expiry(), Some(1000));
    assert!(advance(&mut wheel, 999).is_empty(), "the past is over");
    assert_eq!(advance(&mut wheel, 1000), [1, 2]);
}

#[test]
fn last_tick_of_time_is_reached() {
    let mut wheel = Wheel::new();
    wheel.insert(u64::MAX, waker(1));
    wheel.insert(u64::MAX - 1, waker(2));
    assert!(advance(&mut wheel, u64::MAX - 2).is_empty());
    assert_eq!(advance(&mut wheel, u64::MAX - 1), [2]);
    assert_eq!(advance(&mut wheel, u64::MAX), [1]);
    let key = wheel.insert(u64::MAX, waker(3));
    assert!(wheel.is_armed(key));
    assert_eq!(advance(&mut wheel, u64::MAX), [3]);
}

#[test]
fn fires_in_order_of_ticks_even_when_late() {
    let mut wheel = Wheel::new();
    let deadlines = [
        70u64,
        5,
        1 << 40,
        4096,
        5,
        300_000,
        64,
        63,
        1 << 37,
        (1 << 40) + 1,
    ];
    for (id, &deadline) in deadlines.iter().enumerate() {
        wheel.insert(deadline, waker(id));
    }
    let mut expected: Vec<usize> = (0..deadlines.len()).collect();
    expected.sort_by_key(|&id| deadlines[id]);
    assert_eq!(advance(&mut wheel, 1 << 41), expected);
}

/// Following `next_expiry` alone reaches every timer in a bounded number of steps: a waiter that
/// sleeps until then neither misses a timer nor spins.
#[test]
fn following_next_expiry_reaches_each_timer_in_few_steps() {
    for deadline in [0, 1, 63, 64, 4097, (1 << 36) - 1, 1 << 36, u64::MAX] {
        let mut wheel = Wheel::new();
        wheel.insert(deadline, waker(1));
        let mut steps = 0;
        while let Some(at) = wheel.next_expiry() {
            assert!(at <= deadline);
            advance(&mut wheel, at);
            steps += 1;
            assert!(steps <= LEVELS + 1);
        }
        assert_eq!(wheel.len(), 0);
    }
}

#[test]
fn stale_key_is_harmless_after_firing_reuse_and_drain() {
    let mut wheel = Wheel::new();
    let fired = wheel.insert(1, waker(1));
    advance(&mut wheel, 1);
    let cancelled = wheel.insert(9, waker(2));
    drop(wheel.cancel(cancelled));
    let drained = wheel.insert(9, waker(3));
    let mut into = Vec::new();
    wheel.drain(&mut into);
    assert_eq!(into.len(), 1);
    let live = wheel.insert(20, waker(4));
    assert_eq!(
        live.index, drained.index,
        "the test is about a reused place"
    );
    for stale in [fired, cancelled, drained] {
        assert!(!wheel.is_armed(stale));
        assert!(wheel.waker(stale).is_none());
        assert!(wheel.cancel(stale).is_none());
        assert!(!wheel.reset(stale, 0));
        let back = wheel.replace_waker(stale, waker(5)).unwrap_err();
        assert_eq!(id(&back), 5);
    }
    assert_eq!(wheel.waker(live).map(id), Some(4));
    assert_eq!(wheel.next_expiry(), Some(20));
}

#[test]
fn replaced_waker_fires_instead_of_the_old_one() {
    let mut wheel = Wheel::new();
    let key = wheel.insert(5, waker(1));
    let old = wheel.replace_waker(key, waker(2)).unwrap();
    assert_eq!(id(&old), 1);
    assert_eq!(advance(&mut wheel, 5), [2]);
}

#[test]
fn large_slab_is_given_back_and_small_one_kept() {
    let mut wheel = Wheel::new();
    let key = wheel.insert(5, waker(1));
    drop(wheel.cancel(key));
    assert!(wheel.nodes.capacity() > 0);
    let keys: Vec<Key> = (0..5000).map(|i| wheel.insert(i, waker(1))).collect();
    advance(&mut wheel, 2499);
    assert_eq!(wheel.len(), 2500);
    for &key in &keys {
        drop(wheel.cancel(key));
    }
    assert_eq!((wheel.len(), wheel.nodes.capacity()), (0, 0));
    for &key in &keys {
        wheel.insert(9000, waker(2));
        assert!(wheel.cancel(key).is_none());
    }
    assert_eq!(advance(&mut wheel, 9000).len(), 5000);
    assert_eq!(wheel.nodes.capacity(), 0);
}

#[test]
fn steady_state_reuses_the_slab() {
    let mut wheel = Wheel::new();
    for round in 0..10_000 {
        let kept = wheel.insert(round + 3, waker(1));
        let cancelled = wheel.insert(round + 70, waker(2));
        drop(wheel.cancel(cancelled));
        assert!(wheel.reset(kept, round + 1));
        assert_eq!(advance(&mut wheel, round + 1), [1]);
    }
    assert_eq!(wheel.nodes.len(), 2);
}

/// A year of ticks must not be walked one by one, neither empty nor with a far timer.
#[test]
fn huge_jumps_cost_nothing() {
    let mut wheel = Wheel::new();
    for jump in 1..10_000u64 {
        wheel.insert(u64::MAX, waker(1));
        assert!(advance(&mut wheel, jump << 48).is_empty());
    }
    assert_eq!(wheel.len(), 9_999);
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u64),
    Cancel(usize),
    Reset(usize, u64),
    Replace(usize),
    Advance(u64),
    AdvanceToNext,
    Drain,
}

/// Distances of every magnitude, with the edges of digits made likely.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..200,
        4 => (0u32..64, 0u64..64, -1i64..=1).prop_map(|(shift, factor, off)| {
            factor.saturating_mul(1 << shift).saturating_add_signed(off)
        }),
        1 => Just(0),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => distance().prop_map(Step::Insert),
        4 => any::<usize>().prop_map(Step::Cancel),
        4 => (any::<usize>(), distance()).prop_map(|(key, at)| Step::Reset(key, at)),
        2 => any::<usize>().prop_map(Step::Replace),
        6 => (0u64..100_000).prop_map(Step::Advance),
        1 => distance().prop_map(Step::Advance),
        6 => Just(Step::AdvanceToNext),
        1 => Just(Step::Drain),
    ]
}

/// What the wheel must do: armed timers by number.
#[derive(Default)]
struct Model {
    now: u64,
    keys: Vec<Key>,
    /// Number of the key → (tick at which it fires, waker).
    armed: BTreeMap<usize, (u64, usize)>,
    wakers: usize,
}

impl Model {
    fn waker(&mut self) -> usize {
        self.wakers += 1;
        self.wakers
    }

    /// An absolute tick: mostly after the present, sometimes before it.
    fn tick(&self, distance: u64) -> u64 {
        if distance % 7 == 3 {
            self.now.saturating_sub(distance)
        } else {
            self.now.saturating_add(distance)
        }
    }

    fn earliest(&self) -> Option<u64> {
        self.armed.values().map(|&(tick, _)| tick).min()
    }

    fn advance(&mut self, wheel: &mut Wheel, to: u64) {
        let earliest = self.earliest();
        let fired = advance(wheel, to);
        let mut due = Vec::new();
        if to >= self.now {
            self.now = to;
            self.armed.retain(|_, &mut (tick, waker)| {
                let keep = tick > to;
                if !keep {
                    due.push((tick, waker));
                }
                keep
            });
        }
        // In the order of ticks; among equals any.
        let tick_of: BTreeMap<usize, u64> =
            due.iter().map(|&(tick, waker)| (waker, tick)).collect();
        let ticks: Vec<Option<&u64>> = fired.iter().map(|waker| tick_of.get(waker)).collect();
        assert!(ticks.iter().all(Option::is_some) && ticks.is_sorted());
        let mut fired = fired;
        fired.sort_unstable();
        assert!(fired.iter().eq(tick_of.keys()));
        assert!(fired.is_empty() || earliest.is_some_and(|tick| tick <= to));
    }

    fn apply(&mut self, wheel: &mut Wheel, step: &Step) {
        match *step {
            Step::Insert(distance) => {
                let (tick, id) = (self.tick(distance), self.waker());
                self.armed.insert(self.keys.len(), (tick.max(self.now), id));
                self.keys.push(wheel.insert(tick, waker(id)));
            }
            Step::Advance(distance) => self.advance(wheel, self.tick(distance)),
            Step::AdvanceToNext => {
                let next = wheel.next_expiry();
                let Some(at) = next else { return };
                self.advance(wheel, at);
                assert_ne!(wheel.next_expiry(), next, "no progress at {at}");
            }
            Step::Drain => {
                let mut drained = Vec::new();
                wheel.drain(&mut drained);
                let mut drained: Vec<usize> = drained.iter().map(id).collect();
                drained.sort_unstable();
                let mut expected: Vec<usize> = self.armed.values().map(|timer| timer.1).collect();
                expected.sort_unstable();
                assert_eq!(drained, expected);
                self.armed.clear();
            }
            Step::Cancel(n) | Step::Reset(n, _) | Step::Replace(n) if !self.keys.is_empty() => {
                self.touch(wheel, n % self.keys.len(), step);
            }
            Step::Cancel(_) | Step::Reset(..) | Step::Replace(_) => {}
        }
    }

    fn touch(&mut self, wheel: &mut Wheel, n: usize, step: &Step) {
        let key = self.keys[n];
        match *step {
            Step::Cancel(_) => {
                let expected = self.armed.remove(&n).map(|timer| timer.1);
                assert_eq!(wheel.cancel(key).as_ref().map(id), expected);
            }
            Step::Reset(_, distance) => {
                let tick = self.tick(distance);
                let now = self.now;
                let timer = self.armed.get_mut(&n);
                assert_eq!(wheel.reset(key, tick), timer.is_some());
                if let Some(timer) = timer {
                    timer.0 = tick.max(now);
                }
            }
            _ => {
                let new = self.waker();
                match (wheel.replace_waker(key, waker(new)), self.armed.get_mut(&n)) {
                    (Ok(old), Some(timer)) => {
                        assert_eq!(id(&old), std::mem::replace(&mut timer.1, new))
                    }
                    (Err(back), None) => assert_eq!(id(&back), new),
                    _ => panic!("wheel and model disagree on who is armed"),
                }
            }
        }
    }

    fn check(&self, wheel: &Wheel) {
        assert_eq!(wheel.len(), self.armed.len());
        assert_eq!(
            alive(0),
            self.armed.len() as isize,
            "a waker was leaked or dropped"
        );
        match (wheel.next_expiry(), self.earliest()) {
            (None, None) => {}
            (Some(next), Some(earliest)) => {
                assert!(self.now <= next && next <= earliest);
                if earliest - self.now < SLOTS as u64 && earliest / 64 == self.now / 64 {
                    assert_eq!(next, earliest, "level 0 is exact");
                }
            }
            other => panic!("next expiry {other:?}"),
        }
        for (n, &key) in self.keys.iter().enumerate() {
            let expected = self.armed.get(&n).map(|timer| timer.1);
            assert_eq!(wheel.waker(key).map(id), expected);
            assert_eq!(wheel.is_armed(key), expected.is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_an_ordered_map(steps in prop::collection::vec(step(), 1..120)) {
        let mut wheel = Wheel::new();
        let mut model = Model::default();
        for step in &steps {
            model.apply(&mut wheel, step);
            model.check(&wheel);
        }
        model.advance(&mut wheel, u64::MAX);
        model.check(&wheel);
        prop_assert_eq!((wheel.len(), alive(0)), (0, 0));
    }
}

#[test]
fn an_advance_tells_how_many_it_has_added() {
    let mut wheel = Wheel::new();
    wheel.insert(5, waker(1));
    wheel.insert(6, waker(2));
    let mut fired = vec![waker(7), waker(8)];
    assert_eq!(wheel.advance(4, usize::MAX, &mut fired), 0);
    assert_eq!(wheel.advance(6, usize::MAX, &mut fired), 2);
    assert!(fired.iter().map(id).eq([7, 8, 1, 2]));
}

/// Deadlines on a level are found by a look at one word; those in the overflow list are dealt out
/// one by one.
#[test]
fn what_is_due_within_the_levels_reach_does_not_overflow() {
    let mut wheel = Wheel::new();
    let in_overflow = |wheel: &Wheel| wheel.lists[OVERFLOW].head != NIL;
    wheel.insert((1 << 36) - 1, waker(1));
    assert!(!in_overflow(&wheel));
    wheel.insert(1 << 36, waker(2));
    assert!(in_overflow(&wheel));
    assert_eq!(advance(&mut wheel, 1 << 36), [1, 2]);
}

/// In a stretch that has begun, what waits beyond the levels from before is due before what came
/// into them later.
#[test]
fn what_was_beyond_the_levels_comes_before_a_later_timer() {
    const STRETCH: u64 = 1 << (BITS * LEVELS as u32);
    let (first, second) = (STRETCH + (1 << 20), STRETCH + (1 << 25));
    let mut wheel = Wheel::new();
    wheel.insert(first, waker(1));
    assert!(advance(&mut wheel, STRETCH + 5).is_empty());
    wheel.insert(second, waker(2));
    assert!(wheel.next_expiry().is_some_and(|tick| tick <= first));
    assert_eq!(advance(&mut wheel, first), [1]);
    assert_eq!(advance(&mut wheel, second), [2]);
}
