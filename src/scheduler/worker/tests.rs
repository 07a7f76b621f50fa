//! A worker that unwinds gives back what it holds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::idle::Next;
use super::*;
use crate::scheduler::observer::{NoObserver, Observer, WITHOUT_YIELDS};
use crate::scheduler::processor::tests::token;
use crate::scheduler::tests::working::task_of;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering;
use crate::tasks::class::Class;
use crate::tasks::{Id, Meta, Priority};

/// Runs a worker that panics, and looks what it has left.
fn panics(searching: bool, work: impl FnOnce(&Worker)) {
    let shared = Shared::with_processors(2, Box::new(NoObserver)).unwrap();
    shared.services.leased.lock().netpoll = Some(Netpoll::new().unwrap());
    let core = shared.workers.idle.pop_idle(0);
    if searching {
        assert!(shared.workers.idle.begin_search());
    }
    let run = || {
        run_as(shared, core, searching, |worker| {
            work(worker);
            panic!("a worker's own code panics");
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(shared.workers.idle.num_searching(), 0);
    assert_eq!(shared.workers.idle.num_idle(), 2, "it gives its core back");
    assert_eq!(shared.workers.idle.after_submit(), Next::Wake);
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

fn open(processors: usize) -> &'static Shared {
    open_for(processors, Box::new(NoObserver))
}

fn open_for(processors: usize, observer: Box<dyn Observer>) -> &'static Shared {
    let shared = Shared::with_processors(processors, observer).unwrap();
    shared.services.leased.lock().netpoll = Some(Netpoll::new().unwrap());
    shared.workers.idle.reopen();
    shared.closed.store(false, Ordering::SeqCst);
    shared
}

/// A worker of an open scheduler that holds a core.
fn works(processors: usize, work: impl FnOnce(&'static Shared, &Worker)) {
    let shared = open(processors);
    let core = shared.workers.idle.pop_idle(0);
    run_as(shared, core, false, |worker| work(shared, worker));
}

/// The monitor takes the processor that this worker holds.
fn retake(shared: &'static Shared) {
    assert_eq!(
        this_thread::with_core(shared, |core| core.processor.ownership.retake()),
        Some(true)
    );
}

/// What comes with it in one batch is in a queue that the monitor looks at for a moment only.
#[test]
fn what_a_worker_finds_without_a_processor_is_listed() {
    for is_retaken in [false, true] {
        works(1, |shared, worker| {
            (0..3).for_each(|_| shared.queues.global.push(token().1));
            if is_retaken {
                retake(shared);
            }
            assert!(worker.find_remote().is_some());
            assert_eq!(shared.queues.detached.is_empty(), !is_retaken);
            shared.queues.detached.clear();
        });
    }
}

/// What others have queued is left to others then.
#[test]
fn a_busy_worker_goes_on_after_what_was_left_to_it_unless_that_took_its_processor() {
    use std::task::Wake;

    struct Left(&'static Shared, bool);

    impl Wake for Left {
        fn wake(self: Arc<Self>) {
            if self.1 {
                retake(self.0);
            }
        }
    }

    for is_retaken in [false, true] {
        works(1, |shared, worker| {
            shared.call_own_wakers(&mut vec![Arc::new(Left(shared, is_retaken)).into()]);
            shared.queues.global.push(token().1);
            assert_eq!(worker.maintenance(0, true).is_none(), is_retaken);
            assert_eq!(shared.queues.global.len(), usize::from(is_retaken));
        });
    }
}

#[test]
fn what_is_stolen_without_a_processor_is_listed() {
    for is_retaken in [false, true] {
        works(2, |shared, worker| {
            let detached = shared.workers.idle.pop_idle(0).unwrap();
            detached.processor.ownership.acquire(1);
            assert!(detached.processor.ownership.retake());
            detached.queue.push(token().1);
            assert!(shared.queues.detached.list(detached.processor));
            if is_retaken {
                retake(shared);
            }
            worker.steal_detached();
            let own = |core: &Core| {
                (
                    core.queue.len(),
                    core.processor.listed.load(Ordering::SeqCst),
                )
            };
            assert_eq!(this_thread::with_core(shared, own), Some((1, is_retaken)));
            shared.queues.detached.clear();
        });
    }
}

/// What it wakes it polls next, if it has its processor still.
#[cfg(feature = "time")]
#[test]
fn a_worker_takes_what_a_foreign_waker_has_woken_unless_that_took_its_processor() {
    use std::task::Wake;
    use std::time::{Duration, Instant};

    use crate::scheduler::timers::Timer;

    struct Wakes(&'static Shared, bool);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.submit(token().1, false);
            if self.1 {
                retake(self.0);
            }
        }
    }

    for is_retaken in [false, true] {
        works(1, |shared, worker| {
            let mut timer = Timer::new();
            let waker = Arc::new(Wakes(shared, is_retaken)).into();
            timer.arm(shared, Instant::now(), &waker);
            crate::sync::thread::sleep(Duration::from_millis(1));
            assert_eq!(worker.find_remote().is_none(), is_retaken);
        });
    }
}

/// It polls, and stamps that.
#[derive(Debug)]
struct Stamps;

impl Observer for Stamps {
    fn poll(
        &self,
        _: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        last_poll_end: u64,
    ) -> u64 {
        purpose.poll(runnable);
        last_poll_end + 1
    }
}

/// What it costs to observe a poll is paid by those that are observed.
#[test]
fn a_poll_is_observed_if_a_switch_is_on_and_not_because_the_worker_searched() {
    for (searching, observed) in [(true, false), (false, true), (true, true)] {
        let shared = open_for(1, Box::new(Stamps));
        let core = shared.workers.idle.pop_idle(0);
        if searching {
            shared.workers.idle.begin_search_anyway();
        }
        if observed {
            shared.switch(WITHOUT_YIELDS, 0);
        }
        run_as(shared, core, searching, |worker| {
            worker.poll(token().1);
            assert_eq!(worker.last_poll_end.get(), u64::from(observed));
            assert!(!worker.is_searching());
        });
        assert_eq!(shared.workers.idle.num_searching(), 0);
    }
}

/// A worker of a scheduler on which tasks of several classes exist, with one permit.
fn works_by_class(work: impl FnOnce(&'static Shared, &Worker)) {
    works(1, |shared, worker| {
        shared.use_classes();
        shared.queues.by_class.permits.set_limit(1);
        worker.look_at_switches();
        work(shared, worker);
        shared.reset_classes();
    });
}

/// What a poll sees: its processor's class, and how many permits are free.
type Seen = (Priority, usize);

/// A task of this class, and what its polls see.
fn looks(shared: &'static Shared, class: Priority) -> (Runnable, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = seen.clone();
    let meta = Meta::new(Id::next(), 0, Class::of(class).bits());
    let runnable = task_of(meta, move || {
        let class = this_thread::with_core(shared, |core| core.processor.class());
        let free = shared.queues.by_class.permits.num_free();
        tell.lock().push((class.unwrap(), free));
    });
    (runnable, seen)
}

/// It would keep the others from running, and the monitor does not look at it.
#[test]
fn a_poll_whose_class_has_risen_since_it_was_found_needs_no_permit() {
    works_by_class(|shared, worker| {
        let (runnable, seen) = looks(shared, Priority::Background);
        shared.submit(runnable, false);
        let found = worker.maintenance(0, true).unwrap();
        assert_eq!(shared.queues.by_class.permits.num_free(), 0);
        found.metadata().put_class(Class::of(Priority::Normal));
        worker.poll_found(found);
        assert_eq!(*seen.lock(), [(Priority::Normal, 1)]);
    });
}

#[test]
fn a_poll_whose_class_has_fallen_since_it_was_found_has_a_permit_or_does_not_begin() {
    for is_free in [true, false] {
        works_by_class(|shared, worker| {
            let (runnable, seen) = looks(shared, Priority::Normal);
            shared.submit(runnable, false);
            let found = worker.maintenance(0, true).unwrap();
            found.metadata().put_class(Class::of(Priority::Background));
            let permits = &shared.queues.by_class.permits;
            assert!(is_free || permits.reserve());
            worker.poll_found(found);
            let processor = shared.queues.slots()[0].current();
            let expected = is_free.then_some((Priority::Background, 0));
            assert_eq!(*seen.lock(), Vec::from_iter(expected));
            assert_eq!(processor.tick.get(), u64::from(is_free));
            assert_eq!(
                shared.queues.by_class.num_background(),
                usize::from(!is_free)
            );
            drop(shared.queues.by_class.pop_any());
            if !is_free {
                permits.give_back();
            }
            assert_eq!(permits.num_free(), 1);
        });
    }
}
