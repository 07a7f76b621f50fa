//! quinn's `Runtime`: tasks, timers and UDP sockets for QUIC.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller};

use crate::io::{Asked, Async};
use crate::reactor::{Direction, Name, Owner};
use crate::sync::Arc;
use crate::time::{self, Sleep};

/// Runs quinn's endpoints and connections as tasks of the current runtime, or of the default one
/// outside any.
///
/// An endpoint's socket belongs to the runtime in which the endpoint is made.
///
/// # Examples
///
/// ```
/// use executor::compat::QuinnRuntime;
/// use quinn::{Endpoint, EndpointConfig};
/// use std::net::UdpSocket;
/// use std::sync::Arc;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let socket = UdpSocket::bind("127.0.0.1:0")?;
///     let address = socket.local_addr()?;
///     # let config = || EndpointConfig::new(Arc::new(reset::Key));
///     let endpoint = Endpoint::new(config(), None, socket, Arc::new(QuinnRuntime))?;
///     assert_eq!(endpoint.local_addr()?, address);
///     Ok(())
/// })
/// # }
/// # mod reset {
/// #     use quinn::crypto::{CryptoError, HmacKey};
/// #     pub struct Key;
/// #     impl HmacKey for Key {
/// #         fn sign(&self, _: &[u8], signature: &mut [u8]) { signature.fill(0) }
/// #         fn signature_len(&self) -> usize { 32 }
/// #         fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), CryptoError> { Err(CryptoError) }
/// #     }
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct QuinnRuntime;

impl Runtime for QuinnRuntime {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(time::sleep_until(deadline))
    }

    #[track_caller]
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(crate::spawn(future));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let state = UdpSocketState::new((&socket).into())?;
        let io = Async::new(socket)?;
        Ok(Arc::new(Socket { io, state }))
    }

    fn now(&self) -> Instant {
        time::now()
    }
}

impl AsyncTimer for Sleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        Sleep::reset(self, deadline);
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, cx)
    }
}

#[derive(Debug)]
struct Socket {
    io: Async<UdpSocket>,
    /// What the system supports: segmentation offload, many datagrams per call.
    state: UdpSocketState,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritePoller {
            socket: self,
            name: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.send(self.io.get_ref().into(), transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.io
            .poll_read_with(cx, |socket| self.state.recv(socket.into(), bufs, meta))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// One connection's wait for room to send. Each connection of an endpoint has one, and all of them
/// are woken.
struct WritePoller {
    socket: Arc<Socket>,
    /// The name of its entry with the socket, once it has waited.
    name: Option<Name>,
}

impl UdpPoller for WritePoller {
    /// Asks the system: `try_send`, which the reactor does not see, may have met a full socket.
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let WritePoller { socket, name } = &mut *self;
        (socket.io).poll_direction(Owner::Future(name), Direction::Write, &mut Asked::First, cx)
    }
}

impl Drop for WritePoller {
    fn drop(&mut self) {
        if let Some(name) = self.name {
            self.socket.io.remove_waiter(Direction::Write, name);
        }
    }
}

impl fmt::Debug for WritePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePoller").finish_non_exhaustive()
    }
}
