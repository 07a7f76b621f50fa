//! actix-rt: systems and arbiters, each a thread with a runtime and a set of tasks that need not be `Send`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_rt::net::{TcpListener, TcpStream};
use actix_rt::{Arbiter, System};
use libraries_tokio_context::bounded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

#[test]
fn tasks_of_a_thread_share_what_is_not_send() {
    bounded(|| {
        System::new().block_on(async {
            let echoed = Rc::new(Cell::new(0));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let counter = echoed.clone();
            let server = actix_rt::spawn(async move {
                for _ in 0..10 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let counter = counter.clone();
                    actix_rt::spawn(async move {
                        let (mut reader, mut writer) = stream.split();
                        let copied = tokio::io::copy(&mut reader, &mut writer).await;
                        counter.set(counter.get() + copied.unwrap());
                    });
                }
            });
            let clients: Vec<_> = (0..10)
                .map(|n| {
                    actix_rt::spawn(async move {
                        actix_rt::time::sleep(Duration::from_millis(n)).await;
                        let mut stream = TcpStream::connect(address).await.unwrap();
                        stream.write_all(&[7; 10_000]).await.unwrap();
                        stream.shutdown().await.unwrap();
                        let mut back = Vec::new();
                        stream.read_to_end(&mut back).await.unwrap();
                        assert!(back == [7; 10_000]);
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            server.await.unwrap();
            while echoed.get() < 100_000 {
                actix_rt::task::yield_now().await;
            }
        });
    });
}

#[test]
fn arbiters_run_what_they_are_given_until_they_are_stopped() {
    bounded(|| {
        let system = System::new();
        let arbiters: Vec<_> = (0..4).map(|_| Arbiter::new()).collect();
        let names: Vec<_> = arbiters
            .iter()
            .map(|arbiter| {
                let (sender, receiver) = oneshot::channel();
                assert!(arbiter.spawn(async move {
                    let here = std::thread::current().id();
                    let local = Rc::new(here);
                    let same = actix_rt::spawn(async move {
                        actix_rt::time::sleep(Duration::from_millis(1)).await;
                        *local == std::thread::current().id()
                    });
                    sender.send((here, same.await.unwrap())).unwrap();
                }));
                receiver
            })
            .collect();
        let seen = system.block_on(futures::future::join_all(names));
        let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
        assert!(seen.iter().all(|(_, same)| *same));
        let threads: std::collections::HashSet<_> = seen.iter().map(|(id, _)| id).collect();
        assert_eq!(threads.len(), 4);
        for arbiter in arbiters {
            assert!(arbiter.stop());
            arbiter.join().unwrap();
        }
        let stops = System::current();
        system.block_on(async move {
            actix_rt::spawn(async move { stops.stop_with_code(7) });
        });
        assert_eq!(system.run_with_code().unwrap(), 7);
    });
}
