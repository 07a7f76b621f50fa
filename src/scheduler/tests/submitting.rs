//! Pushes, by whom and where to, and who is woken for them.

use super::*;
use crate::scheduler::processor::Submitted;
use crate::scheduler::processor::tests::keep;

#[test]
fn what_a_worker_wakes_goes_into_its_slot_and_then_its_queue_where_it_is_worth_a_wake() {
    let yard = Yard::new(3);
    let sleepers = yard.sleepers(2);
    let at = yard.work();
    let [(first, one), (second, two), (third, three)] = std::array::from_fn(|_| token());
    yard.shared.submit(one, false);
    assert!(!has_work(at) && !at.next.is_empty());
    assert_eq!(
        yard.shared.idle.num_searching(),
        0,
        "nobody need come for that"
    );
    yard.shared.submit(two, false);
    assert_eq!(yard.shared.idle.num_searching(), 1);
    assert!(sleepers[1].has_gift() && !sleepers[0].has_gift());
    // One searches, so nobody else is woken.
    yard.shared.submit(three, true);
    assert!(!sleepers[0].has_gift());
    assert_eq!(yard.take_queue(at), [first, third]);
    assert_eq!(take_slot(at), Some(second));
    assert!(yard.take_global().is_empty());
}

#[test]
fn what_yields_goes_to_the_back_and_wakes_somebody_only_beside_a_full_slot() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(1);
    let at = yard.work();
    let (yields, one) = token();
    yard.shared.submit(one, true);
    assert!(at.next.is_empty() && !sleepers[0].has_gift());
    let (slot, two) = token();
    yard.shared.submit(two, false);
    assert!(!sleepers[0].has_gift());
    let (again, three) = token();
    yard.shared.submit(three, true);
    assert!(sleepers[0].has_gift());
    assert_eq!(
        (yard.take_queue(at), take_slot(at)),
        (vec![yields, again], Some(slot))
    );
}

#[test]
fn what_others_wake_goes_into_the_global_queue_and_wakes_a_worker() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(2);
    let (id, runnable) = token();
    yard.shared.submit(runnable, false);
    assert!(sleepers[1].has_gift() && !sleepers[0].has_gift());
    assert_eq!(yard.take_global(), [id]);
}

#[test]
fn a_new_task_is_counted_where_it_is_spawned() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(1);
    let (foreign, runnable) = token();
    yard.shared.submit_new(runnable);
    assert_eq!(yard.shared.snapshot().spawned_tasks, 1);
    assert_eq!(yard.take_global(), [foreign]);
    assert!(sleepers[0].has_gift());
    let at = yard.work();
    let (own, runnable) = token();
    yard.shared.submit_new(runnable);
    assert_eq!(
        (
            yard.shared.snapshot().spawned_tasks,
            at.counters.spawned.get()
        ),
        (2, 1)
    );
    assert_eq!(take_slot(at), Some(own));
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
    let at = yard.work();
    yard.shared.task_finished();
    assert_eq!(
        (yard.shared.num_alive_tasks(), at.counters.finished.get()),
        (1, 1)
    );
    yard.close();
    assert!(!yard.takes_call());
    yard.shared.task_finished();
    assert!(
        !yard.takes_call(),
        "a worker's counts are seen when it ends"
    );
    assert_eq!(at.counters.finished.get(), 2);
    drop(local::take_core());
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
    // Whoever was about to claim when it closed holds the janitor up no longer.
    assert!(!yard.takes_call());
    yard.shared.wake_one();
    assert!(yard.takes_call());
}

#[test]
fn nobody_is_called_for_what_an_open_scheduler_leaves_to_its_searchers() {
    let yard = Yard::new(1);
    assert!(yard.shared.idle.claim_another().is_some());
    yard.shared.submit(token().1, false);
    yard.shared.wake_one();
    assert!(!yard.takes_call());
    assert_eq!(yard.shared.idle.num_searching(), 1);
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
        let sleepers = yard.sleepers(SLEEPERS);
        let _at = yard.work();
        yard.shared.wake_for_batch(count);
        let given = sleepers.iter().filter(|sleeper| sleeper.has_gift()).count();
        assert_eq!(
            (given, yard.shared.idle.num_searching()),
            (woken, woken),
            "{count}"
        );
        yard.shared.wake_for_batch(10_000);
        assert_eq!(yard.shared.idle.num_searching(), woken, "some search");
    }
}

/// As many as there are processors, though the batch could feed more.
#[test]
fn a_batch_wakes_no_more_than_there_are_processors() {
    let yard = Yard::new(2);
    for _ in 0..8 {
        // As after many retakes: more cores than places.
        let (_slot, core) = Slot::new(0);
        keep(core.at);
        yard.shared.idle.lay_down(core);
    }
    let sleepers = yard.sleepers(8);
    yard.shared.wake_for_batch(10_000);
    let given = sleepers.iter().filter(|sleeper| sleeper.has_gift()).count();
    assert_eq!(given, 3, "one, and one for each processor");
}

#[test]
fn a_core_for_which_no_thread_can_be_started_lies_there_again() {
    let yard = Yard::new(2);
    // No runtime: no settings to start a thread with.
    yard.shared.wake_one();
    assert_eq!(
        (
            yard.shared.idle.num_lying(),
            yard.shared.idle.num_searching()
        ),
        (2, 0)
    );
    assert!(!yard.takes_call());
    assert_eq!(yard.shared.idle.after_submit(), Next::Wake);
}

#[test]
fn a_push_asks_for_somebody_as_it_says() {
    let yard = Yard::new(2);
    let sleepers = yard.sleepers(1);
    yard.shared.follow_push(Submitted::Quietly, None);
    assert!(!sleepers[0].has_gift());
    yard.shared.follow_push(Submitted::NotYet, None);
    assert!(!sleepers[0].has_gift(), "there is nothing to push");
    yard.shared.follow_push(Submitted::Visibly, None);
    assert!(sleepers[0].has_gift());
}

/// A thread that is about to block leaves its processor to somebody, if there is anything to run or nobody is left with the network.
#[test]
fn a_processor_that_is_given_away_wakes_somebody_for_work_or_for_the_network() {
    for (seated, work, expected) in [
        (false, false, true),
        (true, false, false),
        (true, true, true),
        (false, true, true),
    ] {
        let yard = Yard::new(3);
        let sleepers = yard.sleepers(1);
        let core = yard.shared.idle.pick_up().unwrap();
        if seated {
            let sitter = Arc::new(Sleeper::of_this_thread(Netpoll::new().unwrap()));
            (yard.shared.idle).lie_down(Some(core), &sitter, false, true);
        } else {
            yard.shared.idle.lay_down(core);
        }
        let at = yard.work();
        if work {
            // What is in the slot is seen where it is moved to.
            drop(at.next.put(token().1));
        }
        let away = handoff::away();
        assert!(!local::holds_core() && at.next.is_empty());
        assert_eq!(at.counters.handoffs.get(), 1);
        assert_eq!(sleepers[0].has_gift(), expected, "{seated} {work}");
        drop(away);
        assert!(local::holds_core(), "one lies here");
        yard.take_queue(at);
    }
}
