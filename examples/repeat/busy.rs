//! A program that uses all of the runtime.

use std::net::SocketAddr;
use std::time::Duration;

use async_channel::unbounded;
use executor::net::{TcpListener, TcpStream};
use executor::sim;
use executor::time::{interval, sleep, timeout};
use futures::io::{AsyncReadExt, AsyncWriteExt};

/// Answers with what comes, on each connection.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        executor::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            futures::io::copy(&mut reader, &mut writer).await.unwrap();
        });
    }
}

/// Sends a number to the server and gives what comes back.
async fn ask(server: SocketAddr, number: u64) -> u64 {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(&number.to_be_bytes()).await.unwrap();
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.unwrap();
    u64::from_be_bytes(answer)
}

/// 100 tasks with timers, a channel, sockets, blocking jobs and polls that block.
pub(crate) async fn busy() -> u64 {
    let (sender, receiver) = unbounded();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let serving = executor::spawn(serve(listener));
    let workers: Vec<_> = (0..100_u64)
        .map(|index| {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            executor::spawn(async move {
                let mut sum = 0;
                let mut ticks = interval(Duration::from_millis(1 + index % 5));
                for round in 0..6 {
                    match (index + round) % 8 {
                        0 => sim::block(Duration::from_micros(300 * index)),
                        1 => sim::compute(Duration::from_micros(500 * index)),
                        2 => {
                            let job = move || {
                                sim::block(Duration::from_millis(index % 4));
                                index
                            };
                            sum += executor::spawn_blocking(job).await.unwrap();
                        }
                        3 => drop(timeout(Duration::from_millis(2), receiver.recv()).await),
                        4 => drop(ticks.tick().await),
                        5 => {
                            sum += executor::spawn(async move {
                                sleep(Duration::from_micros(index)).await;
                                index
                            })
                            .await
                            .unwrap();
                        }
                        6 => sum += ask(server, index).await,
                        _ => executor::task::yield_now().await,
                    }
                    sender.send(sum + round).await.unwrap();
                }
                sum
            })
        })
        .collect();
    drop(sender);
    let mut sum = 0;
    for worker in workers {
        sum += worker.await.unwrap();
    }
    while let Ok(sent) = receiver.try_recv() {
        sum += sent;
    }
    serving.abort();
    assert!(serving.await.is_err());
    sum
}
