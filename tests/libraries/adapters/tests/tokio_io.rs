//! tokio's own I/O utilities over pipes, streams and halves.

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::os::fd::OwnedFd;

use bytes::{Buf, Bytes, BytesMut};
use executor::io::Async;
use executor::net::unix::UnixStream;
use executor::net::{TcpListener, TcpStream};
use libraries_adapters::{pattern, test};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter,
};

const MIB: usize = 1 << 20;

/// A pipe: what comes out, and what goes in.
fn pipe() -> (Async<File>, Async<File>) {
    let (reader, writer) = std::io::pipe().unwrap();
    let file = |fd: OwnedFd| Async::new(File::from(fd)).unwrap();
    (file(reader.into()), file(writer.into()))
}

/// Two ends of a TCP connection.
async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (near, listener.accept().await.unwrap().0)
}

async fn read_all(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = from.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(read, bytes.len());
    bytes
}

/// Sends a mebibyte one way, in two tasks; the writer is dropped at the end.
async fn send_a_mebibyte(
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    from: impl AsyncRead + Unpin,
) {
    let bytes = pattern(MIB, 1);
    let writer = executor::spawn(async move {
        to.write_all(&bytes).await.unwrap();
        to.shutdown().await.unwrap();
    });
    assert!(read_all(from).await == pattern(MIB, 1));
    writer.await.unwrap();
}

#[test]
fn no_byte_is_lost_where_the_reader_is_behind() {
    test(async {
        let (reader, writer) = pipe();
        send_a_mebibyte(writer, reader).await;
        let (near, far) = tcp_pair().await;
        send_a_mebibyte(near, far).await;
        let (near, far) = UnixStream::pair().unwrap();
        send_a_mebibyte(near, far).await;
        let (near, far) = tcp_pair().await;
        let (_near_read, near_write) = near.into_split();
        let (far_read, _far_write) = far.into_split();
        send_a_mebibyte(near_write, far_read).await;
    });
}

#[test]
fn lines_are_the_same_lines_wherever_the_chunks_end() {
    test(async {
        let (reader, writer) = pipe();
        let line = |n: usize| format!("{n}:{}", "x".repeat(n % 257));
        let writer = executor::spawn(async move {
            let mut writer = BufWriter::with_capacity(1000, writer);
            for n in 0..5000 {
                writer.write_all(line(n).as_bytes()).await.unwrap();
                writer.write_all(b"\n").await.unwrap();
            }
            writer.flush().await.unwrap();
        });
        let mut lines = BufReader::with_capacity(777, reader).lines();
        let mut count = 0;
        while let Some(got) = lines.next_line().await.unwrap() {
            assert_eq!(got, line(count));
            count += 1;
        }
        assert_eq!(count, 5000);
        writer.await.unwrap();
    });
}

#[test]
fn read_exact_takes_what_was_asked_for_and_tells_an_early_end() {
    test(async {
        let (mut near, mut far) = tcp_pair().await;
        let bytes = pattern(100_000, 2);
        let sent = bytes.clone();
        let writer = executor::spawn(async move {
            for piece in sent.chunks(317) {
                near.write_all(piece).await.unwrap();
            }
        });
        let mut buf = vec![0; 7001];
        let mut seen = 0;
        while bytes.len() - seen >= buf.len() {
            far.read_exact(&mut buf).await.unwrap();
            assert!(buf[..] == bytes[seen..seen + buf.len()]);
            seen += buf.len();
        }
        let error = far.read_exact(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(buf[..bytes.len() - seen] == bytes[seen..]);
        writer.await.unwrap();
    });
}

#[test]
fn a_read_appends_to_what_the_buffer_holds() {
    test(async {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = pipe();
        for n in 0..100u8 {
            let (mut one, mut other) = (BytesMut::new(), BytesMut::with_capacity(3));
            one.extend_from_slice(b"before");
            other.extend_from_slice(b"b");
            near.write_all(&[n; 2]).await.unwrap();
            writer.write_all(&[n; 2]).await.unwrap();
            assert_eq!(far.read_buf(&mut one).await.unwrap(), 2);
            assert_eq!(reader.read_buf(&mut other).await.unwrap(), 2);
            assert_eq!(one[..], [b'b', b'e', b'f', b'o', b'r', b'e', n, n]);
            assert_eq!(other[..], [b'b', n, n]);
        }
        near.write_all(b"12345").await.unwrap();
        let mut limited = (&mut far).take(3);
        let mut text = String::new();
        drop(near);
        assert_eq!(limited.read_to_string(&mut text).await.unwrap(), 3);
        assert_eq!(text, "123");
        assert_eq!(read_all(far).await, b"45");
    });
}

/// A mebibyte in 1025 pieces, which `write_all_buf` hands over vectored.
async fn send_in_pieces(
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    from: impl AsyncRead + Unpin,
) {
    assert!(to.is_write_vectored());
    let bytes = Bytes::from(pattern(MIB, 3));
    let mut pieces: Box<dyn Buf + Send> = Box::new(Bytes::new());
    for start in (0..MIB).step_by(64 * 1024) {
        let middle = start + 1 + start / 64;
        let end = start + 64 * 1024;
        let two = bytes.slice(start..middle).chain(bytes.slice(middle..end));
        pieces = Box::new(pieces.chain(two));
    }
    let writer = executor::spawn(async move {
        to.write_all_buf(&mut pieces).await.unwrap();
        assert!(!pieces.has_remaining());
        to.shutdown().await.unwrap();
    });
    assert!(read_all(from).await == bytes);
    writer.await.unwrap();
}

#[test]
fn vectored_buffers_arrive_whole_and_in_order() {
    test(async {
        let (reader, writer) = pipe();
        send_in_pieces(writer, reader).await;
        let (near, far) = tcp_pair().await;
        send_in_pieces(near, far).await;
        let (near, far) = UnixStream::pair().unwrap();
        let (_read, write) = near.into_split();
        send_in_pieces(write, far).await;
    });
}

/// More slices than the system takes at once.
async fn send_many_slices(mut to: impl AsyncWrite + Unpin, mut from: impl AsyncRead + Unpin) {
    let bytes = pattern(3000, 4);
    let slices: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
    let written = to.write_vectored(&slices).await.unwrap();
    assert!((1..=3000).contains(&written));
    let mut got = vec![0; written];
    from.read_exact(&mut got).await.unwrap();
    assert!(got == bytes[..written]);
}

#[test]
fn more_slices_than_the_system_takes_are_a_short_write_not_an_error() {
    test(async {
        let (reader, writer) = pipe();
        send_many_slices(writer, reader).await;
        let (near, far) = tcp_pair().await;
        send_many_slices(near, far).await;
        let (near, far) = UnixStream::pair().unwrap();
        send_many_slices(near, far).await;
    });
}

#[test]
fn a_shutdown_ends_one_direction_only() {
    test(async {
        let (mut near, mut far) = tcp_pair().await;
        AsyncWriteExt::shutdown(&mut near).await.unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        far.write_all(b"still here").await.unwrap();
        drop(far);
        assert_eq!(read_all(&mut near).await, b"still here");
        assert_eq!(
            near.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

/// A client sends `there` through a proxy, a server `back`; the proxy must count them.
async fn through_a_proxy(there: usize, back: usize) {
    let (mut client, mut front) = tcp_pair().await;
    let (mut behind, mut server) = UnixStream::pair().unwrap();
    let proxy = executor::spawn(async move {
        tokio::io::copy_bidirectional(&mut front, &mut behind)
            .await
            .unwrap()
    });
    let server = executor::spawn(async move {
        let (read, mut write) = tokio::io::split(&mut server);
        let writer = async {
            write.write_all(&pattern(back, 6)).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (got, ()) = futures::future::join(read_all(read), writer).await;
        assert!(got == pattern(there, 5));
    });
    let (read, mut write) = tokio::io::split(&mut client);
    let writer = async {
        write.write_all(&pattern(there, 5)).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let (got, ()) = futures::future::join(read_all(read), writer).await;
    assert!(got == pattern(back, 6));
    server.await.unwrap();
    assert_eq!(proxy.await.unwrap(), (there as u64, back as u64));
}

#[test]
fn a_proxy_copies_both_directions_to_their_ends() {
    test(async {
        through_a_proxy(MIB, MIB + 7).await;
        through_a_proxy(0, MIB).await;
        through_a_proxy(1, 0).await;
    });
}

#[test]
fn many_proxies_at_once_do_not_mix_up_their_bytes() {
    test(async {
        let proxies: Vec<_> = (0..32)
            .map(|n| executor::spawn(through_a_proxy(n * 5000, (32 - n) * 3000)))
            .collect();
        for proxy in proxies {
            proxy.await.unwrap();
        }
    });
}

#[test]
fn a_copy_from_a_pipe_into_a_socket_ends_with_the_pipe() {
    test(async {
        let (mut reader, mut writer) = pipe();
        let (mut near, far) = tcp_pair().await;
        let source = executor::spawn(async move {
            for piece in pattern(MIB, 8).chunks(9999) {
                writer.write_all(piece).await.unwrap();
            }
        });
        let copy = executor::spawn(async move {
            let copied = tokio::io::copy(&mut reader, &mut near).await.unwrap();
            assert_eq!(copied, MIB as u64);
        });
        assert!(read_all(far).await == pattern(MIB, 8));
        source.await.unwrap();
        copy.await.unwrap();
    });
}

#[test]
fn halves_in_two_tasks_make_a_duplex_stream_again() {
    test(async {
        let (near, far) = tcp_pair().await;
        let (read, write) = near.into_split();
        let mut joined = tokio::io::join(read, write);
        let echo = executor::spawn(async move {
            let (mut read, mut write) = tokio::io::split(far);
            tokio::io::copy(&mut read, &mut write).await.unwrap()
        });
        let mut buf = vec![0; 10_000];
        for n in 0..50 {
            let bytes = pattern(buf.len(), n);
            joined.write_all(&bytes).await.unwrap();
            joined.read_exact(&mut buf).await.unwrap();
            assert!(buf == bytes);
        }
        drop(joined);
        assert_eq!(echo.await.unwrap(), 500_000);
    });
}
