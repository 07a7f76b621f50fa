//! Streams and datagrams: nothing is lost, doubled or mixed up.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use futures::future::join;
use libraries_adapters::certificates::NAME;
use libraries_adapters::{assert_no_tokio_context, pattern, test, until};
use quinn::{Connection, TransportConfig, VarInt};
use ring::digest::{SHA256, digest};

use crate::support::{Server, client, patient};

const MIB: usize = 1 << 20;

/// Sends bytes over a stream of their own, and gets them back.
async fn echo(connection: &Connection, bytes: Vec<u8>) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let writer = async {
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
    };
    let ((), got) = join(writer, receive.read_to_end(bytes.len())).await;
    let got = got.unwrap();
    assert_eq!(got.len(), bytes.len());
    assert_eq!(
        digest(&SHA256, &got).as_ref(),
        digest(&SHA256, &bytes).as_ref()
    );
}

/// Runs a test with a server and a connection to it.
fn connected(transport: TransportConfig, body: impl AsyncFnOnce(Connection, &Server)) {
    test(async {
        assert_no_tokio_context();
        let server = Server::start(transport);
        let client = client();
        let connection = client.connect(server.address, NAME).unwrap().await.unwrap();
        body(connection, &server).await;
        client.close(VarInt::from_u32(0), b"done");
        server.endpoint.close(VarInt::from_u32(0), b"done");
        join(client.wait_idle(), server.endpoint.wait_idle()).await;
    });
}

#[test]
fn ten_mebibytes_come_back_the_same() {
    connected(patient(), async |connection, server| {
        echo(&connection, pattern(10 * MIB, 1)).await;
        assert_eq!(server.seen.streams.load(Relaxed), 1);
    });
}

#[test]
fn ten_mebibytes_in_one_direction_are_counted_to_the_byte() {
    connected(patient(), async |connection, server| {
        let mut send = connection.open_uni().await.unwrap();
        send.write_all(&pattern(10 * MIB, 2)).await.unwrap();
        send.finish().unwrap();
        // All of it has been acknowledged.
        assert_eq!(send.stopped().await.unwrap(), None);
        until(|| server.seen.streams.load(Relaxed) == 1).await;
        assert_eq!(server.seen.bytes.load(Relaxed), 10 * MIB);
    });
}

#[test]
fn many_streams_of_one_connection_do_not_mix_up_their_bytes() {
    connected(patient(), async |connection, server| {
        let tasks = (0..200).map(|n| {
            let connection = connection.clone();
            executor::spawn(async move { echo(&connection, pattern(n * 100, n as u64)).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(server.seen.streams.load(Relaxed), 200);
        assert_eq!(server.seen.connections.load(Relaxed), 1);
    });
}

/// The limit on open streams makes writers wait for each other.
#[test]
fn more_streams_than_may_be_open_at_once_all_get_their_turn() {
    let mut transport = patient();
    transport.max_concurrent_uni_streams(VarInt::from_u32(3));
    connected(transport, async |connection, server| {
        let tasks = (0..100).map(|n| {
            let connection = connection.clone();
            executor::spawn(async move {
                let mut send = connection.open_uni().await.unwrap();
                send.write_all(&pattern(n, 1)).await.unwrap();
                send.finish().unwrap();
                assert_eq!(send.stopped().await.unwrap(), None);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        until(|| server.seen.streams.load(Relaxed) == 100).await;
        assert_eq!(server.seen.bytes.load(Relaxed), (0..100).sum());
    });
}

#[test]
fn datagrams_come_back_one_by_one() {
    connected(patient(), async |connection, server| {
        for n in 0..200 {
            let datagram = Bytes::from(pattern(1 + n * 5, n as u64));
            connection.send_datagram(datagram.clone()).unwrap();
            assert!(connection.read_datagram().await.unwrap() == datagram);
        }
        assert_eq!(server.seen.datagrams.load(Relaxed), 200);
    });
}
