//! A worker that is stuck, or seems so, while it polls no task: in the wakers of others.

use std::future::Future;
use std::hint::spin_loop;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use executor::runtime::Builder;
use executor::time::sleep;

use crate::common::within_patience;

/// As any other executor's `block_on`; what it does when it is woken is said first.
fn wait_elsewhere(future: impl Future, wakes: impl Fn() + Send + Sync + 'static) {
    struct Other<F> {
        thread: Thread,
        wakes: F,
    }
    impl<F: Fn() + Send + Sync> Wake for Other<F> {
        fn wake(self: Arc<Self>) {
            (self.wakes)();
            self.thread.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Other {
        thread: thread::current(),
        wakes,
    }));
    let mut future = pin!(future);
    let mut cx = Context::from_waker(&waker);
    while future.as_mut().poll(&mut cx).is_pending() {
        thread::park();
    }
}

/// Runs this binary again and gives what the named test says on standard error.
fn said_by(test: &str) -> String {
    let output = crate::common::run_ignored(module_path!(), test, "EXECUTOR_DEBUG", "");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines = said.lines().filter(|line| line.starts_with("executor:"));
    lines.fold(String::new(), |said, line| said + line + "\n")
}

/// For a second, all that the worker does is to wake others, each for a fifth of a millisecond.
#[test]
#[ignore = "a_worker_that_only_wakes_others_is_not_stuck starts it in a process of its own"]
fn child_wakes_others_all_the_time() {
    let runtime = Builder::new()
        .worker_threads(1)
        .stall_threshold(Duration::from_millis(10))
        .build()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _entered = runtime.handle().enter();
                while Instant::now() < end {
                    wait_elsewhere(sleep(Duration::from_micros(100)), || {
                        let begin = Instant::now();
                        while begin.elapsed() < Duration::from_micros(200) {
                            spin_loop();
                        }
                    });
                }
            });
        }
    });
    assert_eq!(runtime.metrics().worker_poll_count(0), 0);
    assert_eq!(runtime.metrics().stall_count(), 0);
}

/// It begins no poll, so its tick stands still; but each time it is another thing that it does.
#[test]
fn a_worker_that_only_wakes_others_is_not_stuck() {
    let said = said_by("child_wakes_others_all_the_time");
    assert!(!said.contains("task"), "{said}");
}

#[test]
#[ignore = "a_waker_that_holds_up_a_worker_is_not_taken_for_the_task_before starts it in a process of its own"]
fn child_is_held_up_by_a_waker() {
    within_patience(|| {
        let runtime = Builder::new()
            .worker_threads(1)
            .stall_threshold(Duration::from_millis(50))
            .build()
            .unwrap();
        // It has polled something before.
        runtime.block_on(runtime.spawn(async {})).unwrap();
        let (release, released) = mpsc::sync_channel::<()>(0);
        let (begin, begun) = mpsc::channel();
        let released = std::sync::Mutex::new(released);
        let handle = runtime.handle().clone();
        let other = thread::spawn(move || {
            let _entered = handle.enter();
            // By then the monitor rests.
            wait_elsewhere(sleep(Duration::from_millis(100)), move || {
                begin.send(thread::current().id()).unwrap();
                released.lock().unwrap().recv().unwrap();
            });
        });
        begun.recv().unwrap();
        // Only a retake lets it run.
        runtime.block_on(runtime.spawn(async {})).unwrap();
        // Until it has been long enough, and is said.
        thread::sleep(Duration::from_millis(300));
        release.send(()).unwrap();
        other.join().unwrap();
        assert_eq!(runtime.metrics().retake_count(), 1);
        assert_eq!(runtime.metrics().stall_count(), 0, "it was no task");
    });
}

#[test]
fn a_waker_that_holds_up_a_worker_is_not_taken_for_the_task_before() {
    let said = said_by("child_is_held_up_by_a_waker");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("no task"), "{said}");
    assert!(said.contains("went on without it"), "{said}");
}
