//! A server that echoes and counts, and clients. Their sockets are watched on the way to quinn.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Instant;

use executor::compat::QuinnRuntime;
use libraries_adapters::certificates::{client_config, server_config};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, Connection, Endpoint, EndpointConfig, Incoming,
    RecvStream, Runtime, SendStream, ServerConfig, TransportConfig, UdpPoller,
};

pub fn server_settings(transport: TransportConfig) -> ServerConfig {
    let crypto = QuicServerConfig::try_from(server_config()).unwrap();
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    config
}

pub fn client_settings(transport: TransportConfig) -> ClientConfig {
    let crypto = QuicClientConfig::try_from(client_config()).unwrap();
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    config
}

/// No time is up by itself: on a machine that is very busy a connection may be silent for long.
pub fn patient() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(None);
    transport
}

/// A socket whose send buffer is as small as the system allows.
pub fn small_socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&socket)
        .set_send_buffer_size(1)
        .unwrap();
    socket
}

/// A client's endpoint on a socket, by the runtime given.
pub fn client_on(
    socket: UdpSocket,
    runtime: Arc<dyn Runtime>,
    transport: TransportConfig,
) -> Endpoint {
    let mut endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime).unwrap();
    endpoint.set_default_client_config(client_settings(transport));
    endpoint
}

pub fn client() -> Endpoint {
    client_on(
        small_socket(),
        Arc::new(QuinnRuntime),
        TransportConfig::default(),
    )
}

/// What a server has seen.
#[derive(Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    pub streams: AtomicUsize,
    pub bytes: AtomicUsize,
    pub datagrams: AtomicUsize,
}

/// A server that echoes streams and datagrams; what comes in one direction only is counted. Ends when closed.
pub struct Server {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

impl Server {
    pub fn start(transport: TransportConfig) -> Server {
        let endpoint = Endpoint::new(
            EndpointConfig::default(),
            Some(server_settings(transport)),
            small_socket(),
            Arc::new(QuinnRuntime),
        )
        .unwrap();
        let seen = Arc::<Seen>::default();
        let (accepting, counting) = (endpoint.clone(), seen.clone());
        executor::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                executor::spawn(session(incoming, counting.clone()));
            }
        });
        let address = endpoint.local_addr().unwrap();
        Server {
            endpoint,
            address,
            seen,
        }
    }
}

/// All that a connection brings, until it is closed.
async fn session(incoming: Incoming, seen: Arc<Seen>) {
    let Ok(connection) = incoming.await else {
        return;
    };
    seen.connections.fetch_add(1, Relaxed);
    executor::spawn(take_streams(connection.clone(), seen.clone()));
    executor::spawn(take_datagrams(connection.clone(), seen.clone()));
    while let Ok((send, receive)) = connection.accept_bi().await {
        seen.streams.fetch_add(1, Relaxed);
        executor::spawn(echo(send, receive));
    }
}

async fn echo(mut send: SendStream, mut receive: RecvStream) {
    while let Ok(Some(chunk)) = receive.read_chunk(64 * 1024, true).await {
        if send.write_chunk(chunk.bytes).await.is_err() {
            return;
        }
    }
    let _ = send.finish();
}

async fn take_streams(connection: Connection, seen: Arc<Seen>) {
    while let Ok(mut receive) = connection.accept_uni().await {
        let seen = seen.clone();
        executor::spawn(async move {
            while let Ok(Some(chunk)) = receive.read_chunk(64 * 1024, true).await {
                seen.bytes.fetch_add(chunk.bytes.len(), Relaxed);
            }
            seen.streams.fetch_add(1, Relaxed);
        });
    }
}

async fn take_datagrams(connection: Connection, seen: Arc<Seen>) {
    while let Ok(datagram) = connection.read_datagram().await {
        seen.datagrams.fetch_add(1, Relaxed);
        if connection.send_datagram(datagram).is_err() {
            return;
        }
    }
}

/// `QuinnRuntime`, watched: how many connections find the socket full.
#[derive(Debug, Default)]
pub struct Watched {
    /// Connections that wait for room at this moment.
    pub waiting: Arc<AtomicUsize>,
}

impl Runtime for Watched {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        QuinnRuntime.new_timer(deadline)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        QuinnRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = QuinnRuntime.wrap_udp_socket(socket)?;
        Ok(Arc::new(WatchedSocket {
            socket,
            waiting: self.waiting.clone(),
        }))
    }

    fn now(&self) -> Instant {
        QuinnRuntime.now()
    }
}

#[derive(Debug)]
struct WatchedSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    waiting: Arc<AtomicUsize>,
}

impl AsyncUdpSocket for WatchedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let poller = self.socket.clone().create_io_poller();
        Box::pin(WatchedPoller {
            poller,
            waiting: self.waiting.clone(),
            waits: AtomicBool::new(false),
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

struct WatchedPoller {
    poller: Pin<Box<dyn UdpPoller>>,
    waiting: Arc<AtomicUsize>,
    /// Whether `waiting` counts this one.
    waits: AtomicBool,
}

impl UdpPoller for WatchedPoller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.poller.as_mut().poll_writable(cx);
        match (
            poll.is_pending(),
            self.waits.swap(poll.is_pending(), Relaxed),
        ) {
            (true, false) => drop(self.waiting.fetch_add(1, Relaxed)),
            (false, true) => drop(self.waiting.fetch_sub(1, Relaxed)),
            _ => {}
        }
        poll
    }
}

impl fmt::Debug for WatchedPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.poller.fmt(f)
    }
}
