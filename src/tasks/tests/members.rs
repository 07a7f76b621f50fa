//! Tasks of a group.

use super::*;
use crate::tasks::Entry;

/// A group that records the calls of its tasks.
#[derive(Clone, Default)]
struct Group(Arc<Mutex<Asked>>);

#[derive(Default)]
struct Asked {
    is_aborted: bool,
    /// The next call of `wait` returns the opposite.
    must_end: bool,
    waits: usize,
    completed: Vec<(Id, Result<u32, JoinError>)>,
}

impl Membership<u32> for Group {
    fn is_aborted(&self) -> bool {
        self.0.lock().is_aborted
    }

    fn wait(&mut self, _: fn() -> Entry, _: fn(Priority)) -> bool {
        let mut asked = self.0.lock();
        asked.waits += 1;
        !asked.must_end
    }

    fn classed(&self) -> Listing {
        Listing {
            level: NO_LIFT,
            list: Box::new(drop),
        }
    }

    fn complete(self, id: Id, outcome: Outcome<u32>, _: &Waker) {
        self.0.lock().completed.push((id, outcome.into_result()));
    }
}

impl Group {
    fn spawn(
        &self,
        registry: &Registry,
        future: impl Future<Output = u32> + Send + 'static,
    ) -> (Runnable, AbortHandle) {
        create_member::<_, ByHand, _>(future, 0, registry, self.clone())
    }
}

/// A task of a group that only it knows.
pub(super) fn spawn(
    registry: &Registry,
    future: impl Future<Output = u32> + Send + 'static,
) -> (Runnable, AbortHandle) {
    Group::default().spawn(registry, future)
}

#[test]
fn a_member_tells_its_group_that_it_waits_and_what_it_comes_to() {
    let registry = Registry::lease().unwrap();
    let group = Group::default();
    let (runnable, abort) = group.spawn(registry, yields(2));
    assert!(!abort.is_finished());
    run(runnable);
    assert!(!abort.is_finished());
    run_all();
    assert!(abort.is_finished());
    let asked = std::mem::take(&mut *group.0.lock());
    assert_eq!(asked.waits, 2);
    let [(id, Ok(7))] = asked.completed[..] else {
        panic!("it came to {:?}", asked.completed);
    };
    assert_eq!(id, abort.id());

    let (runnable, abort) =
        create_ready_member::<_, _, ByHand, _>(|| 5, 0, registry, group.clone());
    run(runnable);
    assert!(abort.is_finished());
    assert!(matches!(group.0.lock().completed[..], [(_, Ok(5))]));
    registry.release();
}

/// The group is aborted before the task's first poll, during it, and before a later one; or the
/// task's own handle aborts it.
#[test]
fn a_member_ends_when_its_group_is_aborted() {
    let registry = Registry::lease().unwrap();
    let group = Group::default();
    let polled_once = || {
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            assert_eq!(polls, 1, "polled though it was to end");
            Poll::Pending
        })
    };
    let takes_cancelled = || {
        let completed = std::mem::take(&mut group.0.lock().completed);
        matches!(&completed[..], [(_, Err(error))] if error.is_cancelled())
    };
    let (early, _abort) = group.spawn(registry, async { panic!("polled though it was to end") });
    group.0.lock().is_aborted = true;
    assert!(run(early).has_ended && takes_cancelled());
    group.0.lock().is_aborted = false;

    let (during, _abort) = group.spawn(registry, polled_once());
    group.0.lock().must_end = true;
    assert!(run(during).has_ended && takes_cancelled());
    group.0.lock().must_end = false;

    let (late, abort) = group.spawn(registry, polled_once());
    assert!(!run(late).has_ended);
    group.0.lock().is_aborted = true;
    abort.abort();
    assert!(run(woken().unwrap()).has_ended && takes_cancelled());
    group.0.lock().is_aborted = false;

    let (by_handle, abort) = group.spawn(registry, polled_once());
    assert!(!run(by_handle).has_ended);
    abort.abort();
    assert!(run(woken().unwrap()).has_ended && takes_cancelled());
    CANCELLED.take();
    registry.release();
}
