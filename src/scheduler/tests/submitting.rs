//! Pushes, by whom and where to, and who is woken for them.

use super::*;
use crate::scheduler::processor::Submitted;
use crate::scheduler::processor::tests::keep;

#[test]
fn what_a_worker_wakes_goes_into_its_slot_and_then_its_queue_where_it_is_worth_a_wake() {
    let yard = Yard::new(3);
    let parked_workers = yard.parked_workers(2);
    let processor = yard.work();
    let [(first, one), (second, two), (third, three)] = std::array::from_fn(|_| token());
    yard.shared.submit(one, false);
    assert!(!has_work(processor) && !processor.next.is_empty());
    assert_eq!(
        yard.shared.workers.idle.num_searching(),
        0,
        "nobody need come for that"
    );
    yard.shared.submit(two, false);
    assert_eq!(yard.shared.workers.idle.num_searching(), 1);
    assert!(parked_workers[1].has_handed() && !parked_workers[0].has_handed());
    // One searches, so nobody else is woken.
    yard.shared.submit(three, true);
    assert!(!parked_workers[0].has_handed());
    assert_eq!(yard.take_queue(processor), [first, third]);
    assert_eq!(take_slot(processor), Some(second));
    assert!(yard.take_global().is_empty());
}

#[test]
fn what_yields_goes_to_the_back_and_wakes_somebody_only_beside_a_full_slot() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(1);
    let processor = yard.work();
    let (yields, one) = token();
    yard.shared.submit(one, true);
    assert!(processor.next.is_empty() && !parked_workers[0].has_handed());
    let (slot, two) = token();
    yard.shared.submit(two, false);
    assert!(!parked_workers[0].has_handed());
    let (again, three) = token();
    yard.shared.submit(three, true);
    assert!(parked_workers[0].has_handed());
    assert_eq!(
        (yard.take_queue(processor), take_slot(processor)),
        (vec![yields, again], Some(slot))
    );
}

#[test]
fn what_others_wake_goes_into_the_global_queue_and_wakes_a_worker() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(2);
    let (id, runnable) = token();
    yard.shared.submit(runnable, false);
    assert!(parked_workers[1].has_handed() && !parked_workers[0].has_handed());
    assert_eq!(yard.take_global(), [id]);
}

#[test]
fn a_new_task_is_counted_where_it_is_spawned() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(1);
    let (remote, runnable) = token();
    yard.shared.submit_new(runnable);
    assert_eq!(yard.shared.snapshot().spawned_tasks, 1);
    assert_eq!(yard.take_global(), [remote]);
    assert!(parked_workers[0].has_handed());
    let processor = yard.work();
    let (own, runnable) = token();
    yard.shared.submit_new(runnable);
    assert_eq!(
        (
            yard.shared.snapshot().spawned_tasks,
            processor.counters.spawned.get()
        ),
        (2, 1)
    );
    assert_eq!(take_slot(processor), Some(own));
    assert!(yard.take_global().is_empty());
}

#[test]
fn an_end_is_counted_where_it_happens_and_told_to_the_janitor_of_a_closed_scheduler() {
    let yard = Yard::new(1);
    let spawned = |_| yard.shared.submit_new(token().1);
    (0..3).for_each(spawned);
    assert_eq!(yard.shared.num_alive_tasks(), 3);
    yard.shared.task_finished();
    assert_eq!(yard.shared.num_alive_tasks(), 2);
    assert!(!yard.takes_call(), "it is open");
    let processor = yard.work();
    yard.shared.task_finished();
    assert_eq!(
        (
            yard.shared.num_alive_tasks(),
            processor.counters.finished.get()
        ),
        (1, 1)
    );
    yard.close();
    assert!(!yard.takes_call());
    yard.shared.task_finished();
    assert!(
        !yard.takes_call(),
        "a worker's counts are seen when it ends"
    );
    assert_eq!(processor.counters.finished.get(), 2);
    drop(this_thread::take_core());
    yard.shared.task_finished();
    assert!(yard.takes_call());
    yard.shared.task_cancelled();
    yard.shared.task_cancelled();
    assert_eq!(yard.shared.counters.cancelled.load(Ordering::Relaxed), 2);
}

#[test]
fn a_task_that_comes_too_late_is_refused_and_counted() {
    let yard = Yard::new(1);
    yard.close();
    yard.shared.submit_new(token().1);
    yard.shared.submit_new_blocking(token().1);
    assert!(yard.take_global().is_empty());
    assert_eq!(yard.shared.snapshot().spawned_tasks, 2);
    assert!(!yard.takes_call(), "there is nothing to take out");
}

#[test]
fn a_wake_that_comes_too_late_calls_the_janitor() {
    let yard = Yard::new(1);
    let (id, runnable) = token();
    yard.close();
    yard.shared.submit(runnable, false);
    assert!(yard.takes_call());
    assert_eq!(yard.take_global(), [id]);
    // Whoever was about to claim when it closed holds the shutdown thread up no longer.
    assert!(!yard.takes_call());
    yard.shared.wake_one();
    assert!(yard.takes_call());
}

#[test]
fn nobody_is_called_for_what_an_open_scheduler_leaves_to_its_searchers() {
    let yard = Yard::new(1);
    assert!(yard.shared.workers.idle.claim_another().is_some());
    yard.shared.submit(token().1, false);
    yard.shared.wake_one();
    assert!(!yard.takes_call());
    assert_eq!(yard.shared.workers.idle.num_searching(), 1);
}

/// Of a batch the worker itself runs sixteen, and each that is woken sixteen more.
#[test]
fn a_batch_wakes_as_many_as_it_can_feed() {
    const SLEEPERS: usize = 7;
    for (count, woken) in [
        (1, 1),
        (15, 1),
        (16, 2),
        (31, 2),
        (48, 4),
        (95, 6),
        (10_000, 7),
    ] {
        let yard = Yard::new(SLEEPERS + 1);
        let parked_workers = yard.parked_workers(SLEEPERS);
        let _at = yard.work();
        yard.shared.wake_for_batch(count);
        let given = parked_workers
            .iter()
            .filter(|parked_worker| parked_worker.has_handed())
            .count();
        assert_eq!(
            (given, yard.shared.workers.idle.num_searching()),
            (woken, woken),
            "{count}"
        );
        yard.shared.wake_for_batch(10_000);
        assert_eq!(
            yard.shared.workers.idle.num_searching(),
            woken,
            "some search"
        );
    }
}

/// As many as there are processors, though the batch could feed more.
#[test]
fn a_batch_wakes_no_more_than_there_are_processors() {
    let yard = Yard::new(2);
    for _ in 0..8 {
        // As after many retakes: more cores than places.
        let (_slot, core) = ProcessorSlot::new(0);
        keep(core.processor);
        yard.shared.workers.idle.push_idle(core);
    }
    let parked_workers = yard.parked_workers(8);
    yard.shared.wake_for_batch(10_000);
    let given = parked_workers
        .iter()
        .filter(|parked_worker| parked_worker.has_handed())
        .count();
    assert_eq!(given, 3, "one, and one for each processor");
}

#[test]
fn a_core_for_which_no_thread_can_be_started_lies_there_again() {
    let yard = Yard::new(2);
    // No runtime: no settings to start a thread with.
    yard.shared.wake_one();
    assert_eq!(
        (
            yard.shared.workers.idle.num_idle(),
            yard.shared.workers.idle.num_searching()
        ),
        (2, 0)
    );
    assert!(!yard.takes_call());
    assert_eq!(yard.shared.workers.idle.after_submit(), Next::Wake);
}

#[test]
fn a_push_asks_for_somebody_as_it_says() {
    let yard = Yard::new(2);
    let parked_workers = yard.parked_workers(1);
    yard.shared.follow_push(Submitted::NoWake);
    assert!(!parked_workers[0].has_handed());
    yard.shared.follow_push(Submitted::WakeOne);
    assert!(parked_workers[0].has_handed());
}

/// A thread that is about to block leaves its processor to somebody, if there is anything to run or nobody is left with the network.
#[test]
fn a_processor_that_is_given_away_wakes_somebody_for_work_or_for_the_network() {
    for (with_driver, work, expected) in [
        (false, false, true),
        (true, false, false),
        (true, true, true),
        (false, true, true),
    ] {
        let yard = Yard::new(3);
        let parked_workers = yard.parked_workers(1);
        let core = yard.shared.workers.idle.pop_idle().unwrap();
        if with_driver {
            let sitter = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
            (yard.shared.workers.idle).park_worker(Some(core), &sitter, false, true);
        } else {
            yard.shared.workers.idle.push_idle(core);
        }
        let processor = yard.work();
        if work {
            // What is in the slot is seen where it is moved to.
            drop(processor.next.put(token().1));
        }
        let away = enter_blocking();
        assert!(!this_thread::holds_core() && processor.next.is_empty());
        assert_eq!(yard.shared.snapshot().handoffs, 1);
        assert_eq!(parked_workers[0].has_handed(), expected, "{with_driver} {work}");
        drop(away);
        assert!(this_thread::holds_core(), "one was idle");
        yard.take_queue(processor);
    }
}
