//! tonic: server and client, with the health service that it brings.
//!
//! The server takes a stream of connections. tokio's own are known to it; ours need a type that adds `Connected`, since
//! neither the trait nor our stream belongs to who uses them: that is all of [`ours`]. `into_incoming()`
//! owns the listener and closes it when a graceful shutdown begins; `incoming()` borrows it, so it stays open until all has ended.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use executor::JoinHandle;
use executor::net::{TcpListener, TcpStream};
use futures::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use libraries_tokio_context::{bounded, everywhere, output, processors};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tonic::service::InterceptorLayer;
use tonic::transport::server::{Connected, TcpIncoming};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::ServingStatus::{NotServing, Serving};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, health_reporter};

/// A connection of ours for tonic's server.
mod ours {
    use std::io::{self, IoSlice};
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use executor::net::TcpStream;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tonic::transport::server::Connected;

    pub(crate) struct Connection(pub(crate) TcpStream);

    impl Connected for Connection {
        type ConnectInfo = Option<SocketAddr>;

        fn connect_info(&self) -> Option<SocketAddr> {
            self.0.peer_addr().ok()
        }
    }

    impl AsyncRead for Connection {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            AsyncRead::poll_read(Pin::new(&mut self.0), cx, buf)
        }
    }

    impl AsyncWrite for Connection {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            AsyncWrite::poll_write(Pin::new(&mut self.0), cx, buf)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            AsyncWrite::poll_write_vectored(Pin::new(&mut self.0), cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
        }
    }
}

/// What the server sees, exactly.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    calls: AtomicUsize,
}

struct Health {
    address: SocketAddr,
    reporter: HealthReporter,
    seen: Arc<Seen>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

#[derive(Clone, Copy)]
enum Listener {
    Tokio,
    /// Ours, by `into_incoming()`.
    Owned,
    /// Ours, by `incoming()`.
    Borrowed,
}

impl Health {
    async fn start(listener: Listener) -> Health {
        let (reporter, _) = health_reporter();
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = oneshot::channel();
        let (address, task) = match listener {
            Listener::Tokio => {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let serve = serve(reporter.clone(), seen.clone(), incoming, stopped);
                (address, executor::spawn(serve))
            }
            Listener::Owned => {
                let (address, listener) = bind().await;
                let incoming = listener.into_incoming().map(|stream| served(stream?));
                let serve = serve(reporter.clone(), seen.clone(), incoming, stopped);
                (address, executor::spawn(serve))
            }
            Listener::Borrowed => {
                let (address, listener) = bind().await;
                let (reporter, seen) = (reporter.clone(), seen.clone());
                let serve = async move {
                    let incoming = listener.incoming().map(|stream| served(stream?));
                    serve(reporter, seen, incoming, stopped).await
                };
                (address, executor::spawn(serve))
            }
        };
        Health {
            address,
            reporter,
            seen,
            stop,
            task,
        }
    }

    async fn connect(&self) -> HealthClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        HealthClient::new(endpoint.connect().await.unwrap())
    }

    /// Waits until every connection has ended; how many connections and calls there were.
    async fn stop(self) -> (usize, usize) {
        self.stop.send(()).unwrap();
        output(self.task).await.unwrap();
        (
            self.seen.connections.load(Relaxed),
            self.seen.calls.load(Relaxed),
        )
    }
}

async fn bind() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

fn served(stream: TcpStream) -> io::Result<ours::Connection> {
    stream.set_nodelay(true)?;
    Ok(ours::Connection(stream))
}

async fn serve<Io>(
    reporter: HealthReporter,
    seen: Arc<Seen>,
    incoming: impl Stream<Item = io::Result<Io>>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error>
where
    Io: AsyncRead + AsyncWrite + Connected<ConnectInfo: PeerAddress> + Unpin + Send + 'static,
{
    let service = tonic_health::server::HealthService::from_health_reporter(reporter);
    let service = tonic_health::pb::health_server::HealthServer::new(service);
    let counter = seen.clone();
    let count_call = move |request: Request<()>| {
        let info = request.extensions().get::<Io::ConnectInfo>();
        let peer = info.and_then(PeerAddress::peer).ok_or_else(no_peer)?;
        assert!(peer.ip().is_loopback());
        counter.calls.fetch_add(1, Relaxed);
        Ok(request)
    };
    let incoming = incoming.inspect(move |_| {
        seen.connections.fetch_add(1, Relaxed);
    });
    Server::builder()
        .layer(InterceptorLayer::new(count_call))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, async { drop(stopped.await) })
        .await
}

fn no_peer() -> Status {
    Status::internal("no address of the peer")
}

/// The peer's address, from tokio's information and from ours.
trait PeerAddress {
    fn peer(&self) -> Option<SocketAddr>;
}

impl PeerAddress for tonic::transport::server::TcpConnectInfo {
    fn peer(&self) -> Option<SocketAddr> {
        self.remote_addr()
    }
}

impl PeerAddress for Option<SocketAddr> {
    fn peer(&self) -> Option<SocketAddr> {
        *self
    }
}

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn check(client: &mut HealthClient<Channel>, service: &str) -> Result<i32, Code> {
    match client.check(named(service)).await {
        Ok(answer) => Ok(answer.into_inner().status),
        Err(status) => Err(status.code()),
    }
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> i32 {
    watch.message().await.unwrap().unwrap().status
}

fn everywhere_over<F>(scenario: impl Fn(Listener) -> F + Copy + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    for listener in [Listener::Tokio, Listener::Owned, Listener::Borrowed] {
        everywhere(move || scenario(listener));
    }
}

#[test]
fn a_unary_call_gives_its_answer_or_its_error() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let mut client = health.connect().await;
        assert_eq!(check(&mut client, "").await, Ok(Serving as i32));
        assert_eq!(check(&mut client, "other").await, Err(Code::NotFound));
        health
            .reporter
            .set_service_status("other", NotServing)
            .await;
        assert_eq!(check(&mut client, "other").await, Ok(NotServing as i32));
        drop(client);
        assert_eq!(health.stop().await, (1, 3));
    });
}

#[test]
fn of_100_concurrent_calls_over_one_connection_each_is_answered_once() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let client = health.connect().await;
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let mut client = client.clone();
                let service = if n % 4 == 0 { "missing" } else { "" };
                executor::spawn(async move { check(&mut client, service).await })
            })
            .collect();
        drop(client);
        let mut counts = [0, 0];
        for task in tasks {
            match output(task).await {
                Ok(status) if status == Serving as i32 => counts[0] += 1,
                Err(Code::NotFound) => counts[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(counts, [75, 25]);
        assert_eq!(health.stop().await, (1, 100));
    });
}

#[test]
fn ten_clients_have_ten_connections() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let mut tasks = Vec::new();
        for _ in 0..10 {
            let mut client = health.connect().await;
            tasks.push(executor::spawn(async move {
                for _ in 0..10 {
                    assert_eq!(check(&mut client, "").await, Ok(Serving as i32));
                }
            }));
        }
        for task in tasks {
            output(task).await;
        }
        assert_eq!(health.stop().await, (10, 100));
    });
}

#[test]
fn a_stream_from_the_server_misses_no_change() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let mut client = health.connect().await;
        let mut watch = client.watch(named("")).await.unwrap().into_inner();
        assert_eq!(next(&mut watch).await, Serving as i32);
        for _ in 0..50 {
            for status in [NotServing, Serving] {
                health.reporter.set_service_status("", status).await;
                assert_eq!(next(&mut watch).await, status as i32);
            }
        }
        drop((watch, client));
        assert_eq!(health.stop().await, (1, 1));
    });
}

/// The listener is closed once nobody can connect.
async fn refused(address: SocketAddr) {
    while let Ok(late) = TcpStream::connect(address).await {
        drop(late);
        executor::task::yield_now().await;
    }
}

#[test]
fn a_graceful_shutdown_waits_for_the_streams_that_are_open() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let (address, reporter) = (health.address, health.reporter.clone());
        let mut client = health.connect().await;
        let mut watch = client.watch(named("")).await.unwrap().into_inner();
        assert_eq!(next(&mut watch).await, Serving as i32);

        health.stop.send(()).unwrap();
        if !matches!(listener, Listener::Borrowed) {
            refused(address).await;
        }
        assert!(!health.task.is_finished());
        reporter.set_service_status("", NotServing).await;
        assert_eq!(next(&mut watch).await, NotServing as i32);
        assert!(!health.task.is_finished());

        drop((watch, client));
        output(health.task).await.unwrap();
        assert_eq!(health.seen.calls.load(Relaxed), 1);
    });
}

#[test]
fn a_call_whose_task_is_aborted_lets_the_server_end() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let mut client = health.connect().await;
        let (begun, has_begun) = oneshot::channel();
        let task = executor::spawn(async move {
            let mut watch = client.watch(named("")).await.unwrap().into_inner();
            assert_eq!(next(&mut watch).await, Serving as i32);
            begun.send(()).unwrap();
            next(&mut watch).await
        });
        has_begun.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(health.stop().await, (1, 1));
    });
}

#[test]
fn a_connector_of_ours_connects_the_client() {
    everywhere_over(|listener| async move {
        let health = Health::start(listener).await;
        let address = health.address;
        let connector = tower::service_fn(move |_| async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        });
        let endpoint = Endpoint::from_static("http://ours.invalid");
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        let mut client = HealthClient::new(channel);
        for _ in 0..10 {
            assert_eq!(check(&mut client, "").await, Ok(Serving as i32));
        }
        drop(client);
        assert_eq!(health.stop().await, (1, 10));
    });
}

#[test]
fn a_call_to_nobody_is_an_error() {
    everywhere(|| async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        assert!(endpoint.connect().await.is_err());
        let mut client = HealthClient::new(endpoint.connect_lazy());
        assert_eq!(check(&mut client, "").await, Err(Code::Unavailable));
    });
}

#[test]
fn a_channel_outlives_the_runtime_it_was_made_in() {
    bounded(|| {
        let server = processors(2);
        let health = server.block_on(Health::start(Listener::Owned));
        let first = processors(1);
        let mut client = first.block_on(health.connect());
        let asked = first.block_on(check(&mut client, ""));
        assert_eq!(asked, Ok(Serving as i32));
        drop(first);
        let second = processors(1);
        let asked = second.spawn(async move { check(&mut client, "").await });
        let asked = second.block_on(output(asked));
        assert_eq!(asked, Ok(Serving as i32));
        assert_eq!(server.block_on(health.stop()), (1, 2));
    });
}
