//! Tasks of several classes: which queue they come into, what a worker polls next, and how many of
//! class `Background` go on at once.

use std::collections::HashMap;

use super::working::{Log, task_of};
use super::*;
use crate::scheduler::processor::Submitted;
use crate::scheduler::run_queues::by_class::class_of;
use crate::tasks::class::Class;
use crate::tasks::{Meta, Priority};
use Priority::{Background, Interactive, Normal};

fn meta(class: Priority) -> Meta {
    Meta::new(Id::next(), 0, Class::of(class).bits())
}

/// A task of this class that nobody runs.
fn idle(class: Priority) -> (Id, Runnable) {
    let runnable = task_of(meta(class), || ());
    (runnable.metadata().id(), runnable)
}

impl TestScheduler {
    /// One on which tasks of several classes exist, and so many `Background` polls may go on.
    fn classed(processors: usize, limit: usize) -> TestScheduler {
        let test = TestScheduler::new(processors);
        test.shared.reset_classes();
        test.shared.queues.by_class.permits.set_limit(limit);
        test.shared.use_classes();
        test
    }

    /// Writes its name down.
    fn named(&self, log: &Log, class: Priority, name: u32) -> Runnable {
        let log = log.clone();
        task_of(meta(class), move || log.lock().push(name))
    }

    /// Closes the scheduler.
    fn last(&self, class: Priority) -> Runnable {
        let shared = self.shared;
        task_of(meta(class), move || {
            shared.closed.store(true, Ordering::SeqCst);
        })
    }

    /// The ids of what waits by its class, `Interactive` first; nothing does then.
    fn take_by_class(&self) -> Vec<Id> {
        let queued = std::iter::from_fn(|| self.shared.queues.by_class.pop_any());
        queued.map(|runnable| runnable.metadata().id()).collect()
    }

    fn free_permits(&self) -> usize {
        self.shared.queues.by_class.permits.num_free()
    }
}

#[test]
fn until_a_task_has_a_class_the_word_of_switches_is_plain() {
    let test = TestScheduler::new(1);
    let (id, runnable) = idle(Interactive);
    test.shared.submit(runnable, false);
    assert_eq!(test.take_global(), [id]);
    test.shared.use_classes();
    assert_eq!(
        (test.shared.switches(), test.shared.is_observed()),
        (0, false)
    );
    // The observer turns all of its own off, as it does at each begin of a runtime.
    test.shared.switch(SWITCH, !SWITCH);
    assert_eq!(test.shared.switches(), SWITCH);
    let (id, runnable) = idle(Interactive);
    test.shared.submit(runnable, false);
    assert_eq!(test.take_by_class(), [id]);
    test.shared.reset_classes();
    let (id, runnable) = idle(Interactive);
    test.shared.submit(runnable, false);
    assert_eq!(test.take_global(), [id], "the next runtime has none yet");
}

#[test]
fn each_push_goes_by_class_from_a_worker_and_from_elsewhere() {
    let test = TestScheduler::classed(1, 1);
    for new in [false, true] {
        let submit = |runnable| match new {
            true => test.shared.submit_new(runnable),
            false => test.shared.submit(runnable, false),
        };
        let [(interactive, one), (background, two), (normal, three)] =
            [Interactive, Background, Normal].map(idle);
        [one, two, three].into_iter().for_each(submit);
        assert_eq!(test.take_global(), [normal]);
        assert_eq!(test.take_by_class(), [interactive, background]);
    }
    let processor = test.work();
    for (new, yielded) in [(false, false), (false, true), (true, false)] {
        let submit = |runnable| match new {
            true => test.shared.submit_new(runnable),
            false => test.shared.submit(runnable, yielded),
        };
        let [(interactive, one), (background, two), (normal, three)] =
            [Interactive, Background, Normal].map(idle);
        [one, two, three].into_iter().for_each(submit);
        let own = match yielded {
            true => test.take_queue(processor),
            false => Vec::from_iter(take_slot(processor)),
        };
        assert_eq!(own, [normal]);
        assert_eq!(test.take_by_class(), [interactive, background]);
    }
}

#[test]
fn a_task_that_waits_in_the_background_moves_when_its_class_changes() {
    let test = TestScheduler::classed(1, 1);
    let ids = [(); 3].map(|()| {
        let (id, runnable) = idle(Background);
        let tag = runnable.metadata().tag();
        test.shared.submit(runnable, false);
        (id, tag)
    });
    assert_eq!(test.shared.num_global(), 3);
    // Nothing has changed, so it goes to the back.
    test.shared.reclassed(ids[0].1);
    test.shared.reclassed(0);
    let order = test.take_by_class();
    assert_eq!(order, [ids[1].0, ids[2].0, ids[0].0]);
}

#[test]
fn what_waits_is_visible_and_in_the_background_while_a_permit_is_free() {
    let test = TestScheduler::classed(2, 1);
    let queues = &test.shared.queues;
    let submit = |class| test.shared.submit(idle(class).1, false);
    submit(Background);
    submit(Background);
    assert!(queues.has_visible_work());
    assert_eq!(queues.num_visible(), 1);
    assert!(queues.by_class.permits.reserve());
    assert!(!queues.has_visible_work() && !test.shared.is_at_rest());
    assert_eq!((queues.num_visible(), test.shared.num_global()), (0, 2));
    submit(Interactive);
    assert!(queues.has_visible_work());
    assert_eq!(queues.num_visible(), 1);
    let snapshot = test.shared.snapshot();
    let depths = [snapshot.interactive, snapshot.background].map(|class| class.queue_depth);
    assert_eq!((depths, snapshot.global_queue_depth), ([1, 2], 3));
    test.take_by_class();
}

/// By the class of the poll that pushes, and the class that it pushes.
#[test]
fn a_push_wakes_somebody_unless_its_worker_takes_it_next() {
    for (own, pushed, already, yielded, wakes) in [
        (Interactive, Interactive, 0, false, false),
        (Interactive, Interactive, 1, false, true),
        (Interactive, Interactive, 1, true, false),
        (Normal, Interactive, 0, false, true),
        (Normal, Interactive, 0, true, false),
        (Background, Interactive, 0, false, true),
        (Interactive, Background, 0, false, true),
        (Background, Background, 0, true, false),
        (Normal, Normal, 0, false, false),
    ] {
        let test = TestScheduler::classed(2, 1);
        let processor = test.work();
        for _ in 0..already {
            test.with_core(Core::begin_batch);
            test.shared.submit(idle(Interactive).1, false);
            test.with_core(Core::end_batch);
        }
        let parked_workers = test.parked_workers(1);
        processor.set_class(own);
        test.shared.submit(idle(pushed).1, yielded);
        let case = (own, pushed, already, yielded);
        assert_eq!(parked_workers[0].has_handed(), wakes, "{case:?}");
        test.take_by_class();
        take_slot(processor);
    }
}

#[test]
fn in_a_batch_nobody_is_woken_but_by_a_worker_that_has_lost_its_processor() {
    for retaken in [false, true] {
        let test = TestScheduler::classed(2, 1);
        let processor = test.work();
        let parked_workers = test.parked_workers(1);
        test.with_core(Core::begin_batch);
        if retaken {
            assert!(processor.ownership.retake());
        }
        test.shared.submit(idle(Interactive).1, false);
        assert_eq!(parked_workers[0].has_handed(), retaken);
        assert_eq!(test.with_core(Core::end_batch), 0);
        test.take_by_class();
    }
}

#[test]
fn without_a_permit_a_push_in_the_background_wakes_nobody() {
    let test = TestScheduler::classed(2, 1);
    let parked_workers = test.parked_workers(1);
    assert!(test.shared.queues.by_class.permits.reserve());
    test.shared.submit(idle(Background).1, false);
    assert!(!parked_workers[0].has_handed());
    test.shared.submit(idle(Interactive).1, false);
    assert!(parked_workers[0].has_handed());
    test.take_by_class();
}

#[test]
fn a_late_push_calls_the_shutdown_thread_whatever_its_class() {
    for class in [Background, Interactive] {
        let test = TestScheduler::classed(1, 1);
        assert!(test.shared.queues.by_class.permits.reserve());
        test.close();
        test.shared.submit(idle(class).1, false);
        assert!(test.takes_call());
        test.shared.queues.release_by_class();
        assert_eq!(test.take_global().len(), 1);
    }
}

#[test]
fn a_thread_that_is_about_to_block_gives_its_permit_up_and_wakes_somebody() {
    let test = TestScheduler::classed(3, 1);
    let parked_workers = test.parked_workers(2);
    let processor = test.work();
    let permits = &test.shared.queues.by_class.permits;
    assert!(permits.reserve());
    permits.mark(&processor.permit, processor.tick.get() + 1);
    processor.set_class(Background);
    test.shared.submit(idle(Background).1, false);
    assert!(!parked_workers[1].has_handed());
    let away = enter_blocking();
    assert_eq!((test.free_permits(), processor.class()), (1, Normal));
    assert!(parked_workers.iter().any(|worker| worker.has_handed()));
    drop(away);
    test.take_by_class();
}

/// The order of names, of tasks that are all there in the beginning.
fn order(tasks: impl FnOnce(&TestScheduler, &Log)) -> Vec<u32> {
    let test = TestScheduler::classed(1, 1);
    let log = Log::default();
    tasks(&test, &log);
    test.run();
    assert_eq!(test.free_permits(), 1);
    let processor = test.shared.queues.slots()[0].current();
    assert_eq!(
        (processor.class(), processor.counters.parks.get()),
        (Normal, 0)
    );
    drop(test);
    std::mem::take(&mut *log.lock())
}

/// Names below 1000 are `Interactive`, below 2000 `Normal` in the own queue, below 3000 in the global
/// one, above `Background`.
#[test]
fn interactive_comes_first_then_normal_then_background() {
    let log = order(|test, log| {
        let named = |class, name| test.named(log, class, name);
        test.queue((1000..1003).map(|name| named(Normal, name)));
        (2000..2003).for_each(|name| test.shared.queues.push_global(named(Normal, name)));
        let background = (3000..3003).map(|name| named(Background, name));
        let interactive = (0..3).map(|name| named(Interactive, name));
        let last = [test.last(Background)];
        background
            .chain(last)
            .chain(interactive)
            .for_each(|runnable| test.shared.submit(runnable, false));
    });
    // The first look is at everything, and owes one of the global queue.
    let expected = [
        0, 1, 2, 2000, 1000, 1001, 1002, 2001, 2002, 3000, 3001, 3002,
    ];
    assert_eq!(log, expected);
}

#[test]
fn a_flood_of_interactive_tasks_leaves_a_ninth_to_the_others() {
    let log = order(|test, log| {
        let named = |class, name| test.named(log, class, name);
        test.queue((1000..1010).map(|name| named(Normal, name)));
        (2000..2002).for_each(|name| test.shared.queues.push_global(named(Normal, name)));
        (0..200).for_each(|name| test.shared.submit(named(Interactive, name), false));
        test.shared.submit(test.last(Background), false);
    });
    let others = log.iter().enumerate().filter(|(_, name)| **name >= 1000);
    let (places, names): (Vec<usize>, Vec<u32>) = others.map(|(at, name)| (at, *name)).unzip();
    let each_ninth = Vec::from_iter((0..12).map(|number| 8 + 9 * number));
    assert_eq!(places, each_ninth);
    // One of the global queue in the beginning, and after the 61st look, which is before place 62.
    let global = names.iter().position(|name| *name == 2001);
    assert_eq!((names[0], global), (2000, Some(6)));
    let interactive: Vec<u32> = log.iter().copied().filter(|name| *name < 1000).collect();
    assert_eq!(interactive, Vec::from_iter(0..200));
}

/// Beside a flood of the other two.
#[test]
fn the_background_has_its_turn_when_the_monitor_asks() {
    let log = order(|test, log| {
        let shared = test.shared;
        let named = |class, name| test.named(log, class, name);
        let asks = |name| {
            let log = log.clone();
            task_of(meta(Normal), move || {
                log.lock().push(name);
                let processor = this_thread::with_core(shared, |core| core.processor);
                processor.unwrap().ownership.request_yield();
            })
        };
        test.queue((1000..1300).map(|name| match name {
            1100 | 1200 => asks(name),
            name => named(Normal, name),
        }));
        (3000..3003).for_each(|name| shared.submit(named(Background, name), false));
        (0..40).for_each(|name| shared.submit(named(Interactive, name), false));
        shared.submit(test.last(Background), false);
    });
    let place = |name: u32| log.iter().position(|other| *other == name).unwrap();
    assert_eq!(place(3000), place(1100) + 1);
    assert_eq!(place(3001), place(1200) + 1);
    assert!(place(3002) > place(1299));
}

#[test]
fn a_task_whose_class_has_fallen_waits_for_a_permit() {
    let test = TestScheduler::classed(1, 1);
    let log = Log::default();
    let shared = test.shared;
    assert!(shared.queues.by_class.permits.reserve());
    // In queues of no class, as if they had been something else when they were pushed.
    let processor = test.queue([
        test.named(&log, Background, 3000),
        test.named(&log, Normal, 1000),
    ]);
    shared
        .queues
        .push_global(test.named(&log, Background, 3001));
    let gives_back = {
        let log = log.clone();
        task_of(meta(Normal), move || {
            log.lock().push(1001);
            shared.queues.by_class.permits.give_back();
        })
    };
    shared.queues.push_global(gives_back);
    shared.queues.push_global(test.last(Background));
    test.run();
    assert_eq!(*log.lock(), [1000, 1001, 3001, 3000]);
    assert_eq!(test.free_permits(), 1);
    assert_eq!(processor.counters.background.get(), 3);
    assert_eq!(processor.tick.get(), 5, "what had to wait was not begun");
}

/// A worker that takes the first wakes another one for the second, also if the first is of another
/// class.
#[test]
fn what_is_left_of_the_classes_wakes_another_worker() {
    for (first, second, wakes) in [
        (Interactive, Some(Interactive), true),
        (Interactive, Some(Background), true),
        (Normal, Some(Background), true),
        (Background, Some(Background), false),
        (Interactive, None, false),
    ] {
        let test = TestScheduler::classed(2, 1);
        let shared = test.shared;
        let parked_worker = test.parked_workers(1).remove(0);
        let told = Arc::new(Mutex::new(None));
        let (tell, worker) = (told.clone(), parked_worker.clone());
        // In the way of a batch, so that its push wakes nobody.
        test.queue([task_of(meta(Normal), move || {
            this_thread::with_core(shared, Core::begin_batch);
            let looks = task_of(meta(first), move || {
                *tell.lock() = Some(worker.has_handed());
                shared.closed.store(true, Ordering::SeqCst);
            });
            shared.submit(looks, false);
            if let Some(class) = second {
                shared.submit(idle(class).1, false);
            }
            this_thread::with_core(shared, Core::end_batch);
            assert!(!parked_worker.has_handed());
        })]);
        test.run();
        assert_eq!(*told.lock(), Some(wakes), "{first:?} {second:?}");
        test.take_by_class();
    }
}

/// Of all classes, one after the other.
#[test]
fn polls_are_counted_by_class() {
    let test = TestScheduler::classed(1, 2);
    let log = Log::default();
    for (class, count) in [(Interactive, 3), (Normal, 4), (Background, 2)] {
        (0..count).for_each(|name| test.shared.submit(test.named(&log, class, name), false));
    }
    test.shared.submit(test.last(Background), false);
    test.run();
    let snapshot = test.shared.snapshot();
    let polls: HashMap<&str, u64> = HashMap::from([
        ("all", snapshot.processors[0].polls),
        ("interactive", snapshot.interactive.polls),
        ("background", snapshot.background.polls),
    ]);
    assert_eq!(polls["all"], 10);
    assert_eq!((polls["interactive"], polls["background"]), (3, 3));
}

#[test]
fn a_push_by_class_asks_for_somebody() {
    let test = TestScheduler::classed(2, 1);
    let parked_workers = test.parked_workers(1);
    test.shared.follow_push(Submitted::Elsewhere);
    assert!(!parked_workers[0].has_handed(), "there is nothing");
    test.shared.submit(idle(Background).1, false);
    assert!(parked_workers[0].has_handed());
    assert!(
        test.shared
            .queues
            .by_class
            .pop_background()
            .is_some_and(|runnable| { class_of(&runnable) == Background })
    );
    assert_eq!(test.free_permits(), 0);
}

/// It knows of no classes: its own queue would have come first for another 60 polls.
#[test]
fn a_worker_learns_of_classes_after_a_poll_in_which_it_gave_its_processor_away() {
    let test = TestScheduler::new(1);
    let shared = test.shared;
    shared.reset_classes();
    let log = Log::default();
    let interactive = test.named(&log, Interactive, 0);
    let blocks = task_of(meta(Normal), move || {
        let away = enter_blocking();
        shared.use_classes();
        drop(away);
        shared.submit(interactive, false);
    });
    let others = Vec::from_iter((1000..1003).map(|name| test.named(&log, Normal, name)));
    test.queue(
        [blocks]
            .into_iter()
            .chain(others)
            .chain([test.last(Normal)]),
    );
    test.run();
    assert_eq!(*log.lock(), [0, 1000, 1001, 1002]);
}
