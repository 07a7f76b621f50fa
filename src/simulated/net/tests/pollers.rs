use std::time::Duration;

use super::super::{MAIN, Wake};
use super::{Arc, Woken, World};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_poller_waits_for_its_own_events_and_for_those_of_nobody() {
    let mut world = World::new();
    let other = world.host("other", [10, 0, 0, 2]);
    let [near, far] = world.connected(MAIN, other);
    let woken = Arc::new(Woken::default());
    world.net.set_host_of_next_poller(other);
    let second = world.net.add_poller(Arc::clone(&woken) as Arc<dyn Wake>);
    assert_eq!(world.net.host_of(second), Some(other));
    world.register(near, 1);
    world.net.register(far, second, 2).unwrap();
    let (first, now) = (world.poller, world.now);
    assert_eq!(
        world.net.begin_wait(first, Some(now + 50 * MS)),
        Some(now + 50 * MS)
    );
    assert_eq!(world.net.begin_wait(second, None), None);
    // It is the second one's, which is told at once to wait for it.
    world.write(near, b"x").unwrap();
    assert_eq!((world.woken.count(), woken.count()), (0, 1));
    let due = now + Duration::from_micros(500);
    assert_eq!(world.net.begin_wait(second, None), Some(due));
    // A later one changes nothing.
    world.pass(Duration::from_micros(1));
    world.write(near, b"x").unwrap();
    assert_eq!(woken.count(), 1);
    // Its socket leaves. Somebody must let the bytes arrive, as there is an answer.
    world.net.deregister(far);
    assert_eq!(world.woken.count(), 0);
    world.at(|_, _| ());
    assert_eq!(world.woken.count(), 1);
    assert_eq!(world.net.begin_wait(first, None), Some(due));
}

#[test]
fn news_wake_who_waits_whoever_lets_them_happen() {
    let mut world = World::new();
    let [near, far] = world.connected(MAIN, MAIN);
    world.register(far, 2);
    assert_eq!(world.news(), [2]);
    world.net.end_wait(world.poller);
    world.write(near, b"x").unwrap();
    assert_eq!(world.woken.count(), 0, "it does not wait");
    assert!(world.net.begin_wait(world.poller, None).is_some());
    world.step();
    assert_eq!(world.woken.count(), 1);
    assert_eq!(world.news(), [2]);
    assert_eq!(world.news(), [0; 0]);
}

#[test]
fn news_are_told_once_for_all_that_has_come_and_anew_for_what_comes_later() {
    let mut world = World::new();
    let [near, far] = world.connected(MAIN, MAIN);
    world.register(far, 2);
    world.news();
    for _ in 0..3 {
        world.write(near, b"x").unwrap();
    }
    while world.step() {}
    assert_eq!(world.news(), [2]);
    // It was not read, and yet there are news.
    world.write(near, b"x").unwrap();
    while world.step() {}
    assert_eq!(world.news(), [2]);
    world.write(near, b"x").unwrap();
    while world.step() {}
    world.close(far);
    assert_eq!(world.news(), [0; 0]);
}

#[test]
fn a_poller_that_goes_leaves_its_events_to_all() {
    let mut world = World::new();
    let [near, far] = world.connected(MAIN, MAIN);
    world.register(far, 2);
    world.write(near, b"x").unwrap();
    let gone = world.poller;
    world.poller = world
        .net
        .add_poller(Arc::clone(&world.woken) as Arc<dyn Wake>);
    world.net.remove_poller(gone);
    assert!(world.net.begin_wait(world.poller, None).is_some());
    world.register(far, 3);
    world.step();
    assert_eq!(world.news(), [3]);
}
