//! A `read_exact` that is dropped after it has read a part: those bytes are lost.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::{Receiver, Sender, unbounded};
use executor::sim::FailureKind;
use executor::time::{sleep, timeout};
use futures::io::{AsyncRead, AsyncReadExt};
use futures::{Stream, StreamExt};

use super::compare;

/// The end of a pipe at which bytes arrive in the pieces in which they were sent.
struct Pipe {
    pieces: Pin<Box<Receiver<Vec<u8>>>>,
    left: Vec<u8>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        while self.left.is_empty() {
            match std::task::ready!(self.pieces.as_mut().poll_next(cx)) {
                Some(piece) => self.left = piece,
                None => return Poll::Ready(Ok(0)),
            }
        }
        let count = self.left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Poll::Ready(Ok(count))
    }
}

fn pipe() -> (Sender<Vec<u8>>, Pipe) {
    let (sender, receiver) = unbounded();
    let pipe = Pipe {
        pieces: Box::pin(receiver),
        left: Vec::new(),
    };
    (sender, pipe)
}

/// A frame is a length and so many bytes, all equal to it.
async fn write_frames(pipe: Sender<Vec<u8>>) {
    for length in 1..=4_u8 {
        sleep(Duration::from_millis(7)).await;
        pipe.send(vec![length]).await.unwrap();
        // What it is about is looked up.
        sleep(Duration::from_micros(100)).await;
        pipe.send(vec![length; length.into()]).await.unwrap();
    }
}

async fn read_frame(pipe: &mut Pipe) -> std::io::Result<Vec<u8>> {
    let mut length = [0];
    pipe.read_exact(&mut length).await?;
    let mut frame = vec![0; length[0].into()];
    pipe.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Whoever reads says now and then that it is alive.
const PATIENCE: Duration = Duration::from_millis(10);

pub(super) async fn read_with_timeout() {
    let (sender, mut pipe) = pipe();
    let writer = executor::spawn(write_frames(sender));
    let mut length = 1;
    while length <= 4 {
        // Each attempt begins with the length of a frame.
        if let Ok(frame) = timeout(PATIENCE, read_frame(&mut pipe)).await {
            assert_eq!(frame.unwrap(), vec![length; length.into()], "out of step");
            length += 1;
        }
    }
    writer.await.unwrap();
}

async fn read_on() {
    let (sender, pipe) = pipe();
    let writer = executor::spawn(write_frames(sender));
    let frames = futures::stream::unfold(pipe, |mut pipe| async move {
        let frame = read_frame(&mut pipe).await;
        Some((frame, pipe))
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
