//! A scheduler without threads: the test takes each step of a worker, of a submitter and of the
//! monitor, and sees what it leaves behind. Whole runtimes find another way to most of what a
//! single step forgets, a little later.

use std::ptr;
use std::time::Duration;
#[cfg(feature = "time")]
use std::time::Instant;

use super::lifecycle::settings::Settings;
use super::netpoll::Netpoll;
use super::observer::{Incident, NoObserver, Observer};
use super::processor::slot::ProcessorSlot;
use super::processor::tests::token;
use super::processor::{Core, Processor};
use super::run_queues::steal;
use super::worker::idle::Next;
use super::worker::parked_worker::ParkedWorker;
use super::{Placement, Shared, enter_blocking, this_thread, worker};
use crate::clock;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Mutex};
use crate::tasks::{Id, Runnable};

#[cfg(feature = "time")]
mod arming;
mod by_class;
mod compute_limit;
mod detached;
#[cfg(feature = "time")]
mod looking;
mod placement;
mod resizing;
mod running_by_class;
mod stealing;
mod submitting;
pub(super) mod working;

/// Those of a runtime with so many processors and threads.
fn settings(processors: usize, max_threads: usize) -> Settings {
    Settings {
        worker_threads: processors,
        max_worker_threads: processors,
        max_threads,
        max_blocking_threads: 1,
        thread_keep_alive: Duration::from_secs(1),
        thread_name: "test".to_owned(),
        name_thread: None,
        thread_stack_size: None,
        wrap_thread: Box::new(|_, body| body()),
        has_start_hook: false,
        park_hooks: None,
        stall_threshold: Duration::from_secs(60),
        seed: Some(1),
        retakes: true,
        background_limit: None,
        placement: None,
    }
}

/// One that asks for everything.
const SWITCH: u8 = 2;

/// An open scheduler whose cores are all idle. This thread may become a worker of it.
struct TestScheduler {
    shared: &'static Shared,
}

impl TestScheduler {
    fn new(processors: usize) -> TestScheduler {
        TestScheduler::placed(processors, Placement::flat())
    }

    fn placed(processors: usize, placement: Placement) -> TestScheduler {
        let shared = Shared::placed(processors, placement, Box::new(NoObserver)).unwrap();
        shared.workers.idle.reopen();
        shared.closed.store(false, Ordering::SeqCst);
        TestScheduler { shared }
    }

    /// This thread is a worker that holds a core from now on.
    fn work(&self) -> &'static Processor {
        this_thread::set_worker_of(Some(self.shared));
        let core = self.shared.workers.idle.pop_idle(0).unwrap();
        let processor = core.processor;
        self.shared.acquire(core, clock::now());
        processor
    }

    fn with_core<R>(&self, f: impl FnOnce(&Core) -> R) -> R {
        this_thread::with_core(self.shared, f).expect("this thread is a worker")
    }

    /// Parked workers, each of which has released a processor.
    fn parked_workers(&self, count: usize) -> Vec<Arc<ParkedWorker<Box<Core>>>> {
        (0..count)
            .map(|_| {
                let parked_worker = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
                let core = self.shared.workers.idle.pop_idle(0).unwrap();
                (self.shared.workers.idle).park_worker(Some(core), &parked_worker, false, false);
                parked_worker
            })
            .collect()
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.workers.idle.close();
    }

    /// The ids of what is in the global queue, in its order; it is empty then.
    fn take_global(&self) -> Vec<Id> {
        let queued = std::iter::from_fn(|| steal::steal_one(|| self.shared.queues.global.steal()));
        queued.map(|runnable| runnable.metadata().id()).collect()
    }

    /// The same of a processor's queue.
    fn take_queue(&self, processor: &Processor) -> Vec<Id> {
        let queued = std::iter::from_fn(|| steal::steal_one(|| processor.stealer.steal()));
        queued.map(|runnable| runnable.metadata().id()).collect()
    }

    /// Whether the shutdown thread has been called since this was asked last.
    fn takes_call(&self) -> bool {
        self.shared.workers.monitor.clear_notification()
    }
}

impl Drop for TestScheduler {
    fn drop(&mut self) {
        drop(this_thread::take_core());
        this_thread::set_worker_of(None);
        for core in self.shared.workers.idle.take_cores() {
            // Its queue ends with it.
            drop(core);
        }
        drop(self.take_global());
    }
}

fn has_work(processor: &Processor) -> bool {
    !processor.stealer.is_empty()
}

/// The id of what is in the next slot, which is empty then.
fn take_slot(processor: &Processor) -> Option<Id> {
    processor
        .next
        .steal()
        .map(|runnable| runnable.metadata().id())
}

#[test]
fn work_is_visible_in_the_global_queue_any_processor_s_and_a_detached_one_s() {
    let test = TestScheduler::new(3);
    assert!(!test.shared.queues.has_visible_work());
    test.shared.queues.global.push(token().1);
    assert!(test.shared.queues.has_visible_work());
    assert_eq!(test.shared.queues.num_visible(), 1);
    test.take_global();
    for _ in 0..3 {
        let processor = test.work();
        test.with_core(|core| core.queue.push(token().1));
        assert!(test.shared.queues.has_visible_work());
        assert_eq!(test.shared.queues.num_visible(), 1);
        test.take_queue(processor);
        assert!(!test.shared.queues.has_visible_work());
        drop(this_thread::take_core());
    }
}

/// Step 2 of `run_queues::marks`.
#[test]
fn a_core_is_put_back_unmarked_unless_its_queue_has_something() {
    let test = TestScheduler::new(100);
    let idle = &test.shared.workers.idle;
    let marked = || Vec::from_iter(test.shared.queues.marked().map(ProcessorSlot::index));
    assert_eq!(marked(), [0; 0]);
    let (one, other) = (idle.pop_idle(0).unwrap(), idle.pop_idle(0).unwrap());
    let (first, second) = (one.index, other.index);
    assert_eq!(marked(), [second, first]);
    one.queue.push(token().1);
    idle.push_idle(one);
    idle.push_idle(other);
    assert_eq!(marked(), [first], "nobody else would find what is there");
    assert!(test.shared.queues.has_visible_work());
    let mut last = Vec::new();
    let mut lately = || {
        Vec::from_iter(
            test.shared
                .queues
                .marked_lately(&mut last)
                .map(ProcessorSlot::index),
        )
    };
    assert_eq!(lately(), [first]);
    test.take_queue(test.shared.queues.slots()[first].current());
    let all = idle.take_cores();
    assert_eq!(marked().len(), 100);
    idle.put_cores(all);
    assert_eq!(marked(), [0; 0]);
    assert_eq!(lately(), [first], "once more");
    assert_eq!(lately(), [0; 0]);
}

/// Those who have as many threads as processors at the moment chose so.
#[test]
fn who_has_more_threads_than_processors_is_told_when_there_are_no_more() {
    #[derive(Debug, Default)]
    struct Hears(Arc<Mutex<Vec<usize>>>);
    impl Observer for Hears {
        fn incident(&self, _: &'static Shared, incident: Incident) {
            if let Incident::NoMoreThreads { limit } = incident {
                self.0.lock().push(limit);
            }
        }
    }

    for (processors, wanted, is_told) in [(3, 3, false), (3, 2, true), (2, 3, false)] {
        let heard = Hears::default().0;
        let shared = Shared::with_processors(processors, Box::new(Hears(heard.clone()))).unwrap();
        shared.services.leased.lock().settings = Some(Arc::new(settings(processors, 3)));
        shared.workers.idle.set_wanted(wanted);
        shared.tell_no_more_threads();
        let expected = is_told.then_some(3);
        assert_eq!(
            *heard.lock(),
            Vec::from_iter(expected),
            "{processors} {wanted}"
        );
    }
}
