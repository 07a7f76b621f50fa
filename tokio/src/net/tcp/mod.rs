//! TCP: see tokio's documentation of the module of this name.

mod halves;
pub(crate) mod listener;
pub(crate) mod socket;
pub(crate) mod stream;

pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub(crate) use stream::TcpStream;
