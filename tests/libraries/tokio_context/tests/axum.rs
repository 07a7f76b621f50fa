//! `axum::serve` over our listeners: the adapter of feature `axum-0-8`, and what its documentation says about the peer's
//! address and the options of accepted sockets.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener, ListenerExt};
use executor::JoinHandle;
use executor::net::unix::{UnixListener, UnixStream};
use executor::net::{TcpListener, TcpStream};
use futures::stream;
use libraries_tokio_context::{bounded, everywhere, output, processors};
use reqwest::{Client, ClientBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Waits until every connection has ended.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        output(self.task).await.unwrap();
    }
}

/// Serves in a task of ours until it is stopped.
fn serve<L: Listener<Addr: std::fmt::Debug>>(listener: L, app: Router) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = executor::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    Running { stop, task }
}

async fn tcp() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn unix() -> (UnixListener, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    (UnixListener::bind(&path).unwrap(), path, folder)
}

fn client(with: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    with(Client::builder().no_proxy()).build().unwrap()
}

/// The routes that both kinds of listener serve; a number counts the requests.
fn app(requests: Arc<AtomicUsize>) -> Router {
    let chunks =
        || stream::iter((0..100).map(|_| Ok::<_, Infallible>(Bytes::from_static(&[7; 1000]))));
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async { body }))
        .route(
            "/chunks",
            get(move || async move { Body::from_stream(chunks()) }),
        )
        .layer(axum::middleware::map_request(
            move |request: axum::extract::Request| {
                requests.fetch_add(1, Relaxed);
                async { request }
            },
        ))
}

async fn use_routes(client: &Client, url: &str) {
    let body = |path: &str| client.get(format!("{url}{path}")).send();
    assert_eq!(body("/hello").await.unwrap().text().await.unwrap(), "hello");
    let chunks = body("/chunks").await.unwrap().bytes().await.unwrap();
    assert_eq!(chunks, vec![7; 100_000]);
    assert_eq!(body("/other").await.unwrap().status(), 404);
    let sent = "x".repeat(1_000_000);
    let back = client.post(format!("{url}/echo")).body(sent.clone()).send();
    assert!(back.await.unwrap().text().await.unwrap() == sent);
}

#[test]
fn tcp_serves_each_route() {
    everywhere(|| async {
        let requests = Arc::new(AtomicUsize::new(0));
        let (listener, address) = tcp().await;
        let server = serve(listener, app(requests.clone()));
        use_routes(&client(|client| client), &format!("http://{address}")).await;
        server.stop().await;
        assert_eq!(requests.load(Relaxed), 4);
    });
}

#[test]
fn unix_serves_each_route() {
    everywhere(|| async {
        let requests = Arc::new(AtomicUsize::new(0));
        let (listener, path, _folder) = unix();
        let server = serve(listener, app(requests.clone()));
        use_routes(&client(|client| client.unix_socket(path)), "http://unix").await;
        server.stop().await;
        assert_eq!(requests.load(Relaxed), 4);
    });
}

#[test]
fn of_64_connections_with_10_requests_each_none_is_lost() {
    everywhere(|| async {
        let requests = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let (listener, address) = tcp().await;
        let counter = connections.clone();
        let listener = listener.tap_io(move |_| {
            counter.fetch_add(1, Relaxed);
        });
        let server = serve(listener, app(requests.clone()));
        let tasks: Vec<_> = (0..64)
            .map(|_| executor::spawn(keep_alive(address)))
            .collect();
        for task in tasks {
            output(task).await;
        }
        server.stop().await;
        assert_eq!(
            (connections.load(Relaxed), requests.load(Relaxed)),
            (64, 640)
        );
    });
}

/// Ten requests over a socket of ours; the last one closes it.
async fn keep_alive(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for n in 0..10 {
        let close = if n == 9 { "connection: close\r\n" } else { "" };
        let request = format!("GET /hello HTTP/1.1\r\nhost: here\r\n{close}\r\n");
        AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nhello") {
            let read = AsyncReadExt::read_buf(&mut stream, &mut answer).await;
            assert_ne!(read.unwrap(), 0, "closed early");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(AsyncReadExt::read(&mut stream, &mut [0]).await.unwrap(), 0);
}

#[test]
fn a_graceful_shutdown_waits_for_the_request_in_flight() {
    everywhere(|| async {
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (entered, go_on) = (entered.clone(), go_on.clone());
            || async move {
                entered.notify_one();
                go_on.notified().await;
                "done"
            }
        };
        let (listener, address) = tcp().await;
        let server = serve(listener, Router::new().route("/", get(handler)));
        let request = client(|client| client)
            .get(format!("http://{address}/"))
            .send();
        let request = executor::spawn(request);
        entered.notified().await;

        server.stop.send(()).unwrap();
        // The listener is closed once nobody can connect.
        while let Ok(late) = TcpStream::connect(address).await {
            drop(late);
            executor::task::yield_now().await;
        }
        assert!(!server.task.is_finished());
        go_on.notify_one();
        let answer = output(request).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "done");
        output(server.task).await.unwrap();
    });
}

#[test]
fn a_server_whose_task_is_aborted_frees_its_port() {
    everywhere(|| async {
        let requests = Arc::new(AtomicUsize::new(0));
        let (listener, address) = tcp().await;
        let server = serve(listener, app(requests));
        keep_alive(address).await;
        server.task.abort();
        assert!(server.task.await.unwrap_err().is_cancelled());
        // The future is dropped before its handle resolves.
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_handler_that_panics_costs_its_connection_only() {
    async fn panics() -> &'static str {
        std::panic::resume_unwind(Box::new("on purpose"))
    }
    everywhere(|| async {
        let requests = Arc::new(AtomicUsize::new(0));
        let (listener, address) = tcp().await;
        let server = serve(listener, app(requests).route("/panics", get(panics)));
        let client = client(|client| client);
        for _ in 0..5 {
            let request = client.get(format!("http://{address}/panics"));
            assert!(request.send().await.is_err());
            keep_alive(address).await;
        }
        server.stop().await;
    });
}

/// The newtypes of the documentation.
#[derive(Clone, Debug)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

#[derive(Clone, Debug)]
struct UnixPeer(Arc<UnixAddr>);

impl Connected<IncomingStream<'_, UnixListener>> for UnixPeer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> UnixPeer {
        UnixPeer(Arc::new(stream.remote_addr().clone()))
    }
}

#[test]
fn connect_info_is_the_address_of_each_client() {
    bounded(|| {
        let runtime = processors(2);
        let (listener, address) = runtime.block_on(tcp());
        let app = Router::new()
            .route(
                "/",
                get(|ConnectInfo(Peer(peer))| async move { peer.to_string() }),
            )
            .into_make_service_with_connect_info::<Peer>();
        let server = runtime.spawn(async { axum::serve(listener, app).await });
        for _ in 0..20 {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let own = stream.local_addr().unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
            stream.write_all(request).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(
                answer.ends_with(&format!("\r\n\r\n{own}")),
                "{own}: {answer}"
            );
        }
        server.abort();
        assert!(runtime.block_on(server).unwrap_err().is_cancelled());
    });
}

#[test]
fn connect_info_of_unix_names_the_client_that_has_a_name() {
    everywhere(|| async {
        let (listener, path, _folder) = unix();
        let app = Router::new()
            .route(
                "/",
                get(|ConnectInfo(UnixPeer(peer))| async move { format!("{peer:?}") }),
            )
            .into_make_service_with_connect_info::<UnixPeer>();
        let server = executor::spawn(async { axum::serve(listener, app).await });
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
        AsyncWriteExt::write_all(&mut stream, request)
            .await
            .unwrap();
        let mut answer = String::new();
        AsyncReadExt::read_to_string(&mut stream, &mut answer)
            .await
            .unwrap();
        assert!(answer.ends_with("\r\n\r\n(unnamed)"), "{answer}");
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    });
}

/// `tap_io` has axum's own implementation with it, so that no type of one's own is needed.
#[test]
fn tap_io_brings_connect_info_with_plain_addresses() {
    everywhere(|| async {
        let (listener, address) = tcp().await;
        let app = Router::new()
            .route(
                "/",
                get(|ConnectInfo::<SocketAddr>(peer)| async move { peer.to_string() }),
            )
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = listener.tap_io(|_| {});
        let server = executor::spawn(async { axum::serve(listener, app).await });
        for _ in 0..5 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let own = stream.local_addr().unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
            AsyncWriteExt::write_all(&mut stream, request)
                .await
                .unwrap();
            let mut answer = String::new();
            AsyncReadExt::read_to_string(&mut stream, &mut answer)
                .await
                .unwrap();
            assert!(
                answer.ends_with(&format!("\r\n\r\n{own}")),
                "{own}: {answer}"
            );
        }
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn tap_io_sets_options_of_each_connection_once() {
    everywhere(|| async {
        for nodelay in [false, true] {
            let tapped = Arc::new(Mutex::new(Vec::new()));
            let streams = tapped.clone();
            let (listener, address) = tcp().await;
            let listener = listener.tap_io(move |stream| {
                stream.set_nodelay(nodelay).unwrap();
                streams.lock().unwrap().push(stream.clone());
            });
            let server = serve(listener, app(Arc::default()));
            for _ in 0..3 {
                keep_alive(address).await;
            }
            let tapped = std::mem::take(&mut *tapped.lock().unwrap());
            let found: Vec<_> = tapped
                .iter()
                .map(|stream| stream.nodelay().unwrap())
                .collect();
            assert_eq!(found, [nodelay; 3]);
            drop(tapped);
            server.stop().await;
        }
    });
}
