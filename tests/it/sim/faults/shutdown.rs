//! A worker that stops when it is told to, though messages are left.

use std::time::Duration;

use async_channel::{Receiver, bounded, unbounded};
use executor::sim::FailureKind;
use executor::time::sleep;
use futures::future::{Either, select};

use super::compare;

async fn write(log: &mut Vec<u32>, line: u32) {
    sleep(Duration::from_millis(1)).await;
    log.push(line);
}

/// Writes what comes, until it is told to stop.
async fn write_until_told(lines: Receiver<u32>, stop: Receiver<()>) -> Vec<u32> {
    let mut log = Vec::new();
    loop {
        let (stopped, line) = (Box::pin(stop.recv()), Box::pin(lines.recv()));
        match select(stopped, line).await {
            Either::Right((Ok(line), _)) => write(&mut log, line).await,
            _ => return log,
        }
    }
}

/// The same, and then what is left.
async fn write_all(lines: Receiver<u32>, stop: Receiver<()>) -> Vec<u32> {
    let mut log = write_until_told(lines.clone(), stop).await;
    lines.close();
    while let Ok(line) = lines.recv().await {
        write(&mut log, line).await;
    }
    log
}

async fn program<F>(writer: fn(Receiver<u32>, Receiver<()>) -> F)
where
    F: Future<Output = Vec<u32>> + Send + 'static,
{
    let (lines, receiver) = unbounded();
    let (stop, stopped) = bounded(1);
    let writer = executor::spawn(writer(receiver, stopped));
    for line in 0..4 {
        sleep(Duration::from_millis(5)).await;
        lines.send(line).await.unwrap();
    }
    sleep(Duration::from_millis(5)).await;
    stop.send(()).await.unwrap();
    let log = writer.await.unwrap();
    assert_eq!(log, [0, 1, 2, 3], "lines were lost");
}

pub(super) async fn stops_at_once() {
    program(write_until_told).await;
}

async fn stops_at_the_end() {
    program(write_all).await;
}

#[test]
fn the_last_message_is_dropped() {
    compare(
        FailureKind::Panic,
        "lines were lost",
        stops_at_once,
        stops_at_the_end,
    );
}
