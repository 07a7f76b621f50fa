//! Aborts, early and late.

use super::*;

/// Aborts by each handle, before the first poll and after it.
#[test]
fn an_abort_ends_a_task_at_its_next_poll_and_once() {
    type Abort = fn(&JoinHandle<u32>, &AbortHandle);
    let aborts: [Abort; 3] = [
        |handle, _| handle.abort(),
        |_, abort| abort.abort(),
        |handle, abort| {
            abort.abort();
            handle.abort();
            abort.abort();
        },
    ];
    let registry = Registry::lease().unwrap();
    for abort_by in aborts {
        for waits in [false, true] {
            let future = poll_fn(move |_| match waits {
                true => Poll::Pending,
                false => panic!("polled though it was to end"),
            });
            let (runnable, mut handle) = by_hand(registry, future);
            let id = handle.id();
            let mut runnable = Some(runnable);
            // The abort handle is made before the task has waited, or after.
            let early = (!waits).then(|| handle.abort_handle());
            if waits {
                run(runnable.take().unwrap());
            }
            let abort = early.unwrap_or_else(|| handle.abort_handle());
            assert_eq!((abort.id(), abort.is_finished()), (id, false));
            abort_by(&handle, &abort);
            assert!(!handle.is_finished() && poll(&mut handle).is_pending());
            let runnable = runnable.or_else(woken).expect("the abort wakes the task");
            assert!(run(runnable).has_ended);
            assert!(woken().is_none(), "it was woken twice");
            assert!(abort.is_finished() && handle.is_finished());
            assert!(result(handle).unwrap_err().is_cancelled());
            assert_eq!((ENDED.take(), CANCELLED.take()), (vec![id], vec![id]));
            assert_eq!(registry.len(), 0);
        }
    }
    registry.release();
}

/// An abort during the first poll finds no waker, so the poll itself has to end the task.
#[test]
fn an_abort_during_the_first_poll_ends_the_task() {
    let registry = Registry::lease().unwrap();
    for controlled in [false, true] {
        let during = Arc::new(Mutex::new(None::<Box<dyn FnOnce() + Send>>));
        let asked = during.clone();
        let (runnable, handle) = by_hand(
            registry,
            poll_fn(move |_| {
                let abort = asked.lock().take().expect("one poll");
                abort();
                Poll::<()>::Pending
            }),
        );
        let handle = Arc::new(handle);
        let abort: Box<dyn FnOnce() + Send> = match controlled {
            true => {
                let abort = handle.abort_handle();
                Box::new(move || abort.abort())
            }
            false => {
                let handle = handle.clone();
                Box::new(move || handle.abort())
            }
        };
        *during.lock() = Some(abort);
        assert!(run(runnable).has_ended);
        let handle = Arc::into_inner(handle).unwrap();
        assert!(result(handle).unwrap_err().is_cancelled());
    }
    ENDED.take();
    CANCELLED.take();
    registry.release();
}

/// While an abort through a control is outstanding, each poll of a task with a control looks into
/// the table.
#[test]
fn the_abort_of_one_task_is_not_another_s() {
    let registry = Registry::lease().unwrap();
    let (aborted, one) = by_hand(registry, pending::<()>());
    one.abort_handle().abort();
    let (runnable, other) = create_named::<_, ByHand>(yields(1), 0, registry, "goes on");
    run(runnable);
    run_all();
    assert_eq!(result(other).unwrap(), 7);
    assert!(run(aborted).has_ended);
    assert!(result(one).unwrap_err().is_cancelled());
    CANCELLED.take();
    registry.release();
}

#[test]
fn an_abort_that_comes_too_late_changes_nothing() {
    let registry = Registry::lease().unwrap();
    let (runnable, handle) = by_hand(registry, yields(1));
    let early = handle.abort_handle();
    run(runnable);
    run_all();
    let late = handle.abort_handle();
    for abort in [&early, &late] {
        abort.abort();
        assert!(abort.is_finished());
    }
    handle.abort();
    assert!(woken().is_none());
    assert_eq!(result(handle).unwrap(), 7);
    assert!(CANCELLED.take().is_empty());
    registry.release();
}
