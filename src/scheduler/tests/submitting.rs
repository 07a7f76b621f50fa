//! Pushes, by whom and where to, and who is woken for them.

use super::*;
use crate::scheduler::processor::Submitted;

#[test]
fn what_a_worker_wakes_goes_into_its_slot_and_then_its_queue_where_it_is_worth_a_wake() {
    let test = TestScheduler::new(3);
    let parked_workers = test.parked_workers(2);
    let processor = test.work();
    let [(first, one), (second, two), (third, three)] = std::array::from_fn(|_| token());
    test.shared.submit(one, false);
    assert!(!has_work(processor) && !processor.next.is_empty());
    assert_eq!(
        test.shared.workers.idle.num_searching(),
        0,
        "nobody need come for that"
    );
    test.shared.submit(two, false);
    assert_eq!(test.shared.workers.idle.num_searching(), 1);
    assert!(parked_workers[1].has_handed() && !parked_workers[0].has_handed());
    // One searches, so nobody else is woken.
    test.shared.submit(three, true);
    assert!(!parked_workers[0].has_handed());
    assert_eq!(test.take_queue(processor), [first, third]);
    assert_eq!(take_slot(processor), Some(second));
    assert!(test.take_global().is_empty());
}

#[test]
fn what_yields_goes_to_the_back_and_wakes_somebody_only_beside_a_full_slot() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(1);
    let processor = test.work();
    let (yields, one) = token();
    test.shared.submit(one, true);
    assert!(processor.next.is_empty() && !parked_workers[0].has_handed());
    let (slot, two) = token();
    test.shared.submit(two, false);
    assert!(!parked_workers[0].has_handed());
    let (again, three) = token();
    test.shared.submit(three, true);
    assert!(parked_workers[0].has_handed());
    assert_eq!(
        (test.take_queue(processor), take_slot(processor)),
        (vec![yields, again], Some(slot))
    );
}

#[test]
fn what_others_wake_goes_into_the_global_queue_and_wakes_a_worker() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(2);
    let (id, runnable) = token();
    test.shared.submit(runnable, false);
    assert!(parked_workers[1].has_handed() && !parked_workers[0].has_handed());
    assert_eq!(test.take_global(), [id]);
}

#[test]
fn a_new_task_is_counted_where_it_is_spawned() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(1);
    let (remote, runnable) = token();
    test.shared.submit_new(runnable);
    assert_eq!(test.shared.snapshot().spawned_tasks, 1);
    assert_eq!(test.take_global(), [remote]);
    assert!(parked_workers[0].has_handed());
    let processor = test.work();
    let (own, runnable) = token();
    test.shared.submit_new(runnable);
    assert_eq!(
        (
            test.shared.snapshot().spawned_tasks,
            processor.counters.spawned.get()
        ),
        (2, 1)
    );
    assert_eq!(take_slot(processor), Some(own));
    assert!(test.take_global().is_empty());
}

#[test]
fn an_end_is_counted_where_it_happens_and_told_to_the_shutdown_thread_of_a_closed_scheduler() {
    let test = TestScheduler::new(1);
    let spawned = |_| test.shared.submit_new(token().1);
    (0..3).for_each(spawned);
    assert_eq!(test.shared.num_alive_tasks(), 3);
    test.shared.task_finished();
    assert_eq!(test.shared.num_alive_tasks(), 2);
    assert!(!test.takes_call(), "it is open");
    let processor = test.work();
    test.shared.task_finished();
    assert_eq!(
        (
            test.shared.num_alive_tasks(),
            processor.counters.finished.get()
        ),
        (1, 1)
    );
    test.close();
    assert!(!test.takes_call());
    test.shared.task_finished();
    assert!(
        !test.takes_call(),
        "a worker's counts are seen when it ends"
    );
    assert_eq!(processor.counters.finished.get(), 2);
    drop(this_thread::take_core());
    test.shared.task_finished();
    assert!(test.takes_call());
    test.shared.task_cancelled();
    test.shared.task_cancelled();
    assert_eq!(test.shared.counters.cancelled.load(Ordering::Relaxed), 2);
}

#[test]
fn a_task_that_comes_too_late_is_refused_and_counted() {
    let test = TestScheduler::new(1);
    test.close();
    test.shared.submit_new(token().1);
    test.shared.submit_new_blocking(token().1);
    assert!(test.take_global().is_empty());
    assert_eq!(test.shared.snapshot().spawned_tasks, 2);
    assert!(!test.takes_call(), "there is nothing to take out");
}

#[test]
fn a_wake_that_comes_too_late_calls_the_shutdown_thread() {
    let test = TestScheduler::new(1);
    let (id, runnable) = token();
    test.close();
    test.shared.submit(runnable, false);
    assert!(test.takes_call());
    assert_eq!(test.take_global(), [id]);
    // Whoever was about to claim when it closed holds the shutdown thread up no longer.
    assert!(!test.takes_call());
    test.shared.wake_one();
    assert!(test.takes_call());
}

#[test]
fn nobody_is_called_for_what_an_open_scheduler_leaves_to_its_searchers() {
    let test = TestScheduler::new(1);
    assert!(test.shared.workers.idle.claim_another(0).is_some());
    test.shared.submit(token().1, false);
    test.shared.wake_one();
    assert!(!test.takes_call());
    assert_eq!(test.shared.workers.idle.num_searching(), 1);
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
        let test = TestScheduler::new(SLEEPERS + 1);
        let parked_workers = test.parked_workers(SLEEPERS);
        let _at = test.work();
        test.shared.wake_for_batch(count);
        let given = parked_workers
            .iter()
            .filter(|parked_worker| parked_worker.has_handed())
            .count();
        assert_eq!(
            (given, test.shared.workers.idle.num_searching()),
            (woken, woken),
            "{count}"
        );
        test.shared.wake_for_batch(10_000);
        assert_eq!(
            test.shared.workers.idle.num_searching(),
            woken,
            "some search"
        );
    }
}

/// As many as there are processors, though the batch could feed more.
#[test]
fn a_batch_wakes_no_more_than_there_are_processors() {
    let test = TestScheduler::new(10);
    // As in the middle of a resize: two are wanted, and the others' cores are idle still.
    test.shared.queues.set_num_processors(2);
    let parked_workers = test.parked_workers(8);
    test.shared.wake_for_batch(10_000);
    let given = parked_workers
        .iter()
        .filter(|parked_worker| parked_worker.has_handed())
        .count();
    assert_eq!(given, 3, "one, and one for each processor");
}

#[test]
fn a_core_without_a_thread_is_idle_again() {
    let test = TestScheduler::new(2);
    // No runtime: no settings to start a thread with.
    test.shared.wake_one();
    assert_eq!(
        (
            test.shared.workers.idle.num_idle(),
            test.shared.workers.idle.num_searching()
        ),
        (2, 0)
    );
    assert!(!test.takes_call());
    assert_eq!(test.shared.workers.idle.after_submit(), Next::Wake);
}

#[test]
fn a_push_asks_for_somebody_as_it_says() {
    let test = TestScheduler::new(2);
    let parked_workers = test.parked_workers(1);
    test.shared.follow_push(Submitted::NoWake);
    assert!(!parked_workers[0].has_handed());
    test.shared.follow_push(Submitted::WakeOne);
    assert!(parked_workers[0].has_handed());
}

/// A thread that is about to block leaves its processor to somebody, if there is anything to run or
/// nobody is left with the network.
#[test]
fn a_processor_that_is_given_away_wakes_somebody_for_work_or_for_the_network() {
    for (with_driver, work, expected) in [
        (false, false, true),
        (true, false, false),
        (true, true, true),
        (false, true, true),
    ] {
        let test = TestScheduler::new(3);
        let parked_workers = test.parked_workers(1);
        let core = test.shared.workers.idle.pop_idle(0).unwrap();
        if with_driver {
            let sitter = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
            (test.shared.workers.idle).park_worker(Some(core), &sitter, false, true);
        } else {
            test.shared.workers.idle.push_idle(core);
        }
        let processor = test.work();
        if work {
            // What is in the slot is seen where it is moved to.
            drop(processor.next.put(token().1));
        }
        let away = enter_blocking();
        assert!(!this_thread::holds_core() && processor.next.is_empty());
        assert_eq!(test.shared.snapshot().handoffs, 1);
        assert_eq!(
            parked_workers[0].has_handed(),
            expected,
            "{with_driver} {work}"
        );
        drop(away);
        assert!(this_thread::holds_core(), "one was idle");
        test.take_queue(processor);
    }
}
