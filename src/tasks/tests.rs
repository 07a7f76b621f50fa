//! Tasks without a scheduler: runnables go into a list on the thread of the test, which runs them
//! by hand.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use async_task::ScheduleInfo;

use super::registry::Registry;
use super::*;
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, thread};

mod aborts;
mod captures;
mod leaves;
mod members;
mod priorities;
mod set_priority;

std::thread_local! {
    static QUEUE: RefCell<Vec<Runnable>> = const { RefCell::new(Vec::new()) };
    /// Tasks whose future has been dropped, in that order.
    pub(super) static ENDED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
    static PANICKED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
    static CANCELLED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
    /// Tasks that were spawned with a class, and the class.
    static SPAWNED_WITH_CLASS: RefCell<Vec<(Id, Priority)>> = const { RefCell::new(Vec::new()) };
    /// Tasks whose class has changed, and the class.
    static RECLASSED: RefCell<Vec<(Id, Priority)>> = const { RefCell::new(Vec::new()) };
}

struct ByHand;

impl Schedule for ByHand {
    fn is_queued_by_class(_: &Meta) -> bool {
        true
    }

    fn spawned_with_class(meta: &Meta) {
        SPAWNED_WITH_CLASS.with_borrow_mut(|spawned| {
            spawned.push((meta.id(), meta.class().effective));
        });
    }

    fn reclassed(meta: &Meta) {
        RECLASSED.with_borrow_mut(|reclassed| {
            reclassed.push((meta.id(), meta.class().effective));
        });
    }

    fn schedule(runnable: Runnable, _: ScheduleInfo) {
        QUEUE.with_borrow_mut(|queue| queue.push(runnable));
    }

    fn panicked(meta: &Meta) {
        PANICKED.with_borrow_mut(|panicked| panicked.push(meta.id()));
    }

    fn cancelled(meta: &Meta) {
        CANCELLED.with_borrow_mut(|cancelled| cancelled.push(meta.id()));
    }

    fn finished(meta: &Meta) {
        ENDED.with_borrow_mut(|ended| ended.push(meta.id()));
    }
}

pub(super) fn by_hand<F>(registry: &Registry, future: F) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    create::<F, ByHand>(future, size_of::<F>(), registry)
}

/// The task that became runnable last.
pub(super) fn woken() -> Option<Runnable> {
    QUEUE.with_borrow_mut(Vec::pop)
}

fn poll<T>(handle: &mut JoinHandle<T>) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn result<T>(handle: JoinHandle<T>) -> Result<T, JoinError> {
    match pin!(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the task has not ended"),
    }
}

/// Panics each time it is dropped.
struct Throws;

impl Drop for Throws {
    fn drop(&mut self) {
        panic!("thrown by a destructor");
    }
}

/// A panic payload whose destructor panics. That second payload is leaked, as the suppressions of
/// the leak checkers expect.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("thrown by the destructor of something thrown");
    }
}

/// A future that is pending `times` times and wakes itself each time.
fn yields(mut times: u32) -> impl Future<Output = u32> + Send {
    poll_fn(move |cx| {
        if times == 0 {
            return Poll::Ready(7);
        }
        times -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

fn run_all() {
    while let Some(runnable) = woken() {
        run(runnable);
    }
}

#[test]
fn id_and_origin_survive_packing() {
    for number in [1, 2, 1 << 13, 1 << 14, (1 << 18) + 5, (1 << ID_BITS) - 1] {
        for spawn_site in [0, 1, (1 << RUNTIME_BITS) - 1, (1 << SPAWN_SITE_BITS) - 1] {
            let meta = Meta::new(Id::from_number(number), spawn_site, 0);
            assert_eq!(
                (meta.id().0.get(), meta.spawn_site()),
                (number, spawn_site as usize)
            );
            assert_eq!(site_number(meta.tag()), spawn_site as usize);
            assert_eq!(id_in(meta.tag()).number(), number);
        }
    }
}

#[test]
fn header_stays_at_48_bytes() {
    assert_eq!(std::mem::size_of::<Meta>(), 12);
}

#[test]
fn what_is_contained_does_not_come_out_and_neither_does_a_payload_that_throws() {
    catch_panic(|| std::panic::panic_any(Payload));
    drop_catching(Throws);
    drop(Outcome::new(Ok(Throws)));
    // The output needs no destructor, but the destructor of the error panics.
    drop(Outcome::<u8>::new(Err(JoinError::panic(
        Id::next(),
        Box::new(Payload),
    ))));
}

#[test]
fn an_outcome_is_dropped_once() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let outcome = Outcome::new(Ok(Counts(drops.clone())));
    let output = outcome.into_result();
    assert_eq!(drops.load(SeqCst), 0);
    drop(output);
    assert_eq!(drops.load(SeqCst), 1);
    drop(Outcome::new(Ok(Counts(drops.clone()))));
    assert_eq!(drops.load(SeqCst), 2);
}

#[test]
fn a_named_task_knows_its_name() {
    let registry = Registry::lease().unwrap();
    let asks = async { control::name().map(|name| name.to_string()) };
    let (runnable, handle) = create_named::<_, ByHand>(asks, 0, registry, "asks");
    run(runnable);
    assert_eq!(result(handle).unwrap().as_deref(), Some("asks"));
    assert!(control::name().is_none());
    registry.release();
}

#[test]
fn a_named_task_that_nobody_stops_goes_on() {
    let registry = Registry::lease().unwrap();
    let (runnable, mut handle) =
        create_named::<_, ByHand>(yields(3), 0, registry, "a task with a name");
    let id = handle.id();
    assert_eq!(control::name_of(id).as_deref(), Some("a task with a name"));
    let tag = runnable.metadata().tag();
    let told = describe(tag).to_string();
    assert!(told.contains("a task with a name") && told.contains("tasks/tests.rs"));
    run(runnable);
    assert!(poll(&mut handle).is_pending() && !handle.is_finished());
    run_all();
    assert!(handle.is_finished());
    assert_eq!(result(handle).unwrap(), 7);
    assert_eq!(control::name_of(id), None);
    assert_eq!((ENDED.take(), CANCELLED.take()), (vec![id], vec![]));
    registry.release();
}

#[test]
fn a_task_that_waits_when_its_runtime_closes_or_later_is_cancelled() {
    let registry = Registry::lease().unwrap();
    let (waits, one) = by_hand(registry, pending::<()>());
    let (late, two) = by_hand(registry, pending::<()>());
    assert!(!run(waits).has_ended);
    registry.close();
    // As a runtime does that knows that it is closed.
    cancel(woken().expect("closing wakes"));
    assert!(run(late).has_ended, "nobody would wake it");
    assert_eq!(CANCELLED.take(), [one.id(), two.id()]);
    assert!(result(one).unwrap_err().is_cancelled());
    assert!(result(two).unwrap_err().is_cancelled());
    registry.release();
}

#[test]
fn a_registry_names_the_tasks_that_wait() {
    let registry = Registry::lease().unwrap();
    let mut tags = Vec::new();
    for _ in 0..3 {
        let (runnable, handle) = by_hand(registry, pending::<()>());
        tags.push(runnable.metadata().tag());
        run(runnable);
        drop(handle);
    }
    let found = registry.registered();
    assert!(
        found
            .iter()
            .all(|task| task.has_no_waker && !task.is_queued)
    );
    let mut found: Vec<u64> = found.iter().map(|task| task.tag).collect();
    tags.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, tags);
    registry.close();
    while let Some(runnable) = woken() {
        cancel(runnable);
    }
    assert!(registry.registered().is_empty());
    assert_eq!((ENDED.take().len(), CANCELLED.take().len()), (3, 3));
    registry.release();
}

/// A panic in the poll, in the future's destructor, and in both.
#[test]
fn each_panic_of_a_task_is_told_to_its_handle() {
    let registry = Registry::lease().unwrap();
    let throws = Throws;
    type Case = (Pin<Box<dyn Future<Output = ()> + Send>>, &'static str, bool);
    let cases: [Case; 3] = [
        (Box::pin(async { panic!("thrown") }), "thrown", true),
        (
            Box::pin(poll_fn(move |_| {
                let _throws = &throws;
                Poll::Ready(())
            })),
            "thrown by a destructor",
            false,
        ),
        (
            Box::pin(async {
                let _throws = ThrowsUnlessPanicking;
                panic!("{} thrown", 2)
            }),
            "2 thrown",
            true,
        ),
    ];
    for (future, message, by_poll) in cases {
        let (runnable, handle) = by_hand(registry, future);
        let id = handle.id();
        assert!(run(runnable).has_ended);
        let error = result(handle).unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.id(), id);
        assert_eq!(PANICKED.take(), if by_poll { vec![id] } else { vec![] });
        assert!(
            error.to_string().contains(&format!("{message:?}")),
            "{error}"
        );
        assert!(format!("{error:?}").contains(message));
    }
    registry.release();
}

struct ThrowsUnlessPanicking;

impl Drop for ThrowsUnlessPanicking {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("never");
        }
    }
}

#[test]
fn errors_say_what_they_are() {
    use std::error::Error;

    let id = Id::from_number(5);
    let refused = || JoinError::refused(id, std::io::ErrorKind::OutOfMemory.into());
    assert!(refused().is_cancelled() && refused().source().is_some());
    assert!(
        refused()
            .to_string()
            .starts_with("task 5 could not go on: ")
    );
    let told = std::io::Error::from(refused());
    assert_eq!(told.kind(), std::io::ErrorKind::OutOfMemory);
    assert!(refused().try_into_panic().unwrap_err().source().is_some());

    let cancelled = || JoinError::cancelled(id);
    assert_eq!(cancelled().to_string(), "task 5 was cancelled");
    assert_eq!(
        format!("{:?}", cancelled()),
        "JoinError(\"cancelled\", Id(5))"
    );
    assert!(cancelled().source().is_none());
    let told = std::io::Error::from(cancelled());
    assert_eq!(told.kind(), std::io::ErrorKind::Other);

    let panic = || JoinError::panic(id, Box::new(5_u8));
    assert_eq!(panic().to_string(), "task 5 panicked");
    assert_eq!(*panic().into_panic().downcast::<u8>().unwrap(), 5);
    assert!(panic().source().is_none());
    let text = JoinError::panic(id, Box::new("text".to_owned()));
    assert_eq!(text.to_string(), "task 5 panicked with message \"text\"");
}

#[test]
fn handles_show_themselves() {
    let registry = Registry::lease().unwrap();
    let (runnable, handle) = by_hand(registry, async {});
    let id = handle.id();
    assert_eq!(format!("{id} {id:?}"), format!("{0} Id({0})", id.number()));
    let abort = handle.abort_handle();
    assert_eq!(
        format!("{handle:?} {abort:?}"),
        format!(
            "JoinHandle {{ id: {id:?}, finished: false }} AbortHandle {{ id: {id:?}, finished: false }}"
        )
    );
    run(runnable);
    assert!(format!("{handle:?}").contains("finished: true"));
    registry.release();
}

/// What [`try_id`] and [`location`] return inside a task.
#[test]
fn a_task_knows_who_it_is_while_it_is_polled_and_while_it_is_dropped() {
    struct Asks(Arc<Mutex<Vec<Option<Id>>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.lock().push(try_id());
        }
    }
    let registry = Registry::lease().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asks = Asks(seen.clone());
    let (runnable, handle) = by_hand(registry, async move {
        asks.0.lock().push(try_id());
        assert_eq!(location().unwrap().file(), file!());
        drop(asks);
    });
    assert_eq!((try_id(), location()), (None, None));
    run(runnable);
    assert_eq!(*seen.lock(), [Some(handle.id()); 2]);
    assert_eq!(try_id(), None);
    let (never_run, handle) = by_hand(registry, {
        let asks = Asks(seen.clone());
        async move { drop(asks) }
    });
    cancel(never_run);
    assert_eq!(seen.lock()[2], Some(handle.id()));
    registry.release();
}

#[test]
fn threads_draw_different_ids() {
    let threads: Vec<_> = (0..4)
        .map(|_| thread::spawn(|| (0..2000).map(|_| Id::next()).collect::<Vec<_>>()))
        .collect();
    let ids = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap());
    let different: std::collections::HashSet<Id> = ids.collect();
    assert_eq!(different.len(), 8000);
}

#[test]
fn a_thread_tells_whom_it_polls() {
    let registry = Registry::lease().unwrap();
    let (runnable, handle) = by_hand(registry, async { current_tag() });
    let tag = runnable.metadata().tag();
    run(runnable);
    assert_eq!(result(handle).unwrap(), Some(tag));
    assert_eq!(current_tag(), None);
    registry.release();
}

#[test]
fn a_task_that_was_rejected_says_why() {
    use std::error::Error;

    let registry = Registry::lease().unwrap();
    let (runnable, handle) = by_hand(registry, async {});
    let afterwards = Arc::new(AtomicUsize::new(0));
    let done = afterwards.clone();
    reject(
        runnable,
        Some(std::io::ErrorKind::WouldBlock),
        Some(Box::new(move || {
            done.fetch_add(1, SeqCst);
        })),
    );
    let error = result(handle).unwrap_err();
    assert!(error.is_cancelled());
    let source = error.source().unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(source.unwrap().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(afterwards.load(SeqCst), 1);
    let (runnable, handle) = by_hand(registry, async {});
    reject(runnable, None, None);
    assert!(result(handle).unwrap_err().source().is_none());
    registry.release();
}

/// Once it is in a queue another thread may end and free it.
#[test]
fn a_task_that_is_queued_again_is_current_no_more_and_has_not_ended() {
    struct Sees;
    impl Schedule for Sees {
        fn schedule(runnable: Runnable, info: ScheduleInfo) {
            assert_eq!(try_id(), None);
            ByHand::schedule(runnable, info);
        }
        fn finished(_: &Meta) {}
    }
    let registry = Registry::lease().unwrap();
    let mut polls = 0;
    let future = poll_fn(move |cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        match polls {
            2 => Poll::Ready(try_id()),
            _ => Poll::Pending,
        }
    });
    let (runnable, handle) = create::<_, Sees>(future, 0, registry);
    let polled = run(runnable);
    assert!(polled.is_queued && !polled.has_ended);
    let polled = run(woken().unwrap());
    assert!(!polled.is_queued && polled.has_ended);
    let id = handle.id();
    assert_eq!(result(handle).unwrap(), Some(id));
    registry.release();
}
