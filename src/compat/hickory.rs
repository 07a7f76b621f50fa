//! hickory's `RuntimeProvider`: tasks, timers, UDP and TCP sockets for DNS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use hickory_net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};

use crate::net::{TcpSocket, TcpStream, UdpSocket};
use crate::time::{sleep, timeout};

/// Limit for making a connection if the caller passes none: hickory's own figure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs hickory's resolver and clients in the current runtime, or in the default one outside any.
///
/// Supports plain DNS over UDP and TCP. hickory's features for TLS, HTTPS and QUIC bring tokio's
/// runtime with them.
///
/// # Examples
///
/// ```no_run
/// use executor::compat::HickoryRuntime;
/// use hickory_net::client::{Client, ClientHandle};
/// use hickory_net::proto::rr::{DNSClass, Name, RecordType};
/// use hickory_net::udp::UdpClientStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// executor::block_on(async {
///     let server = ([127, 0, 0, 1], 53).into();
///     let stream = UdpClientStream::builder(server, HickoryRuntime).build();
///     let (mut client, driver) = Client::<HickoryRuntime>::from_sender(stream);
///     executor::spawn(driver);
///     let name = Name::from_ascii("example.org.")?;
///     let answer = client.query(name, DNSClass::IN, RecordType::A).await?;
///     println!("{:?}", answer.answers);
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HickoryRuntime;

impl RuntimeProvider for HickoryRuntime {
    type Handle = HickoryRuntime;
    type Timer = HickoryRuntime;
    type Udp = UdpSocket;
    type Tcp = TcpStream;

    fn create_handle(&self) -> HickoryRuntime {
        HickoryRuntime
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        wait_for: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<TcpStream>>>> {
        Box::pin(async move {
            let wait_for = wait_for.unwrap_or(CONNECT_TIMEOUT);
            timeout(wait_for, connect(server, local)).await?
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<UdpSocket>>>> {
        Box::pin(UdpSocket::bind(local))
    }
}

async fn connect(server: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = match server {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(local) = local {
        socket.bind(local)?;
    }
    socket.set_nodelay(true)?;
    socket.connect(server).await
}

impl Spawn for HickoryRuntime {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        drop(crate::spawn(future));
    }
}

#[async_trait]
impl Time for HickoryRuntime {
    async fn delay_for(duration: Duration) {
        sleep(duration).await;
    }

    async fn timeout<F: 'static + Future + Send>(
        duration: Duration,
        future: F,
    ) -> io::Result<F::Output> {
        Ok(timeout(duration, future).await?)
    }
}

impl DnsUdpSocket for UdpSocket {
    type Time = HickoryRuntime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        UdpSocket::poll_recv_from(self, cx, buf)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        UdpSocket::poll_send_to(self, cx, buf, target)
    }
}

impl DnsTcpStream for TcpStream {
    type Time = HickoryRuntime;
}
