//! A worker that unwinds gives back what it holds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::scheduler::idle::Next;
use crate::scheduler::processor::tests::token;
use crate::sync::atomic::Ordering;

/// Runs a worker that panics, and looks what it has left.
fn panics(searching: bool, work: impl FnOnce(&Worker)) {
    let shared = Shared::leak(2).unwrap();
    shared.services.lock().netpoll = Some(Netpoll::new().unwrap());
    let core = shared.idle.pick_up();
    if searching {
        assert!(shared.idle.begin_search(2));
    }
    let run = || {
        run_as(shared, core, searching, |worker| {
            work(worker);
            panic!("a worker's own code panics");
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(shared.idle.num_searching(), 0);
    assert_eq!(shared.idle.num_lying(), 2, "it gives its core back");
    assert_eq!(shared.idle.after_submit(), Next::Wake);
}

#[test]
fn a_worker_that_panics_in_the_search_it_was_woken_for_is_counted_no_more() {
    panics(true, |_| ());
}

#[test]
fn a_worker_that_panics_in_a_search_of_its_own_is_counted_no_more() {
    panics(false, |worker| assert!(worker.search().is_none()));
}

#[test]
fn a_worker_that_panics_after_its_search_gives_back_nobody_s_count() {
    panics(true, Worker::stop_searching);
}

/// What it costs to observe a poll is paid by those that are observed.
#[test]
fn a_poll_is_measured_if_instruments_are_on_and_not_because_the_worker_searched() {
    for (searching, observed) in [(true, false), (false, true), (true, true)] {
        let shared = Shared::leak(1).unwrap();
        shared.services.lock().netpoll = Some(Netpoll::new().unwrap());
        shared.idle.reopen();
        shared.closed.store(false, Ordering::SeqCst);
        let core = shared.idle.pick_up();
        if searching {
            assert!(shared.idle.begin_search(usize::MAX));
        }
        if observed {
            shared.switch(instruments::HISTOGRAMS, 0);
        }
        run_as(shared, core, searching, |worker| {
            worker.poll(token().1);
            assert_eq!(worker.chain.get() != 0, observed);
            assert!(!worker.is_searching());
        });
        assert_eq!(shared.idle.num_searching(), 0);
    }
}
