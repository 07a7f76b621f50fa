//! Classes: what inherits them, what is lifted, and by how many polls.

use super::*;
use crate::tasks::class::Class;

use Priority::{Background, Interactive, Normal};

/// Spawns a task of this class.
pub(super) fn of_class<F>(
    class: Priority,
    registry: &Registry,
    future: F,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let _class = SpawnsAs::class(class);
    by_hand(registry, future)
}

pub(super) fn class_of<T>(handle: &JoinHandle<T>) -> (Priority, Priority) {
    let Class { own, effective } = handle.task().metadata().class();
    (own, effective)
}

pub(super) fn ends_of<T>(handle: JoinHandle<T>) -> Result<T, JoinError> {
    let result = result(handle);
    ENDED.take();
    CANCELLED.take();
    RECLASSED.take();
    result
}

pub(super) fn lease() -> &'static Registry {
    Registry::lease_of::<ByHand>().unwrap()
}

#[test]
fn a_spawn_takes_over_the_own_class_and_not_the_one_that_its_spawner_is_lifted_to() {
    let registry = lease();
    let (runnable, handle) = of_class(Background, registry, async move {
        let (child, handle) = by_hand(registry, async {});
        (child, handle, priority())
    });
    lift::lift_to(runnable.metadata(), Interactive);
    run(runnable);
    let (child, child_handle, seen) = result(handle).unwrap();
    assert_eq!(seen, Interactive);
    assert_eq!(class_of(&child_handle), (Background, Background));
    run(child);
    assert_eq!(priority(), Normal);
    ends_of(child_handle).unwrap();
    registry.release();
}

/// The cell that says the class of a poll is not emptied at its end.
#[test]
fn the_class_of_one_task_is_not_the_next_one_s() {
    let registry = lease();
    let spawns = async move { by_hand(registry, async {}) };
    let (first, first_handle) = of_class(Interactive, registry, async {});
    let (second, second_handle) = by_hand(registry, spawns);
    run(first);
    assert_ne!(current::class(), 0, "it is out of date");
    run(second);
    let (child, child_handle) = result(second_handle).unwrap();
    assert_eq!(class_of(&child_handle), (Normal, Normal));
    assert_eq!(current::class(), 0);
    // And outside of tasks.
    run(of_class(Interactive, registry, async {}).0);
    let (outside, outside_handle) = by_hand(registry, async {});
    assert_eq!(class_of(&outside_handle), (Normal, Normal));
    run(child);
    run(outside);
    ends_of(child_handle).unwrap();
    ends_of(outside_handle).unwrap();
    ends_of(first_handle).unwrap();
    registry.release();
}

#[test]
fn a_poll_inside_of_a_poll_leaves_the_outer_class_as_it_was() {
    let registry = lease();
    for inner_class in [Background, Normal] {
        let (inner, inner_handle) = of_class(inner_class, registry, pending::<()>());
        let (outer, outer_handle) = of_class(Interactive, registry, async move {
            let before = by_hand(registry, async {});
            cancel(inner);
            [before, by_hand(registry, async {})]
        });
        run(outer);
        for (child, handle) in result(outer_handle).unwrap() {
            assert_eq!(class_of(&handle), (Interactive, Interactive));
            run(child);
            ends_of(handle).unwrap();
        }
        assert!(ends_of(inner_handle).unwrap_err().is_cancelled());
    }
    registry.release();
}

#[test]
fn the_runtime_is_told_of_each_task_with_a_class_before_it_is_queued() {
    let registry = lease();
    SPAWNED_WITH_CLASS.take();
    let all = [Background, Normal, Interactive].map(|class| of_class(class, registry, async {}));
    let told: Vec<_> = SPAWNED_WITH_CLASS
        .take()
        .into_iter()
        .map(|(_, class)| class)
        .collect();
    assert_eq!(told, [Background, Interactive]);
    assert_eq!(RECLASSED.take(), [], "nobody looks for what is not queued");
    assert_eq!(registry.len(), 1, "the background task");
    for (runnable, handle) in all {
        run(runnable);
        ends_of(handle).unwrap();
    }
    assert_eq!(registry.len(), 0);
    registry.release();
}

/// What B is doing when it is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Waits,
    Queued,
    PolledFirst,
    PolledAgain,
}

/// A is interactive and awaits B, which awaits C. Wherever B is when it is lifted, C is lifted, too,
/// and B is polled once more than without.
#[test]
fn a_chain_is_lifted_whatever_its_middle_is_doing() {
    use State::{New, PolledAgain, PolledFirst, Queued, Waits};

    let registry = lease();
    let table = [
        // Polls of B: those that it has anyway, and one more. The first poll of a new one has the
        // class from the beginning.
        (New, 1),
        (Waits, 1 + 1),
        // That poll was to come anyway.
        (Queued, 2),
        (PolledFirst, 1 + 1),
        (PolledAgain, 2 + 1),
    ];
    for (state, expected) in table {
        let (c, mut c_handle) = by_hand(registry, pending::<()>());
        let c_tag = c.metadata().tag();
        let during = Arc::new(Mutex::new(None::<Runnable>));
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let polls = Arc::new(AtomicUsize::new(0));
        let (lifts, counted, keeps) = (during.clone(), polls.clone(), waker.clone());
        let (b, mut b_handle) = by_hand(
            registry,
            poll_fn(move |cx| {
                let number = counted.fetch_add(1, SeqCst) + 1;
                *keeps.lock() = Some(cx.waker().clone());
                assert!(Pin::new(&mut c_handle).poll(cx).is_pending());
                let is_due = number == if state == PolledFirst { 1 } else { 2 };
                if is_due && matches!(state, PolledFirst | PolledAgain) {
                    run(lifts.lock().take().unwrap());
                }
                Poll::<()>::Pending
            }),
        );
        let b_id = b_handle.id();
        let (a, a_handle) = of_class(
            Interactive,
            registry,
            poll_fn(move |cx| Pin::new(&mut b_handle).poll(cx)),
        );
        RECLASSED.take();
        let wake = || waker.lock().take().unwrap().wake();
        run(c);
        match state {
            New => {
                run(a);
                run(b);
            }
            Waits => {
                run(b);
                run(a);
            }
            Queued => {
                run(b);
                wake();
                run(a);
            }
            PolledFirst => {
                *during.lock() = Some(a);
                run(b);
            }
            PolledAgain => {
                run(b);
                *during.lock() = Some(a);
                wake();
            }
        }
        run_all();
        assert_eq!(polls.load(SeqCst), expected, "{state:?}");
        let told = RECLASSED.take();
        let ids: Vec<_> = told.iter().map(|&(id, _)| id).collect();
        assert_eq!(ids, [b_id, id_in(c_tag)], "{state:?}: each once");
        assert!(told.iter().all(|&(_, class)| class == Interactive));
        registry.close();
        while let Some(runnable) = woken() {
            cancel(runnable);
        }
        ENDED.take();
        CANCELLED.take();
        RECLASSED.take();
        assert!(result(a_handle).is_err());
        assert_eq!(registry.len(), 0);
        registry.reopen();
    }
    registry.release();
}

#[test]
fn a_task_whose_handle_is_dropped_falls_back_and_is_not_woken() {
    let registry = lease();
    let (awaited, mut handle) = of_class(Background, registry, pending::<()>());
    let abort = handle.abort_handle();
    run(awaited);
    assert_eq!(class_of(&handle), (Background, Background));
    let id = handle.id();
    let (waits, awaiter) = by_hand(
        registry,
        poll_fn(move |cx| {
            assert!(Pin::new(&mut handle).poll(cx).is_pending());
            let lifted = class_of(&handle);
            assert_eq!(lifted, (Background, Normal));
            Poll::Ready(std::mem::replace(
                &mut handle,
                by_hand(registry, async {}).1,
            ))
        }),
    );
    RECLASSED.take();
    run(waits);
    run(woken().expect("the rise wakes it"));
    let handle = result(awaiter).unwrap();
    drop(handle);
    assert!(woken().is_none(), "a fall wakes nobody");
    assert_eq!(RECLASSED.take(), [(id, Normal), (id, Background)]);
    abort.abort();
    run_all();
    assert!(abort.is_finished());
    ENDED.take();
    CANCELLED.take();
    registry.release();
}

/// The handle goes from an interactive task to one without a class, and to a thread.
#[test]
fn the_last_who_awaits_a_task_lifts_it() {
    let registry = lease();
    let (awaited, handle) = of_class(Background, registry, pending::<()>());
    let looks = |class, mut handle: JoinHandle<()>| {
        let (runnable, looked) = of_class(
            class,
            registry,
            poll_fn(move |cx| {
                assert!(Pin::new(&mut handle).poll(cx).is_pending());
                let seen = class_of(&handle);
                Poll::Ready((
                    seen,
                    std::mem::replace(&mut handle, by_hand(registry, async {}).1),
                ))
            }),
        );
        run(runnable);
        result(looked).unwrap()
    };
    let (seen, handle) = looks(Interactive, handle);
    assert_eq!(seen, (Background, Interactive));
    let (seen, mut handle) = looks(Normal, handle);
    assert_eq!(seen, (Background, Normal));
    assert!(poll(&mut handle).is_pending());
    assert_eq!(class_of(&handle), (Background, Background));
    handle.abort();
    run(awaited);
    assert!(ends_of(handle).is_err());
    run_all();
    ENDED.take();
    registry.release();
}

/// By either handle, before the first poll, while the task waits, and after its end.
#[test]
fn a_class_can_be_set_at_any_time() {
    let registry = lease();
    for by_abort_handle in [false, true] {
        for name in [None, Some("named")] {
            let future = {
                let mut waits = true;
                poll_fn(move |_| match std::mem::replace(&mut waits, false) {
                    true => Poll::Pending,
                    false => Poll::Ready(priority()),
                })
            };
            let (runnable, handle) = match name {
                None => by_hand(registry, future),
                Some(name) => create_named::<_, ByHand>(future, 0, registry, name),
            };
            let abort = handle.abort_handle();
            let set = |class| match by_abort_handle {
                true => abort.set_priority(class),
                false => handle.set_priority(class),
            };
            set(Background);
            set(Interactive);
            run(runnable);
            assert_eq!(class_of(&handle), (Interactive, Interactive));
            assert!(woken().is_none(), "it had the class when its poll began");
            set(Background);
            assert!(woken().is_none(), "a fall wakes nobody");
            assert_eq!(class_of(&handle), (Background, Background));
            set(Normal);
            run(woken().expect("a rise does"));
            for class in [Interactive, Normal, Background] {
                set(class);
            }
            assert!(woken().is_none());
            assert_eq!(class_of(&handle), (Normal, Normal));
            assert_eq!(ends_of(handle).unwrap(), Normal);
        }
    }
    registry.release();
}

/// An abort handle sets the class in the first poll, which has none then; the key comes later.
#[test]
fn a_class_that_is_set_in_the_first_poll_is_the_task_s_when_it_waits() {
    let registry = lease();
    let abort = Arc::new(Mutex::new(None::<AbortHandle>));
    let sets = abort.clone();
    let mut polls = 0;
    let (runnable, handle) = by_hand(
        registry,
        poll_fn(move |_| {
            polls += 1;
            if polls == 1 {
                (sets.lock().as_ref().unwrap()).set_priority(Interactive);
                return Poll::Pending;
            }
            Poll::Ready((polls, priority()))
        }),
    );
    *abort.lock() = Some(handle.abort_handle());
    run(runnable);
    run(woken().expect("it has risen"));
    assert!(woken().is_none());
    assert_eq!(ends_of(handle).unwrap(), (2, Interactive));
    registry.release();
}

#[test]
fn a_lifted_task_whose_own_class_changes_stays_lifted() {
    let registry = lease();
    let (runnable, handle) = by_hand(registry, pending::<()>());
    let meta = handle.task().metadata();
    run(runnable);
    lift::lift_to(meta, Interactive);
    run(woken().unwrap());
    for own in [Background, Interactive, Normal, Background] {
        handle.set_priority(own);
        assert_eq!(class_of(&handle), (own, Interactive));
        assert!(woken().is_none(), "its class has not changed");
    }
    lift::fall_back(meta);
    assert_eq!(class_of(&handle), (Background, Background));
    handle.abort();
    run(woken().unwrap());
    assert!(ends_of(handle).unwrap_err().is_cancelled());
    registry.release();
}

#[test]
fn a_lifted_task_that_panics_or_is_aborted_ends_as_any_other() {
    let registry = lease();
    for aborts in [false, true] {
        let mut polls = 0;
        let (awaited, mut handle) = of_class(
            Background,
            registry,
            poll_fn(move |_| {
                polls += 1;
                if polls == 2 {
                    std::panic::panic_any(1_u8);
                }
                Poll::<()>::Pending
            }),
        );
        let abort = handle.abort_handle();
        let (waits, awaiter) = of_class(
            Interactive,
            registry,
            poll_fn(move |cx| Pin::new(&mut handle).poll(cx)),
        );
        run(awaited);
        run(waits);
        if aborts {
            abort.abort();
        }
        run_all();
        let error = result(awaiter).unwrap().unwrap_err();
        assert_eq!((error.is_panic(), error.is_cancelled()), (!aborts, aborts));
        assert_eq!(registry.len(), 0);
    }
    ENDED.take();
    CANCELLED.take();
    PANICKED.take();
    RECLASSED.take();
    registry.release();
}

/// Tasks that await each other in a circle never end, and come to rest.
#[test]
fn a_circle_is_lifted_once() {
    type Slot = Arc<Mutex<Option<JoinHandle<()>>>>;
    let registry = lease();
    let polls = Arc::new(AtomicUsize::new(0));
    let slots: [Slot; 3] = std::array::from_fn(|_| Slot::default());
    let spawned = [0, 1, 2].map(|number: usize| {
        let (next, polls) = (slots[(number + 1) % 3].clone(), polls.clone());
        let waits = poll_fn(move |cx| {
            polls.fetch_add(1, SeqCst);
            let mut next = next.lock();
            assert!(Pin::new(next.as_mut().unwrap()).poll(cx).is_pending());
            Poll::<()>::Pending
        });
        by_hand(registry, waits)
    });
    let aborts = spawned.each_ref().map(|(_, handle)| handle.abort_handle());
    for ((runnable, handle), slot) in spawned.into_iter().zip(&slots) {
        *slot.lock() = Some(handle);
        QUEUE.with_borrow_mut(|queue| queue.push(runnable));
    }
    run_all();
    assert_eq!(polls.swap(0, SeqCst), 3);
    aborts[0].set_priority(Interactive);
    run_all();
    assert_eq!(polls.swap(0, SeqCst), 3, "each once");
    aborts[0].set_priority(Background);
    run_all();
    assert_eq!(polls.swap(0, SeqCst), 0, "it is lifted itself");
    for abort in &aborts {
        abort.abort();
    }
    // The handles are in the circle.
    slots.iter().for_each(|slot| drop(slot.lock().take()));
    run_all();
    assert_eq!(registry.len(), 0);
    ENDED.take();
    CANCELLED.take();
    RECLASSED.take();
    registry.release();
}

#[test]
fn a_task_that_finds_no_room_to_wait_ends_and_says_so() {
    let registry = lease();
    let keys: Vec<_> = (0..Registry::ROOM)
        .map(|_| registry.insert(Waker::noop()).unwrap())
        .collect();
    let (runnable, handle) = by_hand(registry, pending::<()>());
    assert!(run(runnable).has_ended);
    let error = ends_of(handle).unwrap_err();
    assert!(error.is_cancelled());
    let error = std::io::Error::from(error);
    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    // A background task does without its entry.
    let (runnable, handle) = of_class(Background, registry, async { 7 });
    run(runnable);
    assert_eq!(ends_of(handle).unwrap(), 7);
    for key in keys {
        drop(registry.remove(key));
    }
    registry.release();
}
