//! A `read_exact` that is dropped after it has read a part: those bytes are lost.

use std::io;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream};
use executor::sim::FailureKind;
use executor::time::{sleep, timeout};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};

use super::compare;

/// A frame is a length and so many bytes, all equal to it.
async fn write_frames(mut stream: TcpStream) {
    for length in 1..=4_u8 {
        sleep(Duration::from_millis(7)).await;
        stream.write_all(&[length]).await.unwrap();
        // What it is about is looked up.
        sleep(Duration::from_micros(100)).await;
        stream
            .write_all(&vec![length; length.into()])
            .await
            .unwrap();
    }
}

async fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0];
    stream.read_exact(&mut length).await?;
    let mut frame = vec![0; length[0].into()];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Where frames are read, and who writes them.
async fn connection() -> (TcpStream, executor::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let writer = executor::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        write_frames(stream).await;
    });
    (TcpStream::connect(address).await.unwrap(), writer)
}

/// Whoever reads says now and then that it is alive.
const PATIENCE: Duration = Duration::from_millis(10);

pub(super) async fn read_with_timeout() {
    let (mut stream, writer) = connection().await;
    let mut length = 1;
    while length <= 4 {
        // Each attempt begins with the length of a frame.
        if let Ok(frame) = timeout(PATIENCE, read_frame(&mut stream)).await {
            assert_eq!(frame.unwrap(), vec![length; length.into()], "out of step");
            length += 1;
        }
    }
    writer.await.unwrap();
}

async fn read_on() {
    let (stream, writer) = connection().await;
    let frames = futures::stream::unfold(stream, |mut stream| async move {
        let frame = read_frame(&mut stream).await;
        Some((frame, stream))
    });
    let mut frames = Box::pin(frames);
    let mut length = 1;
    while length <= 4 {
        // The stream keeps what it has read of a frame.
        if let Ok(Some(frame)) = timeout(PATIENCE, frames.next()).await {
            assert_eq!(frame.unwrap(), vec![length; length.into()]);
            length += 1;
        }
    }
    writer.await.unwrap();
}

#[test]
fn a_read_that_times_out_loses_bytes() {
    compare(FailureKind::Panic, "", read_with_timeout, read_on);
}
