//! More polls compute than there are processors.

use super::*;
use crate::scheduler::run_queues::compute_limit::score_of;
use crate::scheduler::tests::working::{Log, task, task_of};
use crate::sync::atomic::AtomicBool;
use crate::tasks::class::Class;
use crate::tasks::{Meta, Priority};
use Priority::{Interactive, Normal};

/// What is known of a poll that computes, and counts.
type Counted = Arc<AtomicBool>;

impl TestScheduler {
    /// From now on one poll computes: there are enough for one processor.
    fn computes(&self) -> Counted {
        let counted = Counted::default();
        self.shared.queues.compute_limit.begin_computing(&counted);
        counted
    }

    /// A task of a spawn site whose tasks compute. It must not have to wait for a worker that
    /// parked.
    fn heavy(&self, log: &Log, name: u32, is_last: bool) -> Runnable {
        let (shared, log) = (self.shared, log.clone());
        let parks =
            move || this_thread::with_core(shared, |core| core.processor.counters.parks.get());
        let runnable = task_of(Meta::new(Id::next(), 5, 0), move || {
            assert_eq!(parks(), Some(0));
            log.lock().push(name);
            shared.closed.store(is_last, Ordering::SeqCst);
        });
        self.make_heavy(&runnable, Normal);
        runnable
    }

    /// Tasks of this class from where this one was spawned compute.
    fn make_heavy(&self, runnable: &Runnable, class: Priority) {
        let score = score_of(runnable.metadata().tag(), class);
        self.shared.queues.compute_limit.set_heavy(score, true);
    }

    /// A task after which no poll computes any more.
    fn ends(&self, log: &Log, name: u32, counted: &Counted) -> Runnable {
        let (shared, log, counted) = (self.shared, log.clone(), counted.clone());
        task(move || {
            log.lock().push(name);
            let is_due = shared.queues.compute_limit.end_computing(&counted);
            assert_eq!(is_due, shared.queues.compute_limit.num_held_back() != 0);
        })
    }
}

#[test]
fn while_others_compute_what_is_heavy_waits_and_what_is_light_runs() {
    let test = TestScheduler::new(1);
    let (shared, log) = (test.shared, Log::default());
    let counted = test.computes();
    let light = |name| test.writes(&log, name, false);
    shared.queues.global.push(test.heavy(&log, 100, false));
    shared.queues.global.push(light(0));
    shared.queues.global.push(test.heavy(&log, 101, true));
    shared.queues.global.push(test.ends(&log, 3, &counted));
    test.queue([light(1), light(2)]);
    test.run();
    assert_eq!(*log.lock(), [0, 1, 2, 3, 100, 101]);
}

#[test]
fn a_busy_worker_takes_what_was_held_back_when_the_global_queue_has_its_turn() {
    const OWN: u32 = 100;
    let test = TestScheduler::new(1);
    let log = Log::default();
    let counted = test.computes();
    test.shared
        .queues
        .global
        .push(test.heavy(&log, 1000, false));
    test.queue((0..OWN).map(|name| match name {
        10 => test.ends(&log, name, &counted),
        name => test.writes(&log, name, name == OWN - 1),
    }));
    test.run();
    let place = log.lock().iter().position(|name| *name == 1000);
    assert_eq!(place, Some(61));
}

/// A server spawns all its tasks in one line.
#[test]
fn an_interactive_task_is_not_held_back_for_others_of_its_site_that_compute() {
    for heavy in [Normal, Interactive] {
        let test = TestScheduler::new(1);
        test.shared.reset_classes();
        test.shared.use_classes();
        let log = Log::default();
        let counted = test.computes();
        let named = |name| {
            let log = log.clone();
            let class = Class::of(Interactive).bits();
            task_of(Meta::new(Id::next(), 5, class), move || {
                log.lock().push(name)
            })
        };
        let tasks = [1, 2, 3].map(named);
        test.make_heavy(&tasks[0], heavy);
        (tasks.into_iter()).for_each(|runnable| test.shared.submit(runnable, false));
        test.shared
            .queues
            .global
            .push(test.ends(&log, 100, &counted));
        test.shared.queues.global.push(test.writes(&log, 101, true));
        test.run();
        let expected = match heavy {
            Interactive => vec![100, 1, 2, 3, 101],
            _ => vec![1, 2, 3, 100, 101],
        };
        assert_eq!(*log.lock(), expected, "{heavy:?}");
        test.shared.reset_classes();
    }
}
