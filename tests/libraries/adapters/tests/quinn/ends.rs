//! How connections and endpoints end: by a timeout, which is our timer, by a close, and by being dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use executor::compat::QuinnRuntime;
use executor::time::sleep;
use libraries_adapters::certificates::NAME;
use libraries_adapters::{alive_tasks, test, until};
use quinn::{
    ApplicationClose, ConnectError, Connection, ConnectionError, Runtime, TransportConfig, VarInt,
};

use crate::support::{Server, client, client_on, patient, small_socket};

fn idle_after(timeout: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(timeout.try_into().unwrap()));
    transport
}

async fn ping(connection: &Connection) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"ping").await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(10).await.unwrap(), b"ping");
}

#[test]
fn a_timer_set_anew_fires_at_its_last_deadline_also_after_it_has_fired() {
    test(async {
        let begin = Instant::now();
        let mut timer = QuinnRuntime.new_timer(begin + Duration::from_secs(3600));
        for n in 1..=20 {
            // Far off and back, so that the one before must be forgotten.
            timer.as_mut().reset(begin + Duration::from_secs(7200));
            let deadline = begin + Duration::from_millis(2 * n);
            timer.as_mut().reset(deadline);
            std::future::poll_fn(|cx| timer.as_mut().poll(cx)).await;
            assert!(QuinnRuntime.now() >= deadline);
        }
    });
}

#[test]
fn a_silent_connection_times_out_and_not_before_its_time() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    test(async {
        let before = alive_tasks();
        let server = Server::start(patient());
        let client = client_on(small_socket(), Arc::new(QuinnRuntime), idle_after(TIMEOUT));
        let connection = client.connect(server.address, NAME).unwrap().await.unwrap();
        // Each packet puts the timeout off.
        for _ in 0..30 {
            ping(&connection).await;
        }
        let last = Instant::now();
        assert_eq!(connection.closed().await, ConnectionError::TimedOut);
        // The last packet may have come a little before we knew.
        assert!(last.elapsed() >= TIMEOUT / 2);
        assert_eq!(
            connection.open_bi().await.unwrap_err(),
            ConnectionError::TimedOut
        );
        drop((connection, client));
        server.endpoint.close(VarInt::from_u32(0), b"done");
        drop(server);
        until(|| alive_tasks() == before).await;
    });
}

#[test]
fn keep_alives_keep_a_silent_connection() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    test(async {
        let server = Server::start(patient());
        let mut transport = idle_after(TIMEOUT);
        transport.keep_alive_interval(Some(Duration::from_millis(50)));
        let client = client_on(small_socket(), Arc::new(QuinnRuntime), transport);
        let connection = client.connect(server.address, NAME).unwrap().await.unwrap();
        sleep(TIMEOUT + TIMEOUT / 4).await;
        ping(&connection).await;
        server.endpoint.close(VarInt::from_u32(0), b"done");
    });
}

#[test]
fn a_server_that_is_not_there_is_a_timeout() {
    test(async {
        let nobody = small_socket();
        let client = client_on(
            small_socket(),
            Arc::new(QuinnRuntime),
            idle_after(Duration::from_millis(300)),
        );
        let connecting = client.connect(nobody.local_addr().unwrap(), NAME).unwrap();
        assert_eq!(connecting.await.unwrap_err(), ConnectionError::TimedOut);
        client.wait_idle().await;
    });
}

#[test]
fn a_wrong_name_fails() {
    test(async {
        let server = Server::start(patient());
        let client = client();
        let connecting = client.connect(server.address, "elsewhere.invalid").unwrap();
        assert!(matches!(
            connecting.await.unwrap_err(),
            ConnectionError::TransportError(_)
        ));
        assert_eq!(server.seen.connections.load(Relaxed), 0);
        server.endpoint.close(VarInt::from_u32(0), b"done");
    });
}

#[test]
fn a_close_is_seen_by_the_peer_and_waits_until_it_is_idle() {
    test(async {
        let before = alive_tasks();
        let server = Server::start(patient());
        let client = client();
        let mut connections = Vec::new();
        for _ in 0..10 {
            let connection = client.connect(server.address, NAME).unwrap().await.unwrap();
            ping(&connection).await;
            connections.push(connection);
        }
        server.endpoint.close(VarInt::from_u32(7), b"enough");
        for connection in &connections {
            let reason = ApplicationClose {
                error_code: VarInt::from_u32(7),
                reason: "enough".into(),
            };
            assert_eq!(
                connection.closed().await,
                ConnectionError::ApplicationClosed(reason)
            );
        }
        server.endpoint.wait_idle().await;
        client.wait_idle().await;
        assert_eq!(
            (
                client.open_connections(),
                server.endpoint.open_connections()
            ),
            (0, 0)
        );
        assert!(server.endpoint.accept().await.is_none());
        client.close(VarInt::from_u32(0), b"");
        let error = client.connect(server.address, NAME).unwrap_err();
        assert_eq!(error, ConnectError::EndpointStopping);
        drop((connections, client, server));
        until(|| alive_tasks() == before).await;
    });
}

#[test]
fn all_dropped_in_the_middle_leaves_no_task_behind() {
    test(async {
        let before = alive_tasks();
        let server = Server::start(patient());
        for _ in 0..10 {
            let client = client();
            let connection = client.connect(server.address, NAME).unwrap().await.unwrap();
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&[1; 10_000]).await.unwrap();
            let waiting = executor::spawn(async move {
                let mut receive = receive;
                receive.read_to_end(usize::MAX).await
            });
            // What reads holds the connection open; it ends first.
            waiting.abort();
            let _ = waiting.await;
            drop((send, connection, client));
        }
        server.endpoint.close(VarInt::from_u32(0), b"");
        drop(server);
        until(|| alive_tasks() == before).await;
    });
}
