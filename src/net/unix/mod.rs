//! Unix sockets: streams, listeners and datagrams.
//!
//! Operations that cannot wait are not `async`: binding, making pairs, connecting a datagram
//! socket.

mod address;
mod datagram;
mod listener;
mod stream;

pub use std::os::unix::net::SocketAddr;

pub use self::datagram::UnixDatagram;
pub use self::listener::{Incoming, IntoIncoming, UnixListener};
pub use self::stream::UnixStream;

/// The reading half of a [`UnixStream`].
pub type OwnedReadHalf = super::OwnedReadHalf<UnixStream>;
/// The writing half of a [`UnixStream`].
pub type OwnedWriteHalf = super::OwnedWriteHalf<UnixStream>;
