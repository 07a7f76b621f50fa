//! No task and no yield is left to a driver that does not look.

use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::super::{Builder, Handle};
use super::{Driver, Drivers, Queue, wake_after_turn};

/// Counts wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A queue that another thread holds, with a task in it.
struct Taken;

impl Queue for Taken {
    fn run(&self, _: usize) -> usize {
        0
    }

    fn has_runnable(&self) -> bool {
        true
    }
}

/// A queue whose one task yields by this waker.
struct Yields(Cell<Option<Waker>>);

impl Queue for Yields {
    fn run(&self, _: usize) -> usize {
        let Some(waker) = self.0.take() else { return 0 };
        assert!(wake_after_turn(&waker));
        1
    }

    fn has_runnable(&self) -> bool {
        false
    }
}

fn handle() -> Handle {
    Builder::new_current_thread()
        .build()
        .unwrap()
        .handle()
        .clone()
}

#[test]
fn a_task_that_a_later_driver_sees_is_left_to_the_first_which_is_woken() {
    let (handle, drivers) = (handle(), Drivers::default());
    let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
    let (waker_1, waker_2) = (first.clone().into(), second.clone().into());
    let mut cx_2 = Context::from_waker(&waker_2);
    let shared = handle.shared();
    let _driver_1 = Driver::enter(&drivers, shared, &Context::from_waker(&waker_1));
    let driver_2 = Driver::enter(&drivers, shared, &cx_2);
    let mut future = pin!(pending::<()>());
    assert!(
        driver_2
            .poll(&Taken, future.as_mut(), &mut cx_2)
            .is_pending()
    );
    assert_eq!((first.take(), second.take()), (1, 0));
}

#[test]
fn a_push_wakes_the_first_driver_unless_one_is_in_its_turn() {
    let (handle, drivers) = (handle(), Drivers::default());
    let count = Arc::<Count>::default();
    let waker = count.clone().into();
    let cx = Context::from_waker(&waker);
    let _driver = Driver::enter(&drivers, handle.shared(), &cx);
    drivers.notify();
    assert_eq!(count.take(), 1);
    drivers.in_turn.store(true, Ordering::SeqCst);
    drivers.notify();
    assert_eq!(count.take(), 0);
}

#[test]
fn who_yields_is_woken_once_when_the_turn_ends_and_a_waker_that_panics_ends_the_turn_too() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("of a test"));
        }
    }
    let (handle, drivers) = (handle(), Drivers::default());
    let (main, yields) = (Arc::<Count>::default(), Arc::<Count>::default());
    let waker = main.clone().into();
    let mut cx = Context::from_waker(&waker);
    let driver = Driver::enter(&drivers, handle.shared(), &cx);
    let mut future = pin!(pending::<()>());
    let queue = Yields(Cell::new(Some(yields.clone().into())));
    assert!(driver.poll(&queue, future.as_mut(), &mut cx).is_pending());
    assert_eq!(yields.take(), 1);

    let queue = Yields(Cell::new(Some(Arc::new(Panics).into())));
    let poll = || driver.poll(&queue, future.as_mut(), &mut cx);
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    assert!(!drivers.in_turn.load(Ordering::SeqCst));
    assert!(!wake_after_turn(Waker::noop()));
    main.take();
    drivers.notify();
    assert_eq!(main.take(), 1);
}
