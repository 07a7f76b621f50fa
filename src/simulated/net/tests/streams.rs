use std::io::ErrorKind;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

use super::super::names::{Family, Name};
use super::super::{MAIN, Readiness, SocketId};
use super::World;

#[test]
fn a_connection_carries_bytes_both_ways_and_ends_on_each_side_alone() {
    let mut world = World::new();
    let listener = world.listen(MAIN, "127.0.0.1:80", 4);
    assert_eq!(world.accept(listener), Err(ErrorKind::WouldBlock));
    let near = world.connect(MAIN, "127.0.0.1:80");
    assert_eq!(world.net.readiness(near), Readiness::default());
    assert_eq!(world.write(near, b"early"), Err(ErrorKind::WouldBlock));
    while world.step() {}
    assert!(world.net.readiness(near).writable && world.net.readiness(listener).readable);
    assert_eq!(world.error(near), None);
    let far = world.accept(listener).unwrap();
    assert_eq!(world.net.peer_name(far), world.net.local_name(near));
    assert_eq!(world.net.local_name(far), world.net.peer_name(near));

    assert_eq!(world.write(near, b"hello"), Ok(5));
    assert_eq!(
        world.read(far),
        Err(ErrorKind::WouldBlock),
        "it is on its way"
    );
    world
        .at(|net, at| net.shut_down(near, Shutdown::Write, at))
        .unwrap();
    assert_eq!(world.write(near, b"more"), Err(ErrorKind::BrokenPipe));
    while world.step() {}
    let peeked = world.at(|net, at| net.read(far, 2, true, at));
    assert_eq!(peeked.unwrap(), b"he");
    assert_eq!(world.read(far).unwrap(), b"hello");
    assert_eq!(world.read(far).unwrap(), b"");
    assert_eq!(world.write(far, b"answer"), Ok(6));
    while world.step() {}
    assert_eq!(world.read(near).unwrap(), b"answer");
    world.close(far);
    while world.step() {}
    assert_eq!(world.read(near).unwrap(), b"");
    assert!(world.net.readiness(near).closed);
}

#[test]
fn ports_are_given_once_and_come_back() {
    let mut world = World::new();
    let mut bind = |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        let id = world.net.stream_socket(MAIN, Family::of(&address));
        world.net.bind(id, address).map(|()| id)
    };
    let first = bind("127.0.0.1:80").unwrap();
    assert_eq!(bind("127.0.0.1:80"), Err(ErrorKind::AddrInUse));
    assert_eq!(bind("0.0.0.0:80"), Err(ErrorKind::AddrInUse));
    assert_eq!(bind("[::]:80"), Err(ErrorKind::AddrInUse));
    assert!(bind("10.0.0.1:80").is_ok());
    assert_eq!(bind("10.9.9.9:80"), Err(ErrorKind::AddrNotAvailable));
    let [a, b] = [(); 2].map(|()| bind("0.0.0.0:0").unwrap());
    let port = |world: &World, id| match world.net.local_name(id) {
        Ok(Name::Ip(address)) => address.port(),
        other => panic!("{other:?}"),
    };
    assert!(port(&world, a) != port(&world, b) && port(&world, a) != 0);
    world.close(first);
    let mut again = |port| {
        let id = world.net.stream_socket(MAIN, Family::V4);
        world.net.bind(id, ([127, 0, 0, 1], port).into())
    };
    assert_eq!(again(80), Ok(()));
    // They are all given only after each other one.
    for _ in 0..16_382 {
        again(0).unwrap();
    }
    assert_eq!(again(49_152), Err(ErrorKind::AddrInUse));
}

#[test]
fn sockets_that_share_a_port_all_get_connections() {
    let mut world = World::random(3);
    let listeners = [(); 2].map(|()| {
        let id = world.net.stream_socket(MAIN, Family::V4);
        world.net.options(id).unwrap().reuse_port = true;
        world.net.bind(id, ([0, 0, 0, 0], 80).into()).unwrap();
        world.net.listen(id, 64).unwrap();
        id
    });
    for _ in 0..64 {
        world.connect(MAIN, "127.0.0.1:80");
    }
    while world.step() {}
    let counts = listeners.map(|id| (0..).take_while(|_| world.accept(id).is_ok()).count());
    assert!(counts.iter().all(|count| *count > 8), "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 64);
}

#[test]
fn a_listener_for_all_addresses_takes_those_of_both_families() {
    let mut world = World::new();
    let listener = world.listen(MAIN, "[::]:80", 4);
    for (to, peer) in [("127.0.0.1:80", "::ffff:127.0.0.1"), ("[::1]:80", "::1")] {
        world.connect(MAIN, to);
        while world.step() {}
        let (_, name) = world.at(|net, at| net.accept(listener, at)).unwrap();
        let ip: IpAddr = peer.parse().unwrap();
        assert_eq!(name.ip().unwrap().ip(), ip);
    }
}

#[test]
fn nobody_listens_so_the_connection_is_refused() {
    let mut world = World::new();
    let id = world.connect(MAIN, "127.0.0.1:81");
    while world.step() {}
    assert!(world.now < Duration::from_millis(1));
    let readiness = world.net.readiness(id);
    assert!(readiness.writable && readiness.error && readiness.closed);
    assert_eq!(world.error(id), Some(ErrorKind::ConnectionRefused));
    assert_eq!(world.error(id), None);
    assert_eq!(world.net.peer_name(id), Err(ErrorKind::NotConnected));
}

/// Ten bytes fill both buffers of a direction. The first socket is registered.
fn connected_with_small_buffers(world: &mut World) -> [SocketId; 2] {
    let both = world.connected(MAIN, MAIN);
    for id in both {
        let options = world.net.options(id).unwrap();
        (options.send_buffer, options.receive_buffer) = (6, 4);
    }
    world.register(both[0], 1);
    both
}

#[test]
fn a_full_peer_blocks_its_writer_until_it_reads() {
    let mut world = World::new();
    let [near, far] = connected_with_small_buffers(&mut world);
    assert_eq!(world.news(), [1]);
    assert_eq!(world.write(near, b"0123456789abc"), Ok(10));
    assert_eq!(world.write(near, b"abc"), Err(ErrorKind::WouldBlock));
    assert!(!world.net.readiness(near).writable);
    while world.step() {}
    assert_eq!(world.news(), [0; 0]);
    assert_eq!(
        world.at(|net, at| net.read(far, 3, false, at)).unwrap(),
        b"012"
    );
    assert_eq!(
        world.write(near, b"abc"),
        Err(ErrorKind::WouldBlock),
        "it does not know yet"
    );
    while world.step() {}
    assert_eq!(world.news(), [1]);
    assert_eq!(world.write(near, b"abcd"), Ok(3));
    while world.step() {}
    assert_eq!(world.read(far).unwrap(), b"3456789abc");
}

#[test]
fn a_close_with_unread_bytes_resets_and_one_without_does_not() {
    let mut world = World::new();
    let [near, far] = world.connected(MAIN, MAIN);
    world.write(far, b"last words").unwrap();
    world.write(near, b"unread").unwrap();
    while world.step() {}
    world.close(far);
    while world.step() {}
    // What has arrived can be read. Then the error is told once.
    assert_eq!(world.read(near).unwrap(), b"last words");
    assert_eq!(world.read(near), Err(ErrorKind::ConnectionReset));
    assert_eq!(world.read(near).unwrap(), b"");
    assert_eq!(world.write(near, b"x"), Err(ErrorKind::BrokenPipe));

    let [near, far] = world.connected(MAIN, MAIN);
    world.close(far);
    while world.step() {}
    assert_eq!(world.read(near).unwrap(), b"");
    // The peer answers that it is not there any more.
    assert_eq!(world.write(near, b"x"), Ok(1));
    while world.step() {}
    assert_eq!(world.write(near, b"x"), Err(ErrorKind::BrokenPipe));

    let [near, far] = world.connected(MAIN, MAIN);
    world.net.options(far).unwrap().linger = Some(Duration::ZERO);
    world.close(far);
    while world.step() {}
    assert_eq!(world.read(near), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_listener_that_closes_resets_who_waits_in_its_queue() {
    let mut world = World::new();
    let listener = world.listen(MAIN, "127.0.0.1:80", 4);
    let near = world.connect(MAIN, "127.0.0.1:80");
    while world.step() {}
    world.close(listener);
    while world.step() {}
    assert_eq!(world.read(near), Err(ErrorKind::ConnectionReset));
    assert_eq!(world.net.sockets.len(), 1);
}

#[test]
fn a_full_queue_lets_connections_wait_and_then_fails_them() {
    let mut world = World::new();
    let listener = world.listen(MAIN, "127.0.0.1:80", 0);
    let first = world.connect(MAIN, "127.0.0.1:80");
    let second = world.connect(MAIN, "127.0.0.1:80");
    world.pass(Duration::from_millis(900));
    assert!(world.net.readiness(first).writable && !world.net.readiness(second).writable);
    world.accept(listener).unwrap();
    world.pass(Duration::from_millis(200));
    assert!(world.net.readiness(second).writable);

    let third = world.connect(MAIN, "127.0.0.1:80");
    let begin = world.now;
    while world.step() {}
    assert_eq!(world.error(third), Some(ErrorKind::TimedOut));
    assert_eq!((world.now - begin).as_secs(), 127);
}

#[test]
fn a_connect_that_is_given_up_leaves_nothing_behind() {
    let mut world = World::new();
    let listener = world.listen(MAIN, "127.0.0.1:80", 0);
    let [_, second] = [(); 2].map(|()| world.connect(MAIN, "127.0.0.1:80"));
    world.pass(Duration::from_millis(1));
    world.close(second);
    assert!(!world.step(), "it would ask again");
    assert!(world.accept(listener).is_ok());
    assert_eq!(world.accept(listener), Err(ErrorKind::WouldBlock));
}

#[test]
fn a_read_after_the_end_is_the_end_whatever_comes_later() {
    let mut world = World::new();
    let [near, far] = world.connected(MAIN, MAIN);
    world.close(far);
    while world.step() {}
    assert_eq!(world.write(near, b"x"), Ok(1));
    while world.step() {}
    assert!(world.net.readiness(near).error);
    assert_eq!(world.read(near).unwrap(), b"");
    assert_eq!(world.write(near, b"x"), Err(ErrorKind::BrokenPipe));
    assert_eq!(world.error(near), None);
}

#[test]
fn bytes_for_a_socket_that_is_shut_down_reset_the_connection() {
    let mut world = World::new();
    let [near, far] = world.connected(MAIN, MAIN);
    world.register(near, 1);
    world.write(near, b"early").unwrap();
    while world.step() {}
    world
        .at(|net, at| net.shut_down(far, Shutdown::Both, at))
        .unwrap();
    assert_eq!(world.read(far).unwrap(), b"early");
    assert_eq!(world.write(near, b"late"), Ok(4));
    while world.step() {}
    assert_eq!(world.news(), [1]);
    assert_eq!(world.read(near).unwrap(), b"");
    assert_eq!(world.write(near, b"x"), Err(ErrorKind::BrokenPipe));
    assert_eq!(world.read(far), Err(ErrorKind::ConnectionReset));

    // A socket that sends yet, and reads no more, takes them.
    let [near, far] = world.connected(MAIN, MAIN);
    world
        .at(|net, at| net.shut_down(far, Shutdown::Read, at))
        .unwrap();
    assert_eq!(world.write(near, b"late"), Ok(4));
    while world.step() {}
    assert_eq!(world.read(far).unwrap(), b"late");
    assert_eq!(world.write(near, b"x"), Ok(1));
}

#[test]
fn a_writer_that_waits_finds_that_its_peer_is_shut_down() {
    for shuts_first in [false, true] {
        let mut world = World::new();
        let [near, far] = connected_with_small_buffers(&mut world);
        assert_eq!(world.write(near, b"0123456789"), Ok(10));
        while world.step() {}
        let shut = |world: &mut World| {
            world
                .at(|net, at| net.shut_down(far, Shutdown::Both, at))
                .unwrap();
        };
        if shuts_first {
            shut(&mut world);
        }
        assert_eq!(world.write(near, b"x"), Err(ErrorKind::WouldBlock));
        if !shuts_first {
            shut(&mut world);
        }
        world.news();
        while world.step() {}
        assert!(world.now < Duration::from_secs(1));
        assert!(world.net.readiness(near).writable);
        assert_eq!(world.write(near, b"x"), Err(ErrorKind::BrokenPipe));
    }
}
