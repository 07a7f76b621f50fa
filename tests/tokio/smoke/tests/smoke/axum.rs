//! `axum::serve` over tokio's listeners: requests, WebSockets, events, and handlers that block.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path};
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get, post};
use axum::serve::Listener;
use futures::{SinkExt, StreamExt};
use libraries_tokio_context::{bounded, everywhere, output, processors};
use reqwest::Client;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite;

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

/// Serves in a task until it is stopped.
fn serve<L: Listener<Addr: std::fmt::Debug>>(listener: L, app: Router) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
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

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

async fn get_text(client: &Client, url: String) -> String {
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

fn app() -> Router {
    Router::new()
        .route(
            "/hello/{name}",
            get(|Path(name): Path<String>| async { name }),
        )
        .route("/echo", post(|body: String| async { body }))
}

async fn use_routes(client: &Client, url: &str) {
    let hello = get_text(client, format!("{url}/hello/world")).await;
    assert_eq!(hello, "world");
    let other = client.get(format!("{url}/other")).send().await.unwrap();
    assert_eq!(other.status(), 404);
    let sent = "x".repeat(1_000_000);
    let back = client.post(format!("{url}/echo")).body(sent.clone()).send();
    assert!(back.await.unwrap().text().await.unwrap() == sent);
}

#[test]
fn each_route_is_served_over_tcp() {
    everywhere(|| async {
        let (listener, address) = tcp().await;
        let server = serve(listener, app());
        use_routes(&client(), &format!("http://{address}")).await;
        server.stop().await;
    });
}

#[test]
fn each_route_is_served_over_a_unix_socket() {
    everywhere(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let server = serve(UnixListener::bind(&path).unwrap(), app());
        let client = Client::builder().no_proxy().unix_socket(path).build();
        use_routes(&client.unwrap(), "http://unix").await;
        server.stop().await;
    });
}

#[test]
fn of_32_clients_with_10_requests_each_none_is_lost() {
    everywhere(|| async {
        let (listener, address) = tcp().await;
        let server = serve(listener, app());
        let tasks: Vec<_> = (0..32)
            .map(|id| {
                tokio::spawn(async move {
                    let client = client();
                    for n in 0..10 {
                        let url = format!("http://{address}/hello/{id}-{n}");
                        assert_eq!(get_text(&client, url).await, format!("{id}-{n}"));
                    }
                })
            })
            .collect();
        for task in tasks {
            output(task).await;
        }
        server.stop().await;
    });
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
        let request = tokio::spawn(client().get(format!("http://{address}/")).send());
        entered.notified().await;

        server.stop.send(()).unwrap();
        // The listener is closed once nobody can connect.
        while let Ok(late) = TcpStream::connect(address).await {
            drop(late);
            tokio::task::yield_now().await;
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
        let (listener, address) = tcp().await;
        let server = serve(listener, app());
        use_routes(&client(), &format!("http://{address}")).await;
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
        let (listener, address) = tcp().await;
        let server = serve(listener, app().route("/panics", get(panics)));
        let client = client();
        for _ in 0..5 {
            let request = client.get(format!("http://{address}/panics"));
            assert!(request.send().await.is_err());
            use_routes(&client, &format!("http://{address}")).await;
        }
        server.stop().await;
    });
}

#[test]
fn connect_info_is_the_address_of_each_client() {
    everywhere(|| async {
        let (listener, address) = tcp().await;
        let app = Router::new()
            .route(
                "/",
                get(|ConnectInfo::<SocketAddr>(peer)| async move { peer.to_string() }),
            )
            .into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async { axum::serve(listener, app).await });
        for _ in 0..5 {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = TcpStream::connect(address).await.unwrap();
            let own = stream.local_addr().unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with(&format!("\r\n\r\n{own}")), "{answer}");
        }
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn websockets_echo_until_they_are_closed() {
    async fn upgrade(upgrade: WebSocketUpgrade) -> axum::response::Response {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Message::Text(_) | Message::Binary(_)) {
                    socket.send(message).await.unwrap();
                }
            }
        })
    }
    everywhere(|| async {
        let (listener, address) = tcp().await;
        let server = serve(listener, Router::new().route("/", any(upgrade)));
        let clients: Vec<_> = (0..10)
            .map(|id| {
                tokio::spawn(async move {
                    let url = format!("ws://{address}/");
                    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
                    for n in 0..20 {
                        let sent = tungstenite::Message::text(format!("{id} {n}"));
                        socket.send(sent.clone()).await.unwrap();
                        assert_eq!(socket.next().await.unwrap().unwrap(), sent);
                    }
                    socket.close(None).await.unwrap();
                    while socket.next().await.is_some() {}
                })
            })
            .collect();
        for client in clients {
            output(client).await;
        }
        server.stop().await;
    });
}

#[test]
fn events_arrive_one_by_one() {
    everywhere(|| async {
        let (events, receiver) = mpsc::channel::<u32>(1);
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let handler = move || async move {
            let receiver = receiver.lock().unwrap().take().unwrap();
            Sse::new(futures::stream::unfold(
                receiver,
                |mut receiver| async move {
                    let event = Event::default().data(receiver.recv().await?.to_string());
                    Some((Ok::<_, std::convert::Infallible>(event), receiver))
                },
            ))
        };
        let (listener, address) = tcp().await;
        let server = serve(listener, Router::new().route("/", get(handler)));
        let request = client().get(format!("http://{address}/")).send();
        let mut answer = request.await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        for n in 0..20 {
            events.send(n).await.unwrap();
            let chunk = answer.chunk().await.unwrap().unwrap();
            assert_eq!(chunk, format!("data: {n}\n\n"));
        }
        drop(events);
        assert_eq!(answer.chunk().await.unwrap(), None);
        server.stop().await;
    });
}

/// Holds threads until it is opened.
#[derive(Default)]
struct Gate {
    /// How many wait, and whether it is open.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn wait_for(&self, count: usize) {
        let mut state = self.state.lock().unwrap();
        while state.0 < count {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// With the real tokio nobody would be answered: there are no more threads than handlers that block.
#[test]
fn handlers_that_block_keep_nobody_waiting() {
    bounded(|| {
        for count in [1, 2, 4] {
            let gate = Arc::new(Gate::default());
            let blocks = gate.clone();
            let app = app().route(
                "/blocks",
                get(move || async move {
                    blocks.pass();
                    "released"
                }),
            );
            let runtime = processors(count);
            let (listener, address) = runtime.block_on(tcp());
            let server = runtime.block_on(async { serve(listener, app) });
            let client = client();
            let blocked: Vec<_> = (0..4)
                .map(|_| {
                    let (client, url) = (client.clone(), format!("http://{address}/blocks"));
                    runtime.spawn(async move { get_text(&client, url).await })
                })
                .collect();
            gate.wait_for(4);
            runtime.block_on(output(runtime.spawn(async move {
                for n in 0..50 {
                    let url = format!("http://{address}/hello/{n}");
                    assert_eq!(get_text(&client, url).await, n.to_string());
                }
            })));
            assert!(blocked.iter().all(|request| !request.is_finished()));
            gate.open();
            for request in blocked {
                assert_eq!(runtime.block_on(output(request)), "released");
            }
            runtime.block_on(server.stop());
        }
    });
}
