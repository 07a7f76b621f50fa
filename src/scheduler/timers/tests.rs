//! The wheels of two processors and the remote one, without workers.

use super::*;

fn timers() -> Timers {
    let timers = Timers::new(3);
    timers.use_wheels(2);
    timers
}

/// A tick that has begun.
fn due() -> u64 {
    clock::tick_at(clock::now())
}

/// A multiple of [`GRAIN`] that is a minute away.
fn later() -> u64 {
    (due() + (60 << 16)) / GRAIN * GRAIN
}

fn arm(timers: &Timers, processor: Option<usize>, deadline: u64) -> bool {
    let (index, _, tell) = timers.arm(processor, deadline, Waker::noop().clone());
    assert_eq!(index, processor.map_or(REMOTE, |processor| processor + 1));
    tell
}

fn fire(f: impl FnOnce(&mut Vec<Waker>)) -> usize {
    let mut fired = Vec::new();
    f(&mut fired);
    fired.len()
}

fn armed(timers: &Timers) -> [usize; 3] {
    [Some(0), Some(1), None].map(|processor| timers.num_armed(processor))
}

/// Asserts that it is the time from now to this tick.
fn assert_lasts_until(tick: u64, wait: impl FnOnce() -> Option<Duration>) {
    let begin = clock::now();
    let time = wait().expect("it comes");
    let end = clock::instant_of(tick).unwrap();
    assert!(time <= end - begin && time >= end.saturating_duration_since(clock::now()));
}

#[test]
fn a_timer_is_on_the_wheel_that_it_was_armed_on() {
    let timers = timers();
    assert!(!timers.is_any_armed() && !timers.is_armed(0));
    arm(&timers, Some(0), later());
    arm(&timers, Some(0), later());
    assert!(timers.is_any_armed() && timers.is_armed(0) && !timers.is_armed(1));
    assert_eq!(armed(&timers), [2, 0, 0]);
    arm(&timers, None, later());
    assert_eq!(armed(&timers), [2, 0, 1]);
    assert!(!timers.is_armed(1));
    assert_eq!(fire(|fired| timers.drain(fired)), 3);
    assert!(!timers.is_any_armed());
}

#[test]
fn what_is_due_is_fired_and_nothing_else() {
    let timers = timers();
    assert_eq!(fire(|fired| timers.fire_all(fired)), 0);
    for wheel in [Some(0), Some(1), None] {
        arm(&timers, wheel, due());
        arm(&timers, wheel, later());
    }
    let own = || fire(|fired| timers.fire_own(0, clock::now(), fired));
    assert_eq!(own(), 1);
    assert_eq!(armed(&timers), [1, 2, 2]);
    assert!(
        timers.of_processor(0).next() > due(),
        "it wants to be looked at again"
    );
    assert_eq!(own(), 0);
    assert_eq!(fire(|fired| timers.fire_all(fired)), 2);
    assert_eq!(armed(&timers), [1, 1, 1]);
    for wheel in [Some(0), Some(1), None] {
        arm(&timers, wheel, due());
    }
    assert_eq!(fire(|fired| timers.fire_all(fired)), 3);

    let timers = self::timers();
    arm(&timers, Some(1), due());
    assert_eq!(fire(|fired| timers.fire_own(1, clock::now(), fired)), 1);
    assert!(!timers.is_armed(1));
}

#[test]
fn a_wheel_is_looked_at_for_its_earliest_timer() {
    let timers = timers();
    let later = later();
    for deadline in [later, later - 5, later + 5] {
        arm(&timers, Some(0), deadline);
    }
    assert_eq!(timers.of_processor(0).next(), later - 5);
    arm(&timers, None, later - 7);
    assert_lasts_until(later - 7, || timers.parked_timeout());
}

/// A piece at a time, and whether more was due then.
#[test]
fn each_look_is_counted() {
    let timers = timers();
    for _ in 0..2 * PIECE + 1 {
        arm(&timers, Some(0), due());
    }
    let looks = || timers.of_processor(0).looks.load(Ordering::Relaxed);
    let mut left = 2 * PIECE + 1;
    for look in 1.. {
        left -= fire(|fired| timers.fire_own(0, clock::now(), fired));
        assert_eq!(looks() >> 1, look);
        if left == 0 {
            break;
        }
        assert_eq!(looks() & 1, 1, "{left} more are due");
    }
    assert_eq!(looks() & 1, 0);
}

#[test]
fn the_monitor_leaves_a_backlog_to_a_worker_that_is_busy_with_it() {
    let timers = timers();
    let mut seen = Vec::new();
    let mut overdue = || fire(|fired| timers.fire_overdue(&mut seen, fired));
    assert_eq!(overdue(), 0);
    // Of one tick: of several, a piece may end between two, and leaves no backlog.
    let now = due();
    for _ in 0..10 * PIECE {
        arm(&timers, Some(0), now);
    }
    let own = || fire(|fired| timers.fire_own(0, clock::now(), fired));
    assert!(own() > 0);
    assert_eq!(overdue(), 0, "the worker has looked since");
    assert!(own() > 0);
    assert_eq!(overdue(), 0);
    assert!(overdue() > 0, "the worker has not looked since");
    assert!(overdue() > 0);
    let left = timers.num_armed(Some(0));
    // Of other wheels it fires all that is due, also where a worker has just looked, and nothing
    // else.
    arm(&timers, Some(1), later());
    arm(&timers, Some(1), due());
    assert_eq!(fire(|fired| timers.fire_own(1, clock::now(), fired)), 1);
    arm(&timers, Some(1), due());
    arm(&timers, None, due());
    assert!(own() > 0);
    assert_eq!(overdue(), 2);
    assert!(timers.num_armed(Some(0)) < left);
    assert_eq!(armed(&timers)[1..], [1, 0]);
}

#[test]
fn the_driver_is_told_of_what_it_does_not_wait_for() {
    let timers = timers();
    let later = later();
    assert!(timers.are_watched(), "there is nothing to watch");
    assert_eq!(timers.driver_timeout(false), None);
    assert!(arm(&timers, None, later), "it waits for ever");
    assert!(!timers.are_watched());
    assert_lasts_until(later, || timers.driver_timeout(false));
    assert!(timers.are_watched());
    assert_eq!(
        timers.parked_timeout(),
        None,
        "the one in the driver waits for it"
    );
    assert!(!arm(&timers, None, later) && !arm(&timers, None, later + 1));
    assert!(timers.are_watched());
    // By a worker, which is awake: nobody is told, and if it parks it waits for that itself.
    assert!(!arm(&timers, Some(0), later - 1));
    assert!(!timers.are_watched());
    assert_lasts_until(later - 1, || timers.parked_timeout());
    assert!(arm(&timers, None, later - 2));
    timers.leave_driver();
    assert!(!arm(&timers, None, later - 3), "who is awake looks anyway");
    assert!(!timers.are_watched());
    assert_lasts_until(later - 3, || timers.parked_timeout());
}

#[test]
fn the_driver_waits_for_several_timers_at_a_time_where_they_are_dense() {
    let timers = timers();
    assert_eq!(timers.driver_timeout(true), None);
    let later = later();
    arm(&timers, Some(0), later + 1);
    assert_lasts_until(later + 1, || timers.driver_timeout(false));
    assert_lasts_until(later + GRAIN, || timers.driver_timeout(true));
}

#[test]
fn what_is_over_is_not_waited_for() {
    assert_eq!(until(NEVER), None);
    assert_eq!(until(due()), Some(Duration::ZERO));
    let tick = later();
    assert_lasts_until(tick, || until(tick));
}

/// At the second look, if nothing was armed between the two; and what is armed is found in any case.
#[test]
fn wheels_that_are_empty_for_two_looks_lose_their_marks() {
    let timers = Timers::new(100);
    timers.use_wheels(100);
    let marked = || timers.marked.iter().count();
    let arm_and_fire = |wheels: std::ops::Range<usize>| {
        wheels
            .clone()
            .for_each(|wheel| _ = arm(&timers, Some(wheel), due()));
        fire(|fired| timers.fire_all(fired))
    };
    let deadline = later();
    arm(&timers, Some(90), deadline);
    assert_eq!(arm_and_fire(0..50), 50);
    assert_eq!(timers.earliest(), deadline);
    timers.unmark_empty();
    assert_eq!(marked(), 51);
    arm(&timers, Some(3), deadline - 1);
    timers.unmark_empty();
    assert_eq!(marked(), 2);
    assert_eq!(fire(|fired| timers.fire_own(3, clock::now(), fired)), 0);
    assert_eq!(fire(|fired| timers.drain(fired)), 2);
    timers.unmark_empty();
    assert_eq!((marked(), timers.is_any_armed()), (2, false));
    arm(&timers, Some(3), deadline - 1);
    arm(&timers, None, deadline - 2);
    assert_eq!((marked(), timers.earliest()), (3, deadline - 2));
    timers.unmark_empty();
    assert_eq!(marked(), 2, "that of 90 has gone");
    timers.unmark_empty();
    assert_eq!((marked(), timers.earliest()), (2, deadline - 2));
    assert_eq!(fire(|fired| timers.drain(fired)), 2);
}
