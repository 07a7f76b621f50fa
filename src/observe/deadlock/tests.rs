use super::*;

#[test]
fn a_suspicion_is_as_old_as_what_is_seen_and_no_older() {
    let start = Instant::now();
    let (a_third, two) = (CONFIRMED / 3, CONFIRMED / 3 * 2);
    let still = |polls| {
        Some(Standstill {
            polls,
            threads: 2,
            parks: vec![(1, 1)],
            by_dumps: (0, vec![0]),
        })
    };
    let first = Suspicion::seen(still(7), None, start);
    // The monitor was up in between, for another reason.
    let again = Suspicion::seen(still(7), first, start + a_third).unwrap();
    assert_eq!(again.due_in(start + two), CONFIRMED - two);
    assert_eq!(again.due_in(start + 2 * CONFIRMED), Duration::ZERO);
    let other = Suspicion::seen(still(8), Some(again), start + two).unwrap();
    assert_eq!(other.due_in(start + two), CONFIRMED, "something has moved");
}

#[test]
fn who_waits_in_a_block_on_within_another_is_parked() {
    let deadlocks = Deadlocks::default();
    let begin = || {
        let waiting = Waiting::of_this_thread(Location::caller(), Box::new(|| false));
        let waiting = Arc::new(waiting);
        deadlocks.waiting.lock().push(waiting.clone());
        waiting.begin();
        waiting
    };
    let outer = begin();
    assert!(deadlocks.all_park());
    outer.end();
    assert!(!deadlocks.all_park());
    // In a poll of the outer one.
    let inner = begin();
    assert!(deadlocks.all_park());
    inner.end();
    assert!(!deadlocks.all_park());
}

#[test]
fn a_monitor_that_falls_asleep_during_a_report_looks_again() {
    let start = Instant::now();
    REPORTING.fetch_add(1, Ordering::Relaxed);
    // Whatever it sees: here other threads are always there.
    let suspicion = Suspicion::look(None, start);
    REPORTING.fetch_sub(1, Ordering::Relaxed);
    assert_eq!(suspicion.map(|seen| seen.due_in(start)), Some(CONFIRMED));
}
