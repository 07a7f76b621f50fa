//! tokio-rustls over our streams, and over halves of them.

use std::io::ErrorKind;
use std::sync::Arc;

use executor::net::unix::UnixStream;
use executor::net::{TcpListener, TcpStream};
use libraries_adapters::certificates::{NAME, client_config, server_config};
use libraries_adapters::{pattern, test};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

const MIB: usize = 1 << 20;

fn acceptor() -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(server_config()))
}

fn connector() -> TlsConnector {
    TlsConnector::from(Arc::new(client_config()))
}

fn name(name: &'static str) -> ServerName<'static> {
    ServerName::try_from(name).unwrap()
}

/// Two ends of a TCP connection.
async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (near, listener.accept().await.unwrap().0)
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Duplex for T {}

/// The two ends of a session over the two ends of a connection; each side in a task of its own.
async fn session<A: Duplex, B: Duplex>(
    near: A,
    far: B,
) -> (client::TlsStream<A>, server::TlsStream<B>) {
    let far = executor::spawn(async move { acceptor().accept(far).await.unwrap() });
    let near = connector().connect(name(NAME), near).await.unwrap();
    (near, far.await.unwrap())
}

/// Sends so many bytes there and as many others back, at once, and ends both directions by close_notify.
async fn exchange(len: usize, near: impl Duplex, far: impl Duplex) {
    let (near, far) = session(near, far).await;
    let far = executor::spawn(one_end(len, far, 2, 1));
    one_end(len, near, 1, 2).await;
    far.await.unwrap();
}

async fn one_end(len: usize, stream: impl Duplex, sends: u64, expects: u64) {
    let (mut read, mut write) = tokio::io::split(stream);
    let writer = async {
        write.write_all(&pattern(len, sends)).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let reader = async {
        let mut got = Vec::new();
        // Without a close_notify this would be an error, not an end.
        read.read_to_end(&mut got).await.unwrap();
        assert!(got == pattern(len, expects));
    };
    futures::future::join(writer, reader).await;
}

#[test]
fn a_mebibyte_goes_both_ways_over_tcp() {
    test(async {
        let (near, far) = tcp_pair().await;
        exchange(MIB, near, far).await;
    });
}

#[test]
fn a_mebibyte_goes_both_ways_over_a_unix_socket() {
    test(async {
        let (near, far) = UnixStream::pair().unwrap();
        exchange(MIB, near, far).await;
    });
}

#[test]
fn a_mebibyte_goes_both_ways_over_joined_halves() {
    test(async {
        let (near, far) = tcp_pair().await;
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let near = tokio::io::join(near_read, near_write);
        let far = tokio::io::join(far_read, far_write);
        exchange(MIB, near, far).await;
    });
}

#[test]
fn a_wrong_name_fails_on_both_sides() {
    test(async {
        let (near, far) = tcp_pair().await;
        let far = executor::spawn(async move { acceptor().accept(far).await.map(drop) });
        let near = connector().connect(name("elsewhere.invalid"), near).await;
        assert_eq!(near.unwrap_err().kind(), ErrorKind::InvalidData);
        // The client's alert.
        assert_eq!(
            far.await.unwrap().unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    });
}

#[test]
fn an_end_without_close_notify_is_an_error() {
    test(async {
        let (near, far) = tcp_pair().await;
        let (mut near, mut far) = session(near, far).await;
        far.write_all(b"half").await.unwrap();
        far.flush().await.unwrap();
        let mut buf = [0; 4];
        near.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"half");
        drop(far);
        let error = near.read(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_client_that_goes_away_in_the_handshake_leaves_an_error_not_a_task() {
    test(async {
        let (mut near, far) = tcp_pair().await;
        let far = executor::spawn(async move { acceptor().accept(far).await.map(drop) });
        // The head of a record that never comes.
        near.write_all(&[22, 3, 1, 1, 0]).await.unwrap();
        drop(near);
        assert_eq!(
            far.await.unwrap().unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    });
}

#[test]
fn many_connections_at_once_do_not_mix_up_their_bytes() {
    const CLIENTS: usize = 32;
    test(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor();
        let server = executor::spawn(async move {
            let mut sessions = Vec::new();
            for _ in 0..CLIENTS {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                sessions.push(executor::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let (mut read, mut write) = tokio::io::split(stream);
                    let copied = tokio::io::copy(&mut read, &mut write).await.unwrap();
                    write.shutdown().await.unwrap();
                    copied
                }));
            }
            let mut sum = 0;
            for session in sessions {
                sum += session.await.unwrap();
            }
            sum
        });
        let connector = connector();
        let client = |id: u64| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(address).await.unwrap();
                let stream = connector.connect(name(NAME), stream).await.unwrap();
                one_end(20_000, stream, id, id).await;
            }
        };
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|id| executor::spawn(client(id)))
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(server.await.unwrap(), 20_000 * CLIENTS as u64);
    });
}
