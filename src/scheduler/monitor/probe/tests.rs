//! What each system that tells anything has to tell.

use super::*;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, OnceLock};

const SHORT: Duration = Duration::from_millis(2);

/// Whether the system tells of threads. The tests of those that should say that it does.
fn tells() -> bool {
    let tells = this_thread() != 0;
    if !tells {
        assert_eq!(Probe::default().state(this_thread()), State::Unknown);
        assert_eq!(cpu_time(this_thread()), None);
    }
    tells
}

#[test]
fn a_running_and_a_blocked_thread_are_told_apart() {
    if !tells() {
        return;
    }
    let mut probe = Probe::default();
    assert_eq!(probe.state(this_thread()), State::Running);
    let before = cpu_time(this_thread()).expect("this thread has a clock");
    while cpu_time(this_thread()).expect("it still has") - before < SHORT {}
    let told = Arc::new(OnceLock::new());
    let end = Arc::new(AtomicBool::new(false));
    let (tell, ended) = (told.clone(), end.clone());
    let other = thread::spawn(move || {
        tell.set(this_thread()).expect("it is told once");
        while !ended.load(Ordering::Acquire) {
            thread::park();
        }
    });
    while told
        .get()
        .is_none_or(|&thread| probe.state(thread) != State::Blocked)
    {
        thread::yield_now();
    }
    end.store(true, Ordering::Release);
    other.thread().unpark();
    other.join().expect("it ends");
}

/// It is looked at by another thread, while it computes and never waits.
#[test]
fn the_clock_of_a_thread_that_computes_is_seen_to_advance_by_others() {
    if !tells() {
        return;
    }
    let told = OnceLock::new();
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            told.set(this_thread()).expect("it is told once");
            while !end.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let other = loop {
            match told.get() {
                Some(&other) => break other,
                None => thread::yield_now(),
            }
        };
        let before = cpu_time(other).expect("it has a clock");
        let has_advanced = || cpu_time(other).expect("it has") - before >= SHORT + CPU_TIME_STEP;
        while !has_advanced() {
            thread::sleep(SHORT / 4);
        }
        end.store(true, Ordering::Relaxed);
    });
}

#[test]
fn of_a_thread_that_has_ended_nothing_is_known() {
    let mut probe = Probe::default();
    let other = thread::spawn(this_thread).join().expect("it ends");
    // The kernel may take a moment after the C library has seen it end.
    while probe.state(other) != State::Unknown || cpu_time(other).is_some() {
        thread::yield_now();
    }
}

#[test]
fn two_threads_have_two_numbers_or_none() {
    let this = number(this_thread());
    thread::scope(|scope| {
        let other = scope.spawn(|| number(this_thread()));
        let other = other.join().expect("it ends");
        assert_eq!(this == other, this == 0);
    });
}

#[test]
fn a_brief_park_ends() {
    let begin = crate::clock::now();
    thread::current().unpark();
    // The token may end the first at once.
    park_briefly(SHORT);
    park_briefly(SHORT);
    assert!(crate::clock::elapsed(begin) >= SHORT);
}
