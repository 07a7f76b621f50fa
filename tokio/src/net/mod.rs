//! Sockets: see tokio's documentation of the module of this name.
//!
//! Every type is a standard socket in a `Registration` (registration.rs), which has all
//! that is asynchronous about it.

mod addr;
mod macros;
mod registration;
mod stream;
mod sys;
pub mod tcp;
mod udp;
#[cfg(unix)]
pub mod unix;

pub use addr::{ToSocketAddrs, lookup_host};
pub use tcp::listener::TcpListener;
pub use tcp::socket::TcpSocket;
pub use tcp::stream::TcpStream;
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::datagram_socket::UnixDatagram;
#[cfg(unix)]
pub use unix::listener::UnixListener;
#[cfg(unix)]
pub use unix::socket::UnixSocket;
#[cfg(unix)]
pub use unix::stream::UnixStream;

pub(crate) use registration::{Registration, from_flags, to_flags, translate};
