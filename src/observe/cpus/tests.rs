use std::path::Path;
use std::time::{Duration, Instant};

use super::throttled::{Throttled, line};
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
    assert_eq!(pause_after(micros(40)), PERIOD);
    assert_eq!(pause_after(micros(1000)), PERIOD);
    assert_eq!(pause_after(micros(5000)), 5 * PERIOD);
    assert_eq!(pause_after(Duration::MAX), LONGEST_PERIOD);
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
fn looks(begin: Instant, numbers: std::ops::Range<u64>, each: f64) -> Vec<Option<f64>> {
    let mut throttled = Throttled::default();
    let looks = numbers.map(|number| {
        throttled.add(Some(Path::new("/a")), reading(number, number as f64 * each));
        throttled.share(begin + Duration::from_secs(number), 2)
    });
    looks.collect()
}

#[test]
fn a_share_is_that_of_ten_seconds_and_of_each_processor() {
    let begin = clock::now();
    let shares = looks(begin, 0..30, 0.5);
    assert!(shares[..10].iter().all(Option::is_none));
    for share in &shares[10..] {
        assert!((share.unwrap() - 0.25).abs() < 0.001, "{shares:?}");
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
    assert_eq!(throttled.share(at(0), 1), None);
    throttled.add(group, reading(20, 2.0));
    assert_eq!(throttled.share(at(1), 1), None);
    assert!(throttled.share(at(10), 1).is_some());
    assert_eq!(throttled.share(at(11), 1), None, "it was before the window");
    // Nobody has looked for a minute.
    throttled.add(group, reading(40, 4.0));
    assert_eq!(throttled.share(at(70), 1), None);
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
    let said = line(0.234, half, 2).to_string();
    for part in [
        "23 %",
        "1.5 CPUs",
        "2 worker threads",
        "fewer worker threads",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = line(0.5, half, 1).to_string();
    assert!(said.contains("1 worker thread:"), "{said}");
    assert!(said.contains("other threads"), "{said}");
    assert_eq!(quota("digits", "2333333 1000000").to_string(), "2.33 CPUs");
    assert_eq!(quota("whole", "400000 100000").to_string(), "4 CPUs");
}
