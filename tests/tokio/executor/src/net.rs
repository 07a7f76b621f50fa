//! Sockets: tokio's, and its listener with the streams that the executor's has.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::serve::Listener;
use futures_core::Stream;
use tokio::net::ToSocketAddrs;

pub use tokio::net::TcpStream;

pub mod unix {
    pub use tokio::net::UnixStream;
}

pub struct TcpListener(tokio::net::TcpListener);

impl TcpListener {
    pub async fn bind<A: ToSocketAddrs>(address: A) -> io::Result<TcpListener> {
        Ok(TcpListener(tokio::net::TcpListener::bind(address).await?))
    }

    pub fn incoming(&self) -> Incoming<&Self> {
        Incoming(self)
    }

    pub fn into_incoming(self) -> Incoming<Box<Self>> {
        Incoming(Box::new(self))
    }
}

impl Deref for TcpListener {
    type Target = tokio::net::TcpListener;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// As axum has it for tokio's.
impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        Listener::accept(&mut self.0).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub struct Incoming<L>(L);

impl<L: Deref<Target = TcpListener> + Unpin> Stream for Incoming<L> {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(self.0.poll_accept(cx));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }
}
