//! Sockets of `async-net`, which has a reactor and a thread of its own, in our tasks and opposite ours.

use async_net::unix::{UnixListener, UnixStream};
use async_net::{TcpListener, TcpStream, UdpSocket};
use executor::spawn;
use futures::future::join_all;
use futures::io::copy;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt, join};
use libraries_unmodified::{ANY, bytes, everywhere};

/// Serves what an echo server of either kind accepts.
async fn echo<S>(stream: S) -> u64
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, mut writer) = stream.split();
    let count = copy(reader, &mut writer).await.unwrap();
    writer.close().await.unwrap();
    count
}

/// Sends while it receives its own bytes back.
async fn exchange<S>(stream: S, seed: u64)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let data = bytes(100_000 + seed as usize, seed);
    let (mut reader, mut writer) = stream.split();
    let mut back = Vec::new();
    let send = async {
        writer.write_all(&data).await.unwrap();
        writer.close().await.unwrap();
    };
    let (_, received) = join!(send, reader.read_to_end(&mut back));
    received.unwrap();
    assert!(back == data, "the bytes differ");
}

const CLIENTS: u64 = 40;

/// What all clients together send.
fn total() -> u64 {
    (0..CLIENTS).map(|seed| 100_000 + seed).sum()
}

#[test]
fn its_listener_serves_our_streams_and_its_own() {
    everywhere(async || {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let streams = listener.incoming().take(CLIENTS as usize);
            let served = streams.map(|stream| spawn(echo(stream.unwrap())));
            let served: Vec<_> = served.collect().await;
            let counts = join_all(served).await.into_iter();
            counts.map(Result::unwrap).sum::<u64>()
        });
        let clients = (0..CLIENTS).map(|seed| {
            spawn(async move {
                if seed % 2 == 0 {
                    exchange(TcpStream::connect(address).await.unwrap(), seed).await;
                } else {
                    let ours = executor::net::TcpStream::connect(address).await.unwrap();
                    exchange(ours, seed).await;
                }
            })
        });
        for client in join_all(clients).await {
            client.unwrap();
        }
        assert_eq!(server.await.unwrap(), total());
    });
}

#[test]
fn our_listener_serves_its_streams() {
    everywhere(async || {
        let listener = executor::net::TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let streams = listener.incoming().take(CLIENTS as usize);
            let served = streams.map(|stream| spawn(echo(stream.unwrap())));
            let served: Vec<_> = served.collect().await;
            let counts = join_all(served).await.into_iter();
            counts.map(Result::unwrap).sum::<u64>()
        });
        let client = async |seed| exchange(TcpStream::connect(address).await.unwrap(), seed).await;
        join_all((0..CLIENTS).map(client)).await;
        assert_eq!(server.await.unwrap(), total());
    });
}

#[test]
fn unix_streams_of_its_kind_reach_ours() {
    everywhere(async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = spawn(async move {
            let (first, _) = listener.accept().await.unwrap();
            let (second, _) = listener.accept().await.unwrap();
            let (first, second) = join!(echo(first), echo(second));
            first + second
        });
        let theirs = UnixStream::connect(&path).await.unwrap();
        let ours = executor::net::unix::UnixStream::connect(&path)
            .await
            .unwrap();
        let (theirs, ours) = join!(spawn(exchange(theirs, 0)), spawn(exchange(ours, 1)));
        theirs.unwrap();
        ours.unwrap();
        assert_eq!(server.await.unwrap(), 200_001);
    });
}

#[test]
fn datagrams_of_both_kinds_go_to_and_fro() {
    everywhere(async || {
        let theirs = UdpSocket::bind(ANY).await.unwrap();
        let ours = executor::net::UdpSocket::bind(ANY).await.unwrap();
        let (from, to) = (ours.local_addr().unwrap(), theirs.local_addr().unwrap());
        let echo = spawn(async move {
            let mut buf = [0; 100];
            for _ in 0..500 {
                let (len, peer) = theirs.recv_from(&mut buf).await.unwrap();
                assert_eq!(peer, from);
                theirs.send_to(&buf[..len], peer).await.unwrap();
            }
        });
        // One at a time: more might be dropped.
        for n in 0..500 {
            let (out, mut buf) = (bytes(n % 100, n as u64), [0; 100]);
            assert_eq!(ours.send_to(&out, to).await.unwrap(), out.len());
            let (len, peer) = ours.recv_from(&mut buf).await.unwrap();
            assert_eq!((&buf[..len], peer), (&out[..], to));
        }
        echo.await.unwrap();
    });
}
