//! One thread takes each step of the protocols, and the counts and lists are as they should be
//! after each. What happens between two threads the models show.

use super::*;
use crate::scheduler::netpoll::Netpoll;

mod pairs;

fn parked_worker() -> Arc<ParkedWorker<u32>> {
    Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()))
}

impl Indexed for u32 {
    fn index(&self) -> usize {
        *self as usize
    }

    /// Four processors to a cluster.
    fn cluster(&self) -> usize {
        *self as usize / 4
    }
}

/// With these cores, and no worker yet.
fn idle(cores: impl IntoIterator<Item = u32>) -> Idle<u32> {
    let idle = Idle::new(usize::MAX, 1);
    cores.into_iter().for_each(|core| idle.add(core));
    idle
}

/// With these cores, all of which somebody holds.
fn busy(cores: impl IntoIterator<Item = u32>) -> Idle<u32> {
    let idle = idle(cores);
    idle.take_cores();
    idle
}

/// Idle cores, workers that search, workers parked, and those with the driver too.
#[track_caller]
fn assert_counts(
    idle: &Idle<u32>,
    idle_cores: usize,
    searching: usize,
    parked: usize,
    waiting: usize,
) {
    let counts = (
        idle.num_idle(),
        idle.num_searching(),
        idle.num_parked(),
        idle.num_waiting_workers(),
    );
    assert_eq!(counts, (idle_cores, searching, parked, waiting));
    assert_eq!(idle.has_waiting_worker(), waiting != 0);
}

/// Whom a claim wakes, and with which core.
#[track_caller]
fn woken(claim: Option<Claim<u32>>) -> Arc<ParkedWorker<u32>> {
    match claim {
        Some(Claim::Worker(parked_worker)) => {
            assert!(parked_worker.has_handed());
            parked_worker
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn for_a_thread(claim: Option<Claim<u32>>) -> u32 {
    match claim {
        Some(Claim::Thread(core)) => core,
        other => panic!("{other:?}"),
    }
}

#[test]
fn idle_cores_are_counted_as_they_come_and_go() {
    let idle = idle(0..3);
    assert_counts(&idle, 3, 0, 0, 0);
    assert_eq!(idle.take_cores(), [0, 1, 2]);
    assert_counts(&idle, 0, 0, 0, 0);
    assert!(idle.take_cores().is_empty());
    assert_counts(&idle, 0, 0, 0, 0);
    idle.put_cores(vec![3, 4]);
    assert_counts(&idle, 2, 0, 0, 0);
    idle.push_idle(5);
    assert_counts(&idle, 3, 0, 0, 0);
    assert_eq!(idle.pop_idle(0), Some(5));
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!((idle.pop_idle(0), idle.pop_idle(0)), (Some(4), Some(3)));
    assert_eq!(idle.pop_idle(0), None);
    assert_counts(&idle, 0, 0, 0, 0);
}

/// The counts have 20 bits each: none runs into another, nor into the mark of being closed.
#[test]
fn counts_do_not_run_into_each_other() {
    const MANY: u32 = 100_000;
    let idle = idle(0..MANY);
    for _ in 0..3 {
        assert!(idle.claim_another(0).is_some());
    }
    assert_counts(&idle, MANY as usize - 3, 3, 0, 0);
    idle.close();
    assert_counts(&idle, MANY as usize - 3, 3, 0, 0);
    let all = Counts(CLOSED | ((COUNT - 3) * LIVE) | ((COUNT - 1) * SEARCHING) | (COUNT - 2));
    assert_eq!(
        (all.live(), all.searching(), all.idle()),
        (COUNT - 3, COUNT - 1, COUNT - 2)
    );
    assert!(all.closed());
    let open = Counts((COUNT * LIVE) | (COUNT * SEARCHING) | COUNT);
    assert!(!open.closed());
    const { assert!(COUNT == 0xf_ffff && SEARCHING == COUNT + 1 && LIVE == SEARCHING * SEARCHING) };
    const { assert!(CLOSED > COUNT * LIVE) };
}

#[test]
fn a_submission_wakes_only_if_a_core_is_idle_and_nobody_searches() {
    let idle = busy(0..8);
    assert_eq!(idle.after_submit(), Next::Nothing, "all are at work");
    idle.put_cores(vec![0, 1]);
    assert_eq!(idle.after_submit(), Next::Wake);
    let first = for_a_thread(idle.claim(0));
    assert_eq!(idle.after_submit(), Next::Nothing, "one searches already");
    idle.end_search();
    assert_eq!(idle.after_submit(), Next::Wake);
    idle.push_idle(first);
    idle.close();
    assert_eq!(idle.after_submit(), Next::Drain);
    idle.claim_another(0);
    assert_eq!(idle.after_submit(), Next::Drain);
}

#[test]
fn a_submission_to_a_closed_runtime_is_taken_out_again_whoever_searches() {
    let idle = idle([0]);
    assert!(idle.claim_another(0).is_some());
    idle.close();
    assert_counts(&idle, 0, 1, 0, 0);
    assert_eq!(idle.after_submit(), Next::Drain);
    idle.end_search();
    assert_eq!(idle.after_submit(), Next::Drain, "no processor is idle");
}

/// A hundred submissions wake one worker.
#[test]
fn a_claim_is_refused_while_one_searches_or_when_no_core_is_idle() {
    let idle = idle([0, 1, 2]);
    assert_eq!(for_a_thread(idle.claim(0)), 2);
    assert_counts(&idle, 2, 1, 0, 0);
    for _ in 0..100 {
        assert!(idle.claim(0).is_none());
    }
    assert_counts(&idle, 2, 1, 0, 0);
    idle.end_search();
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!(for_a_thread(idle.claim(0)), 1);
    idle.end_search();
    assert_eq!(for_a_thread(idle.claim(0)), 0);
    idle.end_search();
    assert!(idle.claim(0).is_none());
    assert_counts(&idle, 0, 0, 0, 0);
}

#[test]
fn another_claim_wakes_beside_searchers_and_gives_its_count_back_if_no_core_is_idle() {
    let idle = idle([0, 1]);
    assert_eq!(for_a_thread(idle.claim_another(0)), 1);
    assert_eq!(for_a_thread(idle.claim_another(0)), 0);
    assert_counts(&idle, 0, 2, 0, 0);
    assert!(idle.claim_another(0).is_none());
    assert_counts(&idle, 0, 2, 0, 0);
}

#[test]
fn a_closed_runtime_gives_no_core_away() {
    let idle = idle([0, 1]);
    idle.close();
    assert!(idle.claim(0).is_none());
    assert_counts(&idle, 2, 0, 0, 0);
    assert!(idle.claim_another(0).is_none());
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!(idle.pop_idle(0), None);
    assert!(idle.unpark_worker(&parked_worker(), None, 0).is_none());
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!(idle.take_cores().len(), 2);
    assert_counts(&idle, 0, 0, 0, 0);
}

/// The last one that parked first; the one with the driver last.
#[test]
fn the_worker_that_parked_last_is_woken_first() {
    let idle = busy(0..8);
    let [with_driver, first, second] = std::array::from_fn(|_| parked_worker());
    idle.park_worker(Some(0), &with_driver, false, true);
    assert_counts(&idle, 1, 0, 0, 1);
    idle.park_worker(Some(1), &first, false, false);
    idle.park_worker(Some(2), &second, false, false);
    assert_counts(&idle, 3, 0, 2, 3);
    for (expected, left) in [(&second, 2), (&first, 1), (&with_driver, 0)] {
        let parked_worker = woken(idle.claim(0));
        assert!(Arc::ptr_eq(&parked_worker, expected));
        assert_counts(&idle, left, 1, left.saturating_sub(1), left);
        let resumed = idle.unpark_worker(&parked_worker, None, 0).unwrap();
        assert!(
            (resumed.core, resumed.searching) == (left as u32, true) && !parked_worker.has_handed()
        );
        idle.end_search();
    }
    assert_counts(&idle, 0, 0, 0, 0);
    idle.push_idle(3);
    assert_eq!(for_a_thread(idle.claim(0)), 3);
}

#[test]
fn a_worker_that_parks_stops_searching() {
    let idle = idle([0]);
    let parked_worker = parked_worker();
    assert_eq!(for_a_thread(idle.claim(0)), 0);
    assert_counts(&idle, 0, 1, 0, 0);
    idle.park_worker(Some(0), &parked_worker, true, false);
    assert_counts(&idle, 1, 0, 1, 1);
    // A spare has no core, and does not search.
    let spare = self::parked_worker();
    idle.park_worker(None, &spare, false, false);
    assert_counts(&idle, 1, 0, 2, 2);
}

#[test]
fn who_gets_up_by_itself_takes_a_core_and_does_not_count_as_searching() {
    let idle = busy(0..8);
    let (parked_worker, other) = (parked_worker(), parked_worker());
    idle.park_worker(None, &other, false, false);
    idle.park_worker(Some(7), &parked_worker, false, false);
    let resumed = idle.unpark_worker(&parked_worker, Some(7), 0).unwrap();
    assert_eq!((resumed.core, resumed.searching), (7, false));
    assert_counts(&idle, 0, 0, 1, 1);
    // Without a core it leaves its parker all the same.
    assert!(idle.unpark_worker(&other, None, 0).is_none());
    assert_counts(&idle, 0, 0, 0, 0);
}

#[test]
fn who_leaves_takes_a_core_only_if_it_was_given_one() {
    let idle = busy(0..8);
    let [parked, driver, stays] = std::array::from_fn(|_| parked_worker());
    idle.park_worker(Some(0), &parked, false, false);
    idle.park_worker(None, &stays, false, false);
    idle.park_worker(Some(1), &driver, false, true);
    assert!(idle.leave(&parked, Some(0)).is_none());
    assert_counts(&idle, 2, 0, 1, 2);
    assert!(
        idle.has_driver(),
        "another one leaves, and not the one with the driver"
    );
    assert!(idle.leave(&driver, Some(1)).is_none());
    assert_counts(&idle, 2, 0, 1, 1);
    assert!(!idle.has_driver());
    assert!(Arc::ptr_eq(&woken(idle.claim(0)), &stays));
    let resumed = idle.leave(&stays, None).unwrap();
    assert_eq!((resumed.core, resumed.searching), (1, true));
    assert_counts(&idle, 1, 1, 0, 0);
}

#[test]
fn the_network_is_attended_by_whoever_sits_or_searches() {
    let idle = idle([0]);
    let (with_driver, parked) = (parked_worker(), parked_worker());
    assert!(!idle.has_driver());
    idle.park_worker(None, &parked, false, false);
    assert!(!idle.has_driver());
    idle.park_worker(None, &with_driver, false, true);
    assert!(idle.has_driver());
    idle.leave(&with_driver, None);
    assert!(!idle.has_driver());
    assert!(idle.claim(0).is_some());
    assert!(idle.has_driver());
    idle.park_worker(None, &with_driver, false, true);
    assert!(idle.has_driver());
}

#[test]
fn a_core_for_which_no_thread_can_be_started_is_idle_again() {
    let idle = idle([0, 1]);
    let core = for_a_thread(idle.claim(0));
    assert_counts(&idle, 1, 1, 0, 0);
    idle.unclaim(core);
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!(idle.after_submit(), Next::Wake);
    assert_eq!(for_a_thread(idle.claim(0)), core);
}

#[test]
fn half_of_the_busy_processors_search() {
    for (processors, idle_cores, most) in [
        (1, 0, 1),
        (2, 0, 1),
        (3, 0, 2),
        (4, 0, 2),
        (5, 0, 3),
        (8, 0, 4),
        (8, 3, 3),
        (8, 6, 1),
        (8, 7, 1),
        (8, 8, 0),
    ] {
        let idle = busy(0..processors);
        idle.put_cores((0..idle_cores).collect());
        let searchers = (0..100).take_while(|_| idle.begin_search());
        assert_eq!(searchers.count(), most, "{processors} {idle_cores}");
        assert_counts(&idle, idle_cores as usize, most, 0, 0);
    }
}

#[test]
fn at_the_end_all_parked_workers_come_back_to_be_woken() {
    let idle = busy(0..8);
    let [first, second, with_driver] = std::array::from_fn(|_| parked_worker());
    idle.park_worker(Some(0), &first, false, false);
    idle.park_worker(Some(1), &second, false, false);
    idle.park_worker(Some(2), &with_driver, false, true);
    let parked_workers = idle.close();
    let expected = [&first, &second, &with_driver];
    assert!(
        parked_workers.len() == 3
            && parked_workers
                .iter()
                .zip(expected)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    );
    assert_counts(&idle, 3, 0, 0, 0);
    assert!(idle.close().is_empty());
}

#[test]
fn it_is_settled_when_all_cores_are_idle_and_nobody_searches() {
    let idle = idle([0, 1]);
    assert!(idle.is_settled());
    let core = for_a_thread(idle.claim(0));
    assert!(!idle.is_settled());
    idle.push_idle(core);
    assert!(!idle.is_settled(), "one searches");
    idle.end_search();
    assert!(idle.is_settled());
    assert!(idle.pop_idle(0).is_some());
    assert!(!idle.is_settled(), "a core is held");
    idle.close();
    assert!(!idle.is_settled());
    idle.put_cores(vec![1]);
    assert!(idle.is_settled());
}

#[test]
fn idle_cores_retire_and_come_back() {
    let idle = idle(0..4);
    assert_eq!(idle.set_wanted(2), 0, "none comes back");
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!((idle.num_live(), idle.all_idle()), (2, true));
    assert_eq!(
        (idle.pop_idle(0), idle.pop_idle(0), idle.pop_idle(0)),
        (Some(1), Some(0), None)
    );
    assert!(!idle.all_idle() && !idle.all_idle_but_one());
    assert_eq!(idle.set_wanted(3), 1);
    assert_counts(&idle, 1, 0, 0, 0);
    assert_eq!(idle.num_live(), 3);
    assert_eq!((idle.pop_idle(0), idle.pop_idle(0)), (Some(2), None));
    let mut seen = Vec::new();
    idle.each_core(|core| seen.push(*core));
    assert_eq!(seen, [3], "it is retired still");
}

type Way<'a> = &'a dyn Fn(&Idle<u32>, u32);

/// However a core comes back: if it is not wanted, nobody gets it.
#[test]
fn a_core_that_is_let_go_of_retires_if_it_is_not_wanted() {
    let worker = parked_worker();
    let ways: [Way<'_>; 4] = [
        &|idle, core| _ = idle.push_idle(core),
        &|idle, core| _ = idle.park_worker(Some(core), &worker, false, false),
        &|idle, core| idle.put_cores(vec![core]),
        &|idle, core| {
            idle.begin_search_anyway();
            idle.unclaim(core);
        },
    ];
    for way in ways {
        let idle = busy(0..3);
        assert_eq!(idle.set_wanted(1), 0);
        assert_eq!((idle.num_live(), idle.num_idle()), (3, 0), "they are held");
        way(&idle, 2);
        assert_eq!((idle.num_live(), idle.num_idle()), (2, 0));
        assert!(!idle.is_settled());
        way(&idle, 0);
        assert_eq!((idle.num_live(), idle.num_idle()), (2, 1));
        way(&idle, 1);
        assert_eq!((idle.num_live(), idle.num_idle()), (1, 1));
        assert!(idle.is_settled() && idle.all_idle());
        assert_eq!((idle.pop_idle(0), idle.pop_idle(0)), (Some(0), None));
    }
}

/// It is wanted again before its holder has looked up: it never retires.
#[test]
fn a_core_that_is_wanted_again_while_it_is_held_stays() {
    let idle = busy(0..2);
    assert_eq!(idle.set_wanted(1), 0);
    assert_eq!(idle.set_wanted(2), 0);
    idle.push_idle(1);
    assert_eq!((idle.num_live(), idle.pop_idle(0)), (2, Some(1)));
}

#[test]
fn a_new_core_is_idle_or_retired() {
    let idle = Idle::new(1, 1);
    idle.add(0);
    idle.add(1);
    assert_eq!((idle.num_live(), idle.num_idle()), (1, 1));
    assert_eq!(idle.set_wanted(2), 1);
    assert_eq!((idle.num_live(), idle.num_idle()), (2, 2));
}

#[test]
fn what_is_opened_again_gives_its_cores_away_as_before() {
    let idle = idle([0, 1]);
    idle.close();
    assert_eq!(idle.pop_idle(0), None);
    idle.reopen();
    assert_counts(&idle, 2, 0, 0, 0);
    assert_eq!(idle.after_submit(), Next::Wake);
    assert_eq!(for_a_thread(idle.claim(0)), 1);
    assert_counts(&idle, 1, 1, 0, 0);
}

/// Whoever makes a processor idle, or ends a search, leaves the look to those who search still.
#[test]
fn the_last_searcher_looks_for_all() {
    let idle = busy(0..4);
    let worker = parked_worker();
    assert_eq!(idle.push_idle(0), Look::Due, "nobody searches");
    idle.begin_search_anyway();
    idle.begin_search_anyway();
    idle.begin_search_anyway();
    assert_eq!(idle.push_idle(1), Look::Left);
    assert_eq!(idle.park_worker(Some(2), &worker, false, false), Look::Left);
    assert_eq!(idle.end_search(), Look::Left);
    assert_eq!(idle.park_worker(Some(3), &worker, true, false), Look::Left);
    assert_eq!(idle.end_search(), Look::Due);
    idle.begin_search_anyway();
    assert_eq!(idle.park_worker(None, &worker, true, true), Look::Due);
}
