//! An axum `Router` without `axum::serve`, which would need tokio: served by hyper-util over our streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use executor::JoinHandle;
use executor::compat::{HyperExecutor, HyperTimer};
use executor::net::{TcpListener, TcpStream};
use executor::time::sleep;
use futures::stream;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use libraries_adapters::{alive_tasks, assert_no_tokio_context, pattern, test, until};
use serde_json::{Value, json};

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    connections: AtomicUsize,
}

type Shared = State<Arc<Counts>>;

async fn hello(State(counts): Shared) -> &'static str {
    assert_no_tokio_context();
    counts.requests.fetch_add(1, Relaxed);
    "hello"
}

async fn add(State(counts): Shared, Path((a, b)): Path<(u64, u64)>) -> String {
    counts.requests.fetch_add(1, Relaxed);
    (a + b).to_string()
}

async fn search(Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    Json(json!(query))
}

/// Gives back what it got, and the sum of its numbers.
async fn sum(Json(mut value): Json<Value>) -> Json<Value> {
    let numbers = value["numbers"].as_array().unwrap();
    let sum: u64 = numbers.iter().map(|number| number.as_u64().unwrap()).sum();
    value["sum"] = json!(sum);
    Json(value)
}

/// A hundred pieces, with a wait by our timer before each.
async fn streamed() -> Body {
    Body::from_stream(stream::unfold(0, |n| async move {
        sleep(Duration::from_micros(200)).await;
        let piece = Ok::<_, std::io::Error>(Bytes::from(pattern(1000, n)));
        (n < 100).then_some((piece, n + 1))
    }))
}

async fn blocking() -> String {
    let number = executor::spawn_blocking(|| 42).await.unwrap();
    number.to_string()
}

async fn nowhere(method: Method, request: Request<Body>) -> Response {
    let text = format!("{method} {}: no such page", request.uri());
    (StatusCode::NOT_FOUND, text).into_response()
}

fn router(counts: Arc<Counts>) -> Router {
    Router::new()
        .route("/", get(hello))
        .route("/add/{a}/{b}", get(add))
        .route("/search", get(search))
        .route("/sum", post(sum))
        .route("/streamed", get(streamed))
        .route("/blocking", get(blocking))
        .route("/count", post(async |body: Bytes| body.len().to_string()))
        .route("/panic", get(async || -> () { panic!("from a handler") }))
        .layer(DefaultBodyLimit::max(1 << 20))
        .fallback(nowhere)
        .with_state(counts)
}

/// What `axum::serve` does, in our tasks. Aborting it lets the connections go on to their ends.
async fn serve(counts: Arc<Counts>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TowerToHyperService::new(router(counts.clone()));
    let mut builder = auto::Builder::new(HyperExecutor);
    builder.http1().timer(HyperTimer);
    let accepting = executor::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counts.connections.fetch_add(1, Relaxed);
            let (builder, service) = (builder.clone(), service.clone());
            executor::spawn(async move {
                let _ = builder.serve_connection(stream, service).await;
            });
        }
    });
    (address, accepting)
}

/// A client of one connection, by hyper alone.
struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        executor::spawn(connection);
        Client(sender)
    }

    async fn send(
        &mut self,
        request: axum::http::request::Builder,
        body: impl Into<Bytes>,
    ) -> (StatusCode, Bytes) {
        self.0.ready().await.unwrap();
        let request = request
            .header("host", "localhost")
            .body(Full::new(body.into()))
            .unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let status = response.status();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    async fn get(&mut self, path: &str) -> (StatusCode, Bytes) {
        self.send(Request::get(path), "").await
    }
}

/// Runs a test with a server, and a client that is connected to it.
fn with_server(body: impl AsyncFnOnce(Client, SocketAddr, &Counts)) {
    test(async {
        let counts = Arc::new(Counts::default());
        let (address, accepting) = serve(counts.clone()).await;
        body(Client::connect(address).await, address, &counts).await;
        accepting.abort();
    });
}

#[test]
fn every_route_answers_as_it_should() {
    with_server(async |mut client, _, _| {
        assert_eq!(client.get("/").await, (StatusCode::OK, "hello".into()));
        assert_eq!(
            client.get("/add/20/22").await,
            (StatusCode::OK, "42".into())
        );
        assert_eq!(client.get("/blocking").await, (StatusCode::OK, "42".into()));
        let (status, body) = client.get("/search?a=1&b=%C3%9F").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, r#"[["a","1"],["b","ß"]]"#);
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    with_server(async |mut client, _, counts| {
        let (status, body) = client.get("/nowhere?x").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(body, "GET /nowhere?x: no such page");
        assert_eq!(client.get("/add/1/b").await.0, StatusCode::BAD_REQUEST);
        let (status, _) = client.send(Request::delete("/"), "").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        let (status, _) = client.send(Request::post("/sum"), "{}").await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(counts.requests.load(Relaxed), 0);
        assert_eq!(counts.connections.load(Relaxed), 1);
    });
}

#[test]
fn json_goes_in_and_out() {
    with_server(async |mut client, _, _| {
        let numbers: Vec<u64> = (0..10_000).collect();
        let body = json!({ "name": "ß", "numbers": numbers }).to_string();
        let request = Request::post("/sum").header("content-type", "application/json");
        let (status, body) = client.send(request, body).await;
        assert_eq!(status, StatusCode::OK);
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            json!({ "name": "ß", "numbers": numbers, "sum": 49_995_000 })
        );
    });
}

#[test]
fn a_streamed_answer_arrives_piece_by_piece_and_whole() {
    with_server(async |mut client, _, _| {
        let (status, body) = client.get("/streamed").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body == (0..100).flat_map(|n| pattern(1000, n)).collect::<Vec<_>>());
    });
}

#[test]
fn a_body_over_the_limit_is_refused_and_one_at_it_is_not() {
    with_server(async |mut client, address, _| {
        let (status, body) = client
            .send(Request::post("/count"), pattern(1 << 20, 1))
            .await;
        assert_eq!((status, body), (StatusCode::OK, "1048576".into()));
        // By a connection of its own, as this one is not read to its end.
        let mut other = Client::connect(address).await;
        let (status, _) = other
            .send(Request::post("/count"), pattern((1 << 20) + 1, 1))
            .await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    });
}

#[test]
fn a_panic_in_a_handler_ends_its_connection_and_nothing_else() {
    with_server(async |mut client, address, counts| {
        let mut bad = Client::connect(address).await;
        let request = Request::get("/panic")
            .header("host", "a")
            .body(Full::default())
            .unwrap();
        bad.0.send_request(request).await.unwrap_err();
        assert_eq!(client.get("/").await.1, "hello");
        assert_eq!(counts.connections.load(Relaxed), 2);
    });
}

#[test]
fn no_request_of_many_clients_is_lost_or_answered_twice() {
    with_server(async |client, address, counts| {
        drop(client);
        let task = |id: u64| async move {
            let mut client = Client::connect(address).await;
            for n in 0..50 {
                let (status, body) = client.get(&format!("/add/{id}/{n}")).await;
                assert_eq!(
                    (status, body),
                    (StatusCode::OK, (id + n).to_string().into())
                );
            }
        };
        let clients: Vec<_> = (0..20).map(|id| executor::spawn(task(id * 1000))).collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(counts.requests.load(Relaxed), 1000);
        assert_eq!(counts.connections.load(Relaxed), 21);
        // The one that accepts.
        until(|| alive_tasks() == 1).await;
    });
}
