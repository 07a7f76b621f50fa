//! hyper-util: the server that finds out which version is spoken, and the client with a pool, in both versions.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use libraries_tokio_context::{everywhere, output};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Sends back what came, and the version by which it came.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let version = format!("{:?}", request.version());
    let body = request.into_body().collect().await?.to_bytes();
    let answer = Response::builder().header("version", version);
    Ok(answer.body(Full::new(body)).unwrap())
}

/// A server until it is stopped; how many connections there were.
async fn server() -> (SocketAddr, oneshot::Sender<()>, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, mut stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(3600));
        builder.http2().timer(TokioTimer::new());
        let (graceful, mut connections) = (GracefulShutdown::new(), 0);
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let stream = TokioIo::new(accepted.unwrap().0);
                    let connection = builder.serve_connection_with_upgrades(stream, service_fn(echo));
                    let connection = graceful.watch(connection.into_owned());
                    tokio::spawn(async move { connection.await.unwrap() });
                    connections += 1;
                }
                _ = &mut stopped => break,
            }
        }
        graceful.shutdown().await;
        connections
    });
    (address, stop, task)
}

async fn ask(client: &Client<HttpConnector, Full<Bytes>>, address: SocketAddr, n: usize) -> String {
    let body = n.to_string().repeat(n);
    let request = Request::post(format!("http://{address}/")).body(Full::from(body.clone()));
    let answer = client.request(request.unwrap()).await.unwrap();
    let version = answer.headers()["version"].to_str().unwrap().to_owned();
    let back = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(back == body);
    version
}

#[test]
fn both_versions_go_there_and_back() {
    everywhere(|| async {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let (address, stop, task) = server().await;
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_timer(TokioTimer::new());
            let client = builder
                .http2_only(version == Version::HTTP_2)
                .build(HttpConnector::new());
            assert_eq!(ask(&client, address, 0).await, format!("{version:?}"));
            let answered = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..50)
                .map(|n| {
                    let (client, answered) = (client.clone(), answered.clone());
                    tokio::spawn(async move {
                        assert_eq!(ask(&client, address, n * n).await, format!("{version:?}"));
                        answered.fetch_add(1, Relaxed);
                    })
                })
                .collect();
            for task in tasks {
                output(task).await;
            }
            drop(client);
            stop.send(()).unwrap();
            let connections = output(task).await;
            assert_eq!(answered.load(Relaxed), 50);
            match version {
                Version::HTTP_2 => assert_eq!(connections, 1),
                _ => assert!((1..=51).contains(&connections), "{connections}"),
            }
        }
    });
}

/// What comes after an upgrade is nobody's but the two ends'.
#[test]
fn an_upgraded_connection_carries_anything() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn upgrades(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        tokio::spawn(async move {
            let mut stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let mut text = [0; 4];
            stream.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"ping");
            stream.write_all(b"pong").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let answer = Response::builder().status(101).header("upgrade", "ours");
        Ok(answer
            .header("connection", "upgrade")
            .body(Full::default())
            .unwrap())
    }

    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(stream, service_fn(upgrades))
                .await
                .unwrap();
        });
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let request = Request::get(format!("http://{address}/"))
            .header("upgrade", "ours")
            .header("connection", "upgrade")
            .body(Full::<Bytes>::default());
        let answer = client.request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 101);
        let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        stream.write_all(b"ping").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "pong");
        output(server).await;
    });
}
