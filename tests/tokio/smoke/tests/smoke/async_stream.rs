//! async-stream: a server's connections and their lines as streams.

use std::io;

use async_stream::{stream, try_stream};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use libraries_tokio_context::{everywhere, output};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn connections(listener: TcpListener) -> impl Stream<Item = TcpStream> {
    stream! {
        loop {
            yield listener.accept().await.unwrap().0;
        }
    }
}

fn numbers(stream: TcpStream) -> impl Stream<Item = io::Result<u64>> {
    try_stream! {
        let mut lines = BufReader::new(stream).lines();
        while let Some(line) = lines.next_line().await? {
            yield line.parse().map_err(io::Error::other)?;
        }
    }
}

#[test]
fn lines_of_many_connections_add_up() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..10u64)
            .map(|id| {
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    for n in 0..20 {
                        let line = format!("{}\n", id * n);
                        stream.write_all(line.as_bytes()).await.unwrap();
                    }
                    if id == 9 {
                        stream.write_all(b"none\n").await.unwrap();
                    }
                })
            })
            .collect();
        let sums = connections(listener)
            .take(10)
            .map(|stream| async move {
                let numbers = numbers(stream);
                pin_mut!(numbers);
                let mut sum = 0;
                loop {
                    match numbers.try_next().await {
                        Ok(Some(n)) => sum += n,
                        Ok(None) => break (sum, false),
                        Err(_) => break (sum, true),
                    }
                }
            })
            .buffer_unordered(10)
            .collect::<Vec<_>>();
        let sums = sums.await;
        assert_eq!(sums.iter().map(|(sum, _)| sum).sum::<u64>(), 45 * 190);
        assert_eq!(sums.iter().filter(|(_, failed)| *failed).count(), 1);
        for client in clients {
            output(client).await;
        }
    });
}
