//! The runtime and its sockets on the network of a simulation.

mod hosts;
mod links;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use executor::net::unix::{UnixDatagram, UnixListener, UnixStream};
use executor::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};
use executor::sim::net::{Host, between, everywhere};
use executor::sim::{self, FailureKind};
use executor::time::{now, sleep, timeout};
use futures::io::{AsyncReadExt, AsyncWriteExt};

const MS: Duration = Duration::from_millis(1);

fn run<T>(seed: u64, future: impl Future<Output = T>) -> T {
    sim::Builder::new()
        .seed(seed)
        .processors(3)
        .build()
        .run(future)
        .unwrap()
}

/// Answers each connection with all that it has got, when that has ended.
async fn echo(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        drop(executor::spawn(async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await?;
            stream.write_all(&all).await
        }));
    }
}

async fn ask(address: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let (first, second) = question.split_at(question.len() / 3);
    stream.write_all(first).await?;
    stream.write_all(second).await?;
    stream.close().await?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    Ok(all)
}

/// A server of another host.
fn server() -> Host {
    let host = Host::new("server", [10, 0, 0, 2]).unwrap();
    host.spawn(async { echo(TcpListener::bind("0.0.0.0:80").await?).await });
    host
}

#[test]
fn many_connections_carry_all_bytes_whatever_the_seed() {
    for seed in 0..20 {
        run(seed, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = executor::spawn(echo(listener));
            let clients: Vec<_> = (0..8_u8)
                .map(|index| {
                    executor::spawn(async move {
                        // One is more than fits on the way.
                        let sent = vec![index; if index == 0 { 200_000 } else { 5_000 }];
                        assert!(ask(address, &sent).await.unwrap() == sent);
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            server.abort();
            server.await.unwrap_err();
        });
    }
}

#[test]
fn the_same_seed_gives_the_same_run_of_sockets() {
    let program = || async {
        let server = server();
        everywhere().loss(0.05);
        let peer = UdpSocket::bind("0.0.0.0:9").await.unwrap();
        let sender = server.spawn(async {
            let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
            for index in 0..50_u8 {
                socket.send_to(&[index], "main:9").await.unwrap();
                sleep(MS).await;
            }
        });
        let address = (server.ip(), 80).into();
        sleep(MS).await;
        let asked: Vec<_> = (0..10)
            .map(|index| executor::spawn(async move { ask(address, &[index; 5_000]).await }))
            .collect();
        let mut received = Vec::new();
        let mut buf = [0; 4];
        while let Ok(Ok((_, _))) = timeout(50 * MS, peer.recv_from(&mut buf)).await {
            received.push(buf[0]);
        }
        sender.await.unwrap();
        for (index, task) in asked.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), [index as u8; 5_000]);
        }
        received
    };
    let report = |seed| {
        let sim = sim::Builder::new().seed(seed).build();
        let (received, report) = sim.run_and_report(program());
        (received.unwrap(), report.hash(), report.time())
    };
    for seed in 0..10 {
        assert_eq!(report(seed), report(seed), "seed {seed}");
    }
    assert!(report(1).1 != report(2).1 && report(1).0.len() < 50);
}

#[test]
fn names_are_those_of_hosts() {
    run(1, async {
        let host = server();
        let look_up = |name: &'static str| async move {
            lookup_host((name, 7))
                .await
                .map(|found| found.collect::<Vec<_>>())
        };
        assert_eq!(look_up("server").await.unwrap(), [(host.ip(), 7).into()]);
        assert_eq!(look_up("main").await.unwrap(), [([10, 0, 0, 1], 7).into()]);
        assert_eq!(
            look_up("10.9.8.7").await.unwrap(),
            [([10, 9, 8, 7], 7).into()]
        );
        assert_eq!(
            look_up("localhost").await.unwrap()[0],
            ([127, 0, 0, 1], 7).into()
        );
        let error = look_up("example.org").await.unwrap_err();
        assert!(error.to_string().contains("example.org"), "{error}");
        assert_eq!(
            ask(
                lookup_host("server:80").await.unwrap().next().unwrap(),
                b"hi"
            )
            .await
            .unwrap(),
            b"hi"
        );
        assert_eq!(
            Host::new("server", [10, 0, 0, 3]).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
    });
}

#[test]
fn latency_passes_in_virtual_time() {
    run(1, async {
        let host = server();
        sleep(MS).await;
        between("main", "server").latency(100 * MS..=100 * MS);
        let begin = now();
        ask((host.ip(), 80).into(), b"x").await.unwrap();
        // One way and back to connect, and again for the bytes.
        let passed = now() - begin;
        assert!((400 * MS..460 * MS).contains(&passed), "{passed:?}");
    });
}

#[test]
fn a_partition_delays_until_it_is_healed_or_times_out() {
    for seed in 0..20 {
        run(seed, async {
            let host = server();
            let address: SocketAddr = (host.ip(), 80).into();
            sleep(MS).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            between("server", "main").partition();
            stream.write_all(b"late").await.unwrap();
            stream.close().await.unwrap();
            let begin = now();
            let error = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(
                (error.kind(), (now() - begin).as_secs()),
                (ErrorKind::TimedOut, 127)
            );
            everywhere().heal();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "late");

            let mut stream = TcpStream::connect(address).await.unwrap();
            everywhere().partition();
            stream.write_all(b"never").await.unwrap();
            let error = stream.read_to_string(&mut text).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(
                ask(([127, 0, 0, 1], 9).into(), b"")
                    .await
                    .is_err_and(|error| { error.kind() == ErrorKind::ConnectionRefused })
            );
        });
    }
}

#[test]
fn a_crash_resets_connections_and_a_restart_takes_new_ones() {
    for seed in 0..20 {
        run(seed, async {
            let host = server();
            let address: SocketAddr = (host.ip(), 80).into();
            let waits = host.spawn(std::future::pending::<()>());
            sleep(MS).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            sleep(MS).await;
            host.crash();
            assert!(waits.await.unwrap_err().is_cancelled());
            let error = stream.read(&mut [0; 4]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            let error = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            host.crash();
            host.restart().unwrap();
            host.spawn(async { echo(TcpListener::bind("0.0.0.0:80").await?).await });
            sleep(MS).await;
            assert_eq!(ask(address, b"again").await.unwrap(), b"again");
        });
    }
}

#[test]
fn unix_sockets_need_no_files() {
    run(3, async {
        let path = "/nowhere/at/all.sock";
        let listener = UnixListener::bind(path).unwrap();
        assert_eq!(
            listener
                .local_addr()
                .unwrap()
                .as_pathname()
                .unwrap()
                .to_str(),
            Some(path)
        );
        assert_eq!(
            UnixListener::bind(path).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        let server = executor::spawn(async move {
            let (stream, peer) = listener.accept().await.unwrap();
            assert!(peer.is_unnamed());
            let (mut read, mut write) = stream.into_split();
            futures::io::copy(&mut read, &mut write).await.unwrap();
        });
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.close().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        server.await.unwrap();

        let receiver = UnixDatagram::bind("/r").unwrap();
        let sender = executor::spawn(async {
            let sender = UnixDatagram::unbound().unwrap();
            // More than fit into the queue.
            for index in 0..100_u8 {
                sender.send_to(&[index], "/r").await.unwrap();
            }
        });
        sleep(MS).await;
        for index in 0..100 {
            let mut buf = [0; 4];
            assert_eq!(receiver.recv(&mut buf).await.unwrap(), 1);
            assert_eq!(buf[0], index);
        }
        sender.await.unwrap();
    });
}

#[test]
fn a_datagram_that_is_too_long_is_cut() {
    run(1, async {
        let a = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        a.connect(b.local_addr().unwrap()).await.unwrap();
        a.send(b"hello").await.unwrap();
        let mut buf = [0; 3];
        assert_eq!(
            b.peek_from(&mut buf).await.unwrap(),
            (3, a.local_addr().unwrap())
        );
        assert_eq!(b.recv(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf, b"hel");
        assert!(timeout(MS, b.recv(&mut buf)).await.is_err());
        let group = [224, 0, 0, 1].into();
        let error = b
            .join_multicast_v4(&group, &[0, 0, 0, 0].into())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn options_are_kept() {
    run(1, async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1000).unwrap();
        socket.set_keepalive(true).unwrap();
        assert_eq!(socket.recv_buffer_size().unwrap(), 1000);
        assert!(socket.keepalive().unwrap() && !socket.reuseport().unwrap());
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(4).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        assert!(stream.nodelay().unwrap() && stream.linger().unwrap().is_some());
        let (mut accepted, _) = listener.accept().await.unwrap();
        // Closing it resets the connection.
        drop(stream);
        let error = accepted.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn descriptors_are_refused_with_a_reason() {
    let sim = sim::Builder::new().seed(1).allow_task_panics(true).build();
    sim.run(async {
        let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = executor::io::Async::new(std.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("simulation"), "{error}");
        assert_eq!(
            UdpSocket::try_from(std).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            drop(socket.as_fd().try_clone_to_owned())
        }));
        let panic = panic.unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("no file descriptor"), "{text}");
        assert_eq!(
            socket.into_std().unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let host = server();
        host.crash();
        assert!(catch_unwind(AssertUnwindSafe(|| host.handle())).is_err());
    })
    .unwrap();
}

#[test]
fn a_panic_for_want_of_a_descriptor_tells_who_has_asked_for_it() {
    type Ask = fn(UdpSocket, TcpSocket) -> i32;
    let asks: [Ask; 5] = [
        |socket, _| socket.as_fd().as_raw_fd(),
        |socket, _| socket.as_raw_fd(),
        |socket, _| socket.into_raw_fd(),
        |_, socket| OwnedFd::from(socket).as_raw_fd(),
        |_, socket| socket.as_raw_fd(),
    ];
    for ask in asks {
        let future = async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            ask(socket, TcpSocket::new_v4().unwrap())
        };
        let failure = sim::Builder::new().seed(1).build().run(future).unwrap_err();
        let message = failure.message();
        assert!(
            message.contains("no file descriptor, at tests/"),
            "{message}"
        );
    }
}

#[test]
fn a_socket_that_waits_to_be_writable_learns_of_room() {
    for seed in 0..5 {
        run(seed, async {
            let (a, b) = UnixDatagram::pair().unwrap();
            for _ in 0..10 {
                a.send(b"x").await.unwrap();
            }
            let waits = executor::spawn(async move {
                a.writable().await.unwrap();
                a.send(b"y").await.unwrap();
            });
            sleep(MS).await;
            b.recv(&mut [0; 4]).await.unwrap();
            waits.await.unwrap();
        });
    }
}

#[test]
fn a_writer_does_not_wait_for_ever_for_a_peer_that_is_shut_down() {
    for seed in 0..5 {
        run(seed, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let writer = executor::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&[7; 1 << 20]).await.unwrap_err().kind()
            });
            let (stream, _) = listener.accept().await.unwrap();
            sleep(MS).await;
            stream.shutdown(Shutdown::Both).unwrap();
            assert_eq!(writer.await.unwrap(), ErrorKind::BrokenPipe);
            drop(stream);
        });
    }
}

#[test]
fn a_failure_shows_the_tasks_of_all_hosts() {
    let future = async {
        let host = Host::new("server", [10, 0, 0, 2]).unwrap();
        let waits = host.spawn(async {
            let socket = UdpSocket::bind("0.0.0.0:7").await.unwrap();
            socket.recv(&mut [0; 4]).await.unwrap()
        });
        waits.await.unwrap()
    };
    let failure = sim::Builder::new().seed(1).build().run(future).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    assert!(failure.tasks().contains("on host \"server\""), "{failure}");
    assert!(failure.tasks().contains("sim/net.rs"), "{failure}");
}

#[test]
fn who_waits_for_a_packet_that_never_comes_is_a_deadlock() {
    let future = async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.recv(&mut [0; 4]).await.unwrap()
    };
    let failure = sim::Builder::new().seed(1).build().run(future).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}
