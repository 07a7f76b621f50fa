//! Another number of processors: who is woken for what that makes possible.

use super::working::task_of;
use super::*;
use crate::tasks::class::Class;
use crate::tasks::{Meta, Priority};

impl TestScheduler {
    /// One whose number of processors may change, up to so many.
    fn resizable(processors: usize) -> TestScheduler {
        let test = TestScheduler::new(processors);
        test.shared.services.leased.lock().settings = Some(Arc::new(settings(processors, 64)));
        test
    }

    fn resize(&self, wanted: usize) {
        self.shared.set_num_processors(wanted, || true).unwrap();
    }

    /// The cores of the processors with these indices, which somebody holds.
    #[expect(
        clippy::vec_box,
        reason = "a core moves from thread to thread as a box"
    )]
    fn hold(&self, indices: std::ops::Range<usize>) -> Vec<Box<Core>> {
        let cores = self.shared.workers.idle.take_cores().into_iter();
        let (held, others) = cores.partition(|core| indices.contains(&core.index));
        self.shared.workers.idle.put_cores(others);
        held
    }
}

fn is_woken(workers: &[Arc<ParkedWorker<Box<Core>>>]) -> bool {
    workers.iter().any(|worker| worker.has_handed())
}

#[test]
fn a_processor_that_comes_wakes_for_what_waits() {
    let test = TestScheduler::resizable(2);
    test.resize(1);
    let held = test.hold(0..1);
    let parked_worker = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
    (test.shared.workers.idle).park_worker(None, &parked_worker, false, false);
    test.shared.queues.global.push(token().1);
    test.resize(2);
    assert!(is_woken(&[parked_worker]));
    drop(held);
}

/// Though no processor has become idle by it: those that come back are in long polls.
#[test]
fn a_higher_limit_wakes_for_what_has_waited_for_it() {
    let test = TestScheduler::resizable(4);
    let held = test.hold(2..4);
    let parked_workers = test.parked_workers(2);
    test.resize(2);
    let by_class = &test.shared.queues.by_class;
    assert!(by_class.permits.reserve());
    let background = Class::of(Priority::Background).bits();
    let runnable = task_of(Meta::new(Id::next(), 0, background), || ());
    assert!(by_class.push(runnable).is_ok());
    assert!(!test.shared.queues.has_visible_work(), "there is no permit");
    test.resize(4);
    assert!(test.shared.queues.has_visible_work());
    assert!(is_woken(&parked_workers));
    drop(by_class.pop_any());
    drop(held);
}

#[test]
fn what_was_queued_on_an_idle_processor_that_retires_wakes_somebody() {
    let test = TestScheduler::resizable(2);
    let parked_workers = test.parked_workers(2);
    let held = test.hold(1..2);
    held[0].queue.push(token().1);
    test.shared.workers.idle.put_cores(held);
    test.resize(1);
    assert!(is_woken(&parked_workers));
    assert_eq!(test.take_global().len(), 1);
}
