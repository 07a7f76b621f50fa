//! Many connections send by one socket: when it is full all of them wait, and all are woken.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use executor::compat::QuinnRuntime;
use futures::future::join;
use libraries_adapters::certificates::NAME;
use libraries_adapters::{alive_tasks, pattern, test, until};
use quinn::{Connection, Runtime, VarInt};
use socket2::{SockAddr, SockRef};
use tokio::sync::{Barrier, Semaphore};

use crate::support::{Server, Watched, client, client_on, patient, small_socket};

/// What `send` needs on Linux to keep a datagram back, as more is to follow: its bytes stay in the send buffer.
const MSG_MORE: i32 = 0x8000;

/// Keeps a socket full, by a datagram that is not complete. It goes, to nobody, when this is dropped.
struct Plug {
    socket: UdpSocket,
    nobody: UdpSocket,
}

impl Plug {
    /// The socket given is another handle of the one to be full, with a small send buffer.
    fn new(socket: UdpSocket) -> Plug {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let plug = Plug { socket, nobody };
        assert_eq!(plug.send(&[0; 20_000], MSG_MORE), 20_000);
        plug
    }

    fn send(&self, bytes: &[u8], flags: i32) -> usize {
        let nobody = SockAddr::from(self.nobody.local_addr().unwrap());
        loop {
            match SockRef::from(&self.socket).send_to_with_flags(bytes, &nobody, flags) {
                // quinn is sending at this moment.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                sent => return sent.unwrap(),
            }
        }
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.send(&[], 0);
    }
}

#[test]
fn every_writer_of_a_full_socket_is_woken() {
    const WRITERS: usize = 50;
    test(async {
        let socket = small_socket();
        let other = socket.try_clone().unwrap();
        let socket = QuinnRuntime.wrap_udp_socket(socket).unwrap();
        for _ in 0..20 {
            let plug = Plug::new(other.try_clone().unwrap());
            let waiting = Arc::new(AtomicUsize::new(0));
            let writers = (0..WRITERS).map(|_| {
                let (mut poller, waiting) = (socket.clone().create_io_poller(), waiting.clone());
                let mut first = true;
                executor::spawn(poll_fn(move |cx| {
                    let poll = poller.as_mut().poll_writable(cx);
                    if std::mem::take(&mut first) {
                        assert!(poll.is_pending());
                        waiting.fetch_add(1, Relaxed);
                    }
                    poll
                }))
            });
            let writers: Vec<_> = writers.collect();
            until(|| waiting.load(Relaxed) == WRITERS).await;
            drop(plug);
            for writer in writers {
                writer.await.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn a_writer_that_gives_up_does_not_take_the_wake_of_another() {
    test(async {
        let socket = small_socket();
        let other = socket.try_clone().unwrap();
        let socket = QuinnRuntime.wrap_udp_socket(socket).unwrap();
        for _ in 0..20 {
            let plug = Plug::new(other.try_clone().unwrap());
            let mut kept = socket.clone().create_io_poller();
            let mut dropped = socket.clone().create_io_poller();
            poll_fn(|cx| {
                assert!(dropped.as_mut().poll_writable(cx).is_pending());
                assert!(kept.as_mut().poll_writable(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(dropped);
            let writer = executor::spawn(poll_fn(move |cx| kept.as_mut().poll_writable(cx)));
            drop(plug);
            writer.await.unwrap().unwrap();
        }
    });
}

/// Sends bytes over a stream of their own, and gets them back.
async fn echo(connection: &Connection, bytes: Vec<u8>) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let writer = async {
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
    };
    let ((), got) = join(writer, receive.read_to_end(bytes.len())).await;
    assert!(got.unwrap() == bytes);
}

/// A packet of quinn's that is on its way as the socket is filled takes the plug with it; then the round is done again.
#[test]
fn connections_that_find_the_socket_full_all_go_on_when_it_is_not() {
    const CONNECTIONS: usize = 20;
    test(async {
        let server = Server::start(patient());
        let socket = small_socket();
        let other = socket.try_clone().unwrap();
        let runtime = Arc::new(Watched::default());
        let client = client_on(socket, runtime.clone(), patient());
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(client.connect(server.address, NAME).unwrap().await.unwrap());
        }
        let (mut all_waited, mut rounds) = (false, 0);
        while !all_waited {
            rounds += 1;
            let plug = Plug::new(other.try_clone().unwrap());
            let tasks = connections.iter().enumerate().map(|(n, connection)| {
                let connection = connection.clone();
                executor::spawn(async move { echo(&connection, pattern(5000, n as u64)).await })
            });
            let tasks: Vec<_> = tasks.collect();
            until(|| {
                all_waited = runtime.waiting.load(Relaxed) == CONNECTIONS;
                all_waited || tasks.iter().all(|task| task.is_finished())
            })
            .await;
            drop(plug);
            for task in tasks {
                task.await.unwrap();
            }
        }
        assert_eq!(server.seen.connections.load(Relaxed), CONNECTIONS);
        assert_eq!(server.seen.streams.load(Relaxed), rounds * CONNECTIONS);
        client.close(VarInt::from_u32(0), b"done");
        server.endpoint.close(VarInt::from_u32(0), b"done");
    });
}

/// All are open at once. Few are busy at once, as more would only fill the receive buffer, and wait for QUIC to send again.
#[test]
fn a_hundred_connections_at_once_by_one_small_socket() {
    const CONNECTIONS: usize = 100;
    test(async {
        let before = alive_tasks();
        let server = Server::start(patient());
        let client = client();
        let address = server.address;
        let (busy, all) = (
            Arc::new(Semaphore::new(8)),
            Arc::new(Barrier::new(CONNECTIONS)),
        );
        let tasks = (0..CONNECTIONS).map(|n| {
            let (client, busy, all) = (client.clone(), busy.clone(), all.clone());
            executor::spawn(async move {
                let permit = busy.acquire().await.unwrap();
                let connection = client.connect(address, NAME).unwrap().await.unwrap();
                drop(permit);
                all.wait().await;
                for round in 0..3 {
                    let _permit = busy.acquire().await.unwrap();
                    echo(&connection, pattern(5000, (n * 10 + round) as u64)).await;
                }
                all.wait().await;
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(server.seen.connections.load(Relaxed), CONNECTIONS);
        assert_eq!(server.seen.streams.load(Relaxed), 3 * CONNECTIONS);
        // Each connection was closed by its last handle's drop.
        client.wait_idle().await;
        assert_eq!(client.open_connections(), 0);
        server.endpoint.close(VarInt::from_u32(0), b"done");
        server.endpoint.wait_idle().await;
        drop((client, server));
        until(|| alive_tasks() == before).await;
    });
}
