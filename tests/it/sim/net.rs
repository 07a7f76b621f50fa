//! Sockets of a simulation.

use std::io::ErrorKind;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream, UdpSocket};
use executor::sim;
use futures::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn a_server_answers_its_clients() {
    for seed in 0..50 {
        sim::Builder::new()
            .seed(seed)
            .processors(3)
            .build()
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let server = executor::spawn(async move {
                    let mut tasks = executor::task::JoinSet::new();
                    for _ in 0..10 {
                        let (mut stream, _) = listener.accept().await.unwrap();
                        tasks.spawn(async move {
                            let mut all = Vec::new();
                            stream.read_to_end(&mut all).await.unwrap();
                            stream.write_all(&all).await.unwrap();
                        });
                    }
                    while let Some(done) = tasks.join_next().await {
                        done.unwrap();
                    }
                });
                let clients: Vec<_> = (0..10_usize)
                    .map(|index| {
                        executor::spawn(async move {
                            let sent = vec![index as u8; 300_000];
                            let mut stream = TcpStream::connect(address).await.unwrap();
                            stream.write_all(&sent[..index * 100]).await.unwrap();
                            stream.write_all(&sent[index * 100..]).await.unwrap();
                            stream.close().await.unwrap();
                            let mut all = Vec::new();
                            stream.read_to_end(&mut all).await.unwrap();
                            assert!(all == sent);
                        })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
                server.await.unwrap();
            })
            .unwrap();
    }
}
