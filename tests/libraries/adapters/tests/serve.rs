//! `compat::serve`: an axum `Router` whose connections are tasks of ours, without any tokio context.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, Version};
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use executor::compat::{HyperExecutor, serve};
use executor::net::{TcpListener, TcpStream};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use libraries_adapters::{assert_no_tokio_context, test, until};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn request(path: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "here");
    request.body(Body::empty()).unwrap()
}

/// One request on a connection of its own.
async fn once(address: SocketAddr, path: &str) -> hyper::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(stream).await?;
    executor::spawn(connection);
    let answer = sender.send_request(request(path)).await?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

async fn hello() -> &'static str {
    assert_no_tokio_context();
    "hello"
}

#[test]
fn both_versions_of_http_answer_in_tasks_of_ours() {
    test(async {
        let (listener, address) = listen().await;
        let ids = Arc::new(AtomicUsize::new(0));
        let count = ids.clone();
        let app = Router::new().route(
            "/",
            get(|| async move {
                assert!(executor::task::try_id().is_some());
                count.fetch_add(1, SeqCst);
                hello().await
            }),
        );
        let server = executor::spawn(serve(listener, app).into_future());
        assert_eq!(
            once(address, "/").await.unwrap(),
            (StatusCode::OK, "hello".into())
        );

        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http2::handshake(HyperExecutor, stream).await.unwrap();
        let connection = executor::spawn(connection);
        let mut answers = Vec::new();
        for _ in 0..20 {
            let mut sender = sender.clone();
            answers.push(executor::spawn(async move {
                let answer = sender.send_request(request("http://here/")).await.unwrap();
                assert_eq!(answer.version(), Version::HTTP_2);
                answer.into_body().collect().await.unwrap().to_bytes()
            }));
        }
        for answer in answers {
            assert_eq!(answer.await.unwrap(), "hello");
        }
        assert_eq!(ids.load(SeqCst), 21);
        drop(sender);
        connection.await.unwrap().unwrap();
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_handler_that_blocks_delays_no_other_connection() {
    test(async {
        let (listener, address) = listen().await;
        let blocked = Arc::new(AtomicUsize::new(0));
        let (entered, release) = (blocked.clone(), Arc::new(AtomicUsize::new(0)));
        let released = release.clone();
        let blocks = move || async move {
            entered.fetch_add(1, SeqCst);
            while released.load(SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            "blocked"
        };
        let app = Router::new()
            .route("/", get(hello))
            .route("/blocks", get(blocks));
        let server = executor::spawn(serve(listener, app).into_future());
        let stuck: Vec<_> = (0..8)
            .map(|_| executor::spawn(async move { once(address, "/blocks").await.unwrap().1 }))
            .collect();
        until(|| blocked.load(SeqCst) == 8).await;
        assert_eq!(once(address, "/").await.unwrap().1, "hello");
        release.store(1, SeqCst);
        for stuck in stuck {
            assert_eq!(stuck.await.unwrap(), "blocked");
        }
        server.abort();
        drop(server.await);
    });
}

#[test]
fn a_graceful_shutdown_refuses_new_connections_and_waits_for_the_request_in_flight() {
    test(async {
        let (listener, address) = listen().await;
        let (entered, is_entered) = tokio::sync::oneshot::channel::<()>();
        let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let once_only = Arc::new(std::sync::Mutex::new(Some((entered, may_go_on))));
        let waits = move || async move {
            let (entered, may_go_on) = once_only.lock().unwrap().take().unwrap();
            entered.send(()).unwrap();
            may_go_on.await.unwrap();
            "done"
        };
        let app = Router::new().route("/", get(waits));
        let server = serve(listener, app).with_graceful_shutdown(async { stopped.await.unwrap() });
        let server = executor::spawn(server.into_future());
        // A connection without a request does not hold it up.
        let idle = TcpStream::connect(address).await.unwrap();
        let asks = executor::spawn(async move { once(address, "/").await.unwrap() });
        is_entered.await.unwrap();
        stop.send(()).unwrap();
        while let Ok(late) = TcpStream::connect(address).await {
            drop(late);
            executor::task::yield_now().await;
        }
        assert!(!server.is_finished());
        go_on.send(()).unwrap();
        assert_eq!(asks.await.unwrap().1, "done");
        server.await.unwrap().unwrap();
        drop(idle);
    });
}

#[test]
fn a_panic_costs_its_connection_only_and_a_dropped_server_frees_its_port() {
    test(async {
        let (listener, address) = listen().await;
        async fn panics() -> &'static str {
            std::panic::resume_unwind(Box::new("of a test"))
        }
        let app = Router::new()
            .route("/", get(hello))
            .route("/panics", get(panics));
        let server = executor::spawn(serve(listener, app).into_future());
        for _ in 0..5 {
            assert!(once(address, "/panics").await.is_err());
            assert_eq!(once(address, "/").await.unwrap().1, "hello");
        }
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn handlers_are_told_who_asks_if_they_want() {
    test(async {
        async fn who(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
            peer.to_string()
        }
        let (listener, address) = listen().await;
        let app = Router::new().route("/", get(who));
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        let server = serve(listener, app.clone()).with_connect_info();
        assert_eq!(server.local_addr().unwrap(), address);
        let server = executor::spawn(server.into_future());
        let stream = TcpStream::connect(address).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        executor::spawn(connection);
        for _ in 0..3 {
            sender.ready().await.unwrap();
            let answer = sender.send_request(request("/")).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), own);
        }
        server.abort();
        drop((server.await, sender));

        let (listener, address) = listen().await;
        let server = executor::spawn(serve(listener, app).into_future());
        assert_eq!(
            once(address, "/").await.unwrap().0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        server.abort();
        drop(server.await);
    });
}
