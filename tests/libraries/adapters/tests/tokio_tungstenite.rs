//! tokio-tungstenite over our streams: WebSockets, client and server.

use std::net::SocketAddr;

use executor::JoinHandle;
use executor::net::unix::UnixStream;
use executor::net::{TcpListener, TcpStream};
use futures::{SinkExt, StreamExt};
use libraries_adapters::{pattern, test};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// Sends every message back until the peer closes; tells how many there were, and why it closed.
async fn echo(
    mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
) -> (usize, Option<CloseFrame>) {
    let mut count = 0;
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Close(reason) => {
                // The answer to the close frame goes out as the stream is read to its end.
                assert!(socket.next().await.is_none());
                return (count, reason);
            }
            message @ (Message::Text(_) | Message::Binary(_)) => {
                count += 1;
                socket.send(message).await.unwrap();
            }
            _ => {}
        }
    }
}

/// A server for so many connections.
async fn server(
    connections: usize,
) -> (
    SocketAddr,
    JoinHandle<Vec<JoinHandle<(usize, Option<CloseFrame>)>>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = executor::spawn(async move {
        let mut sessions = Vec::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept().await.unwrap();
            sessions.push(executor::spawn(async {
                echo(accept_async(stream).await.unwrap()).await
            }));
        }
        sessions
    });
    (address, accepting)
}

async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    client_async(format!("ws://{address}/"), stream)
        .await
        .unwrap()
        .0
}

fn message(n: usize) -> Message {
    match n % 2 {
        0 => Message::binary(pattern(n * n % 70_001, n as u64)),
        _ => Message::text("ß".repeat(n * 37 % 5000)),
    }
}

/// Closes, with a reason, and waits for the answer.
async fn close(mut socket: WebSocketStream<TcpStream>) {
    let reason = CloseFrame {
        code: CloseCode::Away,
        reason: "done".into(),
    };
    socket.close(Some(reason.clone())).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Close(Some(reason)));
    assert!(socket.next().await.is_none());
    assert!(matches!(
        socket.send(message(0)).await,
        Err(Error::AlreadyClosed)
    ));
}

#[test]
fn messages_of_every_size_come_back_the_same() {
    test(async {
        let (address, server) = server(1).await;
        let mut socket = connect(address).await;
        for n in 0..500 {
            socket.send(message(n)).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message(n));
        }
        let big = Message::binary(pattern(4 << 20, 1));
        let (mut sink, mut stream) = socket.split();
        let (sent, got) = futures::future::join(sink.send(big.clone()), stream.next()).await;
        sent.unwrap();
        assert!(got.unwrap().unwrap() == big);
        close(sink.reunite(stream).unwrap()).await;
        let [session] = <[_; 1]>::try_from(server.await.unwrap()).unwrap();
        let (count, reason) = session.await.unwrap();
        assert_eq!((count, reason.unwrap().code), (501, CloseCode::Away));
    });
}

#[test]
fn halves_in_two_tasks_lose_no_message_and_keep_the_order() {
    test(async {
        let (address, server) = server(1).await;
        let (mut sink, mut stream) = connect(address).await.split();
        let writer = executor::spawn(async move {
            for n in 0..300 {
                sink.feed(message(n)).await.unwrap();
                if n % 10 == 9 {
                    sink.flush().await.unwrap();
                }
            }
            sink
        });
        let reader = executor::spawn(async move {
            for n in 0..300 {
                assert_eq!(stream.next().await.unwrap().unwrap(), message(n));
            }
            stream
        });
        let (sink, stream) = (writer.await.unwrap(), reader.await.unwrap());
        close(sink.reunite(stream).unwrap()).await;
        for session in server.await.unwrap() {
            assert_eq!(session.await.unwrap().0, 300);
        }
    });
}

#[test]
fn many_sockets_at_once_get_their_own_messages() {
    const CLIENTS: usize = 40;
    test(async {
        let (address, server) = server(CLIENTS).await;
        let client = |id: usize| async move {
            let mut socket = connect(address).await;
            for n in 0..50 {
                let message = Message::text(format!("{id} {n}"));
                socket.send(message.clone()).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), message);
            }
            close(socket).await;
        };
        let clients: Vec<_> = (0..CLIENTS).map(|id| executor::spawn(client(id))).collect();
        for client in clients {
            client.await.unwrap();
        }
        for session in server.await.unwrap() {
            assert_eq!(session.await.unwrap().0, 50);
        }
    });
}

#[test]
fn a_peer_that_goes_away_without_a_close_is_an_error_not_a_hang() {
    test(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = executor::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            let first = socket.next().await.unwrap().unwrap();
            assert_eq!(first, message(2));
            socket.next().await.unwrap().unwrap_err()
        });
        let mut client = connect(address).await;
        client.send(message(2)).await.unwrap();
        drop(client);
        assert!(matches!(
            server.await.unwrap(),
            Error::Protocol(_) | Error::Io(_)
        ));
    });
}

#[test]
fn pings_are_answered_over_a_unix_socket() {
    test(async {
        let (near, far) = UnixStream::pair().unwrap();
        let mut client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let server = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        let session = executor::spawn(echo(server));
        for n in 0..50u8 {
            client.send(Message::Ping(vec![n; 9].into())).await.unwrap();
            let pong = client.next().await.unwrap().unwrap();
            assert_eq!(pong, Message::Pong(vec![n; 9].into()));
        }
        client.close(None).await.unwrap();
        while client.next().await.is_some() {}
        assert_eq!(session.await.unwrap(), (0, None));
    });
}
