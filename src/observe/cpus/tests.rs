use std::path::Path;
use std::time::{Duration, Instant};

use super::throttled::{Cost, Throttled, line};
use super::{LONGEST_PERIOD, PERIOD, pause_after};
use crate::clock;
use crate::machine::tests::Tree;
use crate::machine::{Cpus, Quota, Throttling};

fn reading(throttled: u64, seconds: f64) -> Option<Throttling> {
    Some(Throttling {
        periods: 10 * throttled,
        throttled,
        duration: Duration::from_secs_f64(seconds),
    })
}

fn count(throttled: &Throttled) -> Option<u64> {
    throttled.sum().map(|sum| sum.throttled)
}

#[test]
fn a_look_that_takes_long_is_followed_by_a_longer_pause() {
    let micros = Duration::from_micros;
    let both = |took| pause_after(took, took);
    assert_eq!(both(micros(40)), PERIOD);
    assert_eq!(both(micros(1000)), PERIOD);
    assert_eq!(both(micros(5000)), 5 * PERIOD);
    assert_eq!(both(Duration::MAX), LONGEST_PERIOD);
}

#[test]
fn one_look_that_takes_long_delays_none() {
    let (short, long) = (Duration::from_micros(40), Duration::from_millis(83));
    assert_eq!(pause_after(long, short), PERIOD);
    assert_eq!(pause_after(short, long), PERIOD);
    assert!(pause_after(long, long) <= Duration::from_secs(10));
}

#[test]
fn another_group_adds_nothing_and_a_sum_never_falls() {
    let (a, b) = (Some(Path::new("/a")), Some(Path::new("/b")));
    let mut throttled = Throttled::default();
    throttled.add(None, None);
    assert_eq!(count(&throttled), None);
    throttled.add(a, reading(100, 1.0));
    assert_eq!(count(&throttled), Some(0));
    throttled.add(a, reading(103, 1.5));
    assert_eq!(count(&throttled), Some(3));
    throttled.add(b, reading(5000, 70.0));
    assert_eq!(count(&throttled), Some(3));
    throttled.add(b, reading(5001, 70.5));
    assert_eq!(count(&throttled), Some(4));
    throttled.add(a, reading(110, 1.5));
    // A group that was removed and made again.
    throttled.add(a, reading(2, 0.1));
    throttled.add(a, None);
    assert_eq!(count(&throttled), Some(4));
    assert_eq!(throttled.sum().unwrap().duration, Duration::from_secs(1));
    throttled.add(a, reading(4, 0.2));
    assert_eq!(count(&throttled), Some(6));
}

/// Looks each second, and each adds so many seconds of throttling.
fn looks(begin: Instant, numbers: std::ops::Range<u64>, each: f64) -> Vec<Option<Cost>> {
    let mut throttled = Throttled::default();
    let looks = numbers.map(|number| {
        throttled.add(Some(Path::new("/a")), reading(number, number as f64 * each));
        throttled.look(begin + Duration::from_secs(number), 2, None)
    });
    looks.collect()
}

#[test]
fn a_share_is_that_of_ten_seconds_and_of_each_processor() {
    let begin = clock::now();
    let costs = looks(begin, 0..30, 0.5);
    assert!(costs[..10].iter().all(Option::is_none));
    let seconds = Duration::from_secs;
    let (stopped, within) = (seconds(5), seconds(10));
    for cost in &costs[10..] {
        assert_eq!(*cost, Some(Cost { stopped, within }), "{costs:?}");
    }
    assert!(looks(begin, 0..30, 0.19).iter().all(Option::is_none));
    assert!(looks(begin, 0..30, 0.21)[10].is_some());
}

#[test]
fn a_burst_counts_for_ten_seconds_and_a_rest_dilutes_it() {
    let (begin, group) = (clock::now(), Some(Path::new("/a")));
    let at = |seconds| begin + Duration::from_secs(seconds);
    let mut throttled = Throttled::default();
    throttled.add(group, reading(0, 0.0));
    let look = |throttled: &mut Throttled, second| throttled.look(at(second), 1, None);
    assert_eq!(look(&mut throttled, 0), None);
    throttled.add(group, reading(20, 2.0));
    assert_eq!(look(&mut throttled, 1), None);
    assert!(look(&mut throttled, 10).is_some());
    assert_eq!(look(&mut throttled, 11), None, "it was before the window");
    // Nobody has looked for a minute.
    throttled.add(group, reading(40, 4.0));
    assert_eq!(look(&mut throttled, 70), None);
    throttled.add(group, reading(400, 40.0));
    let within = Duration::from_secs(60);
    assert_eq!(look(&mut throttled, 130).unwrap().within, within);
}

/// The number of processors was lowered since the quota was: what came before says nothing of those that are left.
#[test]
fn what_was_stopped_before_the_number_or_the_quota_changed_does_not_count() {
    let (begin, group) = (clock::now(), Some(Path::new("/a")));
    let mut throttled = Throttled::default();
    let mut look = |second: u64, seconds: f64, processors, quota| {
        throttled.add(group, reading(second, seconds));
        throttled.look(begin + Duration::from_secs(second), processors, quota)
    };
    for second in 0..10 {
        assert_eq!(look(second, 0.0, 8, None), None);
    }
    let [lower, higher] =
        ["150000 100000", "250000 100000"].map(|max| Some(quota(&format!("before-{max}"), max)));
    // The first look after the quota was set finds what eight processors were stopped for.
    assert_eq!(look(10, 6.5, 8, lower), None);
    for second in 11..40 {
        assert_eq!(look(second, 6.5, 1, lower), None, "at {second}");
    }
    assert_eq!(look(40, 9.5, 1, higher), None);
    for second in 41..80 {
        assert_eq!(look(second, 9.5, 1, higher), None, "at {second}");
    }
    assert!(look(80, 12.0, 1, higher).is_some());
}

fn quota(test: &str, max: &str) -> Quota {
    let tree = Tree::v2(test, "/a");
    let mut cpus = Cpus::at(tree.max("/a", max).root());
    cpus.read();
    cpus.quota().unwrap()
}

#[test]
fn the_line_names_quota_and_workers_and_what_to_do() {
    let half = quota("line", "150000 100000");
    let cost = |stopped, within| Cost {
        stopped: Duration::from_secs_f64(stopped),
        within: Duration::from_secs_f64(within),
    };
    let said = line(cost(4.68, 70.3), half, 2).to_string();
    for part in [
        "4.7 s of CPU time in the last 70 s",
        "1.5 CPUs",
        "2 worker threads",
        "fewer worker threads",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = line(cost(65.0, 10.0), half, 1).to_string();
    assert!(said.contains("1 worker thread:"), "{said}");
    assert!(said.contains("other threads"), "{said}");
    assert_eq!(quota("digits", "2333333 1000000").to_string(), "2.33 CPUs");
    assert_eq!(quota("whole", "400000 100000").to_string(), "4 CPUs");
}
