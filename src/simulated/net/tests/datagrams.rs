use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::{Family, HostId, MAIN, Name, Pair, Rate, Result, SocketId};
use super::World;

fn bind(world: &mut World, host: HostId, address: &str) -> SocketId {
    let address = address.parse().unwrap();
    world.net.bind_datagrams(host, address).unwrap()
}

fn send(world: &mut World, id: SocketId, bytes: &[u8], to: Option<&str>) -> Result<usize> {
    let to = to.map(|to| to.parse().unwrap());
    world.at(|net, at| net.send_datagram(id, bytes, to, at))
}

fn receive(world: &mut World, id: SocketId) -> Result<(Vec<u8>, SocketAddr)> {
    world.at(|net, at| net.receive_datagram(id, false, at))
}

#[test]
fn a_datagram_arrives_whole_with_its_sender() {
    let mut world = World::new();
    let other = world.host("other", [10, 0, 0, 2]);
    let a = bind(&mut world, MAIN, "0.0.0.0:1000");
    let b = bind(&mut world, other, "10.0.0.2:2000");
    assert_eq!(send(&mut world, a, b"one", Some("10.0.0.2:2000")), Ok(3));
    assert_eq!(send(&mut world, a, b"two", Some("10.0.0.2:2000")), Ok(3));
    assert_eq!(receive(&mut world, b), Err(ErrorKind::WouldBlock));
    while world.step() {}
    let peeked = world.at(|net, at| net.receive_datagram(b, true, at));
    assert_eq!(peeked.unwrap().0, b"one");
    let (bytes, from) = receive(&mut world, b).unwrap();
    assert_eq!(
        (&bytes[..], from),
        (&b"one"[..], ([10, 0, 0, 1], 1000).into())
    );
    assert_eq!(receive(&mut world, b).unwrap().0, b"two");
    assert_eq!(
        send(&mut world, a, b"x", None),
        Err(ErrorKind::NotConnected)
    );
    let large = vec![0; 65_508];
    assert_eq!(
        send(&mut world, a, &large, Some("10.0.0.2:2000")),
        Err(ErrorKind::InvalidInput)
    );
    let in_use = world.net.bind_datagrams(other, ([0, 0, 0, 0], 2000).into());
    assert_eq!(in_use, Err(ErrorKind::AddrInUse));
}

#[test]
fn a_connected_socket_hears_its_peer_alone_and_learns_that_it_is_not_there() {
    let mut world = World::new();
    let [a, b, c] =
        ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(|at| bind(&mut world, MAIN, at));
    world
        .net
        .connect_datagrams(a, ([127, 0, 0, 1], 2).into())
        .unwrap();
    send(&mut world, c, b"from c", Some("127.0.0.1:1")).unwrap();
    send(&mut world, b, b"from b", Some("127.0.0.1:1")).unwrap();
    while world.step() {}
    assert_eq!(receive(&mut world, a).unwrap().0, b"from b");
    assert_eq!(receive(&mut world, a), Err(ErrorKind::WouldBlock));

    world.close(b);
    assert_eq!(send(&mut world, a, b"x", None), Ok(1));
    send(&mut world, c, b"x", Some("127.0.0.1:2")).unwrap();
    while world.step() {}
    assert!(world.net.readiness(a).error && !world.net.readiness(c).error);
    assert_eq!(receive(&mut world, a), Err(ErrorKind::ConnectionRefused));
    assert_eq!(send(&mut world, a, b"x", None), Ok(1));
}

#[test]
fn datagrams_are_lost_doubled_and_reordered() {
    let mut world = World::random(5);
    let other = world.host("other", [10, 0, 0, 2]);
    world.net.change_links(Pair::Of(MAIN, other), |link| {
        (link.loss, link.duplication) = (Rate::OneIn(4), Rate::OneIn(4));
        link.longest = Duration::from_millis(100);
    });
    let a = bind(&mut world, MAIN, "0.0.0.0:1");
    let b = bind(&mut world, other, "0.0.0.0:2");
    for index in 0..200u8 {
        send(&mut world, a, &[index], Some("10.0.0.2:2")).unwrap();
        world.pass(Duration::from_millis(1));
    }
    while world.step() {}
    let received: Vec<u8> = std::iter::from_fn(|| receive(&mut world, b).ok())
        .map(|(bytes, _)| bytes[0])
        .collect();
    let mut distinct = received.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let lost = 200 - distinct.len();
    let doubled = received.len() - distinct.len();
    assert!((25..=75).contains(&lost), "{lost}");
    assert!((15..=60).contains(&doubled), "{doubled}");
    assert!(!received.is_sorted());
}

#[test]
fn a_partition_loses_datagrams_also_those_under_way() {
    let mut world = World::new();
    let other = world.host("other", [10, 0, 0, 2]);
    let a = bind(&mut world, MAIN, "0.0.0.0:1");
    let b = bind(&mut world, other, "0.0.0.0:2");
    send(&mut world, a, b"1", Some("10.0.0.2:2")).unwrap();
    world.at(|net, at| net.partition(Pair::All, at));
    send(&mut world, a, b"2", Some("10.0.0.2:2")).unwrap();
    world.at(|net, at| net.heal(Pair::All, at));
    send(&mut world, a, b"3", Some("10.0.0.2:2")).unwrap();
    while world.step() {}
    assert_eq!(receive(&mut world, b).unwrap().0, b"3");
}

#[test]
fn a_queue_that_is_full_loses_what_comes() {
    let mut world = World::new();
    let [a, b] = ["127.0.0.1:1", "127.0.0.1:2"].map(|at| bind(&mut world, MAIN, at));
    for _ in 0..10 {
        send(&mut world, a, &[0; 60_000], Some("127.0.0.1:2")).unwrap();
    }
    while world.step() {}
    let received = std::iter::from_fn(|| receive(&mut world, b).ok()).count();
    assert_eq!(received, 3);
    send(&mut world, a, b"again", Some("127.0.0.1:2")).unwrap();
    while world.step() {}
    assert!(receive(&mut world, b).is_ok());
}

#[test]
fn empty_datagrams_fill_the_queue() {
    let mut world = World::new();
    let [a, b] = ["127.0.0.1:1", "127.0.0.1:2"].map(|at| bind(&mut world, MAIN, at));
    for _ in 0..1000 {
        send(&mut world, a, b"", Some("127.0.0.1:2")).unwrap();
    }
    while world.step() {}
    let received = std::iter::from_fn(|| receive(&mut world, b).ok()).count();
    assert_eq!(received, 212_992 / 768);
    send(&mut world, a, b"again", Some("127.0.0.1:2")).unwrap();
    while world.step() {}
    assert_eq!(receive(&mut world, b).unwrap().0, b"again");
}

#[test]
fn a_socket_that_connects_to_no_address_connects_to_its_own_host() {
    let mut world = World::new();
    let unspecified: SocketAddr = "0.0.0.0:2".parse().unwrap();
    for (from, to) in [("0.0.0.0:1", "127.0.0.1:2"), ("10.0.0.1:1", "10.0.0.1:2")] {
        let a = bind(&mut world, MAIN, from);
        let b = bind(&mut world, MAIN, "0.0.0.0:2");
        world.net.connect_datagrams(a, unspecified).unwrap();
        let peer = Name::Ip(to.parse().unwrap());
        assert_eq!(world.net.peer_name(a), Ok(peer));
        assert_eq!(send(&mut world, a, b"ask", None), Ok(3));
        while world.step() {}
        let (_, sender) = receive(&mut world, b).unwrap();
        send(&mut world, b, b"answer", Some(&sender.to_string())).unwrap();
        while world.step() {}
        assert_eq!(receive(&mut world, a).unwrap().0, b"answer");
        world.close(a);
        world.close(b);
    }
    let six = bind(&mut world, MAIN, "[::]:1");
    world
        .net
        .connect_datagrams(six, "[::]:2".parse().unwrap())
        .unwrap();
    let peer = Name::Ip("[::1]:2".parse().unwrap());
    assert_eq!(world.net.peer_name(six), Ok(peer));
}

#[test]
fn a_socket_of_loopback_reaches_its_own_host_alone() {
    let mut world = World::new();
    world.host("other", [10, 0, 0, 2]);
    let a = bind(&mut world, MAIN, "127.0.0.1:1");
    for to in ["10.0.0.2:2", "10.0.0.77:2"] {
        let sent = send(&mut world, a, b"x", Some(to));
        assert_eq!(sent, Err(ErrorKind::InvalidInput));
        let connected = world.net.connect_datagrams(a, to.parse().unwrap());
        assert_eq!(connected, Err(ErrorKind::InvalidInput));
        let stream = world.net.stream_socket(MAIN, Family::V4);
        world.net.bind(stream, ([127, 0, 0, 1], 0).into()).unwrap();
        let to = to.parse().unwrap();
        let connects = world.at(|net, at| net.connect(stream, to, at));
        assert_eq!(connects, Err(ErrorKind::InvalidInput));
    }
    assert_eq!(send(&mut world, a, b"x", Some("10.0.0.1:2")), Ok(1));
}
