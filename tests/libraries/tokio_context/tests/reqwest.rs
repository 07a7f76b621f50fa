//! reqwest: a client whose connections, pool and timers live in a tokio context. The server is `axum::serve` over our listener.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware::map_request_with_state;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use executor::JoinHandle;
use executor::net::TcpListener;
use futures::stream;
use http_body_util::BodyExt;
use libraries_tokio_context::{bounded, everywhere, output, processors};
use reqwest::{Client, StatusCode, redirect};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What the handlers share with the test.
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    sum: AtomicUsize,
    /// A permit for each chunk of `/lockstep`.
    permits: Semaphore,
    /// `/never` has begun.
    entered: mpsc::UnboundedSender<()>,
    /// The future of `/never` was dropped.
    dropped: mpsc::UnboundedSender<()>,
}

struct Server {
    url: String,
    seen: Arc<Seen>,
    entered: mpsc::UnboundedReceiver<()>,
    dropped: mpsc::UnboundedReceiver<()>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start() -> Server {
        let (entered_tx, entered) = mpsc::unbounded_channel();
        let (dropped_tx, dropped) = mpsc::unbounded_channel();
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            sum: AtomicUsize::new(0),
            permits: Semaphore::new(0),
            entered: entered_tx,
            dropped: dropped_tx,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counter = seen.clone();
        let listener = listener.tap_io(move |_| {
            counter.connections.fetch_add(1, Relaxed);
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let app = routes(seen.clone());
        let task = executor::spawn(async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(async { drop(stopped.await) })
                .await
        });
        Server {
            url,
            seen,
            entered,
            dropped,
            stop,
            task,
        }
    }

    fn to(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Waits until every connection has ended; how many connections and requests there were.
    async fn stop(self) -> (usize, usize) {
        self.stop.send(()).unwrap();
        output(self.task).await.unwrap();
        (
            self.seen.connections.load(Relaxed),
            self.seen.requests.load(Relaxed),
        )
    }
}

fn routes(seen: Arc<Seen>) -> Router {
    Router::new()
        .route("/add/{n}", get(add))
        .route(
            "/double",
            post(|Json(n): Json<u32>| async move { Json(2 * n) }),
        )
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/count", post(count_bytes))
        .route("/from", get(|| async { Redirect::to("/add/1") }))
        .route("/loop", get(|| async { Redirect::to("/loop") }))
        .route("/lockstep", get(lockstep))
        .route("/never", get(never))
        .layer(DefaultBodyLimit::disable())
        .layer(map_request_with_state(seen.clone(), count_request))
        .with_state(seen)
}

async fn count_request(State(seen): State<Arc<Seen>>, request: Request) -> Request {
    seen.requests.fetch_add(1, Relaxed);
    request
}

async fn add(State(seen): State<Arc<Seen>>, Path(n): Path<usize>) -> String {
    seen.sum.fetch_add(n, Relaxed);
    n.to_string()
}

async fn count_bytes(mut body: Body) -> String {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    count.to_string()
}

const CHUNKS: usize = 100;

/// Each chunk waits for a permit.
async fn lockstep(State(seen): State<Arc<Seen>>) -> Body {
    Body::from_stream(stream::unfold(0, move |n| {
        let seen = seen.clone();
        async move {
            if n == CHUNKS {
                return None;
            }
            seen.permits.acquire().await.unwrap().forget();
            Some((Ok::<_, Infallible>(n.to_string()), n + 1))
        }
    }))
}

async fn never(State(seen): State<Arc<Seen>>) {
    struct Dropped(Arc<Seen>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.dropped.send(());
        }
    }
    let seen = Dropped(seen);
    seen.0.entered.send(()).unwrap();
    pending::<()>().await;
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

async fn get_text(client: &Client, url: String) -> String {
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

#[test]
fn json_goes_there_and_back() {
    everywhere(|| async {
        let (server, client) = (Server::start().await, client());
        assert_eq!(get_text(&client, server.to("/add/7")).await, "7");
        let answer = client.post(server.to("/double")).json(&21).send().await;
        assert_eq!(answer.unwrap().json::<u32>().await.unwrap(), 42);
        let missing = client.get(server.to("/missing")).send().await.unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        assert_eq!(server.seen.sum.load(Relaxed), 7);
        assert_eq!(server.stop().await.1, 3);
    });
}

#[test]
fn a_large_body_is_whole_both_ways() {
    everywhere(|| async {
        let (server, client) = (Server::start().await, client());
        let body: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
        let sent = client.post(server.to("/echo")).body(body.clone()).send();
        let back = sent.await.unwrap().bytes().await.unwrap();
        assert!(back == body, "{} of {} bytes", back.len(), body.len());
        assert_eq!(server.stop().await, (1, 1));
    });
}

#[test]
fn of_200_concurrent_requests_each_is_answered_once() {
    everywhere(|| async {
        let (server, client) = (Server::start().await, client());
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let (client, url) = (client.clone(), server.to(&format!("/add/{n}")));
                executor::spawn(async move {
                    assert_eq!(get_text(&client, url).await, n.to_string());
                })
            })
            .collect();
        for task in tasks {
            output(task).await;
        }
        assert_eq!(server.seen.sum.load(Relaxed), (0..200).sum::<usize>());
        assert_eq!(server.stop().await.1, 200);
    });
}

/// Version 1: a connection comes back to the pool a moment after its answer, so now and then another is opened.
#[test]
fn connections_are_used_again() {
    everywhere(|| async {
        let (server, client) = (Server::start().await, client());
        for n in 0..100 {
            let url = server.to(&format!("/add/{n}"));
            assert_eq!(get_text(&client, url).await, n.to_string());
        }
        let (connections, requests) = server.stop().await;
        assert_eq!(requests, 100);
        assert!(connections < 50, "{connections}");
    });
}

#[test]
fn without_a_pool_each_request_has_its_connection() {
    everywhere(|| async {
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0);
        let (server, client) = (Server::start().await, client.build().unwrap());
        for _ in 0..20 {
            get_text(&client, server.to("/add/1")).await;
        }
        assert_eq!(server.stop().await, (20, 20));
    });
}

#[test]
fn version_2_shares_one_connection() {
    everywhere(|| async {
        let client = Client::builder().no_proxy().http2_prior_knowledge();
        let (server, client) = (Server::start().await, client.build().unwrap());
        get_text(&client, server.to("/add/0")).await;
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let (client, url) = (client.clone(), server.to(&format!("/add/{n}")));
                executor::spawn(async move { get_text(&client, url).await })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(output(task).await, n.to_string());
        }
        assert_eq!(server.seen.sum.load(Relaxed), (0..100).sum::<usize>());
        drop(client);
        assert_eq!(server.stop().await, (1, 101));
    });
}

#[test]
fn a_request_that_times_out_is_dropped_at_both_ends() {
    everywhere(|| async {
        let (mut server, client) = (Server::start().await, client());
        let request = client.get(server.to("/never"));
        let task = executor::spawn(request.timeout(Duration::from_millis(200)).send());
        let error = output(task).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        // On a machine that slow the request may never have arrived.
        if server.seen.requests.load(Relaxed) == 1 {
            server.dropped.recv().await.unwrap();
        }
        assert_eq!(get_text(&client, server.to("/add/1")).await, "1");
        server.stop().await;
    });
}

#[test]
fn redirects_are_followed_as_far_as_allowed() {
    everywhere(|| async {
        let server = Server::start().await;
        assert_eq!(get_text(&client(), server.to("/from")).await, "1");
        let with = |policy| {
            Client::builder()
                .no_proxy()
                .redirect(policy)
                .build()
                .unwrap()
        };
        let stays = with(redirect::Policy::none())
            .get(server.to("/from"))
            .send();
        assert_eq!(stays.await.unwrap().status(), StatusCode::SEE_OTHER);
        let limited = with(redirect::Policy::limited(3));
        let error = limited.get(server.to("/loop")).send().await.unwrap_err();
        assert!(error.is_redirect(), "{error:?}");
        assert_eq!(server.stop().await.1, 2 + 1 + 4);
    });
}

#[test]
fn a_body_is_streamed_chunk_by_chunk() {
    everywhere(|| async {
        let (server, client) = (Server::start().await, client());
        let mut answer = client.get(server.to("/lockstep")).send().await.unwrap();
        for n in 0..CHUNKS {
            server.seen.permits.add_permits(1);
            assert_eq!(answer.chunk().await.unwrap().unwrap(), n.to_string());
        }
        assert_eq!(answer.chunk().await.unwrap(), None);

        let chunks = stream::iter((0..1000).map(|_| Ok::<_, Infallible>(vec![7; 1000])));
        let body = reqwest::Body::wrap_stream(chunks);
        let answer = client.post(server.to("/count")).body(body).send().await;
        assert_eq!(answer.unwrap().text().await.unwrap(), "1000000");
        assert_eq!(server.stop().await.1, 2);
    });
}

#[test]
fn a_request_whose_task_is_aborted_ends_at_the_server_too() {
    everywhere(|| async {
        let (mut server, client) = (Server::start().await, client());
        let task = executor::spawn(client.get(server.to("/never")).send());
        server.entered.recv().await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        server.dropped.recv().await.unwrap();
        assert_eq!(get_text(&client, server.to("/add/1")).await, "1");
        assert!(server.entered.try_recv().is_err(), "asked for twice");
        assert_eq!(server.stop().await.1, 2);
    });
}

#[test]
fn one_client_serves_several_runtimes_that_come_and_go() {
    bounded(|| {
        let (server, client) = executor::block_on(async { (Server::start().await, client()) });
        for count in 1..4 {
            let runtime = processors(count);
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let (client, url) = (client.clone(), server.to("/add/1"));
                    runtime.spawn(async move { get_text(&client, url).await })
                })
                .collect();
            for task in tasks {
                assert_eq!(runtime.block_on(output(task)), "1");
            }
        }
        assert_eq!(executor::block_on(server.stop()).1, 60);
    });
}

#[test]
fn callers_of_block_on_share_a_client() {
    bounded(|| {
        let (server, client) = executor::block_on(async { (Server::start().await, client()) });
        thread::scope(|scope| {
            for _ in 0..4 {
                let (client, url) = (client.clone(), server.to("/add/1"));
                scope.spawn(move || {
                    for _ in 0..10 {
                        assert_eq!(executor::block_on(get_text(&client, url.clone())), "1");
                    }
                });
            }
        });
        assert_eq!(executor::block_on(server.stop()).1, 40);
    });
}

/// It blocks the thread: in a task that is the only processor's, which also serves.
#[test]
fn the_blocking_client_blocks_nobody_else() {
    bounded(|| {
        let runtime = processors(1);
        let server = runtime.block_on(Server::start());
        let ask = |url: String| {
            let client = reqwest::blocking::Client::builder().no_proxy().build();
            client.unwrap().get(url).send().unwrap().text().unwrap()
        };
        let url = server.to("/add/1");
        let job = runtime.spawn_blocking(move || ask(url));
        assert_eq!(runtime.block_on(output(job)), "1");
        let url = server.to("/add/2");
        let task = runtime.spawn(async move { ask(url) });
        assert_eq!(runtime.block_on(output(task)), "2");
        assert_eq!(runtime.block_on(server.stop()), (2, 2));
    });
}
