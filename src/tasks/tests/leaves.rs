//! What has become of the clones of a waker, by hand.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{ENDED, PANICKED, QUEUE, by_hand, result, woken};
use crate::clock;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Arc, Mutex};
use crate::tasks::capture::poll_recorded;
use crate::tasks::leaves::{Leaves, Places};
use crate::tasks::registry::Registry;
use crate::tasks::{Polled, Purpose, Runnable, cancel, run, wakers};

type Place = Arc<Mutex<Option<Waker>>>;

fn begin(every: u32) -> (&'static Registry, &'static Leaves) {
    let registry = Registry::lease().unwrap();
    registry.record_leaves(every);
    (registry, registry.leaves().unwrap())
}

/// As the observer does.
fn poll(registry: &'static Registry, runnable: Runnable) -> Polled {
    let tag = runnable.metadata().tag();
    let polled = poll_recorded(runnable, Purpose::Run);
    if polled.has_ended {
        registry.leaves().unwrap().finished(tag);
    }
    polled
}

/// Polls the task that was woken last.
fn poll_woken(registry: &'static Registry) -> Polled {
    poll(registry, woken().expect("a task was woken"))
}

fn end(registry: &'static Registry) {
    registry.close();
    while let Some(runnable) = woken() {
        cancel(runnable);
    }
    registry.record_leaves(0);
    ENDED.take();
    PANICKED.take();
    super::CANCELLED.take();
    registry.release();
}

/// A leaf that keeps the waker, until it finds "done".
async fn waits(place: Place, done: Arc<AtomicUsize>) {
    poll_fn(|cx| {
        if done.load(SeqCst) > 0 {
            return Poll::Ready(());
        }
        let mut kept = place.lock();
        if kept.as_ref().is_none_or(|kept| !kept.will_wake(cx.waker())) {
            *kept = Some(cx.waker().clone());
        }
        Poll::Pending
    })
    .await;
}

fn wake(place: &Place) {
    let waker = place.lock().take();
    waker.expect("somebody waits").wake();
}

/// The real waker of the only task.
fn real(registry: &'static Registry) -> Waker {
    let mut members: Vec<_> = registry.members().collect();
    assert_eq!(members.len(), 1);
    members.remove(0).0
}

/// As long as a futurelock's grace.
fn pause() {
    let begin = clock::now();
    while clock::elapsed(begin) < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
}

fn places(leaves: &Leaves, tag: u64) -> Places {
    leaves.of(tag).unwrap_or_default()
}

#[test]
fn a_stack_is_shown_until_its_waker_is_called_or_dropped() {
    let (registry, leaves) = begin(1);
    let (place, done) = (Place::default(), Arc::default());
    let (runnable, handle) = by_hand(registry, waits(place.clone(), Arc::clone(&done)));
    let tag = runnable.metadata().tag();
    assert!(
        !poll(registry, runnable).has_ended,
        "the first poll counts, too"
    );
    let one = usize::from(crate::stacks::AVAILABLE);
    let count = || {
        let places = places(leaves, tag);
        (places.waits.len(), places.waited.len())
    };
    assert_eq!(count(), (one, 0));
    wake(&place);
    assert_eq!(count(), (0, one));
    poll_woken(registry);
    assert_eq!(count(), (one, 0));
    drop(place.lock().take());
    assert_eq!(count(), (0, one));
    handle.abort();
    assert!(poll_woken(registry).has_ended);
    assert_eq!(leaves.len(), 0);
    assert!(result(handle).is_err());
    end(registry);
}

#[test]
fn a_leaf_wakes_its_task_once_per_call_and_outlives_everything() {
    let (registry, leaves) = begin(1);
    let (place, done) = (Place::default(), Arc::<AtomicUsize>::default());
    let (runnable, handle) = by_hand(registry, waits(place.clone(), done.clone()));
    poll(registry, runnable);
    let leaf = place.lock().clone().unwrap();
    assert!(wakers::is_own(&leaf) || !crate::stacks::AVAILABLE);
    leaf.wake_by_ref();
    leaf.wake_by_ref();
    assert_eq!(QUEUE.with_borrow(Vec::len), 1);
    poll_woken(registry);
    leaf.wake();
    poll_woken(registry);
    done.store(1, SeqCst);
    wake(&place);
    assert!(poll_woken(registry).has_ended);
    assert!(result(handle).is_ok());
    assert_eq!(leaves.len(), 0);

    // One that comes too late.
    let (runnable, handle) = by_hand(registry, waits(place.clone(), Arc::default()));
    poll(registry, runnable);
    let leaf = place.lock().take().unwrap();
    drop(handle);
    end(registry);
    leaf.wake_by_ref();
    assert!(woken().is_none());
    drop(leaf);
}

#[test]
fn a_task_that_ends_panics_or_is_cancelled_leaves_nothing_behind() {
    let (registry, leaves) = begin(1);
    let place = Place::default();
    let kept = place.clone();
    let ends = poll_fn(move |cx| {
        *kept.lock() = Some(cx.waker().clone());
        Poll::Ready(())
    });
    let kept = place.clone();
    let panics = poll_fn(move |cx| -> Poll<()> {
        *kept.lock() = Some(cx.waker().clone());
        panic!("in a recorded poll");
    });
    let (ends, ends_handle) = by_hand(registry, ends);
    let (panics, panics_handle) = by_hand(registry, panics);
    for runnable in [ends, panics] {
        assert!(poll(registry, runnable).has_ended);
        place.lock().take().unwrap().wake();
        assert!(woken().is_none());
    }
    assert!(result(ends_handle).is_ok());
    assert!(result(panics_handle).unwrap_err().is_panic());
    let (stops, stops_handle) = by_hand(registry, pending::<()>());
    poll(registry, stops);
    stops_handle.abort();
    assert!(poll_woken(registry).has_ended);
    assert_eq!(leaves.len(), 0);
    // No recording is left on this thread: a plain poll clones the real waker.
    let (plain, _plain) = by_hand(registry, waits(place.clone(), Arc::default()));
    run(plain);
    assert!(place.lock().take().unwrap().will_wake(&real(registry)));
    end(registry);
}

#[test]
fn a_task_that_ends_as_it_would_begin_to_wait_is_not_said_to_wait() {
    let (registry, leaves) = begin(1);
    registry.close();
    let (runnable, handle) = by_hand(registry, waits(Place::default(), Arc::default()));
    // Without the observer, which forgets a task that has ended.
    assert!(poll_recorded(runnable, Purpose::Run).has_ended);
    assert_eq!(leaves.len(), 0);
    assert!(result(handle).unwrap_err().is_cancelled());
    end(registry);
}

#[test]
fn of_so_many_clones_one_is_kept() {
    let (registry, leaves) = begin(4);
    let clones = Arc::new(Mutex::new(Vec::new()));
    let kept = clones.clone();
    let clones_eight = poll_fn(move |cx| {
        kept.lock().extend((0..8).map(|_| cx.waker().clone()));
        Poll::<()>::Pending
    });
    let (runnable, _handle) = by_hand(registry, clones_eight);
    let tag = runnable.metadata().tag();
    poll(registry, runnable);
    let real = real(registry);
    let kept: Vec<Waker> = std::mem::take(&mut *clones.lock());
    let leaves_kept = kept.iter().filter(|waker| !waker.will_wake(&real)).count();
    let two = 2 * usize::from(crate::stacks::AVAILABLE);
    assert_eq!(leaves_kept, two);
    // Of the same line.
    assert_eq!(places(leaves, tag).waits.len(), two.min(1));
    drop((kept, real));
    end(registry);
}

/// Takes turns: what a task does in its next poll.
#[derive(Clone, Default)]
struct Arms {
    first: Place,
    second: Place,
    done: Arc<AtomicUsize>,
    goes_on: Arc<AtomicUsize>,
    never: Arc<AtomicUsize>,
}

/// A sanitizer has locals elsewhere, so that stacks have no end but that of the thread. Then those of a task differ by who
/// polls it.
#[cfg(feature = "stacks")]
fn stacks_end_at_the_poll() -> bool {
    let here = std::hint::black_box(0_u8);
    let walk = crate::stacks::walk;
    walk(std::ptr::from_ref(&here).addr()).len() < walk(usize::MAX).len()
}

#[test]
#[cfg(feature = "stacks")]
fn a_future_that_is_left_out_and_woken_is_told() {
    if !stacks_end_at_the_poll() {
        return;
    }
    let (registry, leaves) = begin(1);
    let arms = Arms::default();
    let inner = arms.clone();
    let turns_away = async move {
        let mut first = pin!(waits(inner.first.clone(), inner.never.clone()));
        // The first is polled before the other is ready.
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            match inner.done.load(SeqCst) {
                0 => {
                    *inner.second.lock() = Some(cx.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
        waits(inner.second.clone(), inner.goes_on.clone()).await;
        waits(inner.second.clone(), inner.never.clone()).await;
    };
    let (runnable, _handle) = by_hand(registry, turns_away);
    let tag = runnable.metadata().tag();
    let snoozed = || places(leaves, tag).snoozed.len();
    poll(registry, runnable);
    // Two places: it looks again, and both are polled.
    assert!(poll_woken(registry) == WAITS && woken().is_none());
    arms.done.store(1, SeqCst);
    wake(&arms.second);
    assert!(poll_woken(registry).is_queued, "it looks again");
    poll_woken(registry);
    assert!(woken().is_none(), "a look is not looked at again");
    assert_eq!(snoozed(), 0, "nobody has woken it");
    pause();
    wake(&arms.first);
    assert_eq!(snoozed(), 0, "it was not polled since");
    poll_woken(registry);
    assert_eq!(snoozed(), 1);
    // It goes elsewhere, and may have dropped it.
    arms.goes_on.store(1, SeqCst);
    wake(&arms.second);
    poll_woken(registry);
    assert_eq!(snoozed(), 0);
    end(registry);
}

/// While its task yields, which clones no waker.
#[test]
#[cfg(feature = "stacks")]
fn a_future_that_is_finished_between_two_yields_is_not_told() {
    let (registry, leaves) = begin(1);
    let (place, done) = (Place::default(), Arc::<AtomicUsize>::default());
    let (inner, is_done) = (place.clone(), done.clone());
    let yields = async move {
        let mut waiting = pin!(waits(inner, is_done.clone()));
        poll_fn(|cx| {
            assert!(waiting.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        while is_done.load(SeqCst) == 0 {
            crate::tasks::yield_now().await;
        }
        waiting.await;
        loop {
            crate::tasks::yield_now().await;
        }
    };
    let (runnable, _handle) = by_hand(registry, yields);
    let tag = runnable.metadata().tag();
    poll(registry, runnable);
    assert!(poll_woken(registry).is_queued);
    assert_eq!(places(leaves, tag).waits.len(), 1, "it is left out");
    pause();
    done.store(1, SeqCst);
    wake(&place);
    for _ in 0..3 {
        assert!(poll_woken(registry).is_queued);
        assert_eq!(places(leaves, tag).snoozed.len(), 0);
    }
    end(registry);
}

#[cfg(feature = "stacks")]
const WAITS: Polled = Polled {
    has_ended: false,
    is_queued: false,
};

#[test]
#[cfg(feature = "stacks")]
fn futures_that_complete_or_are_dropped_or_polled_again_are_not_told() {
    let (registry, leaves) = begin(1);
    // What becomes of the first arm when it is woken.
    for what in ["completes", "is dropped", "is polled again", "moves on"] {
        // So that each looks again: the second poll.
        registry.record_leaves(1);
        let arms = Arms::default();
        let inner = arms.clone();
        let task = async move {
            let done = inner.done.clone();
            {
                let mut first = Some(Box::pin(waits(inner.first.clone(), done.clone())));
                let mut second = pin!(waits(inner.second.clone(), inner.never.clone()));
                let mut polls = 0;
                poll_fn(|cx| {
                    polls += 1;
                    let is_left_out = what == "is polled again" && polls == 3;
                    if let Some(future) = first.as_mut().filter(|_| !is_left_out) {
                        if future.as_mut().poll(cx).is_ready() {
                            first = None;
                        }
                    }
                    if what == "is dropped" && polls == 3 {
                        first = None;
                    }
                    if what == "moves on" && done.load(SeqCst) > 0 {
                        return Poll::Ready(());
                    }
                    second.as_mut().poll(cx)
                })
                .await;
            }
            waits(inner.second.clone(), inner.never.clone()).await;
        };
        let (runnable, handle) = by_hand(registry, task);
        let tag = runnable.metadata().tag();
        poll(registry, runnable);
        while let Some(runnable) = woken() {
            poll(registry, runnable);
        }
        // The third poll.
        wake(&arms.second);
        while let Some(runnable) = woken() {
            poll(registry, runnable);
        }
        if what == "is polled again" {
            // Somebody has a copy of the waker that it had before.
            let stale = arms.first.lock().clone().unwrap();
            wake(&arms.second);
            poll_woken(registry);
            pause();
            stale.wake();
            poll_woken(registry);
            assert_eq!(places(leaves, tag).snoozed.len(), 0, "{what}");
        }
        pause();
        arms.done.store(1, SeqCst);
        let first = arms.first.lock().take();
        match (what, first) {
            // As one that was left behind by a future that takes it along, too.
            ("is dropped", first) => drop(first),
            (_, first) => first.unwrap().wake(),
        }
        for _ in 0..3 {
            while let Some(runnable) = woken() {
                poll(registry, runnable);
            }
            wake(&arms.second);
        }
        assert_eq!(places(leaves, tag).snoozed.len(), 0, "{what}");
        drop(handle);
    }
    end(registry);
}
