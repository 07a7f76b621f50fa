//! Unix sockets and pipes: see tokio's documentation of the module of this name.

pub(crate) mod datagram_socket;
mod halves;
pub(crate) mod listener;
pub mod pipe;
pub(crate) mod socket;
mod socketaddr;
pub(crate) mod stream;
mod ucred;

pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use socketaddr::SocketAddr;
pub(crate) use stream::UnixStream;
pub use ucred::UCred;

/// Has nothing public; it is there since the real one is.
#[doc(hidden)]
pub mod datagram {}

/// The number of a user.
#[allow(non_camel_case_types)]
pub type uid_t = u32;

/// The number of a group.
#[allow(non_camel_case_types)]
pub type gid_t = u32;

/// The number of a process.
#[allow(non_camel_case_types)]
pub type pid_t = i32;
