//! Unix sockets: streams, listeners, datagrams, and what their queues do when they are full.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use executor::net::unix::{UnixDatagram, UnixListener, UnixStream};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};

/// A path of its own for each test, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "executor-{}-{}.sock",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_pair_carries_data_and_its_end() {
    executor::block_on(async {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        let data = vec![7; 1 << 20];
        let sender = executor::spawn(async move {
            a.write_all(&data).await.unwrap();
            a.close().await.unwrap();
            a
        });
        let mut received = Vec::new();
        b.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), 1 << 20);
        let a = sender.await.unwrap();
        assert!(a.take_error().unwrap().is_none());
    });
}

#[test]
fn a_listener_accepts_at_its_path() {
    let place = Place::new();
    executor::block_on(async {
        let listener = UnixListener::bind(&place.0).unwrap();
        assert_eq!(
            listener.local_addr().unwrap().as_pathname(),
            Some(&*place.0)
        );
        let in_use = UnixListener::bind(&place.0).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);

        let mut client = UnixStream::connect(&place.0).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*place.0));
        let (mut server, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed());
        client.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");

        let address = listener.local_addr().unwrap();
        let _second = UnixStream::connect_addr(&address).await.unwrap();
        let mut incoming = listener.incoming();
        let (_read, write) = incoming.next().await.unwrap().unwrap().into_split();
        drop(write);

        let _third = UnixStream::connect_addr(&address).await.unwrap();
        let mut incoming = listener.into_incoming();
        incoming.next().await.unwrap().unwrap();
        drop(incoming);
        let error = UnixStream::connect_addr(&address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn nobody_there_is_an_error() {
    let place = Place::new();
    executor::block_on(async {
        let error = UnixStream::connect(&place.0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        drop(UnixListener::bind(&place.0).unwrap());
        let error = UnixStream::connect(&place.0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// Runs the body as a task; a hang becomes a failure.
#[cfg(target_os = "linux")]
fn within_a_task(body: impl Future<Output = ()> + Send + 'static) {
    crate::common::within_patience(|| executor::block_on(executor::spawn(body)).unwrap());
}

/// A listener that accepts nobody yet, and whose queue is full; with whoever is in it.
#[cfg(target_os = "linux")]
fn full_listener(place: &Place) -> (UnixListener, Vec<std::os::unix::net::UnixStream>) {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let address = SocketAddrUnix::new(&place.0).unwrap();
    let socket = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = socket();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let mut queued = Vec::new();
    loop {
        let client = socket();
        match rustix::net::connect(&client, &address) {
            Ok(()) => queued.push(client.into()),
            Err(error) => {
                assert_eq!(error, rustix::io::Errno::AGAIN);
                let listener = std::os::unix::net::UnixListener::from(listener);
                return (listener.try_into().unwrap(), queued);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_connect_waits_for_a_place_in_a_full_queue() {
    const CLIENTS: usize = 10;
    within_a_task(async {
        let place = Place::new();
        let (listener, queued) = full_listener(&place);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let path = place.0.clone();
                executor::spawn(async move {
                    let mut client = UnixStream::connect(path).await?;
                    client.write_all(&[n as u8]).await.map(|()| client)
                })
            })
            .collect();
        // All have met the full queue.
        executor::task::yield_now().await;
        assert!(clients.iter().all(|client| !client.is_finished()));
        for _ in 0..queued.len() {
            listener.accept().await.unwrap();
        }
        let mut numbers = Vec::new();
        for _ in 0..CLIENTS {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut number = [0];
            stream.read_exact(&mut number).await.unwrap();
            numbers.extend(number);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, Vec::from_iter(0..CLIENTS as u8));
        for client in clients {
            client.await.unwrap().unwrap();
        }
    });
}

#[cfg(all(target_os = "linux", feature = "time"))]
#[test]
fn a_connect_that_waits_can_be_given_up_and_hears_of_the_listener_s_end() {
    use std::time::Duration;
    within_a_task(async {
        let place = Place::new();
        let (listener, queued) = full_listener(&place);
        let waiting =
            executor::time::timeout(Duration::from_millis(20), UnixStream::connect(&place.0));
        assert!(waiting.await.is_err(), "it waits for as long as it takes");
        let path = place.0.clone();
        let connect = executor::spawn(async move { UnixStream::connect(path).await });
        executor::task::yield_now().await;
        connect.abort();
        assert!(connect.await.unwrap_err().is_cancelled());
        // Neither of them is in the queue now or later.
        for _ in 0..queued.len() {
            listener.accept().await.unwrap();
        }
        let third = listener.accept();
        let third = executor::time::timeout(Duration::from_millis(20), third);
        assert!(third.await.is_err());
        drop(listener);
        let (listener, _queued) = {
            std::fs::remove_file(&place.0).unwrap();
            full_listener(&place)
        };
        let path = place.0.clone();
        let connect = executor::spawn(async move { UnixStream::connect(path).await });
        executor::task::yield_now().await;
        drop(listener);
        let error = connect.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_work() {
    use std::os::linux::net::SocketAddrExt;
    executor::block_on(async {
        let name = format!("executor-abstract-{}", std::process::id());
        let address = executor::net::unix::SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).await.unwrap();
        listener.accept().await.unwrap();
        drop(client);
    });
}

#[test]
fn a_connected_datagram_sender_waits_for_room_in_the_peer_s_queue() {
    const COUNT: usize = 500;
    executor::block_on(async {
        let (a, b) = UnixDatagram::pair().unwrap();
        let sender = executor::spawn(async move {
            for n in 0..COUNT {
                a.send(&n.to_ne_bytes()).await.unwrap();
            }
        });
        let mut buf = [0; 16];
        for n in 0..COUNT {
            assert_eq!(b.recv(&mut buf).await.unwrap(), size_of::<usize>());
            assert_eq!(buf[..size_of::<usize>()], n.to_ne_bytes());
        }
        sender.await.unwrap();
    });
}

#[test]
fn an_unconnected_datagram_sender_is_not_forgotten_when_others_filled_the_queue() {
    let place = Place::new();
    executor::block_on(async {
        let receiver = UnixDatagram::bind(&place.0).unwrap();
        // Fill the queue from elsewhere: nothing of the sender below is in it, so only the receiver can make room.
        let other = std::os::unix::net::UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        let mut filled = 0;
        while other.send_to(b"other", &place.0).is_ok() {
            filled += 1;
        }
        assert!(filled > 0);
        let path = place.0.clone();
        let sender = executor::spawn(async move {
            let socket = UnixDatagram::unbound().unwrap();
            socket.send_to(b"mine", path).await
        });
        for _ in 0..10 {
            executor::task::yield_now().await;
        }
        let mut buf = [0; 16];
        for _ in 0..filled {
            let (len, from) = receiver.recv_from(&mut buf).await.unwrap();
            assert_eq!(&buf[..len], b"other");
            assert!(from.is_unnamed());
        }
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(sender.await.unwrap().unwrap(), 4);
    });
}

#[test]
fn a_datagram_socket_has_addresses_and_shuts_down() {
    let place = Place::new();
    executor::block_on(async {
        let a = UnixDatagram::bind(&place.0).unwrap();
        let b = UnixDatagram::unbound().unwrap();
        b.connect(&place.0).unwrap();
        assert_eq!(b.peer_addr().unwrap().as_pathname(), Some(&*place.0));
        assert!(b.local_addr().unwrap().is_unnamed());
        b.writable().await.unwrap();
        b.send(b"x").await.unwrap();
        a.readable().await.unwrap();
        a.recv(&mut [0; 1]).await.unwrap();
        b.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(b.send(b"x").await.is_err());
        let std = a.into_std().unwrap();
        assert!(UnixDatagram::try_from(std).is_ok());
    });
}

#[test]
fn types_are_send_sync_and_unpin() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<UnixListener>();
    check::<UnixStream>();
    check::<UnixDatagram>();
    check::<executor::net::unix::OwnedReadHalf>();
    check::<executor::net::unix::OwnedWriteHalf>();
}
