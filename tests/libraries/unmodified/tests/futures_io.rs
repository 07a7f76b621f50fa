//! The I/O extensions of `futures` on our sockets: copies, halves, lines, accepting as a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use executor::net::unix::UnixStream;
use executor::net::{TcpListener, TcpStream};
use executor::spawn;
use futures::io::{BufReader, BufWriter, Cursor, copy, copy_buf};
use futures::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt, TryStreamExt,
    join, try_join,
};
use libraries_unmodified::{ANY, bytes, connected, everywhere};

/// Many times what one call moves, and no multiple of a buffer's size.
const LEN: usize = 1024 * 1024 + 1;

/// More than the buffers of two TCP sockets hold while nobody reads.
const MORE: usize = 4 * LEN;

/// Sends and receives at the same time, on halves made by `split`, in two tasks.
async fn exchange<S>(stream: S, out: Vec<u8>) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = stream.split();
    let writing = spawn(async move {
        writer.write_all(&out).await.unwrap();
        writer.close().await.unwrap();
        writer
    });
    let reading = spawn(async move {
        let mut data = Vec::new();
        reader.read_to_end(&mut data).await.unwrap();
        (reader, data)
    });
    // Neither half may go before both are done: the halves share the stream.
    let writer = writing.await.unwrap();
    let (reader, data) = reading.await.unwrap();
    assert!(reader.is_pair_of(&writer));
    data
}

/// Both sides exchange, and get what the other one sent.
async fn both_ways<S>(len: usize, (a, b): (S, S))
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (from_a, from_b) = (bytes(len, 1), bytes(len, 2));
    let a = spawn(exchange(a, from_a.clone()));
    let b = spawn(exchange(b, from_b.clone()));
    assert!(a.await.unwrap() == from_b, "the bytes differ");
    assert!(b.await.unwrap() == from_a, "the bytes differ");
}

#[test]
fn halves_in_two_tasks_do_not_hold_each_other_up() {
    everywhere(async || both_ways(MORE, connected().await).await);
}

#[test]
fn halves_of_unix_streams_in_two_tasks_do_not_hold_each_other_up() {
    everywhere(async || both_ways(LEN, UnixStream::pair().unwrap()).await);
}

#[test]
fn references_to_a_stream_read_and_write_in_one_task() {
    everywhere(async || {
        let (a, b) = connected().await;
        let side = async |stream: TcpStream, seed| {
            let (mut reader, mut writer) = (&stream, &stream);
            let (out, mut data) = (bytes(LEN, seed), Vec::new());
            let send = async {
                writer.write_all(&out).await?;
                writer.close().await
            };
            try_join!(send, reader.read_to_end(&mut data)).unwrap();
            data
        };
        let (from_b, from_a) = join!(side(a, 1), side(b, 2));
        assert!(from_b == bytes(LEN, 2) && from_a == bytes(LEN, 1));
    });
}

#[test]
fn a_proxy_of_two_copies_moves_every_byte_and_both_ends() {
    everywhere(async || {
        let (client, inner) = connected().await;
        let (outer, server) = connected().await;
        let proxy = spawn(async move {
            let there = async {
                let count = copy(&inner, &mut &outer).await?;
                (&outer).close().await.map(|()| count)
            };
            let back = async {
                let count = copy_buf(BufReader::new(&outer), &mut &inner).await?;
                (&inner).close().await.map(|()| count)
            };
            try_join!(there, back).unwrap()
        });
        let server = spawn(async move {
            let count = copy(&server, &mut &server).await.unwrap();
            (&server).close().await.unwrap();
            count
        });
        let out = bytes(LEN, 3);
        assert!(exchange(client, out.clone()).await == out);
        assert_eq!(server.await.unwrap(), LEN as u64);
        assert_eq!(proxy.await.unwrap(), (LEN as u64, LEN as u64));
    });
}

#[test]
fn lines_that_are_cut_anywhere_arrive_whole() {
    everywhere(async || {
        let expected: Vec<String> = (0..3000).map(|n| "x".repeat(n % 97) + ".").collect();
        let text = expected.join("\n");
        let (mut writer, reader) = connected().await;
        writer.set_nodelay(true).unwrap();
        let writing = spawn(async move {
            for (n, mut piece) in text.as_bytes().chunks(61).enumerate() {
                while !piece.is_empty() {
                    let (now, rest) = piece.split_at((n % 13 + 1).min(piece.len()));
                    writer.write_all(now).await.unwrap();
                    piece = rest;
                }
            }
        });
        let lines: Vec<String> = BufReader::new(reader).lines().try_collect().await.unwrap();
        assert_eq!(lines, expected);
        writing.await.unwrap();
    });
}

#[test]
fn what_a_buffered_writer_holds_is_sent_by_its_close() {
    everywhere(async || {
        let (writer, mut reader) = connected().await;
        let out = bytes(100_000, 4);
        let sent = out.clone();
        let writing = spawn(async move {
            let mut writer = BufWriter::with_capacity(1 << 20, writer);
            for piece in sent.chunks(7) {
                writer.write_all(piece).await.unwrap();
            }
            assert_eq!(writer.buffer().len(), sent.len());
            writer.close().await.unwrap();
            assert!(writer.buffer().is_empty());
            writer
        });
        let mut data = Vec::new();
        reader.read_to_end(&mut data).await.unwrap();
        assert!(data == out);
        writing.await.unwrap();
    });
}

#[test]
fn take_chain_and_exact_reads_stop_where_they_should() {
    everywhere(async || {
        let (mut writer, mut reader) = connected().await;
        let out = bytes(1000, 5);
        writer.write_all(&out).await.unwrap();
        writer.close().await.unwrap();
        let mut head = Vec::new();
        (&mut reader)
            .take(300)
            .read_to_end(&mut head)
            .await
            .unwrap();
        assert_eq!(head, out[..300]);
        let mut all = Cursor::new(head).chain(&mut reader);
        let mut data = vec![0; 1000];
        all.read_exact(&mut data).await.unwrap();
        assert_eq!(data, out);
        let error = all.read_exact(&mut data[..1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn accepting_as_a_stream_serves_each_connection_once() {
    everywhere(async || {
        const CLIENTS: usize = 200;
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let server = {
            let served = served.clone();
            spawn(async move {
                let serve = |stream: std::io::Result<TcpStream>| async {
                    let stream = stream.unwrap();
                    assert_eq!(copy(&stream, &mut &stream).await.unwrap(), 1000);
                    (&stream).close().await.unwrap();
                    served.fetch_add(1, SeqCst);
                };
                let connections = listener.incoming().take(CLIENTS);
                connections.for_each_concurrent(50, serve).await;
            })
        };
        let clients = (0..CLIENTS as u64).map(|n| {
            spawn(async move {
                let out = bytes(1000, n);
                let stream = TcpStream::connect(address).await.unwrap();
                exchange(stream, out.clone()).await == out
            })
        });
        for client in futures::future::join_all(clients).await {
            assert!(client.unwrap());
        }
        server.await.unwrap();
        assert_eq!(served.load(SeqCst), CLIENTS);
    });
}
