//! Links that lose, double and delay, as the program has set them up.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream, UdpSocket};
use executor::sim;
use executor::sim::net::{Host, between, loopback};
use executor::time::{now, timeout};

use super::{MS, run};

/// Drawn from a seed, and as ordinary as it can be.
fn with_and_without_a_seed<T>(make: impl Fn() -> T)
where
    T: Future<Output = ()>,
{
    for seed in 0..5 {
        run(seed, make());
    }
    sim::Builder::new().choices("").build().run(make()).unwrap();
}

/// How many of so many datagrams to another host arrive.
async fn arrive(sent: usize) -> usize {
    let other = Host::new("other", [10, 0, 0, 2]).unwrap();
    let receiver = other
        .spawn(async { UdpSocket::bind("0.0.0.0:9").await.unwrap() })
        .await
        .unwrap();
    let sender = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    for _ in 0..sent {
        sender.send_to(b"x", "other:9").await.unwrap();
    }
    let mut arrived = 0;
    let mut buf = [0; 4];
    while timeout(10_000 * MS, receiver.recv(&mut buf)).await.is_ok() {
        arrived += 1;
    }
    arrived
}

#[test]
fn a_link_that_loses_all_loses_all() {
    with_and_without_a_seed(|| async {
        let host = Host::new("server", [10, 0, 0, 3]).unwrap();
        between("main", "server").loss(1.0);
        let receiver = host.spawn(async {
            let socket = UdpSocket::bind("0.0.0.0:9").await.unwrap();
            timeout(1000 * MS, socket.recv(&mut [0; 4])).await.is_err()
        });
        let sender = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for _ in 0..20 {
            sender.send_to(b"x", "server:9").await.unwrap();
        }
        assert!(receiver.await.unwrap());
        sim::net::everywhere().loss(1.0);
        assert_eq!(arrive(20).await, 0);
    });
}

#[test]
fn a_link_that_doubles_all_doubles_all() {
    with_and_without_a_seed(|| async {
        sim::net::everywhere().duplication(1.0);
        assert_eq!(arrive(20).await, 40);
    });
}

#[test]
fn a_link_that_loses_most_loses_as_many() {
    for (rate, expected) in [(0.5, 70..130), (0.7, 40..95), (0.9, 4..45)] {
        let arrived = run(1, async move {
            sim::net::everywhere().loss(rate);
            arrive(200).await
        });
        assert!(expected.contains(&arrived), "{rate}: {arrived} of 200");
    }
    // What the program has set up stays when everything else is as ordinary as it can be.
    let replayed = sim::Builder::new().choices("").build().run(async {
        sim::net::everywhere().loss(0.9);
        arrive(20).await
    });
    assert_eq!(replayed.unwrap(), 0);
}

#[test]
fn a_latency_without_end_overflows_nothing() {
    run(1, async {
        let host = Host::new("server", [10, 0, 0, 2]).unwrap();
        let listener = host.spawn(async { TcpListener::bind("0.0.0.0:80").await.unwrap() });
        let _listener = listener.await.unwrap();
        between("main", "server")
            .latency(Duration::MAX..=Duration::MAX)
            .loss(0.5)
            .duplication(0.5);
        let sender = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for _ in 0..8 {
            sender.send_to(b"x", "server:9").await.unwrap();
        }
        let connects = TcpStream::connect("server:80");
        assert!(timeout(1000 * MS, connects).await.is_err());
        between("main", "server").partition().heal();
    });
}

#[test]
fn loopback_has_its_own_latency() {
    let sim = sim::Builder::new().seed(1).slow_polls(false).build();
    sim.run(async {
        loopback().latency(70 * MS..=70 * MS);
        let begin = now();
        let error = TcpStream::connect("127.0.0.1:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let passed = now() - begin;
        assert!((140 * MS..150 * MS).contains(&passed), "{passed:?}");
    })
    .unwrap();
}
