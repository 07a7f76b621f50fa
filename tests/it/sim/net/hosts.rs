//! Hosts: how they are made, and what is left of them when their simulation is over.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};

use executor::net::{TcpStream, UdpSocket};
use executor::sim;
use executor::sim::net::{Host, between, everywhere};

use super::{MS, run};

#[test]
fn a_socket_that_outlives_its_simulation_is_of_no_use() {
    let kept = run(1, async { UdpSocket::bind("127.0.0.1:0").await.unwrap() });
    assert!(kept.local_addr().is_err());
    let other = run(2, async {
        let own = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert!(kept.local_addr().is_err());
        drop(kept);
        own.local_addr().is_ok()
    });
    assert!(other);
    assert!(Host::new("other", [10, 0, 0, 2]).is_err());
    assert!(catch_unwind(|| everywhere().loss(0.1)).is_err());
}

#[test]
fn a_host_and_links_that_outlive_their_simulation_touch_no_other() {
    let make = || {
        let sim = sim::Builder::new().seed(1).allow_leftover_tasks(true);
        sim.build()
            .run(async {
                let host = Host::new("old", [10, 0, 0, 2]).unwrap();
                (host, between("main", "old"), everywhere())
            })
            .unwrap()
    };
    // There is no such host, so there is nothing to be touched.
    let (host, _, _) = make();
    run(2, async { drop(host) });

    let (host, links, all) = make();
    let sim = sim::Builder::new().seed(3).allow_task_panics(true).build();
    sim.run(async move {
        let new = Host::new("new", [10, 0, 0, 2]).unwrap();
        let socket = new.spawn(async { UdpSocket::bind("0.0.0.0:7").await.unwrap() });
        let socket = socket.await.unwrap();
        for links in [links, all] {
            let changed = catch_unwind(AssertUnwindSafe(|| links.partition()));
            assert!(changed.is_err());
        }
        let own = UdpSocket::bind("0.0.0.0:8").await.unwrap();
        own.send_to(b"x", "new:7").await.unwrap();
        assert_eq!(socket.recv(&mut [0; 4]).await.unwrap(), 1);
        host.crash();
        assert!(host.restart().is_err());
        drop(host);
        assert!(socket.local_addr().is_ok());
        let waits = new.spawn(async { executor::time::sleep(MS).await });
        waits.await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_host_without_processors_is_refused_and_leaves_no_name() {
    let sim = sim::Builder::new().seed(1).allow_task_panics(true).build();
    sim.run(async {
        let make = |processors| Host::with_processors("other", [10, 0, 0, 2], processors);
        let panic = catch_unwind(|| make(0)).unwrap_err();
        let text = panic.downcast_ref::<&str>().unwrap();
        assert!(text.contains("processor"), "{text}");
        assert!(make(1).is_ok());
    })
    .unwrap();
}

#[test]
fn a_mapped_address_is_that_of_ipv4() {
    run(1, async {
        let mapped: IpAddr = "::ffff:10.0.0.2".parse().unwrap();
        let host = Host::new("mapped", mapped).unwrap();
        assert_eq!(host.ip(), IpAddr::from([10, 0, 0, 2]));
        let error = Host::new("again", [10, 0, 0, 2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("10.0.0.2"), "{error}");
        let error = TcpStream::connect("mapped:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_name_that_is_none_is_refused_by_its_name() {
    run(1, async {
        for name in ["10.0.0.7", "::1", "localhost", ""] {
            let error = Host::new(name, [10, 0, 0, 2]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
        for ip in ["0.0.0.0", "127.0.0.9", "224.0.0.1"] {
            let error = Host::new("other", ip.parse::<IpAddr>().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{ip}");
            assert!(error.to_string().contains(ip), "{error}");
        }
        let error = Host::new("main", [10, 0, 0, 2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("\"main\""), "{error}");
    });
    let error = Host::new("other", [10, 0, 0, 2]).unwrap_err();
    assert!(!error.to_string().contains("socket"), "{error}");
}

#[test]
fn a_host_of_another_family_is_out_of_reach() {
    run(1, async {
        let ip = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
        let _host = Host::new("six", ip).unwrap();
        let error = TcpStream::connect("six:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    });
}
