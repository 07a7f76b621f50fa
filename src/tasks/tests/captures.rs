//! Where a task waits, asked by hand.

use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{CANCELLED, ENDED, PANICKED, by_hand, result, woken};
use crate::clock;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Arc, Mutex};
use crate::tasks::capture::ask as ask_member;
use crate::tasks::collector::{Answer, Collector};
use crate::tasks::registry::{Member, Registry};
use crate::tasks::{cancel, current_id, run};

/// Asks all tasks of the registry. Gives back those that are being polled.
fn ask(registry: &'static Registry, collector: &Collector) -> Vec<Member> {
    let polled = registry
        .members()
        .filter_map(|member| ask_member(collector, member));
    polled.collect()
}

fn begin(registry: &'static Registry) -> Arc<Collector> {
    let collector = Arc::new(Collector::default());
    assert!(registry.begin_collecting(&collector));
    collector
}

/// Whether every task that was asked has answered.
fn all_answered(collector: &Collector) -> bool {
    collector.wait(0, Some(clock::now()))
}

/// Ends what waits, and gives the registry back.
fn end(registry: &'static Registry, collector: &Arc<Collector>) {
    registry.end_collecting(collector);
    registry.close();
    while let Some(runnable) = woken() {
        cancel(runnable);
    }
    ENDED.take();
    CANCELLED.take();
    registry.release();
}

/// Waits for ever, as a leaf does that keeps the last waker it was polled with.
async fn leaf(place: Arc<Mutex<Option<Waker>>>, polls: Arc<AtomicUsize>) {
    poll_fn(|cx| {
        polls.fetch_add(1, SeqCst);
        let mut kept = place.lock();
        if kept.as_ref().is_none_or(|kept| !kept.will_wake(cx.waker())) {
            *kept = Some(cx.waker().clone());
        }
        Poll::<()>::Pending
    })
    .await;
}

#[test]
fn a_task_that_is_asked_is_polled_once_and_its_leaf_keeps_the_real_waker() {
    let registry = Registry::lease().unwrap();
    let (place, polls) = (Arc::default(), Arc::default());
    let (runnable, handle) = by_hand(registry, leaf(Arc::clone(&place), Arc::clone(&polls)));
    run(runnable);
    let collector = begin(registry);
    assert!(ask(registry, &collector).is_empty());
    assert!(!all_answered(&collector));
    run(woken().expect("it is polled once more"));
    assert!(woken().is_none() && all_answered(&collector));
    assert_eq!(polls.load(SeqCst), 2);
    let answers = collector.take();
    assert_eq!(answers.len(), 1);
    let Answer { future, stacks, .. } = answers.values().next().unwrap();
    assert!(future.contains("leaf"), "{future}");
    assert_eq!(stacks.len(), usize::from(crate::stacks::AVAILABLE));
    // What the leaf keeps wakes the task, also when the dump is over.
    registry.end_collecting(&collector);
    let kept: Option<Waker> = place.lock().take();
    kept.unwrap().wake();
    run(woken().expect("the leaf's waker is real"));
    assert_eq!(polls.load(SeqCst), 3);
    drop(handle);
    end(registry, &collector);
}

#[test]
fn a_task_that_lies_in_a_queue_is_asked_without_another_poll() {
    let registry = Registry::lease().unwrap();
    let polls: Arc<AtomicUsize> = Arc::default();
    let place = Arc::default();
    let (runnable, _handle) = by_hand(registry, leaf(Arc::clone(&place), polls.clone()));
    run(runnable);
    let kept: Option<Waker> = place.lock().clone();
    kept.unwrap().wake();
    let collector = begin(registry);
    ask(registry, &collector);
    run(woken().unwrap());
    assert!(woken().is_none() && all_answered(&collector));
    assert_eq!(polls.load(SeqCst), 2);
    end(registry, &collector);
}

#[test]
fn a_task_that_is_polled_is_not_woken_for_a_dump() {
    let registry = Registry::lease().unwrap();
    let collector = begin(registry);
    let asked = collector.clone();
    let polls = Arc::new(AtomicUsize::new(0));
    let given_back = Arc::new(AtomicUsize::new(0));
    let (counted, given) = (polls.clone(), given_back.clone());
    // A panic in here would be the task's own.
    let asks_in_its_poll = poll_fn(move |_| {
        if counted.fetch_add(1, SeqCst) == 1 {
            given.store(ask(registry, &asked).len(), SeqCst);
        }
        Poll::<()>::Pending
    });
    let (runnable, _handle) = by_hand(registry, asks_in_its_poll);
    run(runnable);
    let Some(Member(waker)) = registry.members().next() else {
        panic!("it is registered");
    };
    waker.wake();
    run(woken().unwrap());
    assert!(woken().is_none(), "it is polled once more for nothing");
    assert_eq!((polls.load(SeqCst), given_back.load(SeqCst)), (2, 1));
    assert!(all_answered(&collector));
    end(registry, &collector);
}

#[test]
fn a_task_that_ends_panics_or_is_cancelled_when_it_is_asked_answers_once() {
    let registry = Registry::lease().unwrap();
    let second = |f: fn()| {
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            if polls == 1 {
                return Poll::Pending;
            }
            f();
            Poll::Ready(())
        })
    };
    let (ends, ends_handle) = by_hand(registry, second(|| ()));
    let (panics, panics_handle) = by_hand(registry, second(|| panic!("in a dump's poll")));
    let (stops, stops_handle) = by_hand(registry, pending::<()>());
    for runnable in [ends, panics, stops] {
        run(runnable);
    }
    stops_handle.abort();
    let aborted = woken().unwrap();
    let collector = begin(registry);
    ask(registry, &collector);
    run(aborted);
    while let Some(runnable) = woken() {
        run(runnable);
    }
    assert!(all_answered(&collector));
    let answers = collector.take();
    assert_eq!(answers.len(), 3);
    assert!(answers.values().all(|answer| answer.has_ended));
    assert!(result(ends_handle).is_ok());
    assert!(result(panics_handle).unwrap_err().is_panic());
    assert!(result(stops_handle).unwrap_err().is_cancelled());
    assert_eq!(PANICKED.take().len(), 1);
    end(registry, &collector);
}

#[test]
fn a_flag_that_outlives_its_dump_costs_the_next_poll_nothing_but_itself() {
    let registry = Registry::lease().unwrap();
    let polls: Arc<AtomicUsize> = Arc::default();
    let (runnable, _handle) = by_hand(registry, leaf(Arc::default(), polls.clone()));
    run(runnable);
    let late = begin(registry);
    ask(registry, &late);
    registry.end_collecting(&late);
    let runnable = woken().unwrap();
    // The next dump begins before the poll: its task has not been asked for it.
    let next = begin(registry);
    run(runnable);
    assert!(late.take().is_empty() && next.take().is_empty());
    ask(registry, &next);
    run(woken().unwrap());
    assert!(woken().is_none() && all_answered(&next));
    assert_eq!((next.take().len(), polls.load(SeqCst)), (1, 3));
    end(registry, &next);
}

/// Ends one dump before the poll that it has caused, or in the middle of it; the next dump asks the
/// task within that poll.
fn asked_again_within_a_poll(ends_before: bool) -> HashMap<u64, Answer> {
    let registry = Registry::lease().unwrap();
    let late = begin(registry);
    let next = Arc::new(Mutex::new(None));
    let (ended, begun) = (late.clone(), next.clone());
    let mut polls = 0;
    let future = poll_fn(move |cx| {
        polls += 1;
        let _kept = cx.waker().clone();
        if polls == 2 {
            registry.end_collecting(&ended);
            let collector = begin(registry);
            cx.waker().wake_by_ref();
            let polled = ask(registry, &collector);
            *begun.lock() = Some((collector, polled.len()));
        }
        Poll::<()>::Pending
    });
    let (runnable, _handle) = by_hand(registry, future);
    run(runnable);
    ask(registry, &late);
    if ends_before {
        registry.end_collecting(&late);
    }
    run(woken().unwrap());
    let (next, not_asked) = next.lock().take().unwrap();
    assert_eq!(not_asked, 0, "it is queued already");
    run(woken().expect("it was woken in its poll"));
    assert!(all_answered(&next), "the next dump waits in vain");
    let answers = next.take();
    end(registry, &next);
    answers
}

#[test]
fn a_dump_that_asks_within_a_poll_that_another_one_has_caused_is_answered() {
    for ends_before in [false, true] {
        let answers = asked_again_within_a_poll(ends_before);
        assert_eq!(answers.len(), 1);
        let Answer { future, stacks, .. } = answers.values().next().unwrap();
        assert!(!future.is_empty(), "it has no stacks: it was not captured");
        assert_eq!(stacks.len(), usize::from(crate::stacks::AVAILABLE));
    }
}

#[test]
fn a_poll_within_a_captured_poll_has_its_own_answer() {
    let registry = Registry::lease().unwrap();
    let inner_polls: Arc<AtomicUsize> = Arc::default();
    let (inner, _inner) = by_hand(registry, leaf(Arc::default(), inner_polls.clone()));
    let inner_id = inner.metadata().id();
    run(inner);
    let mut polls = 0;
    let outer = poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            // Its waker was put on top by the dump, or beneath this task's.
            let inner = woken().expect("the inner task was asked");
            assert_eq!(inner.metadata().id(), inner_id);
            let me = current_id();
            run(inner);
            assert_eq!(current_id(), me);
        }
        let mut waits = pin!(leaf(Arc::default(), Arc::default()));
        Future::poll(waits.as_mut(), cx)
    });
    let (outer, _outer) = by_hand(registry, outer);
    let outer_id = outer.metadata().id();
    run(outer);
    let collector = begin(registry);
    ask(registry, &collector);
    let mut asked = [woken().unwrap(), woken().unwrap()];
    asked.sort_by_key(|runnable| runnable.metadata().id() == outer_id);
    let [inner, outer] = asked;
    inner.schedule();
    run(outer);
    assert!(all_answered(&collector));
    let answers = collector.take();
    assert_eq!(answers.len(), 2);
    let one = usize::from(crate::stacks::AVAILABLE);
    assert!(answers.values().all(|answer| answer.stacks.len() == one));
    end(registry, &collector);
}

#[test]
fn an_asker_does_not_wait_beyond_its_deadline() {
    let registry = Registry::lease().unwrap();
    let (runnable, _handle) = by_hand(registry, pending::<()>());
    run(runnable);
    let collector = begin(registry);
    ask(registry, &collector);
    let deadline = clock::now() + Duration::from_millis(1);
    assert!(!collector.wait(0, Some(deadline)));
    assert!(collector.wait(1, Some(deadline)));
    run(woken().unwrap());
    assert!(collector.wait(0, Some(deadline)));
    end(registry, &collector);
}
