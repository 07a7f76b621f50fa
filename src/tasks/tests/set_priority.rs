//! Classes that are set by handles: when they count, and which of two.

use super::priorities::{class_of, ends_of, lease, of_class};
use super::*;

use Priority::{Background, Interactive, Normal};

/// The cell that says the class of a poll is of this very task, from an earlier poll.
#[test]
fn a_task_that_has_become_normal_spawns_normal_tasks() {
    let registry = lease();
    let mut children = Vec::new();
    let (runnable, handle) = of_class(
        Background,
        registry,
        poll_fn(move |cx| {
            children.push(by_hand(registry, async {}));
            cx.waker().wake_by_ref();
            match children.len() {
                3 => Poll::Ready(std::mem::take(&mut children)),
                _ => Poll::Pending,
            }
        }),
    );
    run(runnable);
    handle.set_priority(Normal);
    run_all();
    let children = result(handle).unwrap();
    let classes: Vec<_> = children
        .iter()
        .map(|(_, child)| class_of(child).0)
        .collect();
    assert_eq!(classes, [Background, Normal, Normal]);
    for (child, handle) in children {
        run(child);
        ends_of(handle).unwrap();
    }
    registry.release();
}

/// Within a poll that has lowered its own class.
#[test]
fn what_a_handle_gives_counts_though_the_task_has_become_normal() {
    let registry = lease();
    let own = Arc::new(Mutex::new(None::<AbortHandle>));
    let sets = own.clone();
    let (runnable, handle) = of_class(Background, registry, async move {
        let _class = SpawnsAs::class(Interactive);
        sets.lock().take().unwrap().set_priority(Normal);
        by_hand(registry, async {})
    });
    *own.lock() = Some(handle.abort_handle());
    run(runnable);
    let (child, child_handle) = result(handle).unwrap();
    assert_eq!(class_of(&child_handle), (Interactive, Interactive));
    run(child);
    ends_of(child_handle).unwrap();
    registry.release();
}

/// The registry and the control have a waker of it, and whatever it waits for.
#[test]
fn a_named_background_task_that_waits_has_a_waker() {
    let registry = lease();
    let place = Arc::new(Mutex::new(None::<Waker>));
    for name in [None, Some("named")] {
        let keeps = place.clone();
        let future = poll_fn(move |cx| {
            *keeps.lock() = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        let _class = SpawnsAs::class(Background);
        let (runnable, handle) = match name {
            None => by_hand(registry, future),
            Some(name) => create_named::<_, ByHand>(future, 0, registry, name),
        };
        run(runnable);
        let has_none = || registry.registered()[0].has_no_waker;
        assert!(!has_none(), "{name:?}");
        drop(place.lock().take());
        assert!(has_none(), "{name:?}");
        handle.abort();
        run(woken().unwrap());
        assert!(ends_of(handle).unwrap_err().is_cancelled());
    }
    registry.release();
}

/// By an abort handle before the first poll, where it is kept for the task, and then by the other.
#[test]
fn the_class_that_was_set_last_counts() {
    let registry = lease();
    for name in [None, Some("named")] {
        for polls_before in [0, 1] {
            let (runnable, handle) = match name {
                None => by_hand(registry, yields(9)),
                Some(name) => create_named::<_, ByHand>(yields(9), 0, registry, name),
            };
            let abort = handle.abort_handle();
            let mut runnable = Some(runnable);
            for _ in 0..polls_before {
                run(runnable.take().unwrap());
                runnable = woken();
            }
            abort.set_priority(Background);
            handle.set_priority(Interactive);
            run(runnable.unwrap());
            assert_eq!(class_of(&handle).0, Interactive);
            handle.set_priority(Background);
            abort.set_priority(Normal);
            run(woken().unwrap());
            assert_eq!(class_of(&handle).0, Normal);
            run_all();
            assert_eq!(ends_of(handle).unwrap(), 7);
        }
    }
    registry.release();
}

/// The task has a place in no registry, so a set could not lift it in its queue.
#[test]
fn the_only_handle_of_a_new_task_sets_its_class_at_its_first_poll() {
    let registry = lease();
    let (runnable, abort) = super::members::spawn(registry, yields(1));
    abort.set_priority(Background);
    let tag = runnable.metadata().tag();
    assert_eq!(runnable.metadata().class().own, Normal);
    run(runnable);
    let runnable = woken().unwrap();
    assert_eq!(runnable.metadata().class().own, Background);
    assert!(registry.registered().iter().any(|task| task.tag == tag));
    abort.set_priority(Interactive);
    assert_eq!(runnable.metadata().class().own, Interactive);
    run(runnable);
    assert!(abort.is_finished());
    ENDED.take();
    RECLASSED.take();
    registry.release();
}
