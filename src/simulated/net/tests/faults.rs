use std::io::ErrorKind;
use std::time::Duration;

use super::super::{HostId, MAIN, Pair, Rate};
use super::World;

fn two_hosts(mut world: World) -> (World, HostId) {
    let other = world.host("other", [10, 0, 0, 2]);
    (world, other)
}

#[test]
fn a_link_has_its_latency() {
    let (mut world, other) = two_hosts(World::new());
    let latency = Duration::from_millis(40);
    world.net.change_links(Pair::Of(other, MAIN), |link| {
        (link.shortest, link.longest) = (latency, latency);
    });
    let [near, far] = world.connected(MAIN, other);
    assert_eq!(world.now, 2 * latency);
    world.write(near, b"x").unwrap();
    world.pass(latency - Duration::from_nanos(1));
    assert_eq!(world.read(far), Err(ErrorKind::WouldBlock));
    world.pass(Duration::from_nanos(1));
    assert_eq!(world.read(far).unwrap(), b"x");
}

#[test]
fn an_address_of_nobody_is_unreachable_after_a_while() {
    let mut world = World::new();
    let id = world.connect(MAIN, "10.0.0.77:80");
    while world.step() {}
    assert_eq!(world.error(id), Some(ErrorKind::HostUnreachable));
    assert_eq!(world.now, Duration::from_secs(3));
}

#[test]
fn a_partition_delays_a_connect_or_fails_it() {
    let (mut world, other) = two_hosts(World::new());
    let listener = world.listen(other, "0.0.0.0:80", 4);
    world.at(|net, at| net.partition(Pair::All, at));
    let healed = world.connect(MAIN, "10.0.0.2:80");
    world.pass(Duration::from_secs(100));
    world.at(|net, at| net.heal(Pair::All, at));
    world.pass(Duration::from_secs(1));
    assert!(world.net.readiness(healed).writable && world.error(healed).is_none());
    assert!(world.accept(listener).is_ok());
    assert!(!world.step(), "nothing is left of its patience");

    world.at(|net, at| net.partition(Pair::Of(MAIN, other), at));
    let begin = world.now;
    let failed = world.connect(MAIN, "10.0.0.2:80");
    while world.step() {}
    assert_eq!(world.error(failed), Some(ErrorKind::TimedOut));
    assert_eq!((world.now - begin).as_secs(), 127);
    world.at(|net, at| net.heal(Pair::All, at));
    assert!(!world.step(), "the request is gone");
}

#[test]
fn a_partition_holds_bytes_back_and_keeps_their_order() {
    let (mut world, other) = two_hosts(World::new());
    let [near, far] = world.connected(MAIN, other);
    world.write(near, b"one ").unwrap();
    world.at(|net, at| net.partition(Pair::Of(MAIN, other), at));
    world.write(near, b"two ").unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(
        world.read(far),
        Err(ErrorKind::WouldBlock),
        "one is lost on the way"
    );
    world.at(|net, at| net.heal(Pair::Of(MAIN, other), at));
    world.write(near, b"three").unwrap();
    world.pass(Duration::from_secs(2));
    assert_eq!(world.read(far).unwrap(), b"one two three");
}

#[test]
fn a_partition_that_lasts_breaks_who_has_sent_something() {
    let (mut world, other) = two_hosts(World::new());
    let [near, far] = world.connected(MAIN, other);
    world.at(|net, at| net.partition(Pair::All, at));
    world.write(near, b"x").unwrap();
    let begin = world.now;
    while world.step() {}
    assert_eq!((world.now - begin).as_secs(), 924);
    assert_eq!(world.read(near), Err(ErrorKind::TimedOut));
    assert_eq!(
        world.read(far),
        Err(ErrorKind::WouldBlock),
        "it waits for ever"
    );
    world.at(|net, at| net.heal(Pair::All, at));
    world.write(far, b"y").unwrap();
    while world.step() {}
    assert_eq!(world.read(far), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_host_can_always_reach_itself() {
    let mut world = World::new();
    world.at(|net, at| net.partition(Pair::All, at));
    let [near, far] = world.connected(MAIN, MAIN);
    world.write(near, b"x").unwrap();
    while world.step() {}
    assert_eq!(world.read(far).unwrap(), b"x");
}

#[test]
fn a_loss_delays_a_stream() {
    let (mut world, other) = two_hosts(World::new());
    world
        .net
        .change_links(Pair::All, |link| link.loss = Rate::Always);
    let [near, far] = world.connected(MAIN, other);
    let begin = world.now;
    world.write(near, b"x").unwrap();
    while world.step() {}
    assert!(
        world.now - begin > Duration::from_secs(12),
        "200 ms, twice that, and so on"
    );
    assert_eq!(world.read(far).unwrap(), b"x");
}

#[test]
fn a_crash_resets_connections_and_frees_addresses() {
    let (mut world, other) = two_hosts(World::new());
    let [near, far] = world.connected(MAIN, other);
    world.listen(other, "0.0.0.0:80", 4);
    let waits = world.connect(MAIN, "10.0.0.2:80");
    while world.step() {}
    world.write(far, b"last").unwrap();
    world.at(|net, at| net.crash(other, at));
    assert!(!world.net.has(far) && world.net.has_crashed(other));
    world.close(far);
    while world.step() {}
    assert_eq!(world.read(near).unwrap(), b"last");
    assert_eq!(world.read(near), Err(ErrorKind::ConnectionReset));
    assert_eq!(world.read(waits), Err(ErrorKind::ConnectionReset));
    let refused = world.connect(MAIN, "10.0.0.2:80");
    while world.step() {}
    assert_eq!(world.error(refused), Some(ErrorKind::ConnectionRefused));
    world.listen(other, "0.0.0.0:80", 4);
}

#[test]
fn hosts_have_names_and_addresses_of_their_own() {
    let (mut world, other) = two_hosts(World::new());
    let mut add = |name, ip: [u8; 4]| {
        let added = world.net.add_host(name, ip.into());
        added.map_err(|error| error.kind())
    };
    assert_eq!(add("other", [10, 0, 0, 3]), Err(ErrorKind::AlreadyExists));
    assert_eq!(add("third", [10, 0, 0, 2]), Err(ErrorKind::AlreadyExists));
    assert_eq!(add("third", [127, 0, 0, 2]), Err(ErrorKind::InvalidInput));
    assert_eq!(
        add("localhost", [10, 0, 0, 3]),
        Err(ErrorKind::InvalidInput)
    );
    let look_up = |name| world.net.look_up(name);
    assert_eq!(look_up("other"), Some(vec![[10, 0, 0, 2].into()]));
    assert_eq!(look_up("1.2.3.4"), Some(vec![[1, 2, 3, 4].into()]));
    assert_eq!(look_up("localhost").unwrap().len(), 2);
    assert_eq!(look_up("example.org"), None);
    assert_eq!(world.net.host_named("other"), Some(other));
    world.net.forget_host(other);
    assert_eq!(world.net.host_named("other"), None);
    assert_eq!(world.net.host_named(""), None);
    assert!(world.net.add_host("other", [10, 0, 0, 2].into()).is_ok());
}

#[test]
fn a_client_that_has_closed_behind_a_partition_gives_up_what_it_has_sent() {
    for (hours, arrives) in [(0, true), (10, false)] {
        let (mut world, other) = two_hosts(World::new());
        let [near, far] = world.connected(MAIN, other);
        world.at(|net, at| net.partition(Pair::All, at));
        world.write(near, b"late").unwrap();
        world.pass(Duration::from_secs(600));
        world.close(near);
        assert!(!world.step(), "nobody waits for it");
        world.pass(Duration::from_secs(300 + hours * 3600));
        world.at(|net, at| net.heal(Pair::All, at));
        world.pass(Duration::from_secs(10));
        match arrives {
            true => {
                assert_eq!(world.read(far).unwrap(), b"late");
                assert_eq!(world.read(far).unwrap(), b"");
            }
            false => assert_eq!(world.read(far), Err(ErrorKind::WouldBlock)),
        }
        assert!(!world.step());
    }
}

#[test]
fn what_is_under_way_from_a_client_that_has_closed_is_given_up_too() {
    let (mut world, other) = two_hosts(World::new());
    let [near, far] = world.connected(MAIN, other);
    world.write(near, b"late").unwrap();
    world.close(near);
    world.at(|net, at| net.partition(Pair::All, at));
    assert!(!world.step(), "nobody waits for it");
    world.pass(Duration::from_secs(925));
    world.at(|net, at| net.heal(Pair::All, at));
    while world.step() {}
    assert_eq!(world.read(far), Err(ErrorKind::WouldBlock));
}
