//! One timer: armed, moved, disarmed.

use std::task::{Wake, Waker};

use super::*;
use crate::scheduler::timers::Timer;
use crate::sync::atomic::AtomicUsize;
use crate::sync::thread;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn task() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), Waker::from(count))
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

impl TestScheduler {
    fn fire(&self) {
        let mut fired = Vec::new();
        self.shared.services.timers.fire_all(&mut fired);
        fired.into_iter().for_each(Waker::wake);
    }

    fn armed(&self) -> [usize; 3] {
        [Some(0), Some(1), None].map(|processor| self.shared.services.timers.num_armed(processor))
    }
}

#[test]
fn a_timer_is_armed_once_and_fires_once() {
    let test = TestScheduler::new(2);
    let (count, waker) = Count::task();
    let mut timer = Timer::new();
    let later = later();
    for _ in 0..3 {
        timer.arm(test.shared, later, &waker);
        assert_eq!(test.armed(), [0, 0, 1]);
    }
    // At another time.
    timer.arm(test.shared, Instant::now(), &waker);
    assert_eq!((test.armed(), count.wakes()), ([0, 0, 1], 0));
    thread::sleep(Duration::from_millis(1));
    test.fire();
    assert_eq!((test.armed(), count.wakes()), ([0, 0, 0], 1));
    assert!(!timer.reset(later), "it has fired");
    timer.arm(test.shared, later, &waker);
    assert_eq!(test.armed(), [0, 0, 1]);
    timer.disarm();
    assert_eq!(test.armed(), [0, 0, 0]);
    assert!(!test.shared.services.timers.is_any_armed());
    assert_eq!(count.wakes(), 1);
}

#[test]
fn the_waker_that_came_last_is_woken() {
    let test = TestScheduler::new(2);
    let ((first, one), (second, two)) = (Count::task(), Count::task());
    let mut timer = Timer::new();
    let soon = Instant::now() + Duration::from_millis(1);
    timer.arm(test.shared, soon, &one);
    timer.arm(test.shared, soon, &two);
    assert_eq!(test.armed(), [0, 0, 1]);
    thread::sleep(Duration::from_millis(2));
    test.fire();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    // The same deadline again, which is over now.
    timer.arm(test.shared, soon, &one);
    test.fire();
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
}

#[test]
fn a_timer_that_goes_leaves_the_others() {
    let test = TestScheduler::new(2);
    let (count, waker) = Count::task();
    let [mut one, mut two] = [Timer::new(), Timer::new()];
    one.arm(test.shared, later(), &waker);
    two.arm(test.shared, Instant::now(), &waker);
    drop(one);
    assert_eq!(test.armed(), [0, 0, 1]);
    assert!(test.shared.services.timers.is_any_armed());
    thread::sleep(Duration::from_millis(1));
    test.fire();
    assert_eq!(count.wakes(), 1);
}

/// To a later time where it is, to an earlier one by way of this thread's own wheel.
#[test]
fn a_timer_that_is_moved_stays_or_comes_to_this_worker() {
    let test = TestScheduler::new(2);
    let (count, waker) = Count::task();
    let mut timer = Timer::new();
    assert!(!timer.reset(later()), "it was never armed");
    timer.arm(test.shared, later(), &waker);
    test.work();
    let own = test.with_core(|core| core.index);
    assert!(timer.reset(later() + Duration::from_secs(1)));
    assert_eq!(test.armed(), [0, 0, 1]);
    assert!(timer.reset(Instant::now()));
    assert_eq!((test.armed()[own], test.armed()[2]), (1, 0));
    thread::sleep(Duration::from_millis(1));
    test.fire();
    assert_eq!(count.wakes(), 1);
    timer.arm(test.shared, later(), &waker);
    assert_eq!(test.armed()[own], 1);
}

/// It was the only one there, and whoever looks at all wheels finds what is armed there next.
#[test]
fn a_timer_that_is_moved_leaves_a_wheel_that_has_nothing() {
    let test = TestScheduler::new(8);
    let timers = &test.shared.services.timers;
    let (_, waker) = Count::task();
    let (sooner, later) = (later(), later() + Duration::from_secs(60));
    let mut moved = Timer::new();
    test.work();
    moved.arm(test.shared, later, &waker);
    let left = this_thread::take_core().unwrap();
    for _ in 0..5 {
        test.work();
        Timer::new().arm(test.shared, later, &waker);
        drop(this_thread::take_core());
    }
    test.work();
    assert!(moved.reset(sooner));
    moved.disarm();
    assert!(!timers.is_armed(left.index));
    (0..2).for_each(|_| timers.unmark_empty());
    assert!(!timers.is_any_armed());
    drop(this_thread::take_core());
    this_thread::put_core(left);
    moved.arm(test.shared, later + Duration::from_secs(1), &waker);
    assert!(timers.is_any_armed());
}

#[test]
fn where_nobody_would_fire_it_the_waker_is_woken_at_once() {
    let test = TestScheduler::new(2);
    let (count, waker) = Count::task();
    let [mut one, mut two] = [Timer::new(), Timer::new()];
    two.arm(test.shared, later(), &waker);
    test.close();
    one.arm(test.shared, later(), &waker);
    assert_eq!((test.armed(), count.wakes()), ([0, 0, 1], 1));
    assert!(!two.reset(Instant::now()));
    assert_eq!((test.armed(), count.wakes()), ([0, 0, 0], 2));
}
