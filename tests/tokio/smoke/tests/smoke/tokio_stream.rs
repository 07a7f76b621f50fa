//! tokio-stream: what wraps tokio's listeners, channels, timers, lines, folders and signals.

use std::collections::BTreeSet;
use std::time::Duration;

use libraries_tokio_context::{everywhere, output};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, interval};
use tokio_stream::wrappers::{
    BroadcastStream, IntervalStream, LinesStream, ReadDirStream, ReceiverStream, SignalStream,
    TcpListenerStream, UnixListenerStream, WatchStream,
};
use tokio_stream::{StreamExt, StreamMap};

/// Never, in these tests.
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn listeners_and_lines() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        let client = tokio::spawn(async move {
            for n in 0..5 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let text = format!("{n}\nmore\n");
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut stream = UnixStream::connect(&path).await.unwrap();
                stream.write_all(b"unix\n").await.unwrap();
            }
        });
        let mut incoming = TcpListenerStream::new(listener).take(5);
        let mut unix = UnixListenerStream::new(unix);
        let mut n = 0;
        while let Some(stream) = incoming.next().await {
            let lines = LinesStream::new(BufReader::new(stream.unwrap()).lines());
            let lines: Vec<_> = lines.map(Result::unwrap).collect().await;
            assert_eq!(lines, [n.to_string(), "more".to_owned()]);
            let stream = unix.next().await.unwrap().unwrap();
            let mut lines = LinesStream::new(BufReader::new(stream).lines());
            assert_eq!(lines.next().await.unwrap().unwrap(), "unix");
            n += 1;
        }
        assert_eq!(n, 5);
        output(client).await;
    });
}

#[test]
fn channels_and_timers() {
    everywhere(|| async {
        let (sender, receiver) = mpsc::channel(2);
        let (events, subscribed) = broadcast::channel(100);
        let (state, watcher) = watch::channel(0u32);
        let begin = Instant::now();
        let sending = tokio::spawn(async move {
            let mut ticks = IntervalStream::new(interval(Duration::from_millis(1))).take(10);
            let mut n = 0;
            while let Some(tick) = ticks.next().await {
                assert!(tick >= begin + Duration::from_millis(n));
                sender.send(n).await.unwrap();
                events.send(n).unwrap();
                state.send(n as u32).unwrap();
                n += 1;
            }
        });
        let mut both = StreamMap::new();
        let events = BroadcastStream::new(subscribed).map(Result::unwrap);
        both.insert(
            "channel",
            Box::pin(ReceiverStream::new(receiver))
                as std::pin::Pin<Box<dyn tokio_stream::Stream<Item = u64> + Send>>,
        );
        both.insert("events", Box::pin(events));
        let mut got = both.collect::<Vec<_>>().await;
        got.sort();
        let expected = |name| (0..10).map(move |n| (name, n));
        assert!(
            got.into_iter()
                .eq(expected("channel").chain(expected("events")))
        );
        output(sending).await;
        let states: Vec<_> = WatchStream::new(watcher).collect().await;
        assert_eq!(states, [9]);
    });
}

#[test]
fn limits_of_time() {
    everywhere(|| async {
        let never = tokio_stream::pending::<()>().timeout(Duration::from_millis(5));
        tokio::pin!(never);
        assert!(never.next().await.unwrap().is_err());
        let begin = Instant::now();
        let slow = tokio_stream::iter(0..5).throttle(Duration::from_millis(2));
        assert_eq!(slow.collect::<Vec<_>>().await, [0, 1, 2, 3, 4]);
        assert!(begin.elapsed() >= Duration::from_millis(8));
        let chunks = tokio_stream::iter(0..10).chunks_timeout(4, HOUR);
        let chunks: Vec<_> = chunks.collect().await;
        assert_eq!(chunks, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    });
}

#[test]
fn folders() {
    everywhere(|| async {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..100 {
            tokio::fs::write(folder.path().join(n.to_string()), "")
                .await
                .unwrap();
        }
        let entries = ReadDirStream::new(tokio::fs::read_dir(folder.path()).await.unwrap());
        let names: BTreeSet<u32> = entries
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect();
        assert!(names.into_iter().eq(0..100));
    });
}

#[test]
fn signals() {
    use tokio::signal::unix::{SignalKind, signal};
    everywhere(|| async {
        let signal = signal(SignalKind::window_change()).unwrap();
        let mut signals = SignalStream::new(signal);
        for _ in 0..3 {
            let pid = std::process::id().to_string();
            let mut kill = tokio::process::Command::new("kill");
            assert!(
                kill.args(["-WINCH", &pid])
                    .status()
                    .await
                    .unwrap()
                    .success()
            );
            signals.next().await.unwrap();
        }
    });
}
