//! tower-http around axum: files, compression, traces, and limits of size and time.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use libraries_adapters::pattern;
use libraries_tokio_context::{everywhere, output};
use reqwest::{Client, ClientBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

type Server = (SocketAddr, oneshot::Sender<()>, JoinHandle<io::Result<()>>);

async fn serve(app: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    (address, stop, task)
}

async fn end((_, stop, task): Server) {
    stop.send(()).unwrap();
    output(task).await.unwrap();
}

fn client(with: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    with(Client::builder().no_proxy()).build().unwrap()
}

#[test]
fn files_of_a_folder_come_whole_and_in_part() {
    everywhere(|| async {
        let folder = tempfile::tempdir().unwrap();
        let bytes = pattern(300_000, 1);
        std::fs::write(folder.path().join("file.bin"), &bytes).unwrap();
        std::fs::write(folder.path().join("index.html"), "<p>hello").unwrap();
        let server = serve(Router::new().fallback_service(ServeDir::new(folder.path()))).await;
        let client = client(|client| client);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let request = client.get(format!("http://{}/file.bin", server.0));
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let answer = request.send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    assert!(answer.bytes().await.unwrap() == bytes);
                })
            })
            .collect();
        for task in tasks {
            output(task).await;
        }
        let part = client
            .get(format!("http://{}/file.bin", server.0))
            .header("range", "bytes=1000-100999");
        let part = part.send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert!(part.bytes().await.unwrap() == bytes[1000..101_000]);
        let index = client.get(format!("http://{}/", server.0)).send();
        assert_eq!(index.await.unwrap().text().await.unwrap(), "<p>hello");
        let missing = client.get(format!("http://{}/missing", server.0)).send();
        assert_eq!(missing.await.unwrap().status(), 404);
        end(server).await;
    });
}

#[test]
fn a_compressed_body_is_shorter_and_means_the_same() {
    everywhere(|| async {
        let text = "what is said again and again, ".repeat(10_000);
        let body = text.clone();
        let app = Router::new()
            .route("/", get(|| async { body }))
            .layer(CompressionLayer::new())
            .layer(TraceLayer::new_for_http());
        let server = serve(app).await;
        let url = format!("http://{}/", server.0);
        let raw = client(ClientBuilder::no_gzip)
            .get(&url)
            .header("accept-encoding", "gzip");
        let raw = raw.send().await.unwrap();
        assert_eq!(raw.headers()["content-encoding"], "gzip");
        assert!(raw.bytes().await.unwrap().len() < text.len() / 10);
        let plain = client(|client| client).get(&url).send().await.unwrap();
        assert!(plain.text().await.unwrap() == text);
        end(server).await;
    });
}

#[test]
fn what_is_too_long_or_takes_too_long_is_refused() {
    everywhere(|| async {
        let app = Router::new()
            .route("/never", get(pending::<()>))
            .route(
                "/count",
                post(|body: String| async move { body.len().to_string() }),
            )
            .layer(RequestBodyLimitLayer::new(1000))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                Duration::from_secs(1),
            ));
        let server = serve(app).await;
        let client = client(|client| client);
        let count = |n: usize| {
            let request = client.post(format!("http://{}/count", server.0));
            request.body("x".repeat(n)).send()
        };
        let fits = count(1000).await.unwrap();
        assert_eq!(fits.text().await.unwrap(), "1000");
        assert_eq!(count(1001).await.unwrap().status(), 413);
        let never = client.get(format!("http://{}/never", server.0)).send();
        assert_eq!(never.await.unwrap().status(), 408);
        end(server).await;
    });
}
