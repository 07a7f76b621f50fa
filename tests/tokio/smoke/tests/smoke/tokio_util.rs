//! tokio-util: codecs, the bridge between readers and streams, and what keeps track of tasks and of time.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, TryStreamExt};
use libraries_adapters::pattern;
use libraries_tokio_context::{everywhere, output};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::Instant;
use tokio_util::codec::{BytesCodec, Framed, LengthDelimitedCodec, LinesCodec};
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, JoinMap, LocalPoolHandle, TaskTracker};
use tokio_util::time::DelayQueue;
use tokio_util::udp::UdpFramed;

/// Never, in these tests.
const HOUR: Duration = Duration::from_secs(3600);

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

#[test]
fn frames_come_one_by_one() {
    everywhere(|| async {
        let (near, far) = pair().await;
        let echo = tokio::spawn(async move {
            let (sink, stream) = Framed::new(far, LengthDelimitedCodec::new()).split();
            stream.map_ok(BytesMut::freeze).forward(sink).await.unwrap();
        });
        let mut framed = Framed::new(near, LengthDelimitedCodec::new());
        for n in 0..100u64 {
            let frame = Bytes::from(pattern((n * n * 7) as usize, n));
            framed.send(frame.clone()).await.unwrap();
            assert!(framed.next().await.unwrap().unwrap() == frame);
        }
        drop(framed);
        output(echo).await;

        let (near, far) = pair().await;
        let mut far = Framed::new(far, LinesCodec::new_with_max_length(10));
        far.send("hello").await.unwrap();
        let mut near = Framed::new(near, LinesCodec::new());
        assert_eq!(near.next().await.unwrap().unwrap(), "hello");
        near.send("longer than it may be").await.unwrap();
        assert!(far.next().await.unwrap().is_err());
    });
}

#[test]
fn datagrams_are_frames_too() {
    everywhere(|| async {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (from, to) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        let mut near = UdpFramed::new(near, BytesCodec::new());
        let mut far = UdpFramed::new(far, BytesCodec::new());
        for n in 0..20u8 {
            near.send((Bytes::from(vec![n; 100]), to)).await.unwrap();
            let (frame, sender) = far.next().await.unwrap().unwrap();
            assert_eq!((&frame[..], sender), (&[n; 100][..], from));
        }
    });
}

#[test]
fn readers_and_streams_are_made_from_each_other() {
    everywhere(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes = pattern(200_000, 3);
        tokio::fs::write(&path, &bytes).await.unwrap();
        let (mut near, far) = pair().await;
        let sender = tokio::spawn(async move {
            let file = tokio::fs::File::open(path).await.unwrap();
            let mut reader = StreamReader::new(ReaderStream::new(file));
            tokio::io::copy_buf(&mut reader, &mut near).await.unwrap()
        });
        // By the traits of std, on a thread that may block.
        let mut far = SyncIoBridge::new(far);
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            std::io::Read::read_to_end(&mut far, &mut read).map(|_| read)
        });
        assert!(output(read).await.unwrap() == bytes);
        assert_eq!(output(sender).await, 200_000);
    });
}

#[test]
fn tasks_are_cancelled_and_waited_for() {
    everywhere(|| async {
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let ended = Arc::new(AtomicUsize::new(0));
        for n in 0..50 {
            let (token, ended) = (token.child_token(), ended.clone());
            tracker.spawn(async move {
                if n % 2 == 0 {
                    token.cancelled().await;
                } else {
                    let slept = token.run_until_cancelled(tokio::time::sleep(HOUR)).await;
                    assert!(slept.is_none());
                }
                ended.fetch_add(1, Relaxed);
            });
        }
        let jobs = ended.clone();
        tracker.spawn_blocking(move || jobs.fetch_add(1, Relaxed));
        tracker.close();
        let mut wait = Box::pin(tracker.wait());
        assert!(futures::poll!(&mut wait).is_pending());
        token.cancel();
        wait.await;
        assert_eq!(ended.load(Relaxed), 51);

        let mut map = JoinMap::new();
        for n in 0..20 {
            map.spawn(n, async move { n * n });
        }
        while let Some((n, square)) = map.join_next().await {
            assert_eq!(square.unwrap(), n * n);
        }
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        drop(AbortOnDropHandle::new(task));
        assert!(receiver.await.is_err());
    });
}

#[test]
fn a_pool_of_threads_has_tasks_that_need_not_be_send() {
    everywhere(|| async {
        let pool = LocalPoolHandle::new(2);
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                pool.spawn_pinned(move || async move {
                    let local = Rc::new(n);
                    let other = local.clone();
                    let task = tokio::task::spawn_local(async move {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        *other
                    });
                    *local + task.await.unwrap()
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(output(task).await, 2 * n);
        }
    });
}

#[test]
fn a_queue_gives_each_item_at_its_time() {
    everywhere(|| async {
        let (mut queue, begin) = (DelayQueue::new(), Instant::now());
        let keys: Vec<_> = (0..10)
            .map(|n| queue.insert(n, Duration::from_millis(2 * n)))
            .collect();
        queue.remove(&keys[3]);
        queue.reset(&keys[5], HOUR);
        let mut got = Vec::new();
        while let Some(expired) = queue.next().await {
            let n = expired.into_inner();
            got.push(n);
            if n == 5 {
                break;
            }
            assert!(begin.elapsed() >= Duration::from_millis(2 * n));
            if n == 9 {
                queue.reset(&keys[5], Duration::ZERO);
            }
        }
        assert_eq!(got, [0, 1, 2, 4, 6, 7, 8, 9, 5]);
        assert!(queue.next().await.is_none());
    });
}

/// A simplex pipe in memory, with both ends in tasks.
#[test]
fn a_pipe_in_memory_holds_back_its_writer() {
    everywhere(|| async {
        let (mut writer, mut reader) = tokio_util::io::simplex::new(64);
        let task = tokio::spawn(async move {
            writer.write_all(&pattern(10_000, 5)).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut read = Vec::new();
        reader.read_to_end(&mut read).await.unwrap();
        assert!(read == pattern(10_000, 5));
        output(task).await;
    });
}
