//! TCP: data both ways, ends and errors, many connections, shared sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use executor::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (a, b) = futures::join!(connect, listener.accept());
    (a.unwrap(), b.unwrap().0)
}

#[test]
fn a_connection_knows_its_addresses_and_options() {
    executor::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let a = TcpStream::connect(("localhost", address.port()))
            .await
            .unwrap();
        let (b, peer) = listener.accept().await.unwrap();
        assert_eq!(a.peer_addr().unwrap(), address);
        assert_eq!(a.local_addr().unwrap(), peer);
        assert_eq!(b.peer_addr().unwrap(), peer);
        a.set_nodelay(true).unwrap();
        assert!(a.nodelay().unwrap());
        a.set_ttl(17).unwrap();
        assert_eq!(a.ttl().unwrap(), 17);
        a.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        assert!(a.linger().unwrap().is_some());
        assert!(a.take_error().unwrap().is_none());
    });
}

/// As the system tells it: other systems tell nobody.
#[cfg(unix)]
#[test]
fn sockets_are_close_on_exec_and_non_blocking() {
    use std::os::fd::AsFd;

    executor::block_on(async {
        let (a, b) = pair().await;
        let listener = TcpListener::bind(ANY).await.unwrap();
        for fd in [a.as_fd(), b.as_fd(), listener.as_fd()] {
            let flags = rustix::io::fcntl_getfd(fd).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            let flags = rustix::fs::fcntl_getfl(fd).unwrap();
            assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
        }
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    executor::block_on(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[][..] as &[SocketAddr])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = TcpStream::connect("no port here").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn the_second_address_is_tried_when_the_first_refuses() {
    executor::block_on(async {
        let closed = TcpListener::bind(ANY).await.unwrap();
        let open = TcpListener::bind(ANY).await.unwrap();
        let addresses = [closed.local_addr().unwrap(), open.local_addr().unwrap()];
        drop(closed);
        let stream = TcpStream::connect(&addresses[..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    });
}

#[test]
fn names_are_resolved() {
    executor::block_on(async {
        let mut found = lookup_host("localhost:80").await.unwrap();
        assert!(found.all(|address| address.ip().is_loopback() && address.port() == 80));
        let found = lookup_host((String::from("127.0.0.1"), 7)).await.unwrap();
        assert_eq!(found.count(), 1);
    });
}

#[test]
fn much_data_goes_both_ways_at_once() {
    const LEN: usize = 4 << 20;
    executor::block_on(async {
        let (a, b) = pair().await;
        let ends = [a, b].map(|stream| {
            let writer = stream.clone();
            let write = executor::spawn(async move {
                let data: Vec<u8> = (0..LEN).map(|n| (n / 7) as u8).collect();
                (&writer).write_all(&data).await.unwrap();
                (&writer).close().await.unwrap();
            });
            let read = executor::spawn(async move {
                let mut data = Vec::new();
                (&stream).read_to_end(&mut data).await.unwrap();
                assert_eq!(data.len(), LEN);
                assert!((0..LEN).all(|n| data[n] == (n / 7) as u8));
            });
            [write, read]
        });
        for task in ends.into_iter().flatten() {
            task.await.unwrap();
        }
    });
}

#[test]
fn vectored_operations_keep_the_order() {
    executor::block_on(async {
        let (mut a, mut b) = pair().await;
        let parts = [
            IoSlice::new(b"one "),
            IoSlice::new(b"two "),
            IoSlice::new(b"three"),
        ];
        assert_eq!(a.write_vectored(&parts).await.unwrap(), 13);
        let (mut first, mut rest) = ([0; 4], [0; 32]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut rest)];
        assert_eq!(b.read_vectored(&mut bufs).await.unwrap(), 13);
        assert_eq!((&first, &rest[..9]), (b"one ", &b"two three"[..]));
    });
}

#[test]
fn more_slices_than_a_system_takes_in_one_call_are_written_in_part() {
    executor::block_on(async {
        let (mut a, _b) = pair().await;
        let many = vec![IoSlice::new(b"x"); 5000];
        assert!(a.write_vectored(&many).await.unwrap() > 0);
    });
}

#[test]
fn half_closed_still_receives() {
    executor::block_on(async {
        let (mut a, mut b) = pair().await;
        a.write_all(b"question").await.unwrap();
        a.close().await.unwrap();
        let mut text = String::new();
        b.read_to_string(&mut text).await.unwrap();
        b.write_all(b"answer").await.unwrap();
        b.shutdown(Shutdown::Write).unwrap();
        a.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "questionanswer");
        // Closing again, with the peer gone, is no failure; writing is one, and no signal.
        drop(b);
        a.close().await.unwrap();
        assert!(a.write_all(&[0; 4096]).await.is_err());
        assert!(a.write_vectored(&[IoSlice::new(b"x")]).await.is_err());
    });
}

#[test]
fn peek_leaves_the_data() {
    executor::block_on(async {
        let (mut a, mut b) = pair().await;
        a.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        b.readable().await.unwrap();
        assert_eq!(b.peek(&mut buf).await.unwrap(), 5);
        buf = [0; 5];
        b.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");
        a.writable().await.unwrap();
    });
}

#[test]
fn halves_reunite_only_with_their_own() {
    executor::block_on(async {
        let (a, b) = pair().await;
        let (a_read, a_write) = a.into_split();
        let (b_read, mut b_write) = b.into_split();
        let error = a_read.reunite(b_write).unwrap_err();
        assert!(error.to_string().contains("different"));
        let (a_read, back) = (error.0, error.1);
        b_write = back;
        b_write.write_all(b"x").await.unwrap();
        let mut a = a_write.reunite(a_read).unwrap();
        let mut buf = [0; 1];
        a.read_exact(&mut buf).await.unwrap();
        // Dropping the writing half is the end of the stream for the peer, the other direction goes on.
        drop(b_write);
        assert_eq!(a.read(&mut buf).await.unwrap(), 0);
        a.write_all(b"y").await.unwrap();
        let mut b_read = b_read;
        b_read.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"y");
    });
}

#[test]
fn several_readers_of_one_socket_are_all_served() {
    executor::block_on(async {
        let (mut a, b) = pair().await;
        let readers: Vec<_> = (0..16)
            .map(|_| {
                let b = b.clone();
                executor::spawn(async move { (&b).read_exact(&mut [0; 1]).await })
            })
            .collect();
        for _ in 0..16 {
            a.write_all(b"x").await.unwrap();
        }
        for reader in readers {
            reader.await.unwrap().unwrap();
        }
    });
}

#[test]
fn an_end_reaches_every_reader() {
    executor::block_on(async {
        let (a, b) = pair().await;
        let readers: Vec<_> = (0..16)
            .map(|_| {
                let b = b.clone();
                executor::spawn(async move { (&b).read(&mut [0; 1]).await })
            })
            .collect();
        drop(a);
        for reader in readers {
            assert_eq!(reader.await.unwrap().unwrap(), 0);
        }
    });
}

#[test]
fn vectored_writes_of_all_sizes_arrive_in_order() {
    let data: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    executor::block_on(async {
        let (mut a, mut b) = pair().await;
        for size in [1, 2, 511, 512, 513, 1024, 100_000] {
            // Slices of many lengths, empty ones among them.
            let mut rest = &data[..size];
            let mut slices = vec![IoSlice::new(&[])];
            for len in (1..).map(|n| n * n) {
                let (slice, after) = rest.split_at(rest.len().min(len));
                slices.extend([IoSlice::new(slice), IoSlice::new(&[])]);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let mut received = vec![0; size];
            let send = async {
                let sent = a.write_vectored(&slices).await.unwrap();
                a.write_all(&data[sent..size]).await.unwrap();
            };
            let (received_all, ()) = futures::join!(b.read_exact(&mut received), send);
            received_all.unwrap();
            assert_eq!(received, data[..size], "{size} bytes");
        }
        assert_eq!(a.write_vectored(&[]).await.unwrap(), 0);
    });
}

#[test]
fn an_owned_stream_of_connections_closes_its_listener() {
    executor::block_on(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = listener.into_incoming();
        for _ in 0..3 {
            let (client, server) = futures::join!(TcpStream::connect(address), incoming.next());
            let (client, server) = (client.unwrap(), server.unwrap().unwrap());
            assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        }
        drop(incoming);
        // Wine closes a listener a moment after its handle.
        let mut tries = 0;
        let mut refusal = None;
        while refusal.is_none() {
            tries += 1;
            assert!(tries < 1000, "it goes on listening");
            refusal = TcpStream::connect(address).await.err();
            executor::time::sleep(Duration::from_millis(1)).await;
        }
        let kind = refusal.map(|error| error.kind());
        assert_eq!(kind, Some(io::ErrorKind::ConnectionRefused));
    });
}

#[test]
fn a_thousand_connections_echo_at_once() {
    const CONNECTIONS: usize = 1000;
    // Both ends of each are ours; a small limit would only test the limit.
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    let room = limit.unwrap_or(u64::MAX) as usize;
    let connections = CONNECTIONS.min(room / 4);
    executor::block_on(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(executor::spawn(async move {
            let mut incoming = listener.incoming();
            while let Some(stream) = incoming.next().await {
                let stream = stream.unwrap();
                drop(executor::spawn(async move {
                    futures::io::copy(&stream, &mut &stream).await
                }));
            }
        }));
        let clients: Vec<_> = (0..connections)
            .map(|n| {
                executor::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    for round in 0..3 {
                        let sent = format!("{n:06} {round:06}");
                        let mut received = [0; 13];
                        stream.write_all(sent.as_bytes()).await.unwrap();
                        stream.read_exact(&mut received).await.unwrap();
                        assert_eq!(received, sent.as_bytes());
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn dropping_every_other_clone_leaves_a_waiting_reader_alone() {
    executor::block_on(async {
        let (mut a, b) = pair().await;
        let reader = {
            let b = b.clone();
            executor::spawn(async move { (&b).read_exact(&mut [0; 1]).await })
        };
        executor::task::yield_now().await;
        drop(b);
        a.write_all(b"x").await.unwrap();
        reader.await.unwrap().unwrap();
    });
}

#[test]
fn an_aborted_reader_takes_its_socket_with_it() {
    executor::block_on(async {
        let (mut a, b) = pair().await;
        let reader = executor::spawn(async move { (&b).read_exact(&mut [0; 1]).await });
        executor::task::yield_now().await;
        reader.abort();
        assert!(reader.await.unwrap_err().is_cancelled());
        assert_eq!(a.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn std_sockets_come_in_and_go_out() {
    executor::block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::try_from(listener).unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let mut client = TcpStream::try_from(client).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        (&server).read_exact(&mut [0; 1]).await.unwrap();
        let clone = server.clone();
        let error = server.into_std().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        let server = clone.into_std().unwrap();
        server.set_nonblocking(false).unwrap();
        let listener = std::net::TcpListener::try_from(listener).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
    });
}

/// Two sockets may have one port, where there is the option.
fn set_reuseport(socket: &TcpSocket) {
    let set = socket.set_reuseport(true);
    match cfg!(windows) {
        false => set.unwrap(),
        true => assert_eq!(set.unwrap_err().kind(), io::ErrorKind::Unsupported),
    }
}

#[test]
fn a_socket_takes_its_options_along() {
    executor::block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        set_reuseport(&socket);
        socket.set_recv_buffer_size(32 << 10).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 32 << 10);
        socket.bind(ANY.into()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(8).unwrap();
        let second = TcpSocket::new_v4().unwrap();
        set_reuseport(&second);
        second.set_reuseaddr(true).unwrap();
        #[cfg(unix)]
        second.bind(address).unwrap();
        drop(second);

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_keepalive(true).unwrap();
        socket.bind(ANY.into()).unwrap();
        let local = socket.local_addr().unwrap();
        let stream = socket.connect(address).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, local);
    });
}

#[test]
fn another_executor_can_use_it() {
    futures::executor::block_on(async {
        let (mut a, mut b) = pair().await;
        a.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        b.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");
    });
}

#[test]
fn types_and_futures_are_send_sync_and_unpin() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<TcpListener>();
    check::<TcpStream>();
    check::<TcpSocket>();
    check::<executor::net::OwnedReadHalf>();
    check::<executor::net::OwnedWriteHalf>();
    fn check_future<T: Send>(_: T) {}
    check_future(TcpStream::connect("localhost:1"));
    check_future(TcpListener::bind("localhost:0"));
    check_future(lookup_host("localhost:0"));
    check_future(pair());
}
