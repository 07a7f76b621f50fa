//! warp: a server of filters that stops when it is told.

use libraries_tokio_context::{everywhere, output};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use warp::Filter;

#[test]
fn filters_serve_until_they_are_stopped() {
    everywhere(|| async {
        let add =
            warp::path!("add" / u32 / u32).map(|one: u32, other: u32| (one + other).to_string());
        let echo = warp::post()
            .and(warp::path("echo"))
            .and(warp::body::bytes())
            .map(|body: bytes::Bytes| body.to_vec());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(
            warp::serve(add.or(echo))
                .incoming(listener)
                .graceful(async { drop(stopped.await) })
                .run(),
        );
        let client = Client::builder().no_proxy().build().unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let request = client.get(format!("http://{address}/add/{n}/{n}")).send();
                tokio::spawn(async move {
                    let answer = request.await.unwrap();
                    assert_eq!(answer.text().await.unwrap(), (n + n).to_string());
                })
            })
            .collect();
        for task in tasks {
            output(task).await;
        }
        let body = "x".repeat(500_000);
        let back = client.post(format!("http://{address}/echo"));
        let back = back.body(body.clone()).send().await.unwrap();
        assert!(back.text().await.unwrap() == body);
        drop(client);
        stop.send(()).unwrap();
        output(server).await;
    });
}
