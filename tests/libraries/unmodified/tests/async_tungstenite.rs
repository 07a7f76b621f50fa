//! WebSockets of `async-tungstenite` over our TCP streams: it wakes reader and writer of a connection by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use async_tungstenite::tungstenite::error::ProtocolError;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketStream, accept_async, client_async};
use executor::net::{TcpListener, TcpStream};
use executor::{JoinHandle, spawn};
use futures::{StreamExt, try_join};
use libraries_unmodified::{ANY, bytes, connected, everywhere};

type Socket = WebSocketStream<TcpStream>;

/// Around each change of the frame's form, and more than the buffers of the sockets hold.
const SIZES: [usize; 10] = [
    0,
    1,
    125,
    126,
    127,
    65_535,
    65_536,
    65_537,
    1 << 20,
    8 << 20,
];

/// A client and a server that have shaken hands.
async fn pair() -> (Socket, Socket) {
    let (client, server) = connected().await;
    let client = client_async("ws://localhost/", client);
    let ((client, _), server) = try_join!(client, accept_async(server)).unwrap();
    (client, server)
}

/// Sends everything back until the peer closes; says how many messages and bytes.
async fn echo(mut socket: Socket) -> (usize, usize) {
    let (mut messages, mut total) = (0, 0);
    while let Some(message) = socket.next().await {
        let message = message.unwrap();
        if message.is_text() || message.is_binary() {
            (messages, total) = (messages + 1, total + message.len());
            socket.send(message).await.unwrap();
        }
    }
    (messages, total)
}

/// Accepts so many clients and echoes each in a task; says what it echoed in all.
async fn server(clients: usize) -> (SocketAddr, JoinHandle<(usize, usize)>) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let serve = |stream| spawn(async move { echo(accept_async(stream).await.unwrap()).await });
        let connections = listener.incoming().take(clients).map(Result::unwrap);
        let connections = connections.map(serve).buffer_unordered(clients);
        let add = async |sum: (usize, usize), echoed: Result<(usize, usize), _>| {
            let (messages, total) = echoed.unwrap();
            (sum.0 + messages, sum.1 + total)
        };
        connections.fold((0, 0), add).await
    });
    (address, server)
}

async fn client(address: SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    client_async("ws://localhost/", stream).await.unwrap().0
}

/// Closes and reads to the end, which must come after the peer's answer to the close.
async fn close(mut socket: Socket) {
    socket.close(None).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(None));
    assert!(socket.next().await.is_none());
}

#[test]
fn messages_of_every_size_come_back_one_by_one() {
    everywhere(async || {
        let (address, server) = server(1).await;
        let mut socket = client(address).await;
        for size in SIZES {
            let binary = Message::binary(bytes(size, size as u64));
            let text = Message::text("ü".repeat(size / 2));
            for message in [binary, text] {
                socket.send(message.clone()).await.unwrap();
                let answer = socket.next().await.unwrap().unwrap();
                assert!(answer == message, "the messages of {size} bytes differ");
            }
        }
        close(socket).await;
        let text: usize = SIZES.iter().map(|size| size / 2 * 2).sum();
        let total = SIZES.iter().sum::<usize>() + text;
        assert_eq!(server.await.unwrap(), (2 * SIZES.len(), total));
    });
}

#[test]
fn sender_and_receiver_in_two_tasks_keep_order_and_count() {
    everywhere(async || {
        const COUNT: usize = 2000;
        let message = |n: usize| Message::binary(bytes(n * 37 % 2000, n as u64));
        let (address, server) = server(1).await;
        let (mut sender, mut receiver) = client(address).await.split();
        let sending = spawn(async move {
            for n in 0..COUNT {
                sender.send(message(n)).await.unwrap();
            }
            sender
        });
        for n in 0..COUNT {
            assert!(receiver.next().await.unwrap().unwrap() == message(n));
        }
        let sender = sending.await.unwrap();
        close(WebSocketStream::reunite(sender, receiver).unwrap()).await;
        let total = (0..COUNT).map(|n| n * 37 % 2000).sum();
        assert_eq!(server.await.unwrap(), (COUNT, total));
    });
}

#[test]
fn clients_at_once_get_their_own_messages() {
    everywhere(async || {
        const CLIENTS: usize = 32;
        const COUNT: usize = 50;
        let (address, server) = server(CLIENTS).await;
        let answers = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|own| {
                let answers = answers.clone();
                spawn(async move {
                    let mut socket = client(address).await;
                    for n in 0..COUNT {
                        let message = Message::text(format!("{own}/{n}"));
                        socket.send(message.clone()).await.unwrap();
                        assert_eq!(socket.next().await.unwrap().unwrap(), message);
                        answers.fetch_add(1, SeqCst);
                    }
                    close(socket).await;
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(answers.load(SeqCst), CLIENTS * COUNT);
        assert_eq!(server.await.unwrap().0, CLIENTS * COUNT);
    });
}

#[test]
fn both_sides_see_a_close_with_its_reason_whoever_begins() {
    everywhere(async || {
        for server_begins in [false, true] {
            let (client, server) = pair().await;
            let (mut first, mut second) = match server_begins {
                false => (client, server),
                true => (server, client),
            };
            let reason = CloseFrame {
                code: CloseCode::Away,
                reason: "enough".into(),
            };
            let closed = Message::Close(Some(reason.clone()));
            let expected = closed.clone();
            let seen = spawn(async move {
                assert_eq!(second.next().await.unwrap().unwrap(), expected);
                assert!(second.next().await.is_none());
                let error = second.send(Message::text("late")).await.unwrap_err();
                assert!(matches!(
                    error,
                    Error::AlreadyClosed | Error::ConnectionClosed
                ));
            });
            first.close(Some(reason)).await.unwrap();
            assert_eq!(first.next().await.unwrap().unwrap(), closed);
            assert!(first.next().await.is_none());
            // A client reads until the server has closed the connection itself.
            drop(first);
            seen.await.unwrap();
        }
    });
}

#[test]
fn a_connection_that_ends_without_a_close_is_an_error_once() {
    everywhere(async || {
        let (client, mut server) = pair().await;
        let waiting = spawn(async move {
            let error = server.next().await.unwrap().unwrap_err();
            let reset = ProtocolError::ResetWithoutClosingHandshake;
            assert!(matches!(error, Error::Protocol(error) if error == reset));
            assert!(server.next().await.is_none());
        });
        drop(client);
        waiting.await.unwrap();
    });
}

#[test]
fn pings_are_answered_while_the_other_side_only_reads() {
    everywhere(async || {
        const COUNT: u8 = 100;
        let (mut client, mut server) = pair().await;
        let reading = spawn(async move {
            let mut pings = 0;
            while let Some(message) = server.next().await {
                pings += usize::from(message.unwrap().is_ping());
            }
            pings
        });
        for n in 0..COUNT {
            client.send(Message::Ping(vec![n].into())).await.unwrap();
            let pong = Message::Pong(vec![n].into());
            assert_eq!(client.next().await.unwrap().unwrap(), pong);
        }
        close(client).await;
        assert_eq!(reading.await.unwrap(), usize::from(COUNT));
    });
}
