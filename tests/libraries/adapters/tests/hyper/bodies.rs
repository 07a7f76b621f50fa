//! Bodies: big ones, those that come in pieces, and those that never come to their end.

use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use executor::net::TcpStream;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use libraries_adapters::{alive_tasks, pattern, test, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    BIG, BOTH, Body, Connector, Target, Version, client, collect, full, page, post, server,
};

/// A body that is sent through a channel, piece by piece.
fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (tx, rx) = mpsc::channel(0);
    let frames = rx.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    (
        tx,
        StreamBody::new(frames)
            .map_err(|never| match never {})
            .boxed(),
    )
}

#[test]
fn big_bodies_arrive_whole() {
    test(async {
        let server = server().await;
        for version in BOTH {
            let client = client(version, Connector::to(server.address));
            let response = client.get(page("/big")).await.unwrap();
            assert!(collect(response.into_body()).await == pattern(BIG, 1));
            let request = post("/count", full(pattern(BIG, 2)));
            let response = client.request(request).await.unwrap();
            assert_eq!(collect(response.into_body()).await, BIG.to_string());
        }
    });
}

#[test]
fn big_bodies_go_both_ways_at_once() {
    test(async {
        let server = server().await;
        for version in BOTH {
            let address = server.address;
            let tasks = (0..4).map(|seed| {
                executor::spawn(async move {
                    let client = client(version, Connector::to(address));
                    let bytes = pattern(2 << 20, seed);
                    let response = client.request(post("/echo", full(bytes.clone()))).await;
                    assert!(collect(response.unwrap().into_body()).await == bytes);
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
        }
    });
}

/// Each piece is sent only after the one before has come back: nobody may hold one back.
#[test]
fn pieces_arrive_as_they_are_sent() {
    test(async {
        let server = server().await;
        for version in BOTH {
            let client = client(version, Connector::to(server.address));
            let (mut tx, body) = channel();
            let response = client.request(post("/echo", body)).await.unwrap();
            assert_eq!(response.headers().get("content-length"), None);
            let mut body = response.into_body();
            for n in 0..200 {
                let piece = Bytes::from(pattern(1 + n * 31, n as u64));
                tx.send(piece.clone()).await.unwrap();
                let mut got = Vec::new();
                while got.len() < piece.len() {
                    got.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
                }
                assert!(got == piece);
            }
            drop(tx);
            // The end of an HTTP/2 stream may come as an empty piece.
            assert_eq!(collect(body).await, "");
        }
    });
}

/// Sends the head of a request and a part of its body, then goes away.
async fn half_a_request(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 500_000]).await.unwrap();
}

/// Asks for a big page and goes away after its first bytes.
async fn half_an_answer(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
}

#[test]
fn a_peer_that_goes_away_in_the_middle_of_a_body_leaves_no_task_behind() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        for _ in 0..30 {
            half_a_request(server.address).await;
            half_an_answer(server.address).await;
        }
        until(|| server.site.requests() == 60 && alive_tasks() == before).await;
    });
}

/// The same by hyper's client: request, response and pool are dropped with the body half sent.
#[test]
fn a_client_dropped_in_the_middle_of_a_body_leaves_no_task_behind() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        for version in BOTH {
            for _ in 0..20 {
                let client = client(version, Connector::to(server.address));
                let (mut tx, body) = channel();
                let response = client.request(post("/echo", body)).await.unwrap();
                tx.send(pattern(1000, 1).into()).await.unwrap();
                drop((client, response, tx));
            }
        }
        until(|| server.site.requests() == 40 && alive_tasks() == before).await;
    });
}

/// Connects to an address, and keeps a second handle of the connection, by which it can be broken.
#[derive(Clone)]
struct Breakable {
    address: SocketAddr,
    made: Arc<Mutex<Vec<TcpStream>>>,
}

impl Target for Breakable {
    type Stream = TcpStream;

    async fn connect(self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        self.made.lock().unwrap().push(stream.clone());
        Ok(stream)
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_a_body_is_an_error_on_both_sides() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        for version in BOTH {
            for _ in 0..20 {
                let made = Arc::default();
                let target = Breakable {
                    address: server.address,
                    made,
                };
                let client = client(version, Connector::to(target.clone()));
                let (mut tx, body) = channel();
                let response = client.request(post("/echo", body)).await.unwrap();
                tx.send(pattern(1000, 1).into()).await.unwrap();
                let [stream] =
                    <[_; 1]>::try_from(target.made.lock().unwrap().split_off(0)).unwrap();
                stream.shutdown(Shutdown::Both).unwrap();
                response.into_body().collect().await.unwrap_err();
                // The pool's own task lives as long as the client. The sender of the body is still there.
                drop(client);
                until(|| alive_tasks() == before).await;
                assert!(tx.is_closed());
            }
        }
        assert_eq!(server.site.requests(), 40);
    });
}

/// A server that goes away in the middle of its answer.
#[test]
fn an_answer_that_is_cut_off_is_an_error_not_an_end() {
    test(async {
        let listener = executor::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let server = executor::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 18];
            stream.read_exact(&mut head).await.unwrap();
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this";
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // The rest of the request is read, so that the end is not a reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let client: Client<_, Body> = client(Version::Http1, Connector::to(address));
        let response = client.get(page("/")).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::UnexpectedEof);
        server.await.unwrap();
    });
}
