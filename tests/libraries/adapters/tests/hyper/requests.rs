//! Requests are answered, each once, by either protocol, over either kind of socket.

use std::net::SocketAddr;

use executor::net::TcpStream;
use futures::future::join_all;
use hyper::StatusCode;
use hyper::body::Bytes;
use libraries_adapters::{alive_tasks, assert_no_tokio_context, test, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    BOTH, Connector, MEETING, Pooled, Target, Version, client, collect, full, page, post, server,
    unix_server,
};

async fn get<A: Target>(client: &Pooled<A>, path: &str) -> Bytes {
    let response = client.get(page(path)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    collect(response.into_body()).await
}

/// So many clients, each with its own connection, send so many requests each; every answer must be its own.
async fn many_clients(version: Version, address: SocketAddr, clients: usize, requests: usize) {
    let tasks = (0..clients).map(|id| {
        executor::spawn(async move {
            assert_no_tokio_context();
            let connector = Connector::limited(address, 1);
            let budget = connector.budget.clone();
            let client = client(version, connector);
            for n in 0..requests {
                let number = id * requests + n;
                assert_eq!(
                    get(&client, &format!("/number/{number}")).await,
                    number.to_string()
                );
            }
            // hyper may have begun to make another, in vain, which would wait for ever.
            budget.close();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[test]
fn no_request_of_many_clients_is_lost_or_answered_twice() {
    test(async {
        for version in BOTH {
            let server = server().await;
            many_clients(version, server.address, 16, 100).await;
            assert_eq!(server.site.requests(), 1600);
            assert_eq!(server.site.accepted(), 16);
        }
    });
}

#[test]
fn clients_that_come_and_go_leave_no_task_behind() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        for version in BOTH {
            for _ in 0..10 {
                many_clients(version, server.address, 20, 1).await;
            }
        }
        assert_eq!((server.site.requests(), server.site.accepted()), (400, 400));
        until(|| alive_tasks() == before).await;
    });
}

/// The one connection the client may make has to do: a request that wants another would wait for ever.
#[test]
fn an_idle_connection_is_used_again() {
    test(async {
        for version in BOTH {
            let server = server().await;
            let connector = Connector::limited(server.address, 1);
            let budget = connector.budget.clone();
            let client = client(version, connector);
            for n in 0..200 {
                assert_eq!(get(&client, &format!("/number/{n}")).await, n.to_string());
            }
            assert_eq!((server.site.requests(), server.site.accepted()), (200, 1));
            // What waits for a second connection gives up.
            budget.close();
        }
    });
}

#[test]
fn a_shared_client_makes_no_more_connections_than_requests_at_once() {
    test(async {
        let server = server().await;
        let client = client(Version::Http1, Connector::to(server.address));
        let one = async || {
            for _ in 0..50 {
                assert_eq!(get(&client, "/").await, "hello");
            }
        };
        join_all((0..8).map(|_| one())).await;
        assert_eq!(server.site.requests(), 400);
        assert!((1..=400).contains(&server.site.accepted()));
    });
}

/// The server answers none before it has seen all.
#[test]
fn a_hundred_streams_are_in_flight_on_one_connection() {
    test(async {
        let server = server().await;
        let connector = Connector::limited(server.address, 1);
        let budget = connector.budget.clone();
        let client = client(Version::Http2, connector);
        for _ in 0..3 {
            let answers = join_all((0..MEETING).map(|_| get(&client, "/meet"))).await;
            assert!(answers.iter().all(|answer| answer == "met"));
        }
        assert_eq!(
            (server.site.requests(), server.site.accepted()),
            (3 * MEETING, 1)
        );
        budget.close();
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    test(async {
        let server = server().await;
        let client = |id: usize| async move {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let mut requests = String::new();
            for n in 0..100 {
                let close = if n == 99 { "connection: close\r\n" } else { "" };
                requests += &format!("GET /number/{id}x{n}x HTTP/1.1\r\nhost: a\r\n{close}\r\n");
            }
            stream.write_all(requests.as_bytes()).await.unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await.unwrap();
            assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 100);
            let places: Vec<_> = (0..100)
                .map(|n| answers.find(&format!("\r\n\r\n{id}x{n}x")).unwrap())
                .collect();
            assert!(places.is_sorted());
        };
        let clients: Vec<_> = (0..16).map(|id| executor::spawn(client(id))).collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!((server.site.requests(), server.site.accepted()), (1600, 16));
    });
}

#[test]
fn unix_sockets_do_as_well() {
    test(async {
        let name = format!("libraries-adapters-hyper-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        for version in BOTH {
            let _ = std::fs::remove_file(&path);
            let server = unix_server(path.clone());
            let connector = Connector::limited(path.clone(), 1);
            let budget = connector.budget.clone();
            let client = client(version, connector);
            for n in 0..100 {
                assert_eq!(get(&client, &format!("/number/{n}")).await, n.to_string());
            }
            let bytes = libraries_adapters::pattern(1 << 20, 3);
            let response = client
                .request(post("/echo", full(bytes.clone())))
                .await
                .unwrap();
            assert!(collect(response.into_body()).await == bytes);
            assert_eq!((server.site.requests(), server.site.accepted()), (101, 1));
            budget.close();
        }
        std::fs::remove_file(&path).unwrap();
    });
}
