use std::io::ErrorKind;
use std::net::Shutdown;

use super::super::{Family, MAIN, Name, UnixName};
use super::World;

fn name(path: &str) -> UnixName {
    UnixName::Path(path.into())
}

#[test]
fn a_stream_connects_by_its_path_and_carries_bytes_at_once() {
    let mut world = World::new();
    let other = world.host("other", [10, 0, 0, 2]);
    let listener = world.net.listen_unix(MAIN, name("/a"), 0).unwrap();
    assert_eq!(
        world.net.listen_unix(MAIN, name("/a"), 0),
        Err(ErrorKind::AddrInUse)
    );
    assert!(world.net.listen_unix(other, name("/a"), 0).is_ok());
    let near = world.net.stream_socket(MAIN, Family::Unix);
    assert_eq!(
        world.net.connect_unix(near, &name("/b")),
        Err(ErrorKind::NotFound)
    );
    world.net.connect_unix(near, &name("/a")).unwrap();
    let next = world.net.stream_socket(MAIN, Family::Unix);
    assert_eq!(
        world.net.connect_unix(next, &name("/a")),
        Err(ErrorKind::WouldBlock)
    );
    let far = world.accept(listener).unwrap();
    world.net.connect_unix(next, &name("/a")).unwrap();
    assert_eq!(world.net.peer_name(near), Ok(Name::Unix(name("/a"))));
    assert_eq!(
        world.net.local_name(near),
        Ok(Name::Unix(UnixName::Unnamed))
    );

    assert_eq!(world.write(near, b"hello"), Ok(5));
    assert_eq!(world.read(far).unwrap(), b"hello");
    world.close(near);
    assert_eq!(world.read(far).unwrap(), b"");
    assert_eq!(world.write(far, b"x"), Err(ErrorKind::BrokenPipe));
    world.close(listener);
    let last = world.net.stream_socket(MAIN, Family::Unix);
    assert_eq!(
        world.net.connect_unix(last, &name("/a")),
        Err(ErrorKind::ConnectionRefused)
    );
    assert!(world.net.listen_unix(MAIN, name("/a"), 0).is_ok());
}

#[test]
fn a_full_peer_blocks_its_writer() {
    let mut world = World::new();
    let [a, b] = world.net.unix_pair(MAIN);
    world.register(a, 1);
    assert_eq!(world.news(), [1]);
    let all = vec![7; 200_000];
    assert_eq!(world.write(a, &all), Ok(128 << 10));
    assert_eq!(world.write(a, &all), Err(ErrorKind::WouldBlock));
    assert_eq!(world.read(b).unwrap().len(), 128 << 10);
    assert_eq!(world.news(), [1]);
    assert!(world.write(a, &all).is_ok());
}

#[test]
fn a_datagram_finds_its_receiver_full_and_its_sender_is_told_of_room() {
    let mut world = World::new();
    let receiver = world.net.bind_unix_datagrams(MAIN, name("/r")).unwrap();
    let sender = world
        .net
        .bind_unix_datagrams(MAIN, UnixName::Unnamed)
        .unwrap();
    world.register(sender, 1);
    assert_eq!(world.news(), [1]);
    let net = &mut world.net;
    let to = name("/r");
    for _ in 0..10 {
        assert_eq!(net.send_unix_datagram(sender, b"x", Some(&to)), Ok(1));
    }
    assert_eq!(
        net.send_unix_datagram(sender, b"x", Some(&to)),
        Err(ErrorKind::WouldBlock)
    );
    assert_eq!(world.news(), [0; 0]);
    let received = world.net.receive_unix_datagram(receiver);
    assert_eq!(received, Ok((b"x".to_vec(), UnixName::Unnamed)));
    assert_eq!(world.news(), [1]);
    assert_eq!(world.net.send_unix_datagram(sender, b"x", Some(&to)), Ok(1));
    let nobody = world
        .net
        .send_unix_datagram(sender, b"x", Some(&name("/s")));
    assert_eq!(nobody, Err(ErrorKind::NotFound));
}

#[test]
fn a_pair_of_datagram_sockets_ends_with_its_peer() {
    let mut world = World::new();
    let [a, b] = world.net.unix_datagram_pair(MAIN);
    for _ in 0..10 {
        world.net.send_unix_datagram(a, b"x", None).unwrap();
    }
    assert!(!world.net.readiness(a).writable && world.net.readiness(b).readable);
    assert_eq!(
        world.net.send_unix_datagram(a, b"x", None),
        Err(ErrorKind::WouldBlock)
    );
    world.register(a, 1);
    world.news();
    world.close(b);
    assert_eq!(world.news(), [1]);
    assert_eq!(
        world.net.send_unix_datagram(a, b"x", None),
        Err(ErrorKind::ConnectionRefused)
    );
    world
        .at(|net, at| net.shut_down(a, Shutdown::Read, at))
        .unwrap();
    assert_eq!(world.net.receive_unix_datagram(a).unwrap().0, b"");
}

#[test]
fn room_is_told_to_a_connected_sender_that_has_not_tried() {
    let mut world = World::new();
    let [a, b] = world.net.unix_datagram_pair(MAIN);
    for _ in 0..10 {
        world.net.send_unix_datagram(a, b"x", None).unwrap();
    }
    world.register(a, 1);
    assert_eq!(world.news(), [0; 0]);
    world.net.receive_unix_datagram(b).unwrap();
    assert_eq!(world.news(), [1]);
    world.net.receive_unix_datagram(b).unwrap();
    assert_eq!(world.news(), [0; 0], "there was room already");
    world.net.send_unix_datagram(a, b"x", None).unwrap();
    world.net.send_unix_datagram(a, b"x", None).unwrap();
    assert!(!world.net.readiness(a).writable);
    world.close(b);
    assert_eq!(world.news(), [1]);
}

#[test]
fn room_elsewhere_is_told_to_a_sender_whose_own_peer_is_full() {
    let mut world = World::new();
    let [full, other] =
        ["/full", "/other"].map(|path| world.net.bind_unix_datagrams(MAIN, name(path)).unwrap());
    let sender = world
        .net
        .bind_unix_datagrams(MAIN, UnixName::Unnamed)
        .unwrap();
    world
        .net
        .connect_unix_datagrams(sender, &name("/full"))
        .unwrap();
    for _ in 0..10 {
        for to in ["/full", "/other"] {
            world
                .net
                .send_unix_datagram(sender, b"x", Some(&name(to)))
                .unwrap();
        }
    }
    world.register(sender, 1);
    let again = |world: &mut World| {
        world
            .net
            .send_unix_datagram(sender, b"x", Some(&name("/other")))
    };
    assert_eq!(again(&mut world), Err(ErrorKind::WouldBlock));
    assert_eq!(world.news(), [0; 0]);
    world.net.receive_unix_datagram(other).unwrap();
    assert_eq!(world.news(), [1]);
    assert_eq!(again(&mut world), Ok(1));
    assert!(!world.net.readiness(sender).writable);
    world.net.receive_unix_datagram(full).unwrap();
    assert_eq!(world.news(), [1]);
}

#[test]
fn a_writer_that_waits_learns_that_its_peer_reads_no_more() {
    let mut world = World::new();
    for how in [Shutdown::Both, Shutdown::Read] {
        let [a, b] = world.net.unix_pair(MAIN);
        world.register(a, 1);
        world.news();
        let all = vec![7; 200_000];
        assert!(world.write(a, &all).is_ok());
        assert_eq!(world.write(a, &all), Err(ErrorKind::WouldBlock));
        world.at(|net, at| net.shut_down(b, how, at)).unwrap();
        assert_eq!(world.news(), [1]);
        assert!(world.net.readiness(a).writable);
        assert_eq!(world.write(a, b"x"), Err(ErrorKind::BrokenPipe));
        assert_eq!(world.read(b).unwrap().len(), 128 << 10);
    }
}

#[test]
fn a_stream_whose_peer_has_closed_can_be_asked_and_shut_down() {
    let mut world = World::new();
    let [a, b] = world.net.unix_pair(MAIN);
    world.write(a, b"unread").unwrap();
    world.close(b);
    let unnamed = Ok(Name::Unix(UnixName::Unnamed));
    assert_eq!(world.net.peer_name(a), unnamed);
    for how in [Shutdown::Write, Shutdown::Both] {
        assert_eq!(world.at(|net, at| net.shut_down(a, how, at)), Ok(()));
    }
    assert_eq!(world.read(a), Err(ErrorKind::ConnectionReset));
    assert_eq!(world.read(a).unwrap(), b"");
}

#[test]
fn a_datagram_socket_without_a_peer_can_be_shut_down() {
    let mut world = World::new();
    let socket = world
        .net
        .bind_unix_datagrams(MAIN, UnixName::Unnamed)
        .unwrap();
    let shut = world.at(|net, at| net.shut_down(socket, Shutdown::Both, at));
    assert_eq!(shut, Ok(()));
    assert_eq!(world.net.receive_unix_datagram(socket).unwrap().0, b"");
    assert_eq!(
        world.net.send_unix_datagram(socket, b"x", None),
        Err(ErrorKind::BrokenPipe)
    );
}

#[test]
fn an_abstract_name_of_nobody_refuses() {
    let mut world = World::new();
    let nobody = UnixName::Abstract(b"nobody".to_vec());
    let stream = world.net.stream_socket(MAIN, Family::Unix);
    assert_eq!(
        world.net.connect_unix(stream, &nobody),
        Err(ErrorKind::ConnectionRefused)
    );
    let datagrams = world
        .net
        .bind_unix_datagrams(MAIN, UnixName::Unnamed)
        .unwrap();
    assert_eq!(
        world.net.connect_unix_datagrams(datagrams, &nobody),
        Err(ErrorKind::ConnectionRefused)
    );
}
