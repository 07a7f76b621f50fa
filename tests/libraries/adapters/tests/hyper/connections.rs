//! How connections end: by timeouts, which are our timers, by pings that nobody answers, and by a graceful shutdown.

use std::time::{Duration, Instant};

use executor::compat::{HyperExecutor, HyperTimer};
use executor::net::{TcpListener, TcpStream};
use hyper_util::client::legacy::Client;
use libraries_adapters::{alive_tasks, test, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::frames::{self, PING, PREFACE, SETTINGS};
use crate::support::{
    BOTH, Body, Connector, Version, builder, client, collect, page, server, server_with,
};

const TIMEOUT: Duration = Duration::from_secs(1);

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    test(async {
        let mut builder = builder();
        builder.http1().header_read_timeout(TIMEOUT);
        let server = server_with(builder).await;
        let before = alive_tasks();
        for requests in 0..4 {
            let begin = Instant::now();
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let mut got = [0; 1000];
            let mut last = begin;
            for _ in 0..requests {
                last = Instant::now();
                stream
                    .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    .await
                    .unwrap();
                let mut len = 0;
                while !got[..len].ends_with(b"hello") {
                    len += stream.read(&mut got[len..]).await.unwrap();
                }
            }
            // The timer that each request has stopped is set again, in place.
            stream.write_all(b"GET / HTT").await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert!(rest.is_empty(), "{rest:?}");
            assert!(last.elapsed() >= TIMEOUT);
        }
        assert_eq!(server.site.requests(), 6);
        until(|| alive_tasks() == before).await;
    });
}

#[test]
fn a_client_that_answers_pings_is_kept_and_one_that_stops_is_not() {
    test(async {
        let mut builder = builder();
        builder
            .http2()
            .keep_alive_interval(Duration::from_millis(10))
            .keep_alive_timeout(TIMEOUT);
        let server = server_with(builder).await;
        let before = alive_tasks();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        frames::write(&mut stream, SETTINGS, 0, &[]).await.unwrap();
        let mut answered = 0;
        let mut last = Instant::now();
        while let Ok(Some(frame)) = frames::read(&mut stream).await {
            if frame.is_request_for(SETTINGS) {
                frames::acknowledge(&mut stream, &frame).await.unwrap();
            } else if frame.is_request_for(PING) && answered < 10 {
                last = Instant::now();
                frames::acknowledge(&mut stream, &frame).await.unwrap();
                answered += 1;
            }
        }
        assert_eq!(answered, 10);
        assert!(last.elapsed() >= TIMEOUT);
        until(|| alive_tasks() == before).await;
    });
}

/// A server that greets, and answers nothing else.
#[test]
fn a_server_that_answers_no_ping_fails_the_request() {
    test(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = executor::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut preface = [0; PREFACE.len()];
            stream.read_exact(&mut preface).await.unwrap();
            assert_eq!(preface, PREFACE);
            frames::write(&mut stream, SETTINGS, 0, &[]).await.unwrap();
            let mut pings = 0;
            while let Ok(Some(frame)) = frames::read(&mut stream).await {
                pings += usize::from(frame.is_request_for(PING));
            }
            pings
        });
        let mut builder = Client::builder(HyperExecutor);
        builder
            .timer(HyperTimer)
            .http2_only(true)
            .http2_keep_alive_interval(Duration::from_millis(10))
            // hyper may look before it counts the request, and not again: then it would be idle.
            .http2_keep_alive_while_idle(true)
            .http2_keep_alive_timeout(TIMEOUT);
        let client: Client<_, Body> = builder.build(Connector::to(address));
        let begin = Instant::now();
        client.get(page("/")).await.unwrap_err();
        assert!(begin.elapsed() >= TIMEOUT);
        assert_eq!(server.await.unwrap(), 1);
    });
}

#[test]
fn an_idle_connection_leaves_the_pool_in_time() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        for version in BOTH {
            let mut builder = Client::builder(HyperExecutor);
            builder
                .timer(HyperTimer)
                .pool_timer(HyperTimer)
                .pool_idle_timeout(TIMEOUT)
                .http2_only(version == Version::Http2);
            let client: Client<_, Body> = builder.build(Connector::to(server.address));
            let response = client.get(page("/")).await.unwrap();
            assert_eq!(collect(response.into_body()).await, "hello");
            // The connection ends on both sides; what may be left is the pool's own task, which has nothing to do.
            until(|| alive_tasks() <= before + 1).await;
            drop(client);
            until(|| alive_tasks() == before).await;
        }
    });
}

#[test]
fn a_graceful_shutdown_answers_what_is_in_flight_and_nothing_after() {
    const IN_FLIGHT: usize = 8;
    test(async {
        for version in BOTH {
            let server = server().await;
            let (address, site) = (server.address, server.site.clone());
            let client = client(version, Connector::to(address));
            let requests: Vec<_> = (0..IN_FLIGHT)
                .map(|_| {
                    let response = client.get(page("/gate"));
                    executor::spawn(
                        async move { collect(response.await.unwrap().into_body()).await },
                    )
                })
                .collect();
            until(|| site.requests() == IN_FLIGHT).await;
            let mut shutdown = executor::spawn(server.shutdown());
            until(|| std::net::TcpStream::connect(address).is_err()).await;
            let early = executor::time::timeout(Duration::from_millis(5), &mut shutdown).await;
            assert!(early.is_err(), "it did not wait for what is in flight");
            site.gate.add_permits(IN_FLIGHT);
            for request in requests {
                assert_eq!(request.await.unwrap(), "passed");
            }
            shutdown.await.unwrap();
            client.get(page("/")).await.unwrap_err();
            assert_eq!(site.requests(), IN_FLIGHT);
        }
    });
}
